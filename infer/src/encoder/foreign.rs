//! Encoders of other programs: their ONNX files become files like our own.
//!
//! Nodes around the foreign graph make what a [`Description`](crate::Description) promises: before it, the one channel becomes those that
//! it reads, scaled as in its training; after it, tokens become maps and features unit vectors. Whatever runs an encoder runs these, too.

mod error;
mod external;
mod wrap;

use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use error::ForeignError;
use wrap::Wrapped;

#[cfg(feature = "onnxruntime")]
use super::OnnxRuntime;
use super::{Encoder, ModelError, read_model};
use crate::{InputSize, file};

/// First operator set in which the operators around the graph mean what they do here.
const FIRST_OPSET: i64 = 11;

/// Scaling of grey values in `[0, 1]` to the input of a foreign encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputScaling {
    /// As they are.
    #[default]
    UnitRange,
    /// By [`Normalisation::LOCAL_CONTRAST`](crate::Normalisation::LOCAL_CONTRAST), which is what `infomark train` and the guided views give by default.
    LocalContrast,
    /// As torchvision's models of ImageNet expect their three channels: less the mean, over the standard deviation of each.
    ImageNet,
}

impl InputScaling {
    /// All of them, by name.
    pub const NAMED: [(&str, InputScaling); 3] = [
        ("unit-range", InputScaling::UnitRange),
        ("local-contrast", InputScaling::LocalContrast),
        ("imagenet", InputScaling::ImageNet),
    ];
}

/// A name that no [`InputScaling`] has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no normalisation is called `{name}`; use one of {}", InputScaling::NAMED.map(|(known, _)| known).join(", "))]
pub struct UnknownScaling {
    /// The name.
    pub name: String,
}

impl FromStr for InputScaling {
    type Err = UnknownScaling;

    fn from_str(name: &str) -> Result<Self, UnknownScaling> {
        let named = InputScaling::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, scaling)| *scaling).ok_or_else(|| UnknownScaling { name: name.to_owned() })
    }
}

/// Properties of another program's encoder that its ONNX file does not state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ForeignEncoder {
    /// Size of the model input, which images are letterboxed to. A file that states a size has to state this one.
    pub input: InputSize,
    /// Input pixels per cell of each output, in the order of [`outputs`](Self::outputs).
    pub strides: Vec<usize>,
    /// Channels of the input, 1 or 3: needed where the file leaves them open.
    pub channels: Option<usize>,
    /// How grey values are scaled.
    pub scaling: InputScaling,
    /// Names of the values in the graph that hold the features: maps `[1, C, h, w]`, or tokens `[1, n, C]` row by row. Empty:
    /// the outputs of the graph, in their order.
    pub outputs: Vec<String>,
    /// Tokens before those of the cells: a class token, registers. They are left out.
    pub leading_tokens: usize,
    /// Divisor of the cosines in matching, as that of [`Description`](crate::Description).
    pub temperature: f32,
}

impl ForeignEncoder {
    /// An encoder whose input has this size and whose outputs have these strides.
    pub fn new(input: InputSize, strides: impl Into<Vec<usize>>) -> ForeignEncoder {
        ForeignEncoder {
            input,
            strides: strides.into(),
            channels: None,
            scaling: InputScaling::default(),
            outputs: Vec::new(),
            leading_tokens: 0,
            temperature: 0.1,
        }
    }

    /// Sets the number of input channels.
    #[must_use]
    pub fn with_channels(self, channels: Option<usize>) -> ForeignEncoder {
        ForeignEncoder { channels, ..self }
    }

    /// Sets the scaling of grey values.
    #[must_use]
    pub fn with_scaling(self, scaling: InputScaling) -> ForeignEncoder {
        ForeignEncoder { scaling, ..self }
    }

    /// Sets the names of the outputs that are features.
    #[must_use]
    pub fn with_outputs(self, outputs: impl Into<Vec<String>>) -> ForeignEncoder {
        ForeignEncoder { outputs: outputs.into(), ..self }
    }

    /// Sets the number of leading tokens to leave out.
    #[must_use]
    pub fn with_leading_tokens(self, leading_tokens: usize) -> ForeignEncoder {
        ForeignEncoder { leading_tokens, ..self }
    }

    /// Sets the temperature.
    #[must_use]
    pub fn with_temperature(self, temperature: f32) -> ForeignEncoder {
        ForeignEncoder { temperature, ..self }
    }

    /// An encoder like our own, from the ONNX file of another program.
    ///
    /// The foreign graph is kept. Nodes before it make its input of one channel in `[0, 1]`; nodes after it make feature maps of
    /// unit vectors of its outputs. The result is prepared and run once. Weights in files beside the
    /// model are taken into it.
    ///
    /// # Errors
    ///
    /// [`ModelError`]: among others [`ModelError::Foreign`] where the graph is not what these say of it.
    ///
    /// ```no_run
    /// use infomark_infer::{ForeignEncoder, InputScaling, InputSize};
    ///
    /// let resnet = ForeignEncoder::new(InputSize::new(384, 480)?, [4, 8, 16]).with_scaling(InputScaling::ImageNet);
    /// resnet.describe("resnet.onnx")?.save("encoder.onnx")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "onnx")]
    pub fn describe(&self, path: impl AsRef<Path>) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = model(path.as_ref())?;
        self.describe_bytes(&bytes, name, folder.as_deref())
    }

    /// [`describe`](Self::describe) for a file that is in memory already; `name` stands for it in messages, `folder` holds its
    /// weights where they are in other files.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnx")]
    pub fn describe_bytes(
        &self,
        bytes: &[u8],
        name: impl Into<String>,
        folder: Option<&Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let name = name.into();
        let wrapped = Wrapped::new(self, bytes, &name, folder)?;
        let shapes = crate::contain::contain(|| super::tract::shapes(&wrapped.raw(), self.input))
            .unwrap_or_else(|panic| Err(panic.into()));
        let described = wrapped.finish(shapes)?;
        let encoder = Encoder::from_bytes(&described, name)?;
        DescribedEncoder::tried(described, encoder)
    }

    /// [`describe`](Self::describe) by ONNX Runtime, for graphs that tract does not run.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnxruntime")]
    pub fn describe_on(
        &self,
        runtime: &OnnxRuntime,
        path: impl AsRef<Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = model(path.as_ref())?;
        let wrapped = Wrapped::new(self, &bytes, &name, folder.as_deref())?;
        let shapes = runtime.shapes(&wrapped.raw(), self.input);
        let described = wrapped.finish(shapes)?;
        let encoder = Encoder::from_bytes_on(runtime, &described, name)?;
        DescribedEncoder::tried(described, encoder)
    }
}

/// An encoder of another program as a file of ours.
#[derive(Clone, Debug)]
pub struct DescribedEncoder {
    bytes: Vec<u8>,
    encoder: Encoder,
}

impl DescribedEncoder {
    /// Runs the encoder once: what it gives has to be features.
    fn tried(bytes: Vec<u8>, encoder: Encoder) -> Result<DescribedEncoder, ModelError> {
        let input = encoder.description().input;
        let mut rng = infomark_core::Rng::new(0, 0);
        let pixels: Vec<f32> = (0..input.area()).map(|_| rng.uniform()).collect();
        let encoding = encoder.encode_input("noise", &pixels)?;
        match encoding.levels().iter().find(|map| map.data().iter().all(|value| *value == 0.0)) {
            None => Ok(DescribedEncoder { bytes, encoder }),
            Some(map) => Err(ModelError::Foreign {
                name: encoder.name().to_owned(),
                problem: ForeignError::Zero { stride: map.stride() },
            }),
        }
    }

    /// The content of its file, which [`Encoder::load`] reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoder, under the name of the foreign file.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ModelError::Unwritable`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let path = path.as_ref();
        file::write_file(path, &self.bytes)
            .map_err(|source| ModelError::Unwritable { name: path.display().to_string(), source })
    }
}

/// The bytes, the name and the folder of a model.
fn model(path: &Path) -> Result<(Vec<u8>, String, Option<PathBuf>), ModelError> {
    Ok((read_model(path)?, path.display().to_string(), path.parent().map(Path::to_owned)))
}
