//! Errors of trainings.

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

/// Why a training cannot start, continue or be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Invalid options.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Images, landmarks or models that are unusable for training.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint that cannot be used.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        problem: CheckpointError,
    },
    /// A run that cannot continue.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Invalid options.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An option has an invalid value.
    #[error("option {option} needs {needs}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A budget in minutes for several processes, which would not end at the same step.
    #[error("several processes train for a number of steps, not of minutes; give steps")]
    MinutesTogether,
    /// More processes than images per step.
    #[error(
        "{size} processes are too many for option batch = {batch}: each works on one image of a step at least; start {batch} at most, or enlarge batch"
    )]
    World {
        /// World size.
        size: usize,
        /// Images of a step.
        batch: usize,
    },
    /// A CUDA device with several processes, where results would depend on their number.
    #[error("several processes train on CPUs; choose the CPU, or train in one process")]
    DeviceTogether,
    /// Too few images for ranking.
    #[error("against {against}: key points have to be looked for in at least two images")]
    Against {
        /// Images requested.
        against: usize,
    },
    /// Options of a network whose file would exceed the limits of loading.
    #[error(
        "a network of these options could not be loaded: {0}; take smaller channels, embedding or input_area, or fewer landmarks"
    )]
    Unloadable(Box<ModelError>),
    /// Fewer images than requested.
    #[error("{}: {wanted} images were asked for, and it holds {found}; give 1 to {found}", dir.display())]
    Images {
        /// The folder.
        dir: PathBuf,
        /// Images requested.
        wanted: usize,
        /// Images in it.
        found: usize,
    },
}

/// Why a run cannot continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file cannot be read or written.
    #[error("{}: {action}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The action that failed.
        action: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// Communication between the processes failed.
    #[error("the processes can't exchange: {0}; see that all of them run, and resume")]
    Exchange(ExchangeError),
    /// This process was excluded from the training by its caller.
    #[error("{reason}")]
    GivenUp {
        /// The reason.
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
    /// The processes would not compute the same.
    #[error("the ranks differ in {what}: {values}; start all with the same, on processors of one kind")]
    RanksDiffer {
        /// The property that differs.
        what: String,
        /// The values of the ranks.
        values: String,
    },
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
    /// An unusable path for the encoder.
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
    /// Loss, weights or embeddings are not finite.
    #[error(
        "the training diverged at step {step}: its loss or its weights are no longer finite; lower the learning rate"
    )]
    Diverged {
        /// The step.
        step: u64,
    },
    /// Threads cannot be started.
    #[error(transparent)]
    Threads(#[from] ThreadError),
    /// A CUDA device cannot be used, or has failed.
    #[error("CUDA: {0}; the CPU does the same (--device cpu), also from the last checkpoint on")]
    Cuda(DeviceError),
    /// A defect of this crate: inconsistent sizes.
    #[error("internal error: {0}; please report it")]
    Internal(InternalError),
}

/// Why a CUDA device cannot be used, or has failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Built without CUDA.
    #[error("this was built without the feature cuda")]
    NotBuilt,
    /// A patch larger than the kernels support.
    #[error("option patch is {patch}, and CUDA devices take up to {most}")]
    Patch {
        /// Side of the patch in pixels.
        patch: usize,
        /// Maximum side.
        most: usize,
    },
    /// An error of the device or its driver.
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

/// Why a run cannot start in its folder, or be resumed from its checkpoint.
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
    /// A file that does not match its hash.
    #[error("damaged: its hash is not the one in checkpoint.json; start a new run in another folder")]
    Damaged,
    /// Invalid JSON.
    #[error("not {expected} ({reason}); start a new run in another folder")]
    Json {
        /// The expected content.
        expected: &'static str,
        /// The parser's message.
        reason: String,
    },
    /// An index of self-training of another version.
    #[error("not of this version ({reason}); start a new run elsewhere")]
    SelfTraining {
        /// The parser's message.
        reason: String,
    },
    /// The format has another version.
    #[error(
        "its format is {found}, this version reads {expected}; use the version that wrote it, or start a new run in another folder"
    )]
    Format {
        /// The version found.
        found: u32,
        /// The expected version.
        expected: u32,
    },
    /// A checkpoint of another kind of training.
    #[error("it holds a training of {found}, not of {expected}; give the folder of one")]
    Kind {
        /// The kind found.
        found: String,
        /// The expected kind.
        expected: &'static str,
    },
    /// An option in the checkpoint has an invalid value.
    #[error(transparent)]
    Option(#[from] ConfigError),
    /// Tensors whose names or shapes do not match the options.
    #[error("{reason}")]
    Tensors {
        /// The problem.
        reason: String,
    },
    /// The images are not those of the run.
    #[error(
        "{} does not hold the images this run was started with; give their folder, or start a new run",
        dir.display()
    )]
    OtherImages {
        /// The folder given.
        dir: PathBuf,
    },
    /// The options are not those of the run in the folder.
    #[error(
        "this run was started with other options ({options}); give the same, resume it with its own, or give another folder"
    )]
    OtherOptions {
        /// Names and values, of the run and as given.
        options: String,
    },
    /// The data are not those of a landmark network's run.
    #[error("its run was started with other {input}; give those, or start a new run in another folder")]
    OtherData {
        /// `images` or `landmarks`.
        input: &'static str,
    },
    /// The data are not those of a run of self-training.
    #[error("the run was started with {input} other than given; give the same, or start a new run elsewhere")]
    OtherSelfTraining {
        /// `images`, `an encoder` or `templates`.
        input: &'static str,
    },
}

/// Why a training cannot write to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path is a folder.
    #[error("this is a folder; give the name of a file to write")]
    Folder,
    /// The path is a device or a pipe.
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
    /// The file is an input of the training.
    #[error("the training reads this file and would overwrite it; give another file")]
    Input,
}

/// A defect of this crate: a routine rejected its arguments.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct InternalError {
    reason: String,
}

/// Converts errors of routines that the crate calls with its own sizes and values.
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

/// Converts errors of inputs.
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

    /// The error of an impossible state.
    pub(crate) fn internal(reason: impl std::fmt::Display) -> Self {
        Self::Run(RunError::Internal(InternalError { reason: reason.to_string() }))
    }
}
