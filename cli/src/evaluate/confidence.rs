//! Error bounds against the errors that were measured, as plots and text.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::ErrorBounds;
use infomark_figures::error_bound_charts;

use crate::plot;

/// Draws errors and coverage against the bounds: `confidence.png` and `.svg`.
pub(crate) fn draw(out: &Path, bounds: &ErrorBounds, note: &str) -> Result<Vec<PathBuf>> {
    plot::write(&out.join("confidence"), &error_bound_charts(bounds), note)
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
