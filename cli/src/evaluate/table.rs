//! Printed tables of the figures.

use std::fmt::Write;

use infomark_eval::{Figures, LandmarkFigures, MedianFigures, Rates};

/// The printed tables.
pub(crate) fn text(summary: &MedianFigures, templates: &[Figures]) -> String {
    let mut text = format!("Landmarks ({})\n", summary.summary);
    let names = summary.landmarks.iter().map(|row| row.landmark.as_str());
    let templates_names = templates.iter().map(|row| row.template.as_str());
    let width = names.chain(templates_names).map(|name| name.chars().count()).max().unwrap_or(0).max(9);
    head(&mut text, width, "landmark", &summary.sdr);
    for LandmarkFigures { landmark, mre_mm, median_mm, sdr } in &summary.landmarks {
        row(&mut text, width, landmark, *mre_mm, *median_mm, sdr);
    }
    if templates.len() > 1 {
        text.push_str("\nTemplates\n");
        head(&mut text, width, "template", &summary.sdr);
        for Figures { template, mre_mm, median_mm, sdr, .. } in templates {
            row(&mut text, width, template, *mre_mm, *median_mm, sdr);
        }
    }
    let [low, high] = summary.mre_mm_interval;
    let images = templates.iter().map(|figures| figures.images).max().unwrap_or(0);
    line(
        &mut text,
        format_args!("\nOverall, {}, {images} images (95 % intervals over images)", summary.summary),
    );
    if summary.missing > 0 {
        let all = images * summary.landmarks.len();
        let up_to = if templates.len() > 1 { "up to " } else { "" };
        line(
            &mut text,
            format_args!(
                "  {up_to}{} of {all} points missing: not annotated, or in no template; figures are of the others",
                summary.missing
            ),
        );
    }
    line(&mut text, format_args!("  MRE         {:6.2} mm   [{low:.2}, {high:.2}]", summary.mre_mm));
    for (radius, share) in &summary.sdr {
        let [low, high] = summary.sdr_intervals.get(radius).copied().unwrap_or([f64::NAN; 2]);
        let name = format!("SDR {} mm", radius.0);
        let (share, low, high) = (100.0 * share, 100.0 * low, 100.0 * high);
        line(&mut text, format_args!("  {name:<11} {share:6.1} %    [{low:.1}, {high:.1}]"));
    }
    text
}

fn head(text: &mut String, width: usize, what: &str, rates: &Rates) {
    let radii: String = rates.keys().map(|radius| format!("{:>9}", format!("<{} mm", radius.0))).collect();
    line(text, format_args!("  {what:<width$}  MRE mm  median{radii}"));
}

fn row(text: &mut String, width: usize, name: &str, mre_mm: f64, median_mm: f64, rates: &Rates) {
    let shares: String = rates.values().map(|share| format!("{:>7.1} %", 100.0 * share)).collect();
    line(text, format_args!("  {name:<width$}  {mre_mm:6.2}  {median_mm:6.2}{shares}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
