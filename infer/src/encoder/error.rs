//! Errors of model files.

#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
use super::ForeignError;
use crate::contain::Panic;
use crate::{DescriptionError, LetterboxError};
use infomark_core::FeatureError;

/// Why an encoder or a landmark network could not be loaded or run; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file does not exist.
    #[error("{name}: no such file; check the spelling, or make a model with `infomark train`")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// Not a regular file.
    #[error("{name}: not a file; name a model file (.onnx) written by `infomark train`")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// The file cannot be read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("{name}: cannot be written ({source}); check the folder and its permissions")]
    Unwritable {
        /// The path as given.
        name: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("{name}: the file is empty; copy it again from its source or train again")]
    Empty {
        /// The path as given.
        name: String,
    },
    /// The file exceeds the maximum size.
    #[error("{name}: {bytes} bytes are more than a model may have (512 MiB); use a smaller one")]
    TooLarge {
        /// The path as given.
        name: String,
        /// Length in bytes.
        bytes: u64,
    },
    /// Not an ONNX file.
    #[error(
        "{name}: not an ONNX model, or a truncated one ({reason}); use a model written by `infomark train`, or copy it again"
    )]
    NotOnnx {
        /// The path as given.
        name: String,
        /// The parser's message.
        reason: String,
    },
    /// A file of a whole model, in place of one of its parts.
    #[error(
        "{name}: a whole model (.infomark), where an encoder or a network alone is needed; `infomark match --model` takes it, and `tar -xf` \
         unpacks its parts"
    )]
    Ensemble {
        /// The path as given.
        name: String,
    },
    /// The file of a whole model, whose encoder was asked for, cannot be read.
    #[error(transparent)]
    InEnsemble {
        /// Which part, and what to do.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An ONNX model without a description, or with an invalid one.
    #[error("{name}: {source}")]
    Description {
        /// The path as given.
        name: String,
        /// The problem, and what to do.
        source: DescriptionError,
    },
    /// The file does not match its seal.
    #[error("{name}: damaged: its weights or its description are not those that were written; copy it again")]
    Damaged {
        /// The path as given.
        name: String,
    },
    /// Neither a file nor the name of a bundled model.
    #[error("{name}: no such file, and no model of that name comes with infomark, which has {known}")]
    UnknownModel {
        /// The path as given.
        name: String,
        /// Names of the bundled models.
        known: String,
    },
    /// A bundled model without a landmark network.
    #[error(
        "{name}: it comes without a landmark network; match its templates, or name a network of `infomark train-landmarks`"
    )]
    NoNetwork {
        /// Name of the model.
        name: String,
    },
    /// A backbone that cannot be read, or joined to an encoder.
    #[error("{name}: {problem}")]
    Backbone {
        /// The path as given.
        name: String,
        /// The problem, and what to do.
        problem: BackboneError,
    },
    /// A graph that contradicts its description, or has unsupported parts.
    #[error("{name}: {problem}; export the model again, from PyTorch with `optimize=True`")]
    Graph {
        /// The path as given.
        name: String,
        /// Which part, and what was expected.
        problem: GraphError,
    },
    /// An encoder of another program that does not match its stated properties.
    #[cfg(any(feature = "onnx", feature = "onnxruntime"))]
    #[error("{name}: {problem}")]
    Foreign {
        /// The path as given.
        name: String,
        /// The problem, and what to do.
        problem: ForeignError,
    },
    /// ONNX Runtime cannot be loaded.
    #[cfg(feature = "onnxruntime")]
    #[error(
        "{library}: ONNX Runtime cannot be loaded ({reason}); name its library, e.g. libonnxruntime.so of version 1.17 or later"
    )]
    Runtime {
        /// Path of the library as given.
        library: String,
        /// The loader's message.
        reason: String,
    },
    /// The graph cannot be prepared for running.
    #[error(
        "{name}: the model cannot be prepared ({reason}); copy it again, export it for an older operator set, or have ONNX Runtime run it"
    )]
    Prepare {
        /// The path as given.
        name: String,
        /// The reason.
        reason: RuntimeError,
    },
    /// Running failed.
    #[error("{name}: the model cannot be run ({reason}); copy it again or export the model again")]
    Run {
        /// The path as given.
        name: String,
        /// The reason.
        reason: RuntimeError,
    },
    /// Features that are not unit vectors.
    #[error("{name}: {problem}; its weights are damaged or were not trained to an end, train again")]
    Features {
        /// The path as given.
        name: String,
        /// The problem.
        problem: ModelOutputError,
    },
    /// The time limit of an image was exceeded.
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
        /// The reason.
        source: LetterboxError,
    },
}

/// Why a runtime cannot prepare or run a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// An error of tract or ONNX Runtime.
    #[error("{message}")]
    Backend {
        /// Its message.
        message: String,
    },
    /// Layers that need tract, in a build without it.
    #[error(
        "its layers are not those that `infomark train` writes, and this was built without the feature onnx"
    )]
    NotBuilt,
    /// The number of pixels is not that of the input.
    #[error("{found} pixels where {expected:?} are expected")]
    Pixels {
        /// Pixels given.
        found: usize,
        /// Height and width of the input.
        expected: [usize; 2],
    },
    /// An output that the runtime did not return.
    #[error("output {output} is missing")]
    MissingOutput {
        /// Name of the output.
        output: String,
    },
    /// An output whose number of elements is not the described one.
    #[error("output {output} has {found} elements where {expected} are expected")]
    OutputLength {
        /// Name or index of the output.
        output: String,
        /// Elements found.
        found: usize,
        /// Elements in the description.
        expected: usize,
    },
    /// The deadline has passed.
    #[error("the time is up")]
    TimeLimit,
}

impl From<Panic> for RuntimeError {
    fn from(panic: Panic) -> Self {
        Self::Backend { message: panic.to_string() }
    }
}

/// Problem of a model's output values.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelOutputError {
    /// A feature map whose size is not the described one.
    #[error(transparent)]
    Map(#[from] FeatureError),
    /// Features that are NaN or longer than 1.
    #[error("the features at stride {stride} are no unit vectors (one has the length {length})")]
    Length {
        /// Stride in pixels.
        stride: usize,
        /// Length of the feature.
        length: f32,
    },
    /// Outputs that differ from the description.
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
        /// Maximum of each.
        most: usize,
    },
    /// An operator that is not supported.
    #[error("its operator {operator} ({node}) is not one that encoders are made of")]
    Operator {
        /// The operator.
        operator: String,
        /// Name of the node.
        node: String,
    },
    /// A node with a subgraph or a sparse tensor.
    #[error("its node {node} holds a graph of its own")]
    Subgraph {
        /// Name of the node.
        node: String,
    },
    /// A tensor with external data.
    #[error("its tensor {tensor} lies in another file, and encoders are single files")]
    ExternalTensor {
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor whose number of elements does not match its shape.
    #[error("its tensor {tensor} of the shape {shape:?} holds {held} numbers")]
    TensorSize {
        /// Name of the tensor.
        tensor: String,
        /// Its shape, truncated to the maximum number of dimensions.
        shape: Vec<i64>,
        /// Number of elements.
        held: usize,
    },
    /// A tensor with infinities or NaN.
    #[error("its tensor {tensor} holds numbers that are not finite")]
    NotFinite {
        /// Name of the tensor.
        tensor: String,
    },
    /// The graph's input is missing, repeated or misnamed.
    #[error("it should have the one input `{expected}`")]
    Input {
        /// Name of the input.
        expected: &'static str,
    },
    /// An output that is missing or repeated.
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
    /// The number of outputs is not the described one.
    #[error("it has {found} outputs, and its description calls for {expected}")]
    OutputCount {
        /// Outputs found.
        found: usize,
        /// Outputs in the description.
        expected: usize,
    },
    /// An input or output that is not a tensor.
    #[error("`{value}` should be a tensor")]
    NotATensor {
        /// Its name.
        value: String,
    },
    /// An input or output whose shape or type is not the described one.
    #[error("`{value}` has the shape [{found}], and its description calls for 32-bit floats of {expected:?}")]
    Shape {
        /// Its name.
        value: String,
        /// Its sizes separated by commas, with `?` for open ones.
        found: String,
        /// The sizes in the description.
        expected: Vec<usize>,
    },
}

/// Why a backbone cannot be read, or joined to an encoder.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// The encoder has no backbone.
    #[error("this encoder has no backbone; name one that has")]
    Missing,
    /// The encoder has a backbone already.
    #[error("this encoder has a backbone already ({name})")]
    Present {
        /// Name of that backbone.
        name: String,
    },
    /// Features of the backbone's description that are not in the file.
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
