use std::io;
use std::path::{Path, PathBuf};

use infomark_infer::{DescriptionError, FitError, ImageError};

/// Why a training can't start, go on or be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// An option has a value that can't work.
    #[error("option {option} needs {needs}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it takes.
        needs: &'static str,
    },
    /// An image can't be read; the message names it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Too few images.
    #[error("{}: {found} image(s) found, at least {needed} are needed to train", dir.display())]
    TooFew {
        /// The folder.
        dir: PathBuf,
        /// Images in it.
        found: usize,
        /// Fewest that make sense.
        needed: usize,
    },
    /// Nothing stands out.
    #[error("{}: its images have too few key points with room for a patch around them to tune on; are they radiographs?", dir.display())]
    TooFewKeyPoints {
        /// The folder.
        dir: PathBuf,
    },
    /// The images do not fit the encoder's input.
    #[error("{file}: {error}")]
    Fit {
        /// The image.
        file: String,
        /// What is wrong.
        error: FitError,
    },
    /// An image without information to sample from.
    #[error("{file}: no pixel carries information to train on; remove it from the folder")]
    Blank {
        /// The image.
        file: String,
    },
    /// No pixel of an image reaches the threshold of the sampling.
    #[error(
        "{}: the entropy is at most {most:.2} nats, below least_entropy = {least}; lower it, or remove the image",
        file.display()
    )]
    BelowThreshold {
        /// The image.
        file: PathBuf,
        /// Its largest entropy in nats.
        most: f32,
        /// The threshold.
        least: f32,
    },
    /// An image is not what it was when the training began.
    #[error(
        "{}: this image has changed since the training began ({reason}); put it back as it was and resume, or start a new run",
        file.display()
    )]
    Changed {
        /// The image.
        file: PathBuf,
        /// In what way.
        reason: String,
    },
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
    /// The annotated images to score on are not usable.
    #[error("{}: can't score on these images: {reason}", dir.display())]
    Score {
        /// Their folder.
        dir: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Two folders that do not name the same landmarks.
    #[error(
        "{}: landmark {landmark} of {} is missing here; both dataset.toml have to name the same landmarks",
        lacks.display(), has.display()
    )]
    Names {
        /// The `dataset.toml` that lacks it.
        lacks: PathBuf,
        /// The one that has it.
        has: PathBuf,
        /// The landmark.
        landmark: String,
    },
    /// A set of templates that is not of the folder.
    #[error("a template is none of the {images} images of {data}: count them from 0")]
    Set {
        /// What the folder is called.
        data: String,
        /// Images in it.
        images: usize,
    },
    /// A template that does not go with the others.
    #[error("{}: {reason}", image.display())]
    Templates {
        /// Its image.
        image: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Too few images to calibrate on.
    #[error(
        "{wanted} images to calibrate on: 1 to {left} images are left that are neither templates nor scored; ask for as many"
    )]
    Left {
        /// Images asked for.
        wanted: usize,
        /// Images there are.
        left: usize,
    },
    /// The work was given up, as it was told to be.
    #[error("stopped")]
    Stopped,
    /// A place where the encoder can't go.
    #[error("{}: {reason}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A network that can't be loaded; the message names it.
    #[error(transparent)]
    Model(#[from] infomark_infer::ModelError),
    /// A network that could not be loaded once it is written, by the options it would be trained with.
    #[error(
        "a network of these options could not be loaded: {0}; take smaller widths, embedding or input_area, or fewer landmarks"
    )]
    Unloadable(Box<infomark_infer::ModelError>),
    /// The annotated images are not usable; the message names the file.
    #[error(transparent)]
    Data(#[from] infomark_infer::DataSetError),
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
    /// The annotated image is not usable; the message names it.
    #[error(transparent)]
    Template(Box<infomark_infer::TemplateError>),
    /// An image can't be searched; the message names it.
    #[error(transparent)]
    Match(Box<infomark_infer::MatchError>),
    /// Nothing of a landmark is worth learning.
    #[error(
        "landmark {landmark}: what was found of it in {images} images contradicts itself, so that none is learnt; use another template, or train the encoder for longer"
    )]
    Labels {
        /// The landmark.
        landmark: String,
        /// Images it was looked for in.
        images: usize,
    },
    /// An encoder that a landmark network can't start from.
    #[error("{}: {reason}", path.display())]
    Start {
        /// Its file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A checkpoint that can't be used.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The description of the encoder is not valid.
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// The loss is no longer a number.
    #[error("step {step}: the loss is not finite; lower the learning rate")]
    Diverged {
        /// Where it happened.
        step: u64,
    },
    /// Threads can't be started.
    #[error("can't start {threads} threads: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What went wrong.
        reason: String,
    },
    /// A CUDA device can't be used, or has failed.
    #[error("CUDA: {reason}; the CPU does the same (--device cpu), also from the last checkpoint on")]
    Cuda {
        /// What was being done, and why it failed.
        reason: String,
    },
    /// A GPU can't be used by wgpu.
    #[error("wgpu: {reason}; the CPU does the same (--device cpu), also from the last checkpoint on")]
    Wgpu {
        /// Why not.
        reason: String,
    },
    /// A defect of this crate: routines were called with sizes that do not fit.
    #[error("internal error in {place}: {reason}; please report it")]
    Internal {
        /// Where.
        place: &'static str,
        /// What the routine said.
        reason: String,
    },
}

impl TrainError {
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.to_owned(), action, error }
    }

    pub(crate) fn internal<E: std::fmt::Display>(place: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Internal { place, reason: error.to_string() }
    }
}
