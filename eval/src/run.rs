//! Landmarks detected in the images of a data set, with their errors.

use infomark_core::Point;
use infomark_infer::Confidence;

use crate::statistics::{ErrorTable, ImageErrors, joined};

/// Score of one landmark in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Detected position, in pixels of the image.
    pub found: Point<f64>,
    /// True position, in pixels of the image.
    pub truth: Point<f64>,
    /// Mean cosine with the template, -1 to 1; for landmark networks, the probability.
    pub score: f64,
    /// Radial error in mm.
    pub error_mm: f64,
    /// Confidence measures; `None` for landmark networks, which only have a probability.
    pub confidence: Option<Confidence>,
}

/// Scores of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredImage {
    /// Index of the image in the data set.
    pub image: usize,
    /// Scores in the landmarks' order; `None` where the image has no point, or no template has the landmark.
    pub scores: Vec<Option<Score>>,
}

/// All scores of one template, of several matched together, or of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Names of the templates' images, or that of the network.
    pub templates: Vec<String>,
    /// The scored images: those that are not among the templates.
    pub images: Vec<ScoredImage>,
}

impl Run {
    /// Joined name of the templates.
    pub fn name(&self) -> String {
        joined(&self.templates)
    }

    /// The errors without the other scores.
    pub fn errors(&self) -> ErrorTable {
        let errors = |scored: &ScoredImage| ImageErrors {
            image: scored.image,
            errors_mm: scored.scores.iter().map(|score| Some(score.as_ref()?.error_mm)).collect(),
        };
        ErrorTable { templates: self.templates.clone(), images: self.images.iter().map(errors).collect() }
    }
}
