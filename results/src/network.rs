//! Scores of a landmark network, which needs no template: `evaluation.json`.

use std::ops::ControlFlow;
use std::path::Path;

use infomark_eval::{
    Annotator, AnnotatorComparison, Figures, MedianFigures, Run, compare_with_annotator, figures,
    score_network, thread_pool,
};
use infomark_infer::{DataSet, LandmarkNet, file_name, make_folder};
use serde::Serialize;

use crate::errors_table::write_network_errors;
use crate::evaluation::counted;
use crate::{DataRecord, INTERVALS, NetworkRecord, ResultsError, ScoringStep, write_json};

/// `evaluation.json` of a landmark network, its main figure first.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkEvaluation {
    /// Its figures.
    #[serde(flatten)]
    pub summary: MedianFigures,
    intervals: &'static str,
    data: DataRecord,
    landmark_model: NetworkRecord,
    /// None without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_annotator: Option<AnnotatorComparison>,
    version: &'static str,
    seed: u64,
}

/// A landmark network to score, with the paths that its results name.
#[derive(Clone, Copy, Debug)]
pub struct NetworkJob<'a> {
    /// The network.
    pub net: &'a LandmarkNet,
    /// Its file, or name.
    pub model: &'a Path,
    /// Folder and images that are scored.
    pub data: (&'a Path, &'a DataSet),
    /// Radii of the detection rates, in mm above 0.
    pub radii_mm: &'a [f64],
    /// Seed of the intervals.
    pub seed: u64,
    /// A second annotator of the images.
    pub second_annotator: Option<&'a Annotator>,
}

/// A scored network.
#[derive(Clone, Debug)]
pub struct ScoredNetwork {
    /// The figures.
    pub evaluation: NetworkEvaluation,
    /// The same landmark by landmark.
    pub figures: Vec<Figures>,
    /// Every score.
    pub run: Run,
}

impl NetworkJob<'_> {
    /// Scores the network on so many threads, 0 for all cores. A break of `told` ends the work.
    ///
    /// # Errors
    /// [`ResultsError::Eval`].
    pub fn run(
        &self,
        threads: usize,
        told: &(dyn Fn(ScoringStep) -> ControlFlow<()> + Sync),
    ) -> Result<ScoredNetwork, ResultsError> {
        let (folder, data) = self.data;
        let advance = counted(data.images.len(), told);
        let mut run = thread_pool(threads)?.install(|| score_network(self.net, data, &advance))?;
        run.templates = vec![file_name(self.model)];
        let (mut summary, figures) = figures(&[run.errors()], &data.landmarks, self.radii_mm, self.seed)?;
        summary.summary = format!("landmark network {}", file_name(self.model));
        let compare =
            |annotator| compare_with_annotator(data, std::slice::from_ref(&run), annotator, self.radii_mm);
        let second_annotator = self.second_annotator.map(compare).transpose()?;
        let evaluation = NetworkEvaluation {
            summary: summary.rounded(),
            intervals: INTERVALS,
            data: DataRecord::of(data, folder),
            landmark_model: NetworkRecord::of(self.net, self.model),
            second_annotator: second_annotator.map(AnnotatorComparison::rounded),
            version: env!("CARGO_PKG_VERSION"),
            seed: self.seed,
        };
        Ok(ScoredNetwork { evaluation, figures: figures.into_iter().map(Figures::rounded).collect(), run })
    }
}

impl ScoredNetwork {
    /// Writes `evaluation.json` and `errors.csv` into a folder; `data` are the images that were scored.
    ///
    /// # Errors
    /// [`ResultsError::File`].
    pub fn write(&self, out: &Path, data: &DataSet) -> Result<(), ResultsError> {
        make_folder(out)?;
        write_json(&out.join("evaluation.json"), &self.evaluation)?;
        write_network_errors(out, data, &self.run)
    }
}
