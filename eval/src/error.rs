//! Why a scoring fails.

use std::path::PathBuf;

use infomark_core::ScoreError;
use infomark_infer::{
    CalibrationError, ImageError, LandmarkSourcesError, MatchError, ModelError, TemplateError,
};

/// Why images can't be scored; every message names the file, folder or option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// An image can't be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A network that fails on an image.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An annotated image that can't be a template.
    #[error(transparent)]
    Template(Box<TemplateError>),
    /// An image can't be searched.
    #[error(transparent)]
    Match(Box<MatchError>),
    /// Errors that no interval can be computed of.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Errors that nothing can be calibrated on.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Two data sets that do not name the same landmarks.
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
    /// A template that is no image of the data set.
    #[error("a template is none of the {images} images of {data}: count them from 0")]
    Set {
        /// What the data set is called.
        data: String,
        /// Images in it.
        images: usize,
    },
    /// Too many sets of templates, or none.
    #[error(
        "{count} templates: at least one is needed, and at most {most} can be drawn from {images} images"
    )]
    Count {
        /// Sets asked for.
        count: usize,
        /// Most that can be drawn.
        most: usize,
        /// Images there are.
        images: usize,
    },
    /// Too many templates in a set, or none.
    #[error(
        "{together} templates together: there are {images} images; ask for at least 1 and at most as many"
    )]
    Together {
        /// Templates of a set.
        together: usize,
        /// Images there are.
        images: usize,
    },
    /// Every image is a template itself.
    #[error(
        "{data}: no image is left to score, as a template is not scored on itself; add images to it, or take templates of another"
    )]
    NoImages {
        /// What the data set is called.
        data: String,
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
    /// A landmark that a network or matcher does not find.
    #[error("{}: landmark {landmark} is not one that {finder} finds; it finds {}", manifest.display(), known.join(", "))]
    Unknown {
        /// The `dataset.toml` that names it.
        manifest: PathBuf,
        /// The landmark.
        landmark: String,
        /// What messages call the network or matcher.
        finder: String,
        /// Its landmarks.
        known: Vec<String>,
    },
    /// A landmark without a point in any image of a data set.
    #[error(
        "{data}: landmark {landmark} has no point in any image; annotate it, or take it out of dataset.toml"
    )]
    Unannotated {
        /// What the data set is called.
        data: String,
        /// The landmark.
        landmark: String,
    },
    /// A landmark without a point in any of the templates.
    #[error("{data}: landmark {landmark} has no point in the templates {}; take another image, or annotate it", templates.join(", "))]
    NotInTemplates {
        /// What the data set of the templates is called.
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
    /// A radius that no error can be below.
    #[error("radii {radius_mm}: a radius has to be a number of mm above 0")]
    Radius {
        /// The refused value.
        radius_mm: f64,
    },
    /// Two readers without a landmark that both placed in an image.
    #[error(
        "no landmark is placed by both readers in one image; compare files of the same images with the same names"
    )]
    NoPairs,
    /// Landmark files of an annotator that can't be read.
    #[error(transparent)]
    Landmarks(Box<LandmarkSourcesError>),
    /// An annotator without a point that the data set has.
    #[error("{annotator}: it has no point that {data} has as well")]
    OtherPoints {
        /// What the annotator is called.
        annotator: String,
        /// What the data set is called.
        data: String,
    },
    /// Images of which some state the size of their pixels.
    #[error(
        "the size of the pixels is known for {known} of {pairs} pairs of points; give --spacing X Y, or leave out the other images"
    )]
    MixedUnits {
        /// Pairs with a size of the pixels.
        known: usize,
        /// All pairs.
        pairs: usize,
    },
    /// The work was given up, as it was told to be.
    #[error("stopped")]
    Stopped,
}
