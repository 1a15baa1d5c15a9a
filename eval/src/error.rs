//! Errors of evaluation.

use std::path::PathBuf;

use infomark_core::ScoreError;
use infomark_infer::{
    CalibrationError, ImageError, LandmarkSourcesError, MatchError, ModelError, TemplateError,
};

/// Why images cannot be scored; every message names the file, folder or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A network that fails on an image.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An annotated image cannot be a template.
    #[error(transparent)]
    Template(Box<TemplateError>),
    /// An image cannot be matched.
    #[error(transparent)]
    Match(Box<MatchError>),
    /// An interval cannot be computed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A calibration cannot be computed.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Two data sets with different landmarks.
    #[error(
        "{}: landmark {landmark} of {} is missing here; both dataset.toml have to name the same landmarks",
        lacks.display(), has.display()
    )]
    Names {
        /// The `dataset.toml` without the landmark.
        lacks: PathBuf,
        /// The `dataset.toml` with the landmark.
        has: PathBuf,
        /// The landmark.
        landmark: String,
    },
    /// A template that is not an image of the data set.
    #[error("a template is none of the {images} images of {data}: count them from 0")]
    Set {
        /// Name of the data set.
        data: String,
        /// Number of its images.
        images: usize,
    },
    /// Too many sets of templates, or none.
    #[error(
        "{count} templates: at least one is needed, and at most {most} can be drawn from {images} images"
    )]
    Count {
        /// Sets requested.
        count: usize,
        /// Maximum number of sets.
        most: usize,
        /// Number of images.
        images: usize,
    },
    /// Too many templates in a set, or none.
    #[error(
        "{together} templates together: there are {images} images; ask for at least 1 and at most as many"
    )]
    Together {
        /// Templates per set.
        together: usize,
        /// Number of images.
        images: usize,
    },
    /// Every image is a template.
    #[error(
        "{data}: no image is left to score, as a template is not scored on itself; add images to it, or take templates of another"
    )]
    NoImages {
        /// Name of the data set.
        data: String,
    },
    /// Too few images for calibration.
    #[error(
        "{wanted} images to calibrate on: 1 to {left} images are left that are neither templates nor scored; ask for as many"
    )]
    Left {
        /// Images requested.
        wanted: usize,
        /// Images available.
        left: usize,
    },
    /// A landmark that a network or matcher does not have.
    #[error("{}: landmark {landmark} is not one that {finder} finds; it finds {}", manifest.display(), known.join(", "))]
    Unknown {
        /// The `dataset.toml` with the landmark.
        manifest: PathBuf,
        /// The landmark.
        landmark: String,
        /// Name of the network or matcher in messages.
        finder: String,
        /// Its landmarks.
        known: Vec<String>,
    },
    /// A landmark without a point in any image of a data set.
    #[error(
        "{data}: landmark {landmark} has no point in any image; annotate it, or take it out of dataset.toml"
    )]
    Unannotated {
        /// Name of the data set.
        data: String,
        /// The landmark.
        landmark: String,
    },
    /// A landmark without a point in any of the templates.
    #[error("{data}: landmark {landmark} has no point in the templates {}; take another image, or annotate it", templates.join(", "))]
    NotInTemplates {
        /// Name of the templates' data set.
        data: String,
        /// The landmark.
        landmark: String,
        /// Names of the templates' images.
        templates: Vec<String>,
    },
    /// A landmark without any error.
    #[error(
        "landmark {landmark} has no error: no image that is scored has a point of it, or no template; annotate it, or take it out of dataset.toml"
    )]
    NoErrors {
        /// The landmark.
        landmark: String,
    },
    /// An invalid radius.
    #[error("radii {radius_mm}: a radius has to be a number of mm above 0")]
    Radius {
        /// The rejected value.
        radius_mm: f64,
    },
    /// Two readers without a common landmark.
    #[error(
        "no landmark is placed by both readers in one image; compare files of the same images with the same names"
    )]
    NoPairs,
    /// Landmark files of an annotator that cannot be read.
    #[error(transparent)]
    Landmarks(Box<LandmarkSourcesError>),
    /// An annotator without a point in common with the data set.
    #[error("{annotator}: it has no point that {data} has as well")]
    OtherPoints {
        /// Name of the annotator.
        annotator: String,
        /// Name of the data set.
        data: String,
    },
    /// Images of which only some have a known pixel size.
    #[error(
        "the size of the pixels is known for {known} of {pairs} pairs of points; give --spacing X Y, or leave out the other images"
    )]
    MixedUnits {
        /// Pairs with a known pixel size.
        known: usize,
        /// Number of pairs.
        pairs: usize,
    },
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
}
