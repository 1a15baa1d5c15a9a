//! Errors of learning.

use std::io;
use std::path::{Path, PathBuf};

use infomark_eval::EvalError;
use infomark_infer::{
    DataSetError, EnsembleError, EnsembleFileError, ImageError, JudgeError, MatchError, ModelError,
    TemplateError, TemplateFileError, ThreadError,
};
use infomark_train::{RunError, TrainError};

/// Why learning or a simulation failed; every message names the file or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActiveError {
    /// Too few annotated images.
    #[error("{found} annotated images; at least {needed} are needed to learn from")]
    TooFew {
        /// Images given.
        found: usize,
        /// Images needed.
        needed: usize,
    },
    /// No landmark is annotated in enough images.
    #[error("no landmark is annotated in enough of the images; annotate each in at least two")]
    NoLandmarks,
    /// A bundled encoder without a landmark network, or with one for other landmarks.
    #[error("{}: {reason}; learn without the pretrained network", encoder.display())]
    NoPretrainedNetwork {
        /// The encoder.
        encoder: PathBuf,
        /// The reason.
        reason: String,
    },
    /// An option out of range.
    #[error("{option}: it has to be {needs}")]
    Option {
        /// The option.
        option: &'static str,
        /// The valid range.
        needs: &'static str,
    },
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
    /// A network could not be trained.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// A model could not be read.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// An image could not be read.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// An image could not be matched.
    #[error(transparent)]
    Match(Box<MatchError>),
    /// An annotated image cannot be a template.
    #[error(transparent)]
    Template(Box<TemplateError>),
    /// A template bundled with an encoder could not be read.
    #[error(transparent)]
    TemplateFile(Box<TemplateFileError>),
    /// The [`Judge`](infomark_infer::Judge) could not be made.
    #[error(transparent)]
    Judge(#[from] Box<JudgeError>),
    /// Templates and networks do not fit together.
    #[error(transparent)]
    Ensemble(Box<EnsembleError>),
    /// The result could not be written or read.
    #[error(transparent)]
    EnsembleFile(Box<EnsembleFileError>),
    /// Threads could not be started.
    #[error(transparent)]
    Threads(Box<ThreadError>),
    /// Errors could not be measured.
    #[error(transparent)]
    Eval(Box<EvalError>),
    /// A data folder could not be read.
    #[error(transparent)]
    Data(Box<DataSetError>),
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl ActiveError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> ActiveError {
        move |source| ActiveError::File { path: path.to_owned(), source }
    }
}

macro_rules! from {
    ($($error:ident $variant:ident),*) => {
        $(impl From<$error> for ActiveError {
            fn from(error: $error) -> Self {
                ActiveError::$variant(Box::new(error))
            }
        })*
    };
}

from!(
    ModelError Model, ImageError Image, MatchError Match, TemplateError Template, TemplateFileError TemplateFile,
    EnsembleError Ensemble,
    EnsembleFileError EnsembleFile, ThreadError Threads, EvalError Eval, DataSetError Data
);

impl From<TrainError> for ActiveError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Run(RunError::Stopped) => ActiveError::Stopped,
            error => ActiveError::Train(Box::new(error)),
        }
    }
}
