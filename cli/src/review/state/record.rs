//! What a review knows of an image.

use std::collections::BTreeMap;

use infomark_infer::{Member, TrustRow};
use infomark_results::RecognitionRecord;
use serde::{Deserialize, Serialize};

use crate::review::refusal::Refusal;

/// What is known of an image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Record {
    pub(crate) revision: u64,
    pub(crate) decision: Decision,
    pub(crate) decision_revision: u64,
    pub(crate) points: BTreeMap<String, Spot>,
    /// Of the file that the points are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recognition: Option<RecognitionRecord>,
    /// The run that matched it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<u64>,
    /// How unsure what was learnt is of its landmarks, in pixels; none where templates found them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uncertainty_px: Option<f64>,
}

/// What a person says of an image's points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    #[default]
    Open,
    Accepted,
    Rejected,
}

/// Who put a point where it is, or took it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    #[default]
    Hand,
    File,
    Match,
}

/// Whether a landmark is seen in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    #[default]
    Visible,
    /// Placed where it has to be, hidden by something else.
    Occluded,
    /// Not in the image: it has no point.
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
    /// In pixels; none where it was cleared or is absent.
    pub(crate) at: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Presence::is_visible")]
    pub(crate) presence: Presence,
    pub(crate) by: By,
    /// Where matching found it last, whether or not that still holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<Match>,
}

/// What matching says of a landmark.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Match {
    pub(crate) at: [f64; 2],
    pub(crate) score: f64,
    #[serde(flatten)]
    pub(crate) sure: TrustRow,
    /// What placed it, where that was learnt from accepted images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<Member>,
    /// Distance between templates and networks, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disagreement_px: Option<f64>,
}

/// The file of an image as it was looked into last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'a> {
    pub(crate) size: Option<(usize, usize)>,
    pub(crate) sha256: Option<&'a str>,
}

impl Record {
    /// The landmarks that have a place, by name.
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

    /// Whether the points are of another file than the one of this hash.
    pub(crate) fn is_of_another(&self, sha256: Option<&str>) -> bool {
        let of = self.sha256.as_deref();
        self.places().next().is_some() && of.is_some() && sha256.is_some() && of != sha256
    }

    /// The first point says which file they are of.
    pub(super) fn begin_on(&mut self, file: Seen<'_>) {
        if self.sha256.is_none() || self.places().next().is_none() {
            self.sha256 = file.sha256.map(str::to_owned).or(self.sha256.take());
        }
    }

    /// How many points a person placed or moved on the page.
    pub(crate) fn by_hand(&self) -> usize {
        self.points.values().filter(|spot| spot.by == By::Hand && spot.at.is_some()).count()
    }

    /// How many points people placed or moved, on the page or in a file.
    pub(crate) fn corrected(&self) -> usize {
        self.points.values().filter(|spot| spot.by != By::Match).count()
    }
}

/// Refuses a point that is not on its image.
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
