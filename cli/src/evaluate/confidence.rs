//! Error bounds against those measured, as plots and text.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::ErrorBounds;

use crate::plot::{self, Chart, Dot, Series, Style, colour};

/// Draws errors and coverage against confidence: `confidence.png` and `.svg`.
pub(crate) fn draw(out: &Path, bounds: &ErrorBounds, note: &str) -> Result<Vec<PathBuf>> {
    let dots = |name: &str, index: usize, points: Vec<(f64, f64)>| Series {
        name: name.to_owned(),
        colour: colour(index),
        style: Style::Dotted,
        points: points.into_iter().map(|(x, y)| Dot { x, y, interval: None }).collect(),
    };
    let tenths = || bounds.tenths.iter();
    let mut charts = vec![
        Chart {
            title: "Error against error bound, tenths of the points".into(),
            x_label: "error bound, mm (median of the tenth)".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", 0, tenths().map(|t| (t.error_bound_mm, t.mre_mm)).collect())],
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: format!(
                "Share of errors within the bound ({:.0} % asked, {:.1} % of all)",
                100.0 * bounds.coverage_asked,
                100.0 * bounds.coverage
            ),
            x_label: "error bound, mm (median of the tenth)".into(),
            y_label: "share".into(),
            series: vec![
                dots("measured", 0, tenths().map(|t| (t.error_bound_mm, t.coverage)).collect()),
                Series::line("asked", 6, tenths().map(|t| (t.error_bound_mm, bounds.coverage_asked))),
            ],
            y_range: Some([0.0, 1.02]),
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: "Error of the points kept when the least sure are abstained from".into(),
            x_label: "share kept".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", 0, bounds.kept.iter().map(|kept| (kept.share, kept.mre_mm)).collect())],
            height: 300,
            ..Chart::default()
        },
    ];
    if !bounds.asked.is_empty() {
        charts.push(Chart {
            title: "Coverage asked for and measured".into(),
            x_label: "asked".into(),
            y_label: "measured".into(),
            series: vec![
                dots("measured", 0, bounds.asked.iter().map(|one| (one.asked, one.coverage)).collect()),
                Series::line("asked", 6, bounds.asked.iter().map(|one| (one.asked, one.asked))),
            ],
            height: 300,
            ..Chart::default()
        });
    }
    plot::write(&out.join("confidence"), &charts, note)
}

/// What a person reads of it.
pub(super) fn text(bounds: &ErrorBounds) -> String {
    let half = bounds.kept.iter().find(|kept| kept.share >= 0.5).map_or(f64::NAN, |kept| kept.mre_mm);
    let from = match bounds.calibration_images {
        0 => bounds.from.to_owned(),
        images => format!("{}, {images} images", bounds.from),
    };
    format!(
        "\nError bounds ({from}): {:.1} % of errors stay within, {:.0} % asked; median {:.2} mm; MRE of the surer half {half:.2} mm\n",
        100.0 * bounds.coverage,
        100.0 * bounds.coverage_asked,
        bounds.median_error_bound_mm
    )
}
