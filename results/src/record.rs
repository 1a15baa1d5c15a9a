//! Result of matching: what made it, and every image with its landmarks.

use std::path::Path;

use infomark_core::{Point, Spacing};
use infomark_infer::{
    Detection, Image, InputImage, Judge, Landmark, LandmarkRow, LandmarkStatus, PixelSpacing, Placement,
    Recognition, RecognitionRow, Scheme, SpacingSource, Template, file_name, read_image_header,
};
use serde::{Deserialize, Serialize};

use crate::measurements::{MeasurementRow, measurement_rows};
use crate::{EncoderRecord, EnsembleRecord, MatchingRecord, NetworkRecord, RefinementRecord};

/// What was done with what: enough to do it again.
#[derive(Clone, Debug, Serialize)]
pub struct ResultHead<'h> {
    /// Version of the program.
    pub version: &'static str,
    /// Which shard of a list it is of, as `--shard` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// Hash of all that the landmarks depend on but the images.
    pub made_of: &'h str,
    /// What found the landmarks.
    #[serde(flatten)]
    pub made_by: &'h MadeBy,
    /// The scheme that landmarks are ordered and measured by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'h str>,
}

/// What found the landmarks.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum MadeBy {
    /// Templates.
    Matching {
        /// The encoder.
        model: EncoderRecord,
        /// How landmarks are looked for.
        matching: MatchingRecord,
        /// Where error bounds come from.
        error_bounds: BoundsRecord,
        /// The templates.
        templates: Vec<TemplateRecord>,
    },
    /// A landmark network.
    Network {
        /// The network.
        landmark_model: NetworkRecord,
    },
    /// A landmark network in images that a template recognises.
    CheckedNetwork {
        /// The network.
        landmark_model: NetworkRecord,
        /// What recognises the images.
        recognised_by: RecognisedBy,
    },
    /// Templates and networks together.
    Ensemble {
        /// The ensemble.
        ensemble: EnsembleRecord,
    },
}

/// What tells whether an image shows the anatomy that a network was trained for.
#[derive(Clone, Debug, Serialize)]
pub struct RecognisedBy {
    /// The encoder.
    pub model: EncoderRecord,
    /// Its templates.
    pub templates: Vec<TemplateRecord>,
}

/// A template, as results tell it.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateRecord {
    /// Name of the annotated image.
    pub image: String,
    /// Of the file that was read: the image, or the template file.
    pub sha256: String,
    landmarks_from: &'static str,
    landmarks: Vec<PointRecord>,
    /// None where the features are those of the image alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    refined: Option<Refined>,
}

/// What a template was refined with, and what it is then.
#[derive(Clone, Debug, Serialize)]
struct Refined {
    #[serde(flatten)]
    with: RefinementRecord,
    template_sha256: String,
}

/// A landmark in pixels of its image.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PointRecord {
    /// Its name.
    pub landmark: String,
    /// Its column; the centre of the first pixel is 0.
    pub x: f64,
    /// Its row, likewise.
    pub y: f64,
}

impl TemplateRecord {
    /// What the landmarks of a template file are from.
    pub const FILE: &'static str = "template file";

    /// A template that was made of a file with this hash; `landmarks_from` is the kind of file that has its landmarks.
    pub fn of(template: &Template, sha256: String, landmarks_from: &'static str) -> Self {
        let places = template.landmarks().iter().zip(template.points());
        let point =
            |(name, at): (&String, &Point<f64>)| PointRecord { landmark: name.clone(), x: at.x, y: at.y };
        Self {
            image: file_name(Path::new(template.image())),
            sha256,
            landmarks_from,
            landmarks: places.map(point).collect(),
            refined: None,
        }
    }

    /// Whether it was read from a template file.
    pub fn is_file(&self) -> bool {
        self.landmarks_from == Self::FILE
    }

    /// The same after refinement; `template` is the refined one.
    #[must_use]
    pub fn refined(self, with: RefinementRecord, template: &Template) -> Self {
        Self { refined: Some(Refined { with, template_sha256: template.sha256() }), ..self }
    }
}

/// Where error bounds come from, as results tell it.
#[derive(Clone, Debug, Serialize)]
pub struct BoundsRecord {
    /// None without a calibration: there are no bounds then.
    from: Option<&'static str>,
    /// Share of errors that they bound in images like those calibrated on.
    coverage: Option<f64>,
    /// Whether there are any.
    promised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationRecord>,
    abstain_above_mm: Option<f64>,
    abstain_below_score: Option<f64>,
}

/// A calibration, told apart by its hash.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationRecord {
    /// Name of its file, or of the model that it comes with.
    pub file: String,
    /// Hash of the file.
    pub sha256: String,
    /// Images that it was measured on.
    pub images: usize,
}

impl BoundsRecord {
    /// The bounds of a judge that was made with this calibration and these limits.
    pub fn of(
        judge: &Judge,
        calibration: Option<CalibrationRecord>,
        abstain_above_mm: Option<f64>,
        abstain_below_score: Option<f64>,
    ) -> Self {
        Self {
            from: calibration.as_ref().map(|_| "split conformal prediction"),
            coverage: judge.coverage(),
            promised: judge.coverage().is_some(),
            calibration,
            abstain_above_mm,
            abstain_below_score,
        }
    }
}

/// The size of an image's pixels, and where it is from.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SpacingRecord {
    x_mm: f64,
    y_mm: f64,
    source: String,
    calibration: String,
}

impl SpacingRecord {
    /// What results tell of a size.
    pub fn of(spacing: &PixelSpacing) -> Self {
        Self {
            x_mm: spacing.mm.x,
            y_mm: spacing.mm.y,
            source: spacing.source.to_string(),
            calibration: spacing.calibration.to_string(),
        }
    }

    /// The size, where a user gave it for the image.
    pub fn given(&self) -> Option<PixelSpacing> {
        let spacing = Spacing::new(self.x_mm, self.y_mm).ok()?;
        (self.source == SpacingSource::User.to_string()).then(|| PixelSpacing::given(spacing))
    }
}

/// Recognition of an image, and the warning about it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct RecognitionRecord {
    #[serde(flatten)]
    row: RecognitionRow,
    /// What a person should know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

impl RecognitionRecord {
    /// Recognition of the image that results call `label`.
    pub fn of(recognition: &Recognition, reoriented: bool, label: &str) -> Self {
        let Recognition { orientation, inlier_fraction } = *recognition;
        let warning = if !recognition.is_recognised() {
            Some(format!(
                "{label} does not seem to show what the template shows: {:.0} % of the template's key points are inliers \
                 of one alignment, at least {:.0} % should be; its points are abstained from",
                100.0 * inlier_fraction,
                100.0 * Recognition::MIN_INLIER_FRACTION
            ))
        } else if reoriented {
            Some(format!("{label} seems to be {orientation} and was matched so"))
        } else if !orientation.is_upright() {
            Some(format!(
                "{label} seems to be {orientation}; its points are abstained from, --fix-orientation finds them"
            ))
        } else {
            None
        };
        Self { row: RecognitionRow::of(recognition, reoriented), warning }
    }
}

/// An image and what was found in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MatchedImage {
    /// What results call it.
    pub image: String,
    /// Its width in pixels.
    pub width: usize,
    /// Its height in pixels.
    pub height: usize,
    /// None where nothing states it.
    pub spacing: Option<SpacingRecord>,
    /// Size of its pixels, where it is known.
    #[serde(skip)]
    pub known: Option<PixelSpacing>,
    /// In 3D Slicer, where its markups are asked for.
    #[serde(skip)]
    pub placement: Option<Placement>,
    /// A file stem of its own for what is written about it.
    #[serde(skip)]
    pub stem: String,
    /// None by a landmark network alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recognition: Option<RecognitionRecord>,
    /// Path of its overlay in the result; none where it was not asked for or could not be written.
    pub overlay: Option<String>,
    /// Its landmarks.
    pub landmarks: Vec<LandmarkRow>,
    /// Where a scheme was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<MeasurementRow>,
}

impl MatchedImage {
    /// What was found in an image.
    pub fn of(input: &InputImage, image: &Image, detection: &Detection) -> Self {
        let recognition = detection.recognition();
        Self {
            image: input.label.clone(),
            width: image.width(),
            height: image.height(),
            spacing: image.spacing().map(SpacingRecord::of),
            known: image.spacing().cloned(),
            placement: None,
            stem: input.stem().into_owned(),
            recognition: recognition
                .map(|(seen, reoriented)| RecognitionRecord::of(seen, reoriented, &input.label)),
            overlay: None,
            landmarks: detection.rows(image.spacing()),
            measurements: Vec::new(),
        }
    }

    /// What was found before, with what files for 3D Slicer need of the image where they are asked for.
    #[must_use]
    pub fn placed(self, input: &InputImage, given: Option<&PixelSpacing>, is_asked: bool) -> Self {
        let header = is_asked.then(|| read_image_header(&input.path).ok()).flatten();
        let (stated, placement) =
            header.map_or((None, None), |header| (header.spacing, Some(header.placement)));
        Self { known: given.cloned().or(stated), placement, stem: input.stem().into_owned(), ..self }
    }

    /// Brings the landmarks into the order of a scheme, and measures them.
    pub fn measure(&mut self, scheme: &Scheme) {
        scheme.sort_by_name(&mut self.landmarks, |row| &row.landmark);
        let status = |name: &str| {
            let LandmarkRow { x, y, trust, .. } = self.landmarks.iter().find(|row| row.landmark == name)?;
            Some(match trust {
                Some(trust) if trust.abstain => LandmarkStatus::Abstained,
                _ => LandmarkStatus::Placed {
                    at: Point::new(*x, *y),
                    error_bound_px: trust.as_ref().and_then(|trust| trust.error_bound_px),
                },
            })
        };
        self.measurements = measurement_rows(scheme, status, self.known.as_ref().map(|spacing| spacing.mm));
    }

    /// Its points, for landmark files.
    pub(crate) fn points(&self) -> Vec<Landmark> {
        let point = |row: &LandmarkRow| Landmark::new(&row.landmark, Point::new(row.x, row.y));
        self.landmarks.iter().map(point).collect()
    }
}

/// An image without landmarks, or without its overlay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct FailedImage {
    /// What results call it.
    pub image: String,
    /// Why.
    pub error: String,
}
