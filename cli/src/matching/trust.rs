//! Reliability of the points: calibration and abstention, as options and in results.

use std::path::PathBuf;

use anyhow::{Error, Result, anyhow};
use infomark_infer::{
    DetectError, Detector, ErrorCalibration, Judge, JudgeError, JudgeOptions, MatchError, Matcher, sha256,
};
use infomark_models::PretrainedModel;
use infomark_results::{BoundsRecord, CalibrationRecord};

use crate::inputs::hash;
use crate::output::{file_name, shown};

/// Options of error bounds and abstention.
#[derive(clap::Args, Default)]
pub(crate) struct Trust {
    /// Calibration of error bounds, a file of `infomark calibrate` [default: that of a bundled model,
    /// with its template]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Coverage: fraction of errors within the error bound [default: 0.9]
    #[arg(long, value_name = "SHARE")]
    coverage: Option<f64>,
    /// Abstain from points with a larger error bound, in mm; needs a calibration
    #[arg(long, value_name = "MM")]
    abstain_above: Option<f64>,
    /// Abstain from points with a lower score, -1 to 1
    #[arg(long, value_name = "SCORE")]
    abstain_below: Option<f64>,
    /// Rotate images by quarter turns, or mirror them, to the template's orientation before matching
    #[arg(long)]
    pub(crate) fix_orientation: bool,
}

impl Trust {
    /// The defaults, with or without reorientation.
    pub(crate) fn laying(fix_orientation: bool) -> Self {
        Self { fix_orientation, ..Self::default() }
    }

    /// The first given option that only applies to templates.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let options = [
            ("--calibration", self.calibration.is_some()),
            ("--abstain-above", self.abstain_above.is_some()),
            ("--abstain-below", self.abstain_below.is_some()),
        ];
        options.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    /// `--coverage`, if given.
    pub(crate) fn coverage_given(&self) -> Option<&'static str> {
        self.coverage.map(|_| "--coverage")
    }

    /// The judge of a matcher with these options, and its record for the results.
    pub(crate) fn judge(&self, matcher: Matcher) -> Result<(Judge, BoundsRecord)> {
        let (calibration, used) = self.calibration(&matcher)?.unzip();
        let options = JudgeOptions {
            calibration,
            coverage: self.coverage,
            abstain_above_mm: self.abstain_above,
            abstain_below_score: self.abstain_below,
            fix_orientation: self.fix_orientation,
        };
        let judge = Judge::new(matcher, &options).map_err(|error| self.refusal(error))?;
        let bounds = BoundsRecord::of(&judge, used, self.abstain_above, self.abstain_below);
        Ok((judge, bounds))
    }

    /// The given calibration, or that bundled for the matcher, and its record for the results.
    fn calibration(&self, matcher: &Matcher) -> Result<Option<(ErrorCalibration, CalibrationRecord)>> {
        let Some(path) = &self.calibration else {
            let used = |(model, calibration): (PretrainedModel, ErrorCalibration)| {
                let (file, images) = (model.name.to_owned(), calibration.images.len());
                let sha256 = sha256(model.calibration.unwrap_or_default());
                (calibration, CalibrationRecord { file, sha256, images })
            };
            return Ok(infomark_models::calibration_of(matcher).map(used));
        };
        let calibration = ErrorCalibration::load(path)?;
        let (file, images) = (file_name(path), calibration.images.len());
        Ok(Some((calibration, CalibrationRecord { file, sha256: hash(path)?, images })))
    }

    /// Adds the command line options to an error.
    fn refusal(&self, error: JudgeError) -> Error {
        match error {
            JudgeError::AbstainAbove { mm } => {
                anyhow!("--abstain-above {mm}: it has to be a number of mm above 0")
            }
            JudgeError::AbstainBelow { score } => anyhow!("--abstain-below {score}: a score is from -1 to 1"),
            JudgeError::NoBounds { mm } => anyhow!(
                "--abstain-above {mm}: errors have no bounds without a calibration; make one with `infomark calibrate` \
                 and name it as --calibration, or use --abstain-below"
            ),
            JudgeError::Uncalibrated { coverage } => {
                anyhow!("--coverage {coverage}: it needs a calibration; make one with `infomark calibrate`")
            }
            JudgeError::Coverage { coverage, source } => {
                Error::new(source).context(format!("--coverage {coverage}"))
            }
            JudgeError::OtherCalibration { differs } => anyhow!(
                "{}: it was measured with another {differs}; run `infomark calibrate` with this one",
                self.calibration.as_deref().map(shown).unwrap_or_default()
            ),
            other => other.into(),
        }
    }
}

/// Summary of the reliability of a detector's points.
pub(super) fn trust_of(detector: &Detector) -> String {
    let coverage = match detector {
        Detector::Matching(judge) => judge.coverage(),
        Detector::Ensemble(ensemble) => ensemble.bounds().map(|bounds| bounds.coverage),
        Detector::Network(_) | Detector::CheckedNetwork(..) => {
            return "no error bounds: a landmark network alone has none; sort by score".to_owned();
        }
    };
    match coverage {
        Some(coverage) => {
            format!(
                "error bounds hold for {:.0} % of points in images like those of the calibration",
                100.0 * coverage
            )
        }
        None if matches!(detector, Detector::Ensemble(_)) => {
            "no error bounds; sort by uncertainty".to_owned()
        }
        None => {
            "no error bounds: calibrate (infomark calibrate DATA ...) or use a model with a calibration; \
                 sort by uncertainty"
                .to_owned()
        }
    }
}

/// Adds the command line options to an error of an image.
pub(super) fn failure(error: DetectError) -> Error {
    match error {
        DetectError::Match(MatchError::NoSpacing { image }) => anyhow!(
            "{image}: nothing states the size of its pixels, which --abstain-above needs; give --spacing X Y, or use --abstain-below"
        ),
        other => other.into(),
    }
}
