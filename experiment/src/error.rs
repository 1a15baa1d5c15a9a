//! Why an experiment can't be made.

use std::path::PathBuf;

use infomark_active::ActiveError;
use infomark_eval::EvalError;
use infomark_infer::{DataSetError, FileError, FolderLockError, ImageError, ModelError, ThreadError};
use infomark_results::ResultsError;
use infomark_train::{ConfigError, TrainError};

/// What is wrong in the file of an experiment; every message names the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// No TOML, or none of an experiment.
    #[error("{0}")]
    Toml(String),
    /// A name that can't be a folder's.
    #[error("{what} {name:?}: a name is made of letters, digits, '-', '_' and '.', as it names a folder")]
    Name {
        /// What is named: `data` or `arm`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that is given twice.
    #[error("{what} {name}: the name is given twice")]
    Twice {
        /// What is named: `data` or `arm`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No data set or no arm.
    #[error("there is no [[{what}]]; at least one is needed")]
    None {
        /// What is missing: `data` or `arm`.
        what: &'static str,
    },
    /// A key whose value can't work.
    #[error("{key}: {needs}")]
    Key {
        /// The key, with its value where that tells.
        key: String,
        /// What it needs.
        needs: &'static str,
    },
    /// An option of a training that the experiment sets.
    #[error("option {option} is set by the experiment; use {instead}")]
    SetByExperiment {
        /// The option.
        option: &'static str,
        /// What sets it.
        instead: &'static str,
    },
    /// An arm that needs an encoder, and a data set that names none.
    #[error(
        "{what}: data {data} names no encoder; give it one with encoder = \"FILE\", or this arm one with encoder or encoder_of"
    )]
    NoEncoder {
        /// What needs it.
        what: &'static str,
        /// The data set.
        data: String,
    },
    /// The name of an arm that has no encoder to give.
    #[error("{key} {arm}: there is no such arm of an encoder before this one")]
    NoEncoderArm {
        /// The key.
        key: &'static str,
        /// The name that it gives.
        arm: String,
    },
    /// An arm of several kinds.
    #[error("an arm is one of {}; make others of the rest", given.join(" and "))]
    Kinds {
        /// The kinds that are given.
        given: Vec<&'static str>,
    },
    /// Options of a training that can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Radii that can't work.
    #[error("evaluate: {0}")]
    Radii(Box<EvalError>),
}

/// Why an experiment can't be made; every message names the file, folder or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// What is wrong with a part of the experiment: its file, a data set, an arm or a run.
    #[error("{part}: {source}")]
    In {
        /// The part.
        part: String,
        /// What is wrong.
        source: Box<ExperimentError>,
    },
    /// A wrong experiment.
    #[error(transparent)]
    Definition(Box<DefinitionError>),
    /// An arm that the experiment does not have.
    #[error("{arm}: no such arm; there are {}", names.join(", "))]
    NoSuchArm {
        /// The name that was given.
        arm: String,
        /// Those that there are.
        names: Vec<String>,
    },
    /// A folder of results that was begun with another file.
    #[error(
        "{}: this folder was begun with another version of {} (it is there); give another folder, or make anew what differs",
        kept.display(), file.display()
    )]
    OtherFile {
        /// The file that it was begun with.
        kept: PathBuf,
        /// The file that was given.
        file: PathBuf,
    },
    /// A folder of data that is not there.
    #[error(
        "{}: no such folder of data; correct its path in the experiment, or the folder of the data sets",
        folder.display()
    )]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// An encoder that is not there.
    #[error("encoder {}: no such file, nor the name of an encoder that comes with infomark", file.display())]
    NoEncoder {
        /// The file or name.
        file: PathBuf,
    },
    /// Parts of the images without any.
    #[error("{data}: none of its images is in a part; correct parts")]
    NoParts {
        /// What the data set is called.
        data: String,
    },
    /// A template that is none of the images.
    #[error("template {name}: {data} has no such image")]
    NoTemplate {
        /// The name that was given.
        name: String,
        /// What the data set is called.
        data: String,
    },
    /// More images than a data set has.
    #[error("{key} {count}: {data} holds {images} images; ask for 1 to {images}")]
    Count {
        /// The key.
        key: &'static str,
        /// Images asked for.
        count: usize,
        /// What the data set is called.
        data: String,
        /// Images it has.
        images: usize,
    },
    /// A landmark that is scored and can't be learnt.
    #[error("{data} has no landmark {landmark}, which {scored} is scored by")]
    NoLandmark {
        /// What the data set to learn from is called.
        data: String,
        /// The landmark.
        landmark: String,
        /// What the data set that is scored is called.
        scored: String,
    },
    /// Scores of other images.
    #[error("{}: these scores are of other images; remove them", folder.display())]
    OtherScores {
        /// Their folder.
        folder: PathBuf,
    },
    /// A folder that another experiment works in.
    #[error("{folder}: another experiment is at work on this training; wait for it, or give another folder")]
    InUse {
        /// The folder.
        folder: String,
    },
    /// A folder with a run that is none of an experiment.
    #[error("{}: this folder is not an experiment's; give another folder", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of results that can't be read.
    #[error("{}: damaged; remove it", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// A file or folder that can't be read, written or removed.
    #[error(transparent)]
    File(Box<FileError>),
    /// A folder that can't be locked.
    #[error(transparent)]
    Lock(FolderLockError),
    /// A data folder that can't be read.
    #[error(transparent)]
    Data(Box<DataSetError>),
    /// A folder of images that can't be listed.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// An encoder or network that can't be read.
    #[error(transparent)]
    Model(Box<ModelError>),
    /// A training that failed.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// Active learning that failed.
    #[error(transparent)]
    Active(Box<ActiveError>),
    /// A scoring that failed.
    #[error(transparent)]
    Eval(Box<EvalError>),
    /// Results that can't be made or written.
    #[error(transparent)]
    Results(Box<ResultsError>),
    /// Threads that can't be started.
    #[error(transparent)]
    Threads(Box<ThreadError>),
    /// The caller stopped it; what was interrupted goes on when it is made again.
    #[error("stopped; the same experiment goes on")]
    Stopped,
    /// A defect of this crate.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

macro_rules! from {
    ($($error:ident $variant:ident),*) => {
        $(impl From<$error> for ExperimentError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

from!(
    DefinitionError Definition, FileError File, DataSetError Data, ImageError Image, ModelError Model,
    TrainError Train, ActiveError Active, EvalError Eval, ResultsError Results, ThreadError Threads
);

/// Adds the part of an experiment that an error is in.
pub(crate) trait Within<T> {
    /// The same with the part.
    fn within(self, part: impl FnOnce() -> String) -> Result<T, ExperimentError>;
}

impl<T, E: Into<ExperimentError>> Within<T> for Result<T, E> {
    fn within(self, part: impl FnOnce() -> String) -> Result<T, ExperimentError> {
        self.map_err(|error| ExperimentError::In { part: part(), source: Box::new(error.into()) })
    }
}

impl ExperimentError {
    /// What is wrong, without the parts that it is in.
    pub fn root(&self) -> &Self {
        match self {
            Self::In { source, .. } => source.root(),
            other => other,
        }
    }
}

impl DefinitionError {
    /// What a reader of TOML says, in one line.
    pub(crate) fn toml(error: &toml::de::Error) -> Self {
        Self::Toml(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}
