//! Whether errors are as large as expected.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_infer::{CalibrationKey, ErrorCalibration, UNLABELLED_COVERAGE, expected_unlabelled};
use infomark_train::evaluate::{Run, Score, median};
use serde::Serialize;

use crate::output::rounded;
use crate::plot::{self, Chart, Dot, Series, Style, colour};

/// Groups of points by their expected error.
const BINS: usize = 10;
/// Coverages that are asked for in the plot.
const ASKED: [f64; 9] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9];

/// How expected errors compare with those measured; shares are from 0 to 1.
#[derive(Clone, Serialize)]
pub(crate) struct Trusted {
    from: &'static str,
    calibration_images: usize,
    /// Share of errors that shall stay within the expected one.
    coverage_asked: f64,
    /// Share that did, over all images and templates.
    coverage: f64,
    coverage_of_landmarks: Vec<OfLandmark>,
    median_expected_error_mm: f64,
    /// Tenths of the points, the surest first.
    tenths: Vec<Tenth>,
    /// What is left when the least sure are abstained from.
    kept: Vec<Kept>,
    /// Share within the expected error for several coverages; none without calibration.
    asked: Vec<Asked>,
}

#[derive(Clone, Serialize)]
struct OfLandmark {
    landmark: String,
    coverage: f64,
    median_expected_error_mm: f64,
}

#[derive(Clone, Serialize)]
struct Tenth {
    expected_error_mm: f64,
    mre_mm: f64,
    coverage: f64,
}

#[derive(Clone, Serialize)]
struct Kept {
    share: f64,
    abstain_above_mm: f64,
    mre_mm: f64,
}

#[derive(Clone, Serialize)]
struct Asked {
    asked: f64,
    coverage: f64,
}

/// A point: its error and the one expected, in mm.
#[derive(Clone, Copy)]
struct Pair {
    landmark: usize,
    error: f64,
    expected: f64,
}

/// Compares the errors of runs with those expected: by the `calibrating` runs of the same templates on other images and
/// their mm to a pixel, else by score and margin. `unit` is the mm to a pixel.
pub(super) fn compare(
    runs: &[Run],
    calibrating: Option<(&[Run], f64)>,
    names: &[String],
    unit: f64,
) -> Result<Trusted> {
    let calibrations = match calibrating {
        None => Vec::new(),
        Some((runs, unit)) => {
            runs.iter().map(|run| calibrate(run, names, unit)).collect::<Result<Vec<_>>>()?
        }
    };
    let pairs = pairs(runs, &calibrations, UNLABELLED_COVERAGE, unit)?;
    let share = |pairs: &[Pair]| {
        let within = pairs.iter().filter(|pair| pair.error <= pair.expected).count();
        rounded(within as f64 / pairs.len().max(1) as f64, 4)
    };
    let mre = |pairs: &[Pair]| {
        rounded(pairs.iter().map(|pair| pair.error).sum::<f64>() / pairs.len().max(1) as f64, 4)
    };
    let expected = |pairs: &[Pair]| rounded(median(pairs.iter().map(|pair| pair.expected).collect()), 4);
    let of_landmark = |(landmark, name): (usize, &String)| {
        let own: Vec<Pair> = pairs.iter().filter(|pair| pair.landmark == landmark).copied().collect();
        OfLandmark { landmark: name.clone(), coverage: share(&own), median_expected_error_mm: expected(&own) }
    };
    let mut sorted = pairs.clone();
    sorted.sort_by(|a, b| a.expected.total_cmp(&b.expected));
    let upto = |part: usize| sorted.len() * part / BINS;
    let tenth = |part: usize| {
        let pairs = &sorted[upto(part)..upto(part + 1)];
        Tenth { expected_error_mm: expected(pairs), mre_mm: mre(pairs), coverage: share(pairs) }
    };
    let kept = |part: usize| {
        let pairs = &sorted[..upto(part)];
        let largest = pairs.last().map_or(f64::NAN, |pair| pair.expected);
        Kept { share: part as f64 / BINS as f64, abstain_above_mm: rounded(largest, 4), mre_mm: mre(pairs) }
    };
    let mut asked = Vec::new();
    if !calibrations.is_empty() {
        for coverage in ASKED {
            let pairs = self::pairs(runs, &calibrations, coverage, unit)?;
            asked.push(Asked { asked: coverage, coverage: share(&pairs) });
        }
    }
    Ok(Trusted {
        from: if calibrations.is_empty() { "score and margin" } else { "split conformal prediction" },
        calibration_images: calibrations.iter().map(|one| one.images.len()).min().unwrap_or(0),
        coverage_asked: UNLABELLED_COVERAGE,
        coverage: share(&pairs),
        coverage_of_landmarks: names.iter().enumerate().map(of_landmark).collect(),
        median_expected_error_mm: expected(&pairs),
        tenths: (0..BINS).filter(|&part| upto(part) < upto(part + 1)).map(tenth).collect(),
        kept: (1..=BINS).filter(|&part| upto(part) > 0).map(kept).collect(),
        asked,
    })
}

fn calibrate(run: &Run, names: &[String], unit: f64) -> Result<ErrorCalibration> {
    let images = run.images.iter().map(|scored| scored.image.to_string()).collect();
    let scores = run.images.iter().flat_map(|scored| &scored.scores);
    let errors: Vec<_> = scores.map(|score| (score.error_mm / unit, score.confidence)).collect();
    let key = CalibrationKey { landmarks: names.to_vec(), ..CalibrationKey::default() };
    Ok(ErrorCalibration::new(key, images, &errors)?)
}

fn pairs(runs: &[Run], calibrations: &[ErrorCalibration], coverage: f64, unit: f64) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let bounds = match calibrations.get(index) {
            Some(calibration) => Some(calibration.bounds(coverage)?),
            None => None,
        };
        let pair = |(landmark, score): (usize, &Score)| {
            let expected = match bounds.as_ref().and_then(|bounds| bounds.get(landmark)) {
                Some(bound) => bound.expected(&score.confidence),
                None => expected_unlabelled(&score.confidence),
            };
            Pair { landmark, error: score.error_mm, expected: expected * unit }
        };
        pairs.extend(run.images.iter().flat_map(|scored| scored.scores.iter().enumerate().map(pair)));
    }
    Ok(pairs)
}

/// Draws errors and coverage against confidence: `confidence.png` and `.svg`.
pub(super) fn draw(out: &Path, trusted: &Trusted, note: &str) -> Result<Vec<PathBuf>> {
    let dots = |name: &str, index: usize, points: Vec<(f64, f64)>| Series {
        name: name.to_owned(),
        colour: colour(index),
        style: Style::Dotted,
        points: points.into_iter().map(|(x, y)| Dot { x, y, interval: None }).collect(),
    };
    let tenths = || trusted.tenths.iter();
    let mut charts = vec![
        Chart {
            title: "Error against expected error, tenths of the points".into(),
            x_label: "expected error, mm (median of the tenth)".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", 0, tenths().map(|t| (t.expected_error_mm, t.mre_mm)).collect())],
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: format!(
                "Share of errors within the expected one ({:.0} % asked, {:.1} % of all)",
                100.0 * trusted.coverage_asked,
                100.0 * trusted.coverage
            ),
            x_label: "expected error, mm (median of the tenth)".into(),
            y_label: "share".into(),
            series: vec![
                dots("measured", 0, tenths().map(|t| (t.expected_error_mm, t.coverage)).collect()),
                Series::line("asked", 6, tenths().map(|t| (t.expected_error_mm, trusted.coverage_asked))),
            ],
            y_range: Some([0.0, 1.02]),
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: "Error of the points kept when the least sure are abstained from".into(),
            x_label: "share kept".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", 0, trusted.kept.iter().map(|kept| (kept.share, kept.mre_mm)).collect())],
            height: 300,
            ..Chart::default()
        },
    ];
    if !trusted.asked.is_empty() {
        charts.push(Chart {
            title: "Coverage asked for and measured".into(),
            x_label: "asked".into(),
            y_label: "measured".into(),
            series: vec![
                dots("measured", 0, trusted.asked.iter().map(|one| (one.asked, one.coverage)).collect()),
                Series::line("asked", 6, trusted.asked.iter().map(|one| (one.asked, one.asked))),
            ],
            height: 300,
            ..Chart::default()
        });
    }
    plot::write(&out.join("confidence"), &charts, note)
}

/// What a person reads of it.
pub(super) fn text(trusted: &Trusted) -> String {
    let half = trusted.kept.iter().find(|kept| kept.share >= 0.5).map_or(f64::NAN, |kept| kept.mre_mm);
    let from = match trusted.calibration_images {
        0 => trusted.from.to_owned(),
        images => format!("{}, {images} images", trusted.from),
    };
    format!(
        "\nExpected errors ({from}): {:.1} % of errors stay within, {:.0} % asked; median {:.2} mm; MRE of the surer half {half:.2} mm\n",
        100.0 * trusted.coverage,
        100.0 * trusted.coverage_asked,
        trusted.median_expected_error_mm
    )
}
