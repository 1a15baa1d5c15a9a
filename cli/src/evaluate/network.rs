//! Scores of a landmark network, which needs no template.

use std::path::Path;

use anyhow::Result;
use infomark_eval::{Annotator, AnnotatorComparison, Figures, Run, Summary, figures, score_network};
use infomark_infer::DataSet;
use serde::Serialize;

use super::{Data, INTERVALS, annotator, errors, table, with_bar};
use crate::inputs;
use crate::models::NetworkModel;
use crate::output::{self, Report, file_name};

/// The result, its main figure first.
#[derive(Serialize)]
struct Evaluation {
    #[serde(flatten)]
    summary: Summary,
    intervals: &'static str,
    data: Data,
    landmark_model: NetworkModel,
    /// None without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_annotator: Option<AnnotatorComparison>,
    version: &'static str,
    seed: u64,
}

/// A landmark network to score, with the paths that its results name.
pub(crate) struct NetworkJob<'a> {
    pub(crate) model: &'a Path,
    pub(crate) data: (&'a Path, &'a DataSet),
    pub(crate) radii: &'a [f64],
    pub(crate) seed: u64,
    /// A second annotator of the images, if there is one.
    pub(crate) second_annotator: Option<&'a Annotator>,
    /// Folder for evaluation.json and errors.csv.
    pub(crate) out: Option<&'a Path>,
}

/// A scored network.
pub(crate) struct ScoredNetwork {
    evaluation: Evaluation,
    figures: Vec<Figures>,
    pub(crate) run: Run,
}

impl NetworkJob<'_> {
    /// Scores the network, with a bar, and writes the files that were asked for.
    pub(crate) fn run(&self, threads: usize) -> Result<ScoredNetwork> {
        let net = infomark_models::load_landmark_net(self.model)?;
        let (folder, data) = self.data;
        let pool = inputs::pool(threads)?;
        let mut run =
            with_bar(data.images.len(), |advance| pool.install(|| Ok(score_network(&net, data, advance)?)))?;
        run.templates = vec![file_name(self.model)];
        let (mut summary, figures) = figures(&[run.errors()], &data.landmarks, self.radii, self.seed)?;
        summary.summary = format!("landmark network {}", file_name(self.model));
        let runs = std::slice::from_ref(&run);
        let second_annotator = annotator::compare(self.second_annotator, data, runs, self.radii)?;
        let evaluation = Evaluation {
            summary: summary.rounded(),
            intervals: INTERVALS,
            data: Data::of(data, folder),
            landmark_model: NetworkModel::of(&net, self.model),
            second_annotator,
            version: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
        };
        if let Some(out) = self.out {
            output::make_folder(out)?;
            output::write_json(&out.join("evaluation.json"), &evaluation)?;
            errors::write_of_network(out, data, &run)?;
            if let Some(second) = &evaluation.second_annotator {
                annotator::write(out, second)?;
            }
        }
        Ok(ScoredNetwork { evaluation, figures, run })
    }
}

impl ScoredNetwork {
    pub(crate) fn mre_mm(&self) -> f64 {
        self.evaluation.summary.mre_mm
    }

    pub(super) fn report(self, report: &Report) -> Result<()> {
        let figures: Vec<Figures> = self.figures.into_iter().map(Figures::rounded).collect();
        let second = self.evaluation.second_annotator.as_ref().map(annotator::text).unwrap_or_default();
        report.text(&(table::text(&self.evaluation.summary, &figures) + &second))?;
        report.json(&self.evaluation)
    }
}
