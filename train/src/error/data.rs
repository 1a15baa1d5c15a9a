//! Images, landmarks and templates that can't be learnt from.

use std::path::PathBuf;

use infomark_infer::{DataSetError, ImageError, LetterboxError, MatchError, ModelError, TemplateError};

/// Images, landmarks or models that can't be learnt from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
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
    Letterbox {
        /// The image.
        file: String,
        /// What is wrong.
        error: LetterboxError,
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
    /// The annotated images to score on are not usable.
    #[error("{}: can't score on these images: {reason}", dir.display())]
    Score {
        /// Their folder.
        dir: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A template that does not go with the others.
    #[error("{}: {problem}", image.display())]
    Templates {
        /// Its image.
        image: PathBuf,
        /// Why, and what to do.
        problem: TemplateSetError,
    },
    /// A network that can't be loaded; the message names it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The annotated images are not usable; the message names the file.
    #[error(transparent)]
    Set(#[from] DataSetError),
    /// A landmark that none of the images to learn from has a point of.
    #[error(
        "{}: landmark {landmark} has no point in the {images} images to learn from; annotate it, take it out of dataset.toml, or learn from more images",
        dir.display()
    )]
    Unannotated {
        /// The folder.
        dir: PathBuf,
        /// The landmark.
        landmark: String,
        /// Images to learn from.
        images: usize,
    },
    /// The annotated image is not usable; the message names it.
    #[error(transparent)]
    Template(#[from] Box<TemplateError>),
    /// An image can't be searched; the message names it.
    #[error(transparent)]
    Match(#[from] Box<MatchError>),
    /// A landmark without a consistent label.
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
}

/// Why a template does not go with the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateSetError {
    /// The same image twice.
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
