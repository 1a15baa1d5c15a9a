//! Rows of result tables: detections rounded to the decimals of files and tables, for all interfaces.

use serde::{Deserialize, Serialize};

use crate::{Confidence, Detection, EnsembleLandmark, JudgedLandmark, Located, PixelSpacing, Recognition};

/// A landmark in a result table. Coordinates are rounded to 0.001 pixel or mm, other lengths to 0.01, scores and margins to 0.0001.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandmarkRow {
    /// Name of the landmark.
    pub landmark: String,
    /// Column, in pixels of the original image; the centre of the first pixel is 0.
    pub x: f64,
    /// Row, likewise.
    pub y: f64,
    /// Column in mm from the centre of the first pixel; `None` where the pixel size is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_mm: Option<f64>,
    /// Row in mm, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y_mm: Option<f64>,
    /// [`Found::score`](crate::Found::score), -1 to 1; for a landmark network [`Located::probability`], 0 to 1; for an ensemble
    /// [`EnsembleLandmark::score`].
    pub score: f64,
    /// Confidence, and the error bound, if any; `None` for a landmark network alone.
    #[serde(flatten)]
    pub trust: Option<TrustRow>,
}

/// Confidence and error bound, if calibrated, of a matched landmark in a result table, rounded as in
/// [`LandmarkRow`]; for a landmark network with recognition only the abstention.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrustRow {
    /// [`Confidence::margin`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// [`Confidence::cycle_error`], in pixels.
    #[serde(alias = "match_back_px")]
    pub cycle_error_px: Option<f64>,
    /// Cycle-consistency error in mm; `None` where the pixel size is unknown.
    #[serde(alias = "match_back_mm", skip_serializing_if = "Option::is_none")]
    pub cycle_error_mm: Option<f64>,
    /// [`Confidence::prior`], in pixels.
    pub prior_offset_px: Option<f64>,
    /// [`Confidence::uncertainty`], or [`EnsembleLandmark::uncertainty`], rounded to 0.01: ranks landmarks and images;
    /// not a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<f64>,
    /// [`JudgedLandmark::error_bound_px`].
    #[serde(alias = "expected_error_px", skip_serializing_if = "Option::is_none")]
    pub error_bound_px: Option<f64>,
    /// [`JudgedLandmark::error_bound_mm`].
    #[serde(alias = "expected_error_mm", skip_serializing_if = "Option::is_none")]
    pub error_bound_mm: Option<f64>,
    /// [`JudgedLandmark::abstain`], or [`Location::abstains`](crate::Location::abstains).
    pub abstain: bool,
}

/// Recognition of an image in a result table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecognitionRow {
    /// [`Recognition::is_recognised`](crate::Recognition::is_recognised).
    pub recognised: bool,
    /// Text of the [`Orientation`](crate::Orientation), such as `as the template`.
    pub orientation: String,
    /// Whether the image was rotated or mirrored to the template's orientation before the search.
    pub reoriented: bool,
    /// [`Recognition::inlier_fraction`](crate::Recognition::inlier_fraction), rounded to 0.001.
    #[serde(alias = "agreement")]
    pub inlier_fraction: f64,
}

impl LandmarkRow {
    /// The row of a judged landmark; `spacing` is the pixel size of its image.
    pub fn of_judged(judged: &JudgedLandmark, spacing: Option<&PixelSpacing>) -> LandmarkRow {
        let Confidence { margin, cycle_error, prior, uncertainty, .. } = judged.found.confidence;
        let length = |length: Option<f64>| length.map(|length| rounded(length, 2));
        let mm = |length: Option<f64>| Some(length? * spacing?.mean_mm());
        let trust = TrustRow {
            margin: Some(rounded(margin, 4)),
            cycle_error_px: length(cycle_error),
            cycle_error_mm: length(mm(cycle_error)),
            prior_offset_px: length(prior),
            uncertainty: Some(rounded(uncertainty, 2)),
            error_bound_px: length(judged.error_bound_px),
            error_bound_mm: length(judged.error_bound_mm),
            abstain: judged.abstain,
        };
        let found = &judged.found;
        LandmarkRow::new((&found.name, found.at.x, found.at.y), found.score, spacing, Some(trust))
    }

    /// The row of a landmark of a network, with the pixel size of its image and, if known, the abstention.
    pub(crate) fn of_located(
        located: &Located,
        spacing: Option<&PixelSpacing>,
        abstain: Option<bool>,
    ) -> LandmarkRow {
        let trust = abstain.map(|abstain| TrustRow { abstain, ..TrustRow::default() });
        LandmarkRow::new((&located.name, located.at.x, located.at.y), located.probability, spacing, trust)
    }

    /// The row of a landmark of an ensemble, with the pixel size of its image, which is [usable](crate::EnsembleDetection::is_usable) or not.
    pub fn of_ensemble(
        landmark: &EnsembleLandmark,
        spacing: Option<&PixelSpacing>,
        usable: bool,
    ) -> LandmarkRow {
        let length = |length: Option<f64>| length.map(|length| rounded(length, 2));
        let trust = TrustRow {
            uncertainty: Some(rounded(landmark.uncertainty, 2)),
            error_bound_px: length(landmark.error_bound_px),
            error_bound_mm: length(landmark.error_bound_mm),
            abstain: !usable,
            ..TrustRow::default()
        };
        let EnsembleLandmark { name, at, score, .. } = landmark;
        LandmarkRow::new((name, at.x, at.y), *score, spacing, Some(trust))
    }

    fn new(
        (name, x, y): (&str, f64, f64),
        score: f64,
        spacing: Option<&PixelSpacing>,
        trust: Option<TrustRow>,
    ) -> LandmarkRow {
        LandmarkRow {
            landmark: name.to_owned(),
            x: rounded(x, 3),
            y: rounded(y, 3),
            x_mm: spacing.map(|spacing| rounded(x * spacing.mm.x, 3)),
            y_mm: spacing.map(|spacing| rounded(y * spacing.mm.y, 3)),
            score: rounded(score, 4),
            trust,
        }
    }
}

impl RecognitionRow {
    /// The row of a recognition, and whether the image was reoriented for the search.
    pub fn of(recognition: &Recognition, reoriented: bool) -> RecognitionRow {
        RecognitionRow {
            recognised: recognition.is_recognised(),
            orientation: recognition.orientation.to_string(),
            reoriented,
            inlier_fraction: rounded(recognition.inlier_fraction, 3),
        }
    }
}

impl Detection {
    /// The landmarks as rows of a result table; `spacing` is that of the image.
    pub fn rows(&self, spacing: Option<&PixelSpacing>) -> Vec<LandmarkRow> {
        match self {
            Detection::Matched(judgement) => {
                judgement.landmarks.iter().map(|judged| LandmarkRow::of_judged(judged, spacing)).collect()
            }
            Detection::Located(located) => {
                located.iter().map(|located| LandmarkRow::of_located(located, spacing, None)).collect()
            }
            Detection::Checked(location) => {
                let row =
                    |located| LandmarkRow::of_located(located, spacing, Some(location.abstains(located)));
                location.landmarks.iter().map(row).collect()
            }
            Detection::Ensemble(seen) => {
                let row = |landmark| LandmarkRow::of_ensemble(landmark, spacing, seen.is_usable());
                seen.landmarks.iter().map(row).collect()
            }
        }
    }

    /// The recognition as columns of a result table; `None` for a landmark network alone.
    pub fn recognition_row(&self) -> Option<RecognitionRow> {
        let (recognition, reoriented) = self.recognition()?;
        Some(RecognitionRow::of(recognition, reoriented))
    }
}

/// Rounds half away from zero to the decimals of files and tables.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}
