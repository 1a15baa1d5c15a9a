//! What can be wrong with a model file.

#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
use super::ForeignError;
use crate::contain::Panic;
use crate::{DescriptionError, LetterboxError};
use infomark_core::FeatureError;

/// Why an encoder or a landmark network could not be loaded or run; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no such file.
    #[error("{name}: no such file; check the spelling, or make a model with `infomark train`")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// A folder, a device or a pipe where a file is wanted.
    #[error("{name}: not a file; name a model file (.onnx) written by `infomark train`")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// The operating system refused to read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system could not write it.
    #[error("{name}: cannot be written ({source}); check the folder and its permissions")]
    Unwritable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of no bytes.
    #[error("{name}: the file is empty; copy it again from its source or train again")]
    Empty {
        /// The path as given.
        name: String,
    },
    /// Beyond what a model may have.
    #[error("{name}: {bytes} bytes are more than a model may have (512 MiB); use a smaller one")]
    TooLarge {
        /// The path as given.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// Not the bytes of an ONNX file.
    #[error(
        "{name}: not an ONNX model, or a truncated one ({reason}); use a model written by `infomark train`, or copy it again"
    )]
    NotOnnx {
        /// The path as given.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// An ONNX model that does not describe itself, or does so wrongly.
    #[error("{name}: {source}")]
    Description {
        /// The path as given.
        name: String,
        /// What is wrong with the description, and the fix.
        source: DescriptionError,
    },
    /// The file is not what was written.
    #[error("{name}: damaged: its weights or its description are not those that were written; copy it again")]
    Damaged {
        /// The path as given.
        name: String,
    },
    /// Neither a file nor the name of a model that comes with infomark.
    #[error("{name}: no such file, and no model of that name comes with infomark, which has {known}")]
    UnknownModel {
        /// The path as given.
        name: String,
        /// Names of those that come with infomark.
        known: String,
    },
    /// A model that comes with infomark without a landmark network.
    #[error(
        "{name}: it comes without a landmark network; match its templates, or name a network of `infomark train-landmarks`"
    )]
    NoNetwork {
        /// What the model is called by.
        name: String,
    },
    /// A backbone that can't be read, or joined to an encoder.
    #[error("{name}: {problem}")]
    Backbone {
        /// The path as given.
        name: String,
        /// What is wrong, and the fix.
        problem: BackboneError,
    },
    /// A graph that is not what its description says, or not what models are made of.
    #[error("{name}: {problem}; export the model again, from PyTorch with `optimize=True`")]
    Graph {
        /// The path as given.
        name: String,
        /// Which part, and what was expected.
        problem: GraphError,
    },
    /// An encoder of another program that is not as stated.
    #[cfg(any(feature = "onnx", feature = "onnxruntime"))]
    #[error("{name}: {problem}")]
    Foreign {
        /// The path as given.
        name: String,
        /// What is wrong, and the fix.
        problem: ForeignError,
    },
    /// ONNX Runtime cannot be had.
    #[cfg(feature = "onnxruntime")]
    #[error(
        "{library}: ONNX Runtime cannot be loaded ({reason}); name its library, e.g. libonnxruntime.so of version 1.17 or later"
    )]
    Runtime {
        /// The path as given.
        library: String,
        /// What the loader said.
        reason: String,
    },
    /// The graph cannot be prepared for running.
    #[error(
        "{name}: the model cannot be prepared ({reason}); copy it again, export it for an older operator set, or have ONNX Runtime run it"
    )]
    Prepare {
        /// The path as given.
        name: String,
        /// What went wrong.
        reason: RuntimeError,
    },
    /// Running failed.
    #[error("{name}: the model cannot be run ({reason}); copy it again or export the model again")]
    Run {
        /// The path as given.
        name: String,
        /// What went wrong.
        reason: RuntimeError,
    },
    /// Features that are no unit vectors.
    #[error("{name}: {problem}; its weights are damaged or were not trained to an end, train again")]
    Features {
        /// The path as given.
        name: String,
        /// What is wrong with them.
        problem: ModelOutputError,
    },
    /// The time for an image was up.
    #[error("{name}: not done within the time limit; allow more time, or look at what else the machine does")]
    TimeLimit {
        /// The image's name.
        name: String,
    },
    /// An image that cannot be letterboxed to the model input.
    #[error("{name}: {source}; scale the image down first")]
    Letterbox {
        /// The image's name.
        name: String,
        /// Why not.
        source: LetterboxError,
    },
}

/// Why a runtime can't prepare or run a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// What tract or ONNX Runtime said.
    #[error("{message}")]
    Backend {
        /// Its message.
        message: String,
    },
    /// Layers that only tract runs, in a build without it.
    #[error(
        "its layers are not those that `infomark train` writes, and this was built without the feature onnx"
    )]
    NotBuilt,
    /// Another number of pixels than the input has.
    #[error("{found} pixels where {expected:?} are expected")]
    Pixels {
        /// Pixels given.
        found: usize,
        /// Height and width of the input.
        expected: [usize; 2],
    },
    /// An output that the runtime did not give.
    #[error("output {output} is missing")]
    MissingOutput {
        /// Name of the output.
        output: String,
    },
    /// An output with another number of elements than described.
    #[error("output {output} has {found} elements where {expected} are expected")]
    OutputLength {
        /// Name or place of the output.
        output: String,
        /// Elements found.
        found: usize,
        /// Elements by the description.
        expected: usize,
    },
    /// The deadline passed.
    #[error("the time is up")]
    TimeLimit,
}

impl From<Panic> for RuntimeError {
    fn from(panic: Panic) -> Self {
        Self::Backend { message: panic.to_string() }
    }
}

/// What is wrong with the values that a model gave.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelOutputError {
    /// A feature map of another size than described.
    #[error(transparent)]
    Map(#[from] FeatureError),
    /// Features that are NaN or longer than 1.
    #[error("the features at stride {stride} are no unit vectors (one has the length {length})")]
    Length {
        /// Pixels per cell.
        stride: usize,
        /// Length of the feature.
        length: f32,
    },
    /// Other outputs than described.
    #[error("it has other outputs than described")]
    Outputs,
    /// Maps of a landmark network with infinities or NaN.
    #[error("its maps hold numbers that are not finite")]
    NotFinite,
}

/// Mismatch between a graph and its description, or a part that no model has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A file without a graph.
    #[error("it holds no graph")]
    Missing,
    /// Sparse tensors.
    #[error("it holds sparse tensors, which encoders do not")]
    Sparse,
    /// More nodes or tensors than allowed.
    #[error("it has {nodes} nodes and {tensors} tensors, and {most} of each are allowed")]
    Size {
        /// Nodes found.
        nodes: usize,
        /// Tensors found.
        tensors: usize,
        /// Most of each.
        most: usize,
    },
    /// An operator that models are not made of.
    #[error("its operator {operator} ({node}) is not one that encoders are made of")]
    Operator {
        /// The operator.
        operator: String,
        /// Name of the node.
        node: String,
    },
    /// A node with a graph or a sparse tensor of its own.
    #[error("its node {node} holds a graph of its own")]
    Subgraph {
        /// Name of the node.
        node: String,
    },
    /// A tensor whose numbers are stored in another file.
    #[error("its tensor {tensor} lies in another file, and encoders are single files")]
    ExternalTensor {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor with another number of elements than its shape says.
    #[error("its tensor {tensor} of the shape {shape:?} holds {held} numbers")]
    TensorSize {
        /// Name of the tensor.
        tensor: String,
        /// Its shape, cut to the most dimensions that are allowed.
        shape: Vec<i64>,
        /// Numbers that it holds.
        held: usize,
    },
    /// A tensor with infinities or NaN.
    #[error("its tensor {tensor} holds numbers that are not finite")]
    NotFinite {
        /// Name of the tensor.
        tensor: String,
    },
    /// No input, several, or one of another name.
    #[error("it should have the one input `{expected}`")]
    Input {
        /// Name of the input.
        expected: &'static str,
    },
    /// An output that is missing, or there twice.
    #[error("it should have one output `{expected}`")]
    Output {
        /// Name of the output.
        expected: String,
    },
    /// An output that no node computes.
    #[error("no node makes its output `{output}`")]
    NoNode {
        /// Name of the output.
        output: String,
    },
    /// Another number of outputs than described.
    #[error("it has {found} outputs, and its description calls for {expected}")]
    OutputCount {
        /// Outputs found.
        found: usize,
        /// Outputs by the description.
        expected: usize,
    },
    /// An input or output that is no tensor.
    #[error("`{value}` should be a tensor")]
    NotATensor {
        /// Its name.
        value: String,
    },
    /// An input or output of another shape or type than described.
    #[error("`{value}` has the shape [{found}], and its description calls for 32-bit floats of {expected:?}")]
    Shape {
        /// Its name.
        value: String,
        /// Its sizes separated by commas, with `?` for those left open.
        found: String,
        /// The sizes by the description.
        expected: Vec<usize>,
    },
}

/// Why a backbone can't be read, or joined to an encoder.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// An encoder without one.
    #[error("this encoder has no backbone; name one that has")]
    Missing,
    /// An encoder that has one.
    #[error("this encoder has a backbone already ({name})")]
    Present {
        /// Name of that backbone.
        name: String,
    },
    /// Features that it is to have are not in the file.
    #[error("the backbone makes no value `{value}`; copy the file again")]
    NoFeatures {
        /// Name of the value.
        value: String,
    },
    /// The encoder has no features at one of the backbone's strides.
    #[error(
        "the encoder has no features of stride {stride}, where the backbone has some; use another backbone"
    )]
    Stride {
        /// The stride.
        stride: usize,
    },
    /// A weight that is not finite and above 0.
    #[error("a weight of {found} for the backbone where a finite one above 0 is expected")]
    Weight {
        /// The weight.
        found: f32,
    },
}
