//! Why results can't be made, written or read.

use std::io;
use std::path::{Path, PathBuf};

use infomark_eval::EvalError;
use infomark_infer::{
    EnsembleFileError, FileError, FolderLockError, LandmarkError, MergeError, RefineError, ThreadError,
};

/// Why results can't be made, written or read; every message names the file or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// A file or folder that can't be read, written, moved or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder of results that another process writes to.
    #[error(transparent)]
    Lock(FolderLockError),
    /// Landmarks that a format can't hold.
    #[error(transparent)]
    Landmarks(Box<LandmarkError>),
    /// A `landmarks.json` that is not as it was written.
    #[error("{}: this is not as `infomark match` writes it; run it again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// A `landmarks.json` that another has taken the place of.
    #[error("{}: it was replaced while it was read; merge again", file.display())]
    Replaced {
        /// The file.
        file: PathBuf,
    },
    /// No results to merge.
    #[error("no results to merge; name at least one folder")]
    NoResults,
    /// A folder without a finished result.
    #[error(
        "{}: holds no finished result, there is no landmarks.json; run its `infomark match` to the end",
        folder.display()
    )]
    NoResult {
        /// The folder.
        folder: PathBuf,
    },
    /// A result with images left to do.
    #[error("{}: not finished, {images} images are left to do; run its `infomark match` again", folder.display())]
    Unfinished {
        /// Its folder.
        folder: PathBuf,
        /// How many.
        images: usize,
    },
    /// Results that were made with different models, templates or options.
    #[error(
        "{}: its {what} is not that of {}; run the shards again with the same model, templates, options and version",
        folder.display(), first.display()
    )]
    Differs {
        /// Folder of the result.
        folder: PathBuf,
        /// What differs.
        what: String,
        /// Folder of the first result.
        first: PathBuf,
    },
    /// An image that two results have.
    #[error(
        "{}: the image {image} is in this result and in {}; name each shard once, of one number of shards",
        of.display(), other.display()
    )]
    Twice {
        /// Folder of the result.
        of: PathBuf,
        /// The image.
        image: String,
        /// Folder of the other.
        other: PathBuf,
    },
    /// Images of a list that are in no result.
    #[error(
        "{}: {count} of its {listed} images are in none of the results, the first is {first}; name all shards, or run those that are missing",
        of.display()
    )]
    Missing {
        /// The list.
        of: PathBuf,
        /// How many.
        count: usize,
        /// Images of the list.
        listed: usize,
        /// Label of the first.
        first: String,
    },
    /// Images of the results that are not in the list.
    #[error(
        "{}: {count} images of the results are not in the list, the first of these results is {}; give the list that they were made from",
        of.display(), first.display()
    )]
    Unlisted {
        /// The list.
        of: PathBuf,
        /// How many.
        count: usize,
        /// Folder of the first result with one.
        first: PathBuf,
    },
    /// Results that make no whole.
    #[error(transparent)]
    Merge(MergeError),
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
    /// Wraps an error of the system.
    pub(crate) fn io(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let wrap = FileError::system(path, action);
        move |source| wrap(source).into()
    }

    /// Wraps an error of writing JSON.
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Encode { format: "JSON", reason: error.to_string() }
    }

    /// Wraps the error of reading a file.
    pub(crate) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| FileError::Unreadable { name: path.display().to_string(), source }.into()
    }
}
