//! Landmarks found in the images of a data folder, with their errors.

use infomark_core::Point;
use infomark_infer::Confidence;

use crate::statistics::{ErrorTable, ImageErrors, joined};

/// One landmark found in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Where it was found, in pixels of the image.
    pub found: Point<f64>,
    /// Where it is.
    pub truth: Point<f64>,
    /// Mean cosine with the template there, -1 to 1; of landmark networks, the probability.
    pub score: f64,
    /// Distance of the two in mm.
    pub error_mm: f64,
    /// How sure that was; none of landmark networks, which tell the probability alone.
    pub confidence: Option<Confidence>,
}

/// The scores of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredImage {
    /// Its place in the data folder.
    pub image: usize,
    /// Landmark by landmark, in the folder's order; none where the image has no point of it, or no template of the set.
    pub scores: Vec<Option<Score>>,
}

/// All scores of one template, of several together, or of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Names of the templates' images, or that of the network.
    pub templates: Vec<String>,
    /// The images that were scored: those that are none of the templates.
    pub images: Vec<ScoredImage>,
}

impl Run {
    /// The templates in one word.
    pub fn name(&self) -> String {
        joined(&self.templates)
    }

    /// The errors alone.
    pub fn errors(&self) -> ErrorTable {
        let errors = |scored: &ScoredImage| ImageErrors {
            image: scored.image,
            errors_mm: scored.scores.iter().map(|score| Some(score.as_ref()?.error_mm)).collect(),
        };
        ErrorTable { templates: self.templates.clone(), images: self.images.iter().map(errors).collect() }
    }
}
