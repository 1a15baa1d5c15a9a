//! Expected errors against those measured, as plots and text.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::ExpectedErrors;

use crate::plot::{self, Chart, Dot, Series, Style, colour};

/// Draws errors and coverage against confidence: `confidence.png` and `.svg`.
pub(super) fn draw(out: &Path, expected: &ExpectedErrors, note: &str) -> Result<Vec<PathBuf>> {
    let dots = |name: &str, index: usize, points: Vec<(f64, f64)>| Series {
        name: name.to_owned(),
        colour: colour(index),
        style: Style::Dotted,
        points: points.into_iter().map(|(x, y)| Dot { x, y, interval: None }).collect(),
    };
    let tenths = || expected.tenths.iter();
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
                100.0 * expected.coverage_asked,
                100.0 * expected.coverage
            ),
            x_label: "expected error, mm (median of the tenth)".into(),
            y_label: "share".into(),
            series: vec![
                dots("measured", 0, tenths().map(|t| (t.expected_error_mm, t.coverage)).collect()),
                Series::line("asked", 6, tenths().map(|t| (t.expected_error_mm, expected.coverage_asked))),
            ],
            y_range: Some([0.0, 1.02]),
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: "Error of the points kept when the least sure are abstained from".into(),
            x_label: "share kept".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", 0, expected.kept.iter().map(|kept| (kept.share, kept.mre_mm)).collect())],
            height: 300,
            ..Chart::default()
        },
    ];
    if !expected.asked.is_empty() {
        charts.push(Chart {
            title: "Coverage asked for and measured".into(),
            x_label: "asked".into(),
            y_label: "measured".into(),
            series: vec![
                dots("measured", 0, expected.asked.iter().map(|one| (one.asked, one.coverage)).collect()),
                Series::line("asked", 6, expected.asked.iter().map(|one| (one.asked, one.asked))),
            ],
            height: 300,
            ..Chart::default()
        });
    }
    plot::write(&out.join("confidence"), &charts, note)
}

/// What a person reads of it.
pub(super) fn text(expected: &ExpectedErrors) -> String {
    let half = expected.kept.iter().find(|kept| kept.share >= 0.5).map_or(f64::NAN, |kept| kept.mre_mm);
    let from = match expected.calibration_images {
        0 => expected.from.to_owned(),
        images => format!("{}, {images} images", expected.from),
    };
    format!(
        "\nExpected errors ({from}): {:.1} % of errors stay within, {:.0} % asked; median {:.2} mm; MRE of the surer half {half:.2} mm\n",
        100.0 * expected.coverage,
        100.0 * expected.coverage_asked,
        expected.median_expected_error_mm
    )
}
