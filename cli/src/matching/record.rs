//! What a matching leaves: what made it, and every image with its points.

use infomark_core::Point;
use infomark_infer::{PixelSpacing, Placement};
use serde::{Deserialize, Serialize};

use super::how::Matching;
use super::trust::{ExpectedErrors, Judged, Recognised};
use crate::models::{Model, NetworkModel};
use crate::output::rounded;
use crate::templates::{Place, Source};

/// What was done with what: enough to do it again.
#[derive(Serialize)]
pub(super) struct Head<'h> {
    pub(super) version: &'static str,
    /// Which shard of a list it is of, as `--shard` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<String>,
    /// Hash of all that the landmarks depend on but the images.
    pub(super) made_of: &'h str,
    #[serde(flatten)]
    pub(super) made_by: &'h MadeBy,
}

/// What found the landmarks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum MadeBy {
    Matching { model: Model, matching: Matching, expected_errors: ExpectedErrors, templates: Vec<Source> },
    Network { landmark_model: NetworkModel },
}

/// The size of an image's pixels, and where it is from.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct SpacingUsed {
    pub(super) x_mm: f64,
    pub(super) y_mm: f64,
    pub(super) source: String,
    pub(super) calibration: String,
}

impl SpacingUsed {
    pub(super) fn of(spacing: &PixelSpacing) -> Self {
        Self {
            x_mm: spacing.mm.x,
            y_mm: spacing.mm.y,
            source: spacing.source.to_string(),
            calibration: spacing.calibration.to_string(),
        }
    }
}

/// An image and what was found in it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Matched {
    pub(super) image: String,
    pub(super) width: usize,
    pub(super) height: usize,
    /// None where nothing states it.
    pub(super) spacing: Option<SpacingUsed>,
    #[serde(skip)]
    pub(super) known: Option<PixelSpacing>,
    /// In 3D Slicer, where its markups are asked for.
    #[serde(skip)]
    pub(super) placement: Option<Placement>,
    #[serde(skip)]
    pub(super) stem: String,
    /// None by a landmark network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recognition: Option<Recognised>,
    /// None where it was not asked for or could not be written.
    pub(super) overlay: Option<String>,
    pub(super) landmarks: Vec<Scored>,
}

#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Scored {
    #[serde(flatten)]
    pub(super) place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) x_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) y_mm: Option<f64>,
    pub(super) score: f64,
    /// None by a landmark network.
    #[serde(flatten)]
    pub(super) sure: Option<Judged>,
}

/// An image without landmarks, or without its overlay.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Failure {
    pub(super) image: String,
    pub(super) error: String,
}

/// A thousandth of a pixel, and of a millimetre, is more than any matching can tell.
pub(super) fn scored(
    (name, at, score): (&str, Point<f64>, f64),
    spacing: Option<&PixelSpacing>,
    sure: Option<Judged>,
) -> Scored {
    Scored {
        place: Place { landmark: name.to_owned(), x: rounded(at.x, 3), y: rounded(at.y, 3) },
        x_mm: spacing.map(|spacing| rounded(at.x * spacing.mm.x, 3)),
        y_mm: spacing.map(|spacing| rounded(at.y * spacing.mm.y, 3)),
        score: rounded(score, 4),
        sure,
    }
}
