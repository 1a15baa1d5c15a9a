//! What can go wrong in a training.

use std::io;
use std::path::{Path, PathBuf};

use infomark_core::{
    AugmentError, BinningError, CurveError, EntropyError, FeatureError, IntensityError, KeyPointError,
    LocateError, LossError, MutualError, PlaneError, SampleError, TierError,
};
use infomark_infer::{
    DataSetError, DescriptionError, ImageError, MatchError, ModelError, TemplateError, ThreadError,
};

pub use self::data::{DataError, TemplateSetError};
use crate::exchange::ExchangeError;

mod data;

/// Why a training can't start, go on or be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Options that can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Images, landmarks or models that can't be learnt from.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint that can't be used.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        problem: CheckpointError,
    },
    /// A run that can't go on.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Options that can't work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An option has a value that can't work.
    #[error("option {option} needs {needs}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it takes.
        needs: &'static str,
    },
    /// A budget in minutes, which processes of a training would not use up at the same step.
    #[error("several processes train for a number of steps, not of minutes; give steps")]
    MinutesTogether,
    /// More processes than there are images in a step.
    #[error(
        "{size} processes are too many for option batch = {batch}: each works on one image of a step at least; start {batch} at most, or enlarge batch"
    )]
    World {
        /// World size.
        size: usize,
        /// Images of a step.
        batch: usize,
    },
    /// A CUDA device, where results would depend on the number of processes.
    #[error("several processes train on CPUs; choose the CPU, or train in one process")]
    DeviceTogether,
    /// Too few images to rank others by.
    #[error("against {against}: key points have to be looked for in at least two images")]
    Against {
        /// Images asked for.
        against: usize,
    },
    /// A network that could not be loaded once it is written, by the options it would be trained with.
    #[error(
        "a network of these options could not be loaded: {0}; take smaller channels, embedding or input_area, or fewer landmarks"
    )]
    Unloadable(Box<ModelError>),
    /// Fewer images than asked for.
    #[error("{}: {wanted} images were asked for, and it holds {found}; give 1 to {found}", dir.display())]
    Images {
        /// The folder.
        dir: PathBuf,
        /// Images asked for.
        wanted: usize,
        /// Images in it.
        found: usize,
    },
}

/// Why a run can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file can't be read or written.
    #[error("{}: {action}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What went wrong.
        error: io::Error,
    },
    /// What joins the processes of a training could not deliver.
    #[error("the processes can't exchange: {0}; see that all of them run, and resume")]
    Exchange(ExchangeError),
    /// This process does not take part in a training, as its caller said.
    #[error("{reason}")]
    GivenUp {
        /// Why.
        reason: String,
    },
    /// Another process of the training failed, and all stopped.
    #[error("rank {rank}: {message}")]
    OtherRank {
        /// Its rank.
        rank: usize,
        /// Why, and what to do.
        message: String,
    },
    /// The processes of a training would not compute the same.
    #[error("the ranks differ in {what}: {values}; start all with the same, on processors of one kind")]
    RanksDiffer {
        /// In what.
        what: String,
        /// Which ranks have what.
        values: String,
    },
    /// The work was given up, as it was told to be.
    #[error("stopped")]
    Stopped,
    /// A place where the encoder can't go.
    #[error("{}: {problem}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        problem: OutputError,
    },
    /// The description of the encoder is not valid.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// Loss, weights or embeddings are no longer finite.
    #[error(
        "the training diverged at step {step}: its loss or its weights are no longer finite; lower the learning rate"
    )]
    Diverged {
        /// Where it happened.
        step: u64,
    },
    /// Threads can't be started.
    #[error(transparent)]
    Threads(#[from] ThreadError),
    /// A CUDA device can't be used, or has failed.
    #[error("CUDA: {0}; the CPU does the same (--device cpu), also from the last checkpoint on")]
    Cuda(DeviceError),
    /// A defect of this crate: routines were called with sizes that do not fit.
    #[error("internal error: {0}; please report it")]
    Internal(InternalError),
}

/// Why a CUDA device can't be used, or has failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Built without CUDA.
    #[error("this was built without the feature cuda")]
    NotBuilt,
    /// A patch larger than the kernels take.
    #[error("option patch is {patch}, and CUDA devices take up to {most}")]
    Patch {
        /// Side of the patch in pixels.
        patch: usize,
        /// Largest side.
        most: usize,
    },
    /// What the device or its driver reports.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Device(#[from] infomark_cuda::CudaError),
}

impl DeviceError {
    /// Whether there is no device: no driver, or a build without CUDA.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::NotBuilt => true,
            #[cfg(feature = "cuda")]
            Self::Device(error) => matches!(error, infomark_cuda::CudaError::NoDriver),
            _ => false,
        }
    }
}

/// Why a run can't start in its folder, or can't be resumed from its checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A folder without a checkpoint.
    #[error("no checkpoint here; give the folder that the training wrote, ending in .run, or start it again")]
    Missing,
    /// A folder without a run of self-training.
    #[error("no run of self-training here; give the folder that it wrote, ending in .run")]
    NoSelfTraining,
    /// A new run in the folder of another.
    #[error("this folder holds a run already; resume it, or give another folder")]
    Exists,
    /// Another process is training in the folder.
    #[error("another training is using this folder; wait for it, or give another folder")]
    InUse,
    /// A file that is not as it was written.
    #[error("damaged: its hash is not the one in checkpoint.json; start a new run in another folder")]
    Damaged,
    /// JSON that can't be read as what it should be.
    #[error("not {expected} ({reason}); start a new run in another folder")]
    Json {
        /// What it should be.
        expected: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// An index of self-training that this version can't read.
    #[error("not of this version ({reason}); start a new run elsewhere")]
    SelfTraining {
        /// What the parser said.
        reason: String,
    },
    /// A layout of another version.
    #[error(
        "its format is {found}, this version reads {expected}; use the version that wrote it, or start a new run in another folder"
    )]
    Format {
        /// The layout found.
        found: u32,
        /// The layout of this version.
        expected: u32,
    },
    /// A checkpoint of another kind of training.
    #[error("it holds a training of {found}, not of {expected}; give the folder of one")]
    Kind {
        /// The kind found.
        found: String,
        /// The kind that is wanted.
        expected: &'static str,
    },
    /// An option in the checkpoint has a value that can't work.
    #[error(transparent)]
    Option(#[from] ConfigError),
    /// Tensors of other names or shapes than the options call for.
    #[error("{reason}")]
    Tensors {
        /// What the reader said.
        reason: String,
    },
    /// Other images than those of the run.
    #[error(
        "{} does not hold the images this run was started with; give their folder, or start a new run",
        dir.display()
    )]
    OtherImages {
        /// The folder given.
        dir: PathBuf,
    },
    /// Other options than those of the run that is there.
    #[error(
        "this run was started with other options ({options}); give the same, resume it with its own, or give another folder"
    )]
    OtherOptions {
        /// Names and values, of the run and as given.
        options: String,
    },
    /// Other data than that of a landmark network's run.
    #[error("its run was started with other {input}; give those, or start a new run in another folder")]
    OtherData {
        /// `images` or `landmarks`.
        input: &'static str,
    },
    /// Other data than that of a run of self-training.
    #[error("the run was started with {input} other than given; give the same, or start a new run elsewhere")]
    OtherSelfTraining {
        /// `images`, `an encoder` or `templates`.
        input: &'static str,
    },
}

/// Why a training can't write to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A folder in the place of the file.
    #[error("this is a folder; give the name of a file to write")]
    Folder,
    /// A device or a pipe in the place of the file.
    #[error("this is no ordinary file; give the name of a file to write")]
    NotAFile,
    /// The folder of the run is that of the images.
    #[error("the images are in this folder; give another one for checkpoints and log")]
    FolderOfImages,
    /// The file has the name of the run's folder.
    #[error(
        "checkpoints and log go to a folder of this name; give the file another, or the run another folder"
    )]
    FolderOfRun,
    /// The file is one of the training images.
    #[error("this is one of the training images; give another file")]
    TrainingImage,
    /// The file is one that the training reads.
    #[error("the training reads this file and would overwrite it; give another file")]
    Input,
}

/// A defect of this crate: a routine refused what a training should never give it.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct InternalError {
    reason: String,
}

/// Errors of routines that the crate calls with sizes and values of its own.
macro_rules! internal {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                Self::internal(error)
            }
        })*
    };
}
internal!(
    AugmentError,
    BinningError,
    CurveError,
    EntropyError,
    FeatureError,
    IntensityError,
    KeyPointError,
    LocateError,
    LossError,
    MutualError,
    PlaneError,
    SampleError,
    TierError,
);

/// Errors of inputs.
macro_rules! data {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                Self::Data(error.into())
            }
        })*
    };
}
data!(ImageError, ModelError, DataSetError, Box<TemplateError>, Box<MatchError>);

impl From<DescriptionError> for TrainError {
    fn from(error: DescriptionError) -> Self {
        Self::Run(error.into())
    }
}

impl TrainError {
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Run(RunError::File { path: path.to_owned(), action, error })
    }

    /// A state that can't come about.
    pub(crate) fn internal(reason: impl std::fmt::Display) -> Self {
        Self::Run(RunError::Internal(InternalError { reason: reason.to_string() }))
    }
}
