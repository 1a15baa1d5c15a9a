//! Calibrated error bounds by split conformal prediction.

use std::fmt;
use std::path::Path;

use infomark_core::{ConformalError, conformal_bound};
use serde::{Deserialize, Serialize};

use crate::causes::said;
use crate::dropped::no_looks;
use crate::file::{self, FileProblem};
use crate::{Confidence, MatchOptions};

/// Maximum length of a calibration file, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Version of the file format.
const FORMAT: u32 = 2;

/// Default coverage: fraction of errors within their bound.
pub const DEFAULT_COVERAGE: f64 = 0.9;

/// Validity of a calibration: [`Matcher::calibration_key`](crate::Matcher::calibration_key).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenKey")]
pub struct CalibrationKey {
    /// SHA-256 of the encoder's file.
    pub model_sha256: String,
    /// [`Template::fingerprint`](crate::Template::fingerprint) of each template.
    pub templates: Vec<String>,
    /// Names of the landmarks, in order of detection.
    pub landmarks: Vec<String>,
    /// Matching options.
    pub matching: MatchOptions,
}

/// A [`CalibrationKey`] as it is stored in files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    model_sha256: String,
    templates: Vec<String>,
    landmarks: Vec<String>,
    matching: MatchOptions,
    /// Test-time augmentation of earlier versions: accepted where it is off.
    #[serde(default, rename = "looks", deserialize_with = "no_looks")]
    _looks: (),
}

impl From<WrittenKey> for CalibrationKey {
    fn from(written: WrittenKey) -> Self {
        let WrittenKey { model_sha256, templates, landmarks, matching, .. } = written;
        Self { model_sha256, templates, landmarks, matching }
    }
}

/// Component of a [`CalibrationKey`]. Its text is its name in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CalibrationPart {
    /// The encoder.
    Encoder,
    /// The templates.
    Templates,
    /// The list of landmarks.
    Landmarks,
    /// The matching options.
    Matching,
}

impl fmt::Display for CalibrationPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CalibrationPart::Encoder => "encoder",
            CalibrationPart::Templates => "template",
            CalibrationPart::Landmarks => "list of landmarks",
            CalibrationPart::Matching => "way of matching",
        })
    }
}

impl CalibrationKey {
    /// The first component in which two keys differ; `None` where a calibration of one is valid for the other.
    pub fn difference(&self, other: &CalibrationKey) -> Option<CalibrationPart> {
        let CalibrationKey { model_sha256, templates, landmarks, matching } = self;
        let same = [
            (CalibrationPart::Encoder, *model_sha256 == other.model_sha256),
            (CalibrationPart::Templates, *templates == other.templates),
            (CalibrationPart::Landmarks, *landmarks == other.landmarks),
            (CalibrationPart::Matching, *matching == other.matching),
        ];
        same.into_iter().find(|(_, same)| !same).map(|(part, _)| part)
    }
}

/// Calibration of error bounds: errors measured on labelled images, for split conformal prediction of the error in a new
/// image, normalised by [`Confidence::scale`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorCalibration {
    /// Version of the format, [`FORMAT`].
    format: u32,
    /// Version of infomark that wrote it.
    version: String,
    /// The matcher that the errors were measured with.
    pub key: CalibrationKey,
    /// The labelled images.
    pub images: Vec<String>,
    /// Error divided by scale, per image and, within an image, in the order of the key's landmarks; `None` without a reference point.
    scores: Vec<Option<f64>>,
}

/// The format version, read before the rest.
#[derive(Deserialize)]
struct Layout {
    format: u32,
}

/// Why a calibration cannot be used; every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The file cannot be read.
    #[error("{name}: cannot be read ({problem}); make one with `infomark calibrate`")]
    File {
        /// The path as given.
        name: String,
        /// The problem.
        problem: String,
    },
    /// The scores give no bound.
    #[error("{source}; calibrate on more images, or ask for less")]
    Scores {
        /// The reason.
        #[from]
        source: ConformalError,
    },
}

/// Error bound of a landmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Factor of [`Confidence::scale`].
    pub factor: f64,
    /// Whether it is the landmark's own; else it is pooled over all landmarks, for lack of images.
    pub own: bool,
}

impl Bound {
    /// The error bound in pixels of the image.
    pub fn of(&self, confidence: &Confidence) -> f64 {
        self.factor * confidence.scale
    }
}

impl ErrorCalibration {
    /// Makes a calibration from the errors, in pixels, and confidences of each landmark of each image, `None` where the image has no
    /// point of it; `key` is that of the matcher that found them.
    ///
    /// # Errors
    /// [`CalibrationError::Scores`] when there is no error, the images differ in the number of landmarks, or an error is not
    /// finite.
    pub fn new(
        key: CalibrationKey,
        images: Vec<String>,
        errors: &[Option<(f64, Confidence)>],
    ) -> Result<ErrorCalibration, CalibrationError> {
        let score = |(error_px, confidence): &(f64, Confidence)| error_px / confidence.scale;
        let calibration = ErrorCalibration {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key,
            images,
            scores: errors.iter().map(|error| error.as_ref().map(score)).collect(),
        };
        calibration.check()?;
        Ok(calibration)
    }

    /// Reads a file that `infomark calibrate` wrote.
    ///
    /// # Errors
    /// [`CalibrationError`].
    pub fn load(path: impl AsRef<Path>) -> Result<ErrorCalibration, CalibrationError> {
        let path = path.as_ref();
        ErrorCalibration::from_bytes(&ErrorCalibration::read(path)?, path.display().to_string())
    }

    /// Reads the bytes of a calibration file, for [`from_bytes`](Self::from_bytes).
    ///
    /// # Errors
    /// [`CalibrationError::File`].
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, CalibrationError> {
        let path = path.as_ref();
        file::read(path, MAX_BYTES).map_err(|problem| CalibrationError::File {
            name: path.display().to_string(),
            problem: match problem {
                FileProblem::Missing => "no such file".to_owned(),
                FileProblem::NotAFile => "not a file".to_owned(),
                FileProblem::Empty => "it is empty".to_owned(),
                FileProblem::TooLarge { bytes } => format!("{bytes} bytes, at most {MAX_BYTES} are read"),
                FileProblem::Unreadable(source) => source.to_string(),
            },
        })
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// [`CalibrationError::File`].
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<ErrorCalibration, CalibrationError> {
        let name = name.into();
        let failed = |problem: String| CalibrationError::File { name: name.clone(), problem };
        let Layout { format } = serde_json::from_slice(bytes).map_err(|error| failed(said(error)))?;
        if format != FORMAT {
            return Err(failed(format!("format {format}, and this version reads {FORMAT}")));
        }
        let calibration: ErrorCalibration =
            serde_json::from_slice(bytes).map_err(|error| failed(said(error)))?;
        calibration.check().map_err(|error| failed(error.to_string()))?;
        Ok(calibration)
    }

    fn check(&self) -> Result<(), ConformalError> {
        let landmarks = self.key.landmarks.len();
        if self.scores.len() != landmarks * self.images.len() {
            return Err(ConformalError::Shape { len: self.scores.len(), landmarks });
        }
        if self.scores.iter().flatten().next().is_none() {
            return Err(ConformalError::Shape { len: 0, landmarks });
        }
        match self.scores.iter().flatten().position(|score| !(score.is_finite() && *score >= 0.0)) {
            Some(index) => Err(ConformalError::NotFinite { index }),
            None => Ok(()),
        }
    }

    /// The bound of each landmark, for a fraction `coverage` of errors: from the landmark's own errors
    /// if there are enough images for the coverage and at least [twenty](Self::FOR_EACH), else from those of all landmarks.
    ///
    /// # Errors
    /// [`CalibrationError::Scores`] when the coverage is not between 0 and 1, or the images are too few for it.
    pub fn bounds(&self, coverage: f64) -> Result<Vec<Bound>, CalibrationError> {
        let count = self.key.landmarks.len();
        let pooled = match self.scores.iter().copied().collect::<Option<Vec<f64>>>() {
            Some(mut complete) => conformal_bound(&mut complete, count, coverage)?,
            None => self.pooled_bound(coverage)?,
        };
        let own = |index: usize| {
            let mut scores: Vec<f64> =
                self.scores.iter().skip(index).step_by(count).flatten().copied().collect();
            let enough = scores.len() >= Self::FOR_EACH;
            match enough.then(|| conformal_bound(&mut scores, 1, coverage)) {
                Some(Ok(factor)) => Bound { factor, own: true },
                _ => Bound { factor: pooled, own: false },
            }
        };
        Ok((0..count).map(own).collect())
    }

    /// The pooled bound where images lack points: that of [`conformal_bound`], with each score weighted by one over the number of
    /// its image's scores, so that images count equally.
    fn pooled_bound(&self, coverage: f64) -> Result<f64, ConformalError> {
        let mut weighted: Vec<(f64, f64)> = Vec::new();
        let mut images = 0;
        for image in self.scores.chunks(self.key.landmarks.len().max(1)) {
            let known = image.iter().flatten().count();
            images += known.min(1);
            weighted.extend(image.iter().flatten().map(|&score| (score, 1.0 / known as f64)));
        }
        // Rejects an invalid coverage, and too few images for it.
        conformal_bound(&mut vec![0.0; images], 1, coverage)?;
        weighted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let wanted = coverage * (images as f64 + 1.0) * (1.0 - 1e-12);
        let mut sum = 0.0;
        let reached = weighted.iter().find(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        let (bound, _) = reached.or(weighted.last()).ok_or(ConformalError::Shape { len: 0, landmarks: 0 })?;
        Ok(*bound)
    }

    /// Minimum number of images for a bound per landmark.
    pub const FOR_EACH: usize = 20;
}
