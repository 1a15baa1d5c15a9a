//! What can be wrong with a model file.

use crate::{DescriptionError, FitError};

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
    /// A file of no bytes.
    #[error("{name}: the file is empty; copy it again from its source or train again")]
    Empty {
        /// The path as given.
        name: String,
    },
    /// Beyond what a model may have.
    #[error(
        "{name}: {bytes} bytes are more than a model may have (64 MiB); use one written by `infomark train`"
    )]
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
    /// A graph that is not what its description says, or not what models are made of.
    #[error("{name}: {reason}; export the model again, e.g. with `infomark train`")]
    Graph {
        /// The path as given.
        name: String,
        /// Which part, and what was expected.
        reason: String,
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
    #[error("{name}: the model cannot be prepared ({reason}); copy it again or export the model again")]
    Prepare {
        /// The path as given.
        name: String,
        /// What tract said.
        reason: String,
    },
    /// Running failed.
    #[error("{name}: the model cannot be run ({reason}); copy it again or export the model again")]
    Run {
        /// The path as given.
        name: String,
        /// What tract said.
        reason: String,
    },
    /// Features that are no unit vectors.
    #[error("{name}: {problem}; its weights are damaged or were not trained to an end, train again")]
    Features {
        /// The path as given.
        name: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The time for an image was up.
    #[error("{name}: not done within the time limit; allow more time, or look at what else the machine does")]
    TimeLimit {
        /// The image's name.
        name: String,
    },
    /// An image that cannot be laid on the canvas.
    #[error("{name}: {source}; scale the image down first")]
    Fit {
        /// The image's name.
        name: String,
        /// Why not.
        source: FitError,
    },
}
