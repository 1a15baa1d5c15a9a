//! Errors of training data.

use std::path::PathBuf;

use infomark_infer::{DataSetError, ImageError, LetterboxError, MatchError, ModelError, TemplateError};

/// Images, landmarks or models that are unusable for training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An image cannot be read; the message names it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Too few images.
    #[error("{}: {found} image(s) found, at least {needed} are needed to train", dir.display())]
    TooFew {
        /// The folder.
        dir: PathBuf,
        /// Images in it.
        found: usize,
        /// Minimum number of images.
        needed: usize,
    },
    /// Too few keypoints.
    #[error("{}: its images have too few key points with room for a patch around them to tune on; are they radiographs?", dir.display())]
    TooFewKeyPoints {
        /// The folder.
        dir: PathBuf,
    },
    /// An image cannot be letterboxed.
    #[error("{file}: {error}")]
    Letterbox {
        /// The image.
        file: String,
        /// The problem.
        error: LetterboxError,
    },
    /// An image without information to sample from.
    #[error("{file}: no pixel carries information to train on; remove it from the folder")]
    Blank {
        /// The image.
        file: String,
    },
    /// No pixel of an image reaches the entropy threshold of the sampling.
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
    /// An image has changed since the training began.
    #[error(
        "{}: this image has changed since the training began ({reason}); put it back as it was and resume, or start a new run",
        file.display()
    )]
    Changed {
        /// The image.
        file: PathBuf,
        /// The change.
        reason: String,
    },
    /// The annotated images for scoring are unusable.
    #[error("{}: can't score on these images: {reason}", dir.display())]
    Score {
        /// Their folder.
        dir: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A template that is inconsistent with the others.
    #[error("{}: {problem}", image.display())]
    Templates {
        /// Its image.
        image: PathBuf,
        /// Why, and what to do.
        problem: TemplateSetError,
    },
    /// A network that cannot be loaded; the message names it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The annotated images are unusable; the message names the file.
    #[error(transparent)]
    Set(#[from] DataSetError),
    /// A landmark without a point in any training image.
    #[error(
        "{}: landmark {landmark} has no point in the {images} images to learn from; annotate it, take it out of dataset.toml, or learn from more images",
        dir.display()
    )]
    Unannotated {
        /// The folder.
        dir: PathBuf,
        /// The landmark.
        landmark: String,
        /// Number of training images.
        images: usize,
    },
    /// The annotated image is unusable; the message names it.
    #[error(transparent)]
    Template(#[from] Box<TemplateError>),
    /// An image cannot be matched; the message names it.
    #[error(transparent)]
    Match(#[from] Box<MatchError>),
    /// A landmark without a consistent label.
    #[error(
        "landmark {landmark}: what was found of it in {images} images contradicts itself, so that none is learnt; use another template, or train the encoder for longer"
    )]
    Labels {
        /// The landmark.
        landmark: String,
        /// Number of images matched.
        images: usize,
    },
    /// An encoder that cannot initialise a landmark network.
    #[error("{}: {reason}", path.display())]
    Start {
        /// Its file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
}

/// Why a template is inconsistent with the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateSetError {
    /// The image is repeated.
    #[error("this template is given twice; give each once")]
    Repeated,
    /// It lacks a landmark of the first template.
    #[error("landmark {landmark} of the first template is missing here; mark the same ones in all")]
    MissingLandmark {
        /// The landmark.
        landmark: String,
    },
    /// It has a landmark that the first template lacks.
    #[error("the first template lacks its landmark {landmark}; mark the same ones in all")]
    ExtraLandmark {
        /// The landmark.
        landmark: String,
    },
}
