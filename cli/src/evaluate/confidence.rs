//! Uncertainty and error bounds compared with the measured errors, as plots and text.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::{ErrorBounds, UncertaintyRanking};
use infomark_figures::{error_bound_charts, uncertainty_chart};
use infomark_results::EncoderEvaluation;

use crate::plot;

/// Plots errors against uncertainty, and errors and coverage against the bounds, if any: `confidence.png` and `.svg`.
pub(crate) fn draw(out: &Path, evaluation: &EncoderEvaluation) -> Result<Vec<PathBuf>> {
    let mut charts = vec![uncertainty_chart(&evaluation.uncertainty)];
    charts.extend(evaluation.error_bounds.iter().flat_map(error_bound_charts));
    plot::write(&out.join("confidence"), &charts, &evaluation.note())
}

/// The printed summary.
pub(super) fn text(ranking: &UncertaintyRanking, bounds: Option<&ErrorBounds>) -> String {
    let half = ranking.kept.iter().find(|kept| kept.share >= 0.5);
    let half = half.map_or("none".to_owned(), |kept| format!("{:.2} mm", kept.mre_mm));
    let auroc = ranking.auroc.map_or("none".to_owned(), |auroc| format!("{auroc:.3}"));
    let UncertaintyRanking { large_mm, large, .. } = ranking;
    let ranked = format!(
        "\nUncertainty: MRE of the most certain half {half}; \
         AUROC of errors above {large_mm} mm ({:.1} % of all) {auroc}\n",
        100.0 * large
    );
    let bounded = match bounds {
        Some(bounds) => format!(
            "Error bounds ({} images): {:.1} % of errors stay within, {:.0} % asked; median {:.2} mm\n",
            bounds.calibration_images,
            100.0 * bounds.coverage,
            100.0 * bounds.coverage_asked,
            bounds.median_error_bound_mm
        ),
        None => "No error bounds: --calibrate measures them\n".to_owned(),
    };
    ranked + &bounded
}
