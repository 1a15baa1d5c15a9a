//! Empirical coverage of error bounds.

use infomark_core::mean;
use infomark_infer::{CalibrationKey, DEFAULT_COVERAGE, ErrorCalibration};
use serde::Serialize;

use crate::statistics::rounded;
use crate::{EvalError, Run, Score, median};

/// Number of groups of points by error bound.
const BINS: usize = 10;
/// Nominal coverages that are checked.
const ASKED: [f64; 9] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9];

/// Calibrated error bounds compared with the measured errors, over all images and templates. Fractions are 0 to 1; values
/// are rounded to four decimals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorBounds {
    /// Number of images of the calibration.
    pub calibration_images: usize,
    /// Nominal coverage.
    pub coverage_asked: f64,
    /// Empirical coverage: fraction of errors within their bound.
    pub coverage: f64,
    /// Empirical coverage per landmark.
    pub coverage_of_landmarks: Vec<LandmarkCoverage>,
    /// Median error bound.
    pub median_error_bound_mm: f64,
    /// Tenths of the points, smallest bounds first.
    pub tenths: Vec<Tenth>,
    /// Remaining points for several abstention thresholds.
    pub kept: Vec<KeptPoints>,
    /// Empirical coverage for several nominal ones.
    pub asked: Vec<AskedCoverage>,
}

/// Error bounds of one landmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandmarkCoverage {
    /// Name of the landmark.
    pub landmark: String,
    /// Fraction of its errors within the bound.
    pub coverage: f64,
    /// Median of its error bounds.
    pub median_error_bound_mm: f64,
}

/// A tenth of the points by error bound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tenth {
    /// Median of its error bounds.
    pub error_bound_mm: f64,
    /// Mean radial error.
    pub mre_mm: f64,
    /// Fraction of its errors within the bound.
    pub coverage: f64,
}

/// Points with the smallest error bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptPoints {
    /// Fraction of all points.
    pub share: f64,
    /// Largest error bound among them.
    pub abstain_above_mm: f64,
    /// Mean radial error.
    pub mre_mm: f64,
}

/// Empirical coverage of a nominal one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AskedCoverage {
    /// Nominal coverage.
    pub asked: f64,
    /// Empirical coverage.
    pub coverage: f64,
}

/// Error and error bound of a point, in mm.
#[derive(Clone, Copy)]
struct Pair {
    landmark: usize,
    error: f64,
    bound: f64,
}

impl ErrorBounds {
    /// Compares the errors of runs with their bounds, calibrated on the `calibrating` runs of the same templates on other images,
    /// both with their mm per pixel. Scores without confidence are omitted.
    pub(crate) fn of(
        (runs, unit): (&[Run], f64),
        (calibrating, calibrating_unit): (&[Run], f64),
        names: &[String],
    ) -> Result<Self, EvalError> {
        let calibrations = calibrating.iter().map(|run| calibrate(run, names, calibrating_unit));
        let calibrations = calibrations.collect::<Result<Vec<_>, _>>()?;
        let pairs = pairs(runs, &calibrations, DEFAULT_COVERAGE, unit)?;
        let of_landmark = |(landmark, name): (usize, &String)| {
            let own: Vec<Pair> = pairs.iter().filter(|pair| pair.landmark == landmark).copied().collect();
            LandmarkCoverage {
                landmark: name.clone(),
                coverage: coverage(&own),
                median_error_bound_mm: median_bound(&own),
            }
        };
        let mut sorted = pairs.clone();
        sorted.sort_by(|a, b| a.bound.total_cmp(&b.bound));
        let upto = |part: usize| sorted.len() * part / BINS;
        let tenth = |part: usize| {
            let pairs = &sorted[upto(part)..upto(part + 1)];
            Tenth { error_bound_mm: median_bound(pairs), mre_mm: mre(pairs), coverage: coverage(pairs) }
        };
        let kept = |part: usize| {
            let pairs = &sorted[..upto(part)];
            let largest = pairs.last().map_or(f64::NAN, |pair| pair.bound);
            let share = part as f64 / BINS as f64;
            KeptPoints { share, abstain_above_mm: rounded(largest), mre_mm: mre(pairs) }
        };
        let asked = |share: f64| -> Result<AskedCoverage, EvalError> {
            let pairs = self::pairs(runs, &calibrations, share, unit)?;
            Ok(AskedCoverage { asked: share, coverage: coverage(&pairs) })
        };
        Ok(Self {
            calibration_images: calibrations.iter().map(|one| one.images.len()).min().unwrap_or(0),
            coverage_asked: DEFAULT_COVERAGE,
            coverage: coverage(&pairs),
            coverage_of_landmarks: names.iter().enumerate().map(of_landmark).collect(),
            median_error_bound_mm: median_bound(&pairs),
            tenths: (0..BINS).filter(|&part| upto(part) < upto(part + 1)).map(tenth).collect(),
            kept: (1..=BINS).filter(|&part| upto(part) > 0).map(kept).collect(),
            asked: ASKED.into_iter().map(asked).collect::<Result<_, _>>()?,
        })
    }
}

/// Fraction of errors within the bounds; 0 for none.
fn coverage(pairs: &[Pair]) -> f64 {
    let within = pairs.iter().filter(|pair| pair.error <= pair.bound).count();
    rounded(within as f64 / pairs.len().max(1) as f64)
}

/// Mean radial error; 0 for none.
fn mre(pairs: &[Pair]) -> f64 {
    let errors: Vec<f64> = pairs.iter().map(|pair| pair.error).collect();
    rounded(mean(&errors).unwrap_or(0.0))
}

/// Median error bound; NaN for none.
fn median_bound(pairs: &[Pair]) -> f64 {
    rounded(median(pairs.iter().map(|pair| pair.bound).collect()))
}

fn calibrate(run: &Run, names: &[String], unit: f64) -> Result<ErrorCalibration, EvalError> {
    let images = run.images.iter().map(|scored| scored.image.to_string()).collect();
    let scores = run.images.iter().flat_map(|scored| &scored.scores);
    let error = |score: &Option<Score>| {
        let score = score.as_ref()?;
        Some((score.error_mm / unit, score.confidence?))
    };
    let errors: Vec<_> = scores.map(error).collect();
    let key = CalibrationKey { landmarks: names.to_vec(), ..CalibrationKey::default() };
    Ok(ErrorCalibration::new(key, images, &errors)?)
}

fn pairs(
    runs: &[Run],
    calibrations: &[ErrorCalibration],
    coverage: f64,
    unit: f64,
) -> Result<Vec<Pair>, EvalError> {
    let mut pairs = Vec::new();
    for (run, calibration) in runs.iter().zip(calibrations) {
        let bounds = calibration.bounds(coverage)?;
        let pair = |(landmark, score): (usize, &Option<Score>)| {
            let score = score.as_ref()?;
            let bound = bounds.get(landmark)?.of(&score.confidence?);
            Some(Pair { landmark, error: score.error_mm, bound: bound * unit })
        };
        let images = run.images.iter();
        pairs.extend(images.flat_map(|scored| scored.scores.iter().enumerate().filter_map(pair)));
    }
    Ok(pairs)
}
