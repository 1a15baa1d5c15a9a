//! How far what was found can be relied on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_infer::{
    Bound, Confidence, ErrorCalibration, Found, Image, Matcher, Orientation, PixelSpacing, Recognition,
    UNLABELLED_COVERAGE, expected_unlabelled,
};
use serde::{Deserialize, Serialize};

use super::{How, hash};
use crate::output::{file_name, rounded, shown};
use crate::templates::Source;

/// Which points are abstained from, and how large their errors are expected to be.
#[derive(clap::Args, Default)]
pub(crate) struct Trust {
    /// Errors measured on labelled images, as `infomark calibrate` writes them
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,
    /// Share of errors that shall stay within the expected error [default: 0.9]
    #[arg(long, value_name = "SHARE", requires = "calibration")]
    coverage: Option<f64>,
    /// Abstain from points whose expected error is larger, in mm
    #[arg(long, value_name = "MM")]
    abstain_above: Option<f64>,
    /// Abstain from points whose score is lower, -1 to 1
    #[arg(long, value_name = "SCORE")]
    abstain_below: Option<f64>,
    /// Match an image that is mirrored or turned by quarters as if it lay as the template does
    #[arg(long)]
    fix_orientation: bool,
}

impl Trust {
    /// The defaults, with images laid as the template is or not.
    pub(crate) fn laying(fix_orientation: bool) -> Self {
        Self { fix_orientation, ..Self::default() }
    }
}

/// What decides about points.
pub(crate) struct Judge {
    measured: Option<Measured>,
    coverage: f64,
    abstain_above: Option<f64>,
    abstain_below: Option<f64>,
    fix_orientation: bool,
}

struct Measured {
    bounds: Vec<Bound>,
    used: CalibrationUsed,
}

/// Where expected errors come from, as results tell it.
#[derive(Clone, Serialize)]
pub(crate) struct ExpectedErrors {
    from: &'static str,
    /// Share of errors that they are meant to bound.
    coverage: f64,
    /// Whether that share is promised for images like those calibrated on; else it only held where it was set.
    promised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationUsed>,
    abstain_above_mm: Option<f64>,
    abstain_below_score: Option<f64>,
}

#[derive(Clone, Serialize)]
struct CalibrationUsed {
    file: String,
    sha256: String,
    images: usize,
}

/// Whether an image shows what the template shows, and which way up.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Recognised {
    pub(crate) recognised: bool,
    orientation: String,
    /// Whether the image was laid as the template is before landmarks were looked for.
    laid_anew: bool,
    /// Share of the template's places that agree on how it lies on the image.
    agreement: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

/// What is said of one point beside its place and score.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Judged {
    pub(crate) margin: f64,
    pub(crate) match_back_px: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_back_mm: Option<f64>,
    prior_offset_px: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spread_px: Option<f64>,
    pub(crate) expected_error_px: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected_error_mm: Option<f64>,
    pub(crate) abstain: bool,
}

/// A recognition, and what follows from it.
pub(crate) struct Verdict {
    recognition: Recognition,
    fix_orientation: bool,
}

impl Verdict {
    pub(crate) fn orientation(&self) -> Orientation {
        self.recognition.orientation
    }

    /// Whether the image has to be laid as the template is.
    pub(crate) fn is_laid_anew(&self) -> bool {
        self.fix_orientation && self.recognition.is_recognised() && !self.orientation().is_upright()
    }

    /// Whether no point of the image can be relied on.
    fn is_hopeless(&self) -> bool {
        !self.recognition.is_recognised() || (!self.orientation().is_upright() && !self.is_laid_anew())
    }

    pub(crate) fn told(&self, label: &str) -> Recognised {
        let orientation = self.orientation();
        let agreement = self.recognition.agreement;
        let warning = if !self.recognition.is_recognised() {
            Some(format!(
                "{label} does not seem to show what the template shows: {:.0} % of the template's places agree on how it lies on it, at least {:.0} % should; its points are abstained from",
                100.0 * agreement,
                100.0 * Recognition::FEWEST
            ))
        } else if self.is_laid_anew() {
            Some(format!("{label} seems to be {orientation} and was matched so"))
        } else if !orientation.is_upright() {
            Some(format!(
                "{label} seems to be {orientation}; its points are abstained from, --fix-orientation finds them"
            ))
        } else {
            None
        };
        Recognised {
            recognised: self.recognition.is_recognised(),
            orientation: orientation.to_string(),
            laid_anew: self.is_laid_anew(),
            agreement: rounded(agreement, 3),
            warning,
        }
    }
}

impl Judge {
    pub(crate) fn new(trust: &Trust, matcher: &Matcher, templates: &[Source], how: &How) -> Result<Self> {
        if let Some(most) = trust.abstain_above.filter(|most| !(most.is_finite() && *most > 0.0)) {
            bail!("--abstain-above {most}: it has to be a number of mm above 0");
        }
        if let Some(least) = trust.abstain_below.filter(|least| !(-1.0..=1.0).contains(least)) {
            bail!("--abstain-below {least}: a score is from -1 to 1");
        }
        let coverage = trust.coverage.unwrap_or(UNLABELLED_COVERAGE);
        let measured = match &trust.calibration {
            None => None,
            Some(file) => {
                let calibration = ErrorCalibration::load(file)?;
                check(&calibration, file, matcher, templates, how)?;
                let bounds =
                    calibration.bounds(coverage).with_context(|| format!("--coverage {coverage}"))?;
                let images = calibration.images.len();
                Some(Measured {
                    bounds,
                    used: CalibrationUsed { file: file_name(file), sha256: hash(file)?, images },
                })
            }
        };
        Ok(Self {
            measured,
            coverage,
            abstain_above: trust.abstain_above,
            abstain_below: trust.abstain_below,
            fix_orientation: trust.fix_orientation,
        })
    }

    pub(crate) fn told(&self) -> ExpectedErrors {
        let calibration = self.measured.as_ref().map(|measured| measured.used.clone());
        ExpectedErrors {
            from: if calibration.is_some() { "split conformal prediction" } else { "score and margin" },
            coverage: self.coverage,
            promised: calibration.is_some(),
            calibration,
            abstain_above_mm: self.abstain_above,
            abstain_below_score: self.abstain_below,
        }
    }

    /// Whether an image that lies otherwise than the template is laid anew.
    pub(crate) fn fix_orientation(&self) -> bool {
        self.fix_orientation
    }

    /// A threshold in mm says nothing of an image whose pixels have no size.
    pub(crate) fn check_spacing(&self, image: &Image) -> Result<()> {
        if self.abstain_above.is_some() && image.spacing().is_none() {
            bail!(
                "{}: nothing states the size of its pixels, which --abstain-above needs; give --spacing X Y, or use --abstain-below",
                image.name()
            );
        }
        Ok(())
    }

    /// Finds the landmarks in an image, in pixels of the image as it was given.
    pub(crate) fn find(&self, matcher: &Matcher, image: &Image) -> Result<(Vec<Found>, Verdict)> {
        let encoding = matcher.encoder().encode_with(image, matcher.looks())?;
        let recognition = matcher.recognise(image, &encoding)?;
        let verdict = Verdict { recognition, fix_orientation: self.fix_orientation };
        if !verdict.is_laid_anew() {
            return Ok((matcher.find_encoded(&encoding)?, verdict));
        }
        let orientation = verdict.orientation();
        let laid = orientation.inverse().apply(image)?;
        let mut found = matcher.find(&laid)?;
        for found in &mut found {
            found.at = orientation.push(found.at, (laid.width(), laid.height()));
        }
        Ok((found, verdict))
    }

    pub(crate) fn judge(&self, index: usize, found: &Found, image: &Image, verdict: &Verdict) -> Judged {
        let Confidence { margin, back, prior, spread, .. } = found.confidence;
        let bound = self.measured.as_ref().and_then(|measured| measured.bounds.get(index));
        let expected = match bound {
            Some(bound) => bound.expected(&found.confidence),
            None => expected_unlabelled(&found.confidence),
        };
        let unit = image.spacing().map(mm_per_px);
        let px = |length: Option<f64>| length.map(|length| rounded(length, 2));
        let mm = |length: Option<f64>| length.zip(unit).map(|(length, unit)| rounded(length * unit, 2));
        let expected_mm = mm(Some(expected));
        let too_large = self.abstain_above.zip(expected_mm).is_some_and(|(most, expected)| expected > most);
        let too_low = self.abstain_below.is_some_and(|least| found.score < least);
        Judged {
            margin: rounded(margin, 4),
            match_back_px: px(back),
            match_back_mm: mm(back),
            prior_offset_px: px(prior),
            spread_px: px(spread),
            expected_error_px: rounded(expected, 2),
            expected_error_mm: expected_mm,
            abstain: too_large || too_low || verdict.is_hopeless(),
        }
    }
}

/// Refuses a calibration of something else.
fn check(
    calibration: &ErrorCalibration,
    file: &Path,
    matcher: &Matcher,
    templates: &[Source],
    how: &How,
) -> Result<()> {
    let sources = templates.iter().map(Source::made_of);
    let same = [
        ("encoder", calibration.model_sha256 == matcher.encoder().sha256()),
        ("template", calibration.templates_sha256.iter().eq(sources)),
        ("list of landmarks", calibration.landmarks == matcher.landmarks()),
        ("way of matching", calibration.matching == matching_text(how)),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => bail!(
            "{}: it was measured with another {what}; run `infomark calibrate` with this one",
            shown(file)
        ),
        None => Ok(()),
    }
}

/// How landmarks are looked for, to be compared.
pub(crate) fn matching_text(how: &How) -> String {
    // Numbers and flags always have a JSON.
    serde_json::to_string(&how.matching()).unwrap_or_default()
}

/// Millimetres to a pixel: the geometric mean of both directions.
fn mm_per_px(spacing: &PixelSpacing) -> f64 {
    (spacing.mm.x * spacing.mm.y).sqrt()
}
