//! Errors of importing encoders of other programs.

use super::FIRST_OPSET;
use crate::ValueError;

/// Maximum number of names in a message.
const LISTED: usize = 16;

/// Why the file of another program's encoder could not be described; the messages end in what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// The file is already described.
    #[error("it is described already; use it as it is")]
    Described,
    /// Numbers that are invalid in a description.
    #[error("{0}; give others")]
    Value(ValueError),
    /// The operator set is too old or missing.
    #[error("its operator set is {found}, and {FIRST_OPSET} or later is needed; export it again with a later one", found = match found {
        Some(found) => found.to_string(),
        None => "not stated".to_owned(),
    })]
    Opset {
        /// The version found.
        found: Option<i64>,
    },
    /// The number of inputs is not one.
    #[error("it reads {}, and encoders read one image; export it with one input", listed(found))]
    Inputs {
        /// Their names.
        found: Vec<String>,
    },
    /// An input that is not an image of the stated size.
    #[error(
        "its input `{input}` is {found}, and 32-bit floats [1, 1 or 3, {height}, {width}] are expected; give the size that it was \
         exported with, or export it again with this one"
    )]
    InputShape {
        /// Name of the input.
        input: String,
        /// Type and sizes, with `?` for open ones.
        found: String,
        /// Height of the model input.
        height: usize,
        /// Width of the model input.
        width: usize,
    },
    /// An input whose number of channels is stated nowhere.
    #[error("its input `{input}` leaves the number of channels open; state 1 or 3")]
    OpenChannels {
        /// Name of the input.
        input: String,
    },
    /// A number of channels that is not 1 or 3, or not the one stated.
    #[error("its input has {found} channels{}; give 1 or 3, as the model was trained", match stated {
        Some(stated) if stated != found => format!(", and {stated} are stated"),
        _ => String::new(),
    })]
    Channels {
        /// Channels of the input.
        found: usize,
        /// Channels stated.
        stated: Option<usize>,
    },
    /// Scaling of three channels for an input of one.
    #[error(
        "it reads one channel, and ImageNet's normalisation is of three; use unit-range or local-contrast"
    )]
    OneChannel,
    /// The numbers of outputs and strides differ.
    #[error("it gives {}, and {strides} strides are stated; name one output for each stride", listed(found))]
    OutputCount {
        /// Names of the outputs.
        found: Vec<String>,
        /// Strides stated.
        strides: usize,
    },
    /// No value of that name.
    #[error("nothing in it is called `{output}`; its outputs are {}", listed(found))]
    Output {
        /// The name.
        output: String,
        /// Names of the graph's outputs.
        found: Vec<String>,
    },
    /// Features whose shape does not match the stride.
    #[error(
        "its `{output}` is {found:?}, and stride {stride} calls for maps [1, channels, {height}, {width}] or tokens [1, {}, channels]; \
         give the strides in the order of the outputs, and name the outputs that hold features", height * width
    )]
    OutputShape {
        /// Name of the output.
        output: String,
        /// Its shape.
        found: Vec<usize>,
        /// The stride stated.
        stride: usize,
        /// Rows of cells.
        height: usize,
        /// Columns of cells.
        width: usize,
    },
    /// The numbers of tokens and cells differ.
    #[error(
        "its `{output}` has {found} tokens, and stride {stride} has {cells} cells and {leading} leading tokens are stated; say how many \
         tokens come before those of the cells"
    )]
    Tokens {
        /// Name of the output.
        output: String,
        /// Tokens found.
        found: usize,
        /// The stride stated.
        stride: usize,
        /// Cells at that stride.
        cells: usize,
        /// Leading tokens stated.
        leading: usize,
    },
    /// Leading tokens although no output has tokens.
    #[error("{leading} leading tokens are stated, and its outputs are maps; leave them out")]
    NoTokens {
        /// Leading tokens stated.
        leading: usize,
    },
    /// External weights that could not be read.
    #[error(
        "its tensor {tensor} lies in the file {file:?}, which {reason}; copy the model again with the files beside it"
    )]
    External {
        /// Name of the tensor.
        tensor: String,
        /// The file, as the model names it.
        file: String,
        /// The problem.
        reason: String,
    },
    /// Features that are all zero.
    #[error("its features at stride {stride} are all zero; name other outputs, or check its weights")]
    Zero {
        /// The stride.
        stride: usize,
    },
}

/// Names for a message, truncated.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        all if all > LISTED => format!("{} and {} more", shown.join(", "), all - LISTED),
        _ => shown.join(", "),
    }
}
