//! What a matching leaves: what made it, and every image with its points.

use infomark_infer::{LandmarkRow, PixelSpacing, Placement};
use infomark_results::{EncoderRecord, EnsembleRecord, MatchingRecord, NetworkRecord};
use serde::{Deserialize, Serialize};

use super::trust::{ErrorBounds, Recognised};
use crate::measurements::Measured;
use crate::templates::Source;

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
    /// The scheme that landmarks are ordered and measured by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scheme: Option<&'h str>,
}

/// What found the landmarks.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum MadeBy {
    Matching {
        model: EncoderRecord,
        matching: MatchingRecord,
        error_bounds: ErrorBounds,
        templates: Vec<Source>,
    },
    Network {
        landmark_model: NetworkRecord,
    },
    CheckedNetwork {
        landmark_model: NetworkRecord,
        recognised_by: RecognisedBy,
    },
    Ensemble {
        ensemble: EnsembleRecord,
    },
}

/// What told whether an image shows the anatomy that a network was trained for.
#[derive(Serialize)]
pub(super) struct RecognisedBy {
    pub(super) model: EncoderRecord,
    pub(super) templates: Vec<Source>,
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
    /// None by a landmark network alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recognition: Option<Recognised>,
    /// None where it was not asked for or could not be written.
    pub(super) overlay: Option<String>,
    pub(super) landmarks: Vec<LandmarkRow>,
    /// Where a scheme was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) measurements: Vec<Measured>,
}

/// An image without landmarks, or without its overlay.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Failure {
    pub(super) image: String,
    pub(super) error: String,
}
