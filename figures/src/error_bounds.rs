//! Uncertainty and error bounds against the errors that were measured.

use infomark_eval::{ErrorBounds, UncertaintyRanking};

use crate::{Chart, Dot, Series, Style, line_colour};

/// Chart of the mean error of the points that are left without the least certain ones.
pub fn uncertainty_chart(ranking: &UncertaintyRanking) -> Chart {
    Chart {
        title: "Error of the points kept when the least certain are left out".into(),
        x_label: "share kept".into(),
        y_label: "mean error, mm".into(),
        series: vec![dots("", ranking.kept.iter().map(|kept| (kept.share, kept.mre_mm)))],
        height: 300,
        ..Chart::default()
    }
}

/// Charts of error and coverage against the error bound, and of the coverage asked for.
pub fn error_bound_charts(bounds: &ErrorBounds) -> Vec<Chart> {
    let tenths = || bounds.tenths.iter();
    let asked = || bounds.asked.iter();
    vec![
        Chart {
            title: "Error against error bound, tenths of the points".into(),
            x_label: "error bound, mm (median of the tenth)".into(),
            y_label: "mean error, mm".into(),
            series: vec![dots("", tenths().map(|t| (t.error_bound_mm, t.mre_mm)))],
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
                dots("measured", tenths().map(|t| (t.error_bound_mm, t.coverage))),
                Series::line("asked", 6, tenths().map(|t| (t.error_bound_mm, bounds.coverage_asked))),
            ],
            y_range: Some([0.0, 1.02]),
            height: 300,
            ..Chart::default()
        },
        Chart {
            title: "Coverage asked for and measured".into(),
            x_label: "asked".into(),
            y_label: "measured".into(),
            series: vec![
                dots("measured", asked().map(|one| (one.asked, one.coverage))),
                Series::line("asked", 6, asked().map(|one| (one.asked, one.asked))),
            ],
            height: 300,
            ..Chart::default()
        },
    ]
}

fn dots(name: &str, points: impl Iterator<Item = (f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        colour: line_colour(0),
        style: Style::Dotted,
        points: points.map(|(x, y)| Dot { x, y, interval: None }).collect(),
    }
}
