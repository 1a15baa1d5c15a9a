//! Reliability of found landmarks: recognition of the image, error bounds, abstention.

use std::time::Instant;

use crate::recognise::{See, see};
use crate::{
    Bound, CalibrationError, CalibrationPart, DEFAULT_COVERAGE, ErrorCalibration, Found, Image, LandmarkNet,
    Located, MatchError, Matcher, PixelSpacing, Recognition,
};

/// Options of a [`Judge`]. By default there are no error bounds, and it abstains only from images of other
/// anatomy or orientation than the templates'.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgeOptions {
    /// Calibration of error bounds; without it there are none.
    pub calibration: Option<ErrorCalibration>,
    /// Coverage: fraction of errors within their bound, 0 to 1; needs a calibration.
    /// [`DEFAULT_COVERAGE`](crate::DEFAULT_COVERAGE) if `None`.
    pub coverage: Option<f64>,
    /// Abstain from landmarks with a larger error bound, in mm, above 0; needs a calibration, and images with a
    /// pixel spacing.
    pub abstain_above_mm: Option<f64>,
    /// Abstain from landmarks with a lower score, -1 to 1.
    pub abstain_below_score: Option<f64>,
    /// Rotate images by quarter turns, or mirror them, to the orientation of the templates before the search.
    pub fix_orientation: bool,
}

/// Why a [`Judge`] could not be made; every message names the option.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// An invalid threshold of errors.
    #[error("abstain_above_mm {mm}: it has to be a number of mm above 0")]
    AbstainAbove {
        /// The threshold.
        mm: f64,
    },
    /// An invalid threshold of scores.
    #[error("abstain_below_score {score}: a score is from -1 to 1")]
    AbstainBelow {
        /// The threshold.
        score: f64,
    },
    /// A threshold of error bounds without a calibration.
    #[error(
        "abstain_above_mm {mm}: errors have no bounds without a calibration; make one with `infomark calibrate`, \
         or use abstain_below_score"
    )]
    NoBounds {
        /// The threshold.
        mm: f64,
    },
    /// A coverage without a calibration.
    #[error(
        "coverage {coverage}: it needs a calibration; make one with `infomark calibrate`, or leave it out"
    )]
    Uncalibrated {
        /// The coverage requested.
        coverage: f64,
    },
    /// The calibration gives no bounds of this coverage.
    #[error("coverage {coverage}: {source}")]
    Coverage {
        /// The coverage requested.
        coverage: f64,
        /// The reason.
        source: CalibrationError,
    },
    /// The calibration is for another matcher.
    #[error("the calibration was measured with another {differs}; run `infomark calibrate` with this one")]
    OtherCalibration {
        /// The component that differs.
        differs: CalibrationPart,
    },
}

/// A [`Matcher`] with recognition, error bounds and abstention. It is cheap to clone and can be shared between threads.
///
/// ```no_run
/// use infomark_infer::{Encoder, ErrorCalibration, Judge, JudgeOptions, Matcher, Template, read_image};
///
/// let matcher = Matcher::new(Encoder::load("encoder.onnx")?, [Template::load("001.template")?])?;
/// let options = JudgeOptions {
///     calibration: Some(ErrorCalibration::load("calibration.json")?),
///     abstain_above_mm: Some(4.0),
///     fix_orientation: true,
///     ..JudgeOptions::default()
/// };
/// let judge = Judge::new(matcher, &options)?;
/// for landmark in judge.find(&read_image("new.dcm")?, None)?.landmarks {
///     let found = &landmark.found;
///     if let Some(bound) = landmark.error_bound_px.filter(|_| !landmark.abstain) {
///         println!("{} at ({:.1}, {:.1}), within {bound:.1} pixels", found.name, found.at.x, found.at.y);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    matcher: Matcher,
    calibrated: Option<Calibrated>,
    abstain_above_mm: Option<f64>,
    abstain_below_score: Option<f64>,
    fix_orientation: bool,
}

/// Bounds of a calibration.
#[derive(Clone, Debug)]
struct Calibrated {
    coverage: f64,
    /// Bound of each landmark.
    bounds: Vec<Bound>,
}

/// Landmarks found in an image, with recognition of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Similarity of the image to the templates, and its orientation.
    pub recognition: Recognition,
    /// Whether the image was rotated or mirrored to the templates' orientation before the search.
    pub reoriented: bool,
    /// Landmarks in the order of [`Matcher::landmarks`].
    pub landmarks: Vec<JudgedLandmark>,
}

/// Landmark with its error bound and abstention.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedLandmark {
    /// The landmark, in pixels of the original image.
    pub found: Found,
    /// Error bound with the judge's [coverage](Judge::coverage), in pixels of the
    /// image; `None` without a calibration.
    pub error_bound_px: Option<f64>,
    /// Error bound in mm; also `None` where the pixel size is unknown.
    pub error_bound_mm: Option<f64>,
    /// Whether it should not be used: the bound or the score is beyond its threshold, or the image is not recognised, or has another
    /// orientation than the templates and was not reoriented.
    pub abstain: bool,
}

impl Judgement {
    /// Whether the image shows the templates' anatomy and was matched in their orientation. Otherwise all landmarks are abstained from.
    pub fn is_usable(&self) -> bool {
        self.recognition.is_usable(self.reoriented)
    }
}

/// Landmarks located by a network in an image, with recognition of the image by a judge's templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// Similarity of the image to the templates, and its orientation.
    pub recognition: Recognition,
    /// Whether the image was rotated or mirrored to the templates' orientation before the search.
    pub reoriented: bool,
    /// Landmarks in the network's order, in pixels of the original image.
    pub landmarks: Vec<Located>,
}

impl Location {
    /// Minimum probability of a landmark that should be used: below it, most of the heat map lies elsewhere.
    pub const LEAST_PROBABILITY: f64 = 0.5;

    /// Whether a landmark of this image should not be used: the image is [not usable](Self::is_usable), or the landmark's probability is
    /// below [`LEAST_PROBABILITY`](Self::LEAST_PROBABILITY).
    pub fn abstains(&self, landmark: &Located) -> bool {
        !self.is_usable() || landmark.probability < Self::LEAST_PROBABILITY
    }

    /// Whether the image shows the templates' anatomy and was searched in their orientation. Otherwise no landmark should be used.
    pub fn is_usable(&self) -> bool {
        self.recognition.is_usable(self.reoriented)
    }
}

impl Judge {
    /// A judge from a matcher and options.
    ///
    /// # Errors
    /// [`JudgeError`]: a threshold out of range, a calibration for another encoder, other templates,
    /// landmarks or matching options, or one of too few images for the coverage.
    pub fn new(matcher: Matcher, options: &JudgeOptions) -> Result<Judge, JudgeError> {
        let JudgeOptions { abstain_above_mm, abstain_below_score, fix_orientation, .. } = *options;
        if let Some(mm) = abstain_above_mm.filter(|mm| !(mm.is_finite() && *mm > 0.0)) {
            return Err(JudgeError::AbstainAbove { mm });
        }
        if let Some(score) = abstain_below_score.filter(|score| !(-1.0..=1.0).contains(score)) {
            return Err(JudgeError::AbstainBelow { score });
        }
        let calibrated = match (&options.calibration, options.coverage, abstain_above_mm) {
            (None, Some(coverage), _) => return Err(JudgeError::Uncalibrated { coverage }),
            (None, None, Some(mm)) => return Err(JudgeError::NoBounds { mm }),
            (None, None, None) => None,
            (Some(calibration), coverage, _) => {
                let coverage = coverage.unwrap_or(DEFAULT_COVERAGE);
                if let Some(differs) = calibration.key.difference(&matcher.calibration_key()) {
                    return Err(JudgeError::OtherCalibration { differs });
                }
                let bounds = calibration.bounds(coverage);
                let bounds = bounds.map_err(|source| JudgeError::Coverage { coverage, source })?;
                Some(Calibrated { coverage, bounds })
            }
        };
        Ok(Judge { matcher, calibrated, abstain_above_mm, abstain_below_score, fix_orientation })
    }

    /// The matcher.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Coverage of the bounds, 0 to 1, guaranteed for images like those of the calibration;
    /// `None` without one.
    pub fn coverage(&self) -> Option<f64> {
        self.calibrated.as_ref().map(|calibrated| calibrated.coverage)
    }

    /// Whether images are rotated or mirrored to the templates' orientation before the search.
    pub fn fixes_orientation(&self) -> bool {
        self.fix_orientation
    }

    /// Whether the encoder gives the same result for images read with [`ReadLimits::reduced`](crate::ReadLimits::reduced).
    pub fn takes_reduced(&self) -> bool {
        self.matcher.encoder().description().input.takes_reduced()
    }

    /// Finds the landmarks in an image and judges them; aborted after the `deadline`, as
    /// [`Encoder::encode_until`](crate::Encoder::encode_until) is.
    ///
    /// # Errors
    /// [`MatchError`]; [`MatchError::NoSpacing`] where a threshold is in mm and the pixel size is unknown.
    pub fn find(&self, image: &Image, deadline: Option<Instant>) -> Result<Judgement, MatchError> {
        if self.abstain_above_mm.is_some() && image.spacing().is_none() {
            return Err(MatchError::NoSpacing { image: image.name().to_owned() });
        }
        let image = &*image.reduced_where(self.takes_reduced());
        let See { encoding, recognition, upright } =
            see(self.matcher.parts(), image, self.fix_orientation, deadline)?;
        let found = match &upright {
            Some(upright) => {
                let mut found = self.matcher.find_until(upright, deadline)?;
                for found in &mut found {
                    found.at = recognition.orientation.push(found.at, (upright.width(), upright.height()));
                }
                found
            }
            None => self.matcher.find_encoded(&encoding)?,
        };
        let mut judgement = Judgement { recognition, reoriented: upright.is_some(), landmarks: Vec::new() };
        let (usable, mm_per_px) = (judgement.is_usable(), image.spacing().map(PixelSpacing::mean_mm));
        let each = found.into_iter().enumerate();
        judgement.landmarks =
            each.map(|(index, found)| self.judge(index, found, mm_per_px, usable)).collect();
        Ok(judgement)
    }

    /// Locates landmarks by a network; the templates only check whether the image shows their anatomy, and its orientation.
    /// Aborted after the `deadline`.
    ///
    /// # Errors
    /// [`MatchError`], of the encoder or the network.
    pub fn locate(
        &self,
        net: &LandmarkNet,
        image: &Image,
        deadline: Option<Instant>,
    ) -> Result<Location, MatchError> {
        let takes_reduced = self.takes_reduced() && net.description().input.takes_reduced();
        let image = &*image.reduced_where(takes_reduced);
        let See { recognition, upright, .. } =
            see(self.matcher.parts(), image, self.fix_orientation, deadline)?;
        let mut landmarks = net.find_until(upright.as_ref().unwrap_or(image), deadline)?;
        if let Some(upright) = &upright {
            for located in &mut landmarks {
                located.at = recognition.orientation.push(located.at, (upright.width(), upright.height()));
            }
        }
        Ok(Location { recognition, reoriented: upright.is_some(), landmarks })
    }

    fn judge(&self, index: usize, found: Found, mm_per_px: Option<f64>, usable: bool) -> JudgedLandmark {
        let bound = self.calibrated.as_ref().and_then(|calibrated| calibrated.bounds.get(index));
        let error_bound_px = bound.map(|bound| bound.of(&found.confidence));
        let error_bound_mm = error_bound_px.zip(mm_per_px).map(|(bound, unit)| bound * unit);
        let too_large = self.abstain_above_mm.zip(error_bound_mm).is_some_and(|(most, bound)| bound > most);
        let too_low = self.abstain_below_score.is_some_and(|least| found.score < least);
        JudgedLandmark { found, error_bound_px, error_bound_mm, abstain: too_large || too_low || !usable }
    }
}
