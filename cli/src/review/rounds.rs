//! Rounds of learning, as stored in the session.

use infomark_infer::Member;
use serde::{Deserialize, Serialize};

/// A detector learnt from the accepted images, with its held-out errors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Round {
    #[serde(default)]
    pub(super) revision: u64,
    /// Number of accepted images.
    pub(super) images: usize,
    /// Number of points in them that were placed or moved by hand.
    pub(super) by_hand: usize,
    /// Points in them that a person placed or moved, here or in a file, and points in all; 0 in rounds of versions that did not count them.
    #[serde(default)]
    pub(super) placed: usize,
    #[serde(default)]
    pub(super) points: usize,
    /// Of the model's file.
    pub(super) sha256: String,
    /// Coverage of the error bounds; `None` without bounds.
    pub(super) coverage: Option<f64>,
    pub(super) landmarks: Vec<LearnedLandmark>,
    /// Mean radial errors on held-out images over all landmarks.
    pub(super) errors: HeldOutErrors,
    /// Landmarks annotated in too few images.
    pub(super) left_out: Vec<String>,
}

/// A landmark of a [`Round`].
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct LearnedLandmark {
    pub(super) name: String,
    /// The member used.
    pub(super) member: Member,
    /// Its mean radial error on held-out images.
    pub(super) error: Option<Length>,
}

/// Mean radial errors on held-out images: of each member for all landmarks, and with the member chosen for each landmark.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct HeldOutErrors {
    pub(super) templates: Option<Length>,
    pub(super) network: Option<Length>,
    pub(super) fusion: Option<Length>,
    pub(super) chosen: Option<Length>,
}

/// A length in pixels of the images, and in mm if the pixel size of every image is known.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Length {
    pub(super) px: f64,
    pub(super) mm: Option<f64>,
}
