//! State of an image in a review.

use std::collections::BTreeMap;

use infomark_infer::{Member, TrustRow};
use infomark_results::RecognitionRecord;
use serde::{Deserialize, Serialize};

use crate::review::refusal::Refusal;

/// State of an image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    pub(crate) decision: Decision,
    pub(crate) decision_revision: u64,
    pub(crate) points: BTreeMap<String, Spot>,
    /// SHA-256 of the file in which the points were placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recognition: Option<RecognitionRecord>,
    /// The run that matched it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<u64>,
    /// Uncertainty of its landmarks by the learnt detector, in pixels; `None` for templates alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uncertainty_px: Option<f64>,
}

/// Decision about an image's points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    #[default]
    Open,
    Accepted,
    Rejected,
}

/// Author of a point's position or removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    #[default]
    Hand,
    File,
    Match,
}

/// Presence of a landmark in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    #[default]
    Visible,
    /// Hidden by something else; placed at its expected position.
    Occluded,
    /// Not in the image: without a point.
    Absent,
}

impl Presence {
    pub(super) fn is_visible(&self) -> bool {
        *self == Presence::Visible
    }
}

/// A landmark of an image.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Spot {
    pub(crate) revision: u64,
    /// In pixels; `None` if cleared or absent.
    pub(crate) at: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Presence::is_visible")]
    pub(crate) presence: Presence,
    pub(crate) by: By,
    /// The last matched position, whether or not it is still used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<Match>,
}

/// Matching result of a landmark.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Match {
    pub(crate) at: [f64; 2],
    pub(crate) score: f64,
    #[serde(flatten)]
    pub(crate) sure: TrustRow,
    /// The member used, by a learnt detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<Member>,
    /// Distance between templates and networks, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disagreement_px: Option<f64>,
}

/// The file of an image when its header was last read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) size: Option<(usize, usize)>,
    pub(crate) sha256: Option<&'a str>,
}

impl Record {
    /// The landmarks with a position, by name.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, [f64; 2])> {
        self.points.iter().filter_map(|(name, spot)| Some((name.as_str(), spot.at?)))
    }

    /// The landmarks that are absent, by name.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &str> {
        let absent = self.points.iter().filter(|(_, spot)| spot.presence == Presence::Absent);
        absent.map(|(name, _)| name.as_str())
    }

    /// Whether a landmark has a place or is absent.
    pub(crate) fn is_marked(&self) -> bool {
        self.places().next().is_some() || self.absent().next().is_some()
    }

    /// Whether the points belong to another file than the one with this hash.
    pub(crate) fn is_of_another(&self, sha256: Option<&str>) -> bool {
        let of = self.sha256.as_deref();
        self.places().next().is_some() && of.is_some() && sha256.is_some() && of != sha256
    }

    /// Records the file of the first point.
    pub(super) fn begin_on(&mut self, file: Seen<'_>) {
        if self.sha256.is_none() || self.places().next().is_none() {
            self.sha256 = file.sha256.map(str::to_owned).or(self.sha256.take());
        }
    }

    /// Number of points placed or moved by hand on the page.
    pub(crate) fn by_hand(&self) -> usize {
        self.points.values().filter(|spot| spot.by == By::Hand && spot.at.is_some()).count()
    }

    /// Number of points placed or moved by hand, on the page or in a file.
    pub(crate) fn corrected(&self) -> usize {
        self.points.values().filter(|spot| spot.by != By::Match).count()
    }
}

/// Rejects a point outside its image.
pub(super) fn check_place(
    image: &str,
    landmark: &str,
    at: Option<[f64; 2]>,
    size: Option<(usize, usize)>,
) -> Result<(), Refusal> {
    let Some([x, y]) = at else { return Ok(()) };
    let (width, height) = size.unwrap_or((1 << 15, 1 << 15));
    let on = |value: f64, side: usize| (-0.5..=side as f64 - 0.5).contains(&value);
    if on(x, width) && on(y, height) {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "{landmark} at ({x}, {y}) is not on {image}, which has {width} x {height} pixels"
    )))
}
