//! Why results can't be made, written or read.

use std::io;
use std::path::{Path, PathBuf};

use infomark_eval::EvalError;
use infomark_infer::{EnsembleFileError, FileError, RefineError, ThreadError};

/// Why results can't be made, written or read; every message names the file or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// A file or folder that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An object that can't be written as JSON, or rows that can't be written as CSV.
    #[error("can't be written as {format}: {reason}")]
    Encode {
        /// The format.
        format: &'static str,
        /// What it lacks.
        reason: String,
    },
    /// A table that can't be read.
    #[error("{}: can't read this table; evaluate again with --out ({reason})", path.display())]
    Table {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Images that can't be scored.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Templates that can't be refined.
    #[error(transparent)]
    Refine(#[from] RefineError),
    /// No image to refine templates with.
    #[error("there is no image to refine templates with; give at least one, or refine nothing")]
    NoImages,
    /// A file of an ensemble that can't be read.
    #[error(transparent)]
    Ensemble(#[from] EnsembleFileError),
    /// Threads that can't be started.
    #[error(transparent)]
    Threads(#[from] ThreadError),
}

impl ResultsError {
    /// Wraps the error of reading a file.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| FileError::Unreadable { name: path.display().to_string(), source }.into()
    }
}
