//! Scores of an encoder's templates on a data set: `evaluation.json`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_eval::{
    Annotator, AnnotatorComparison, ErrorBounds, EvalError, Evaluation, EvaluationResult, Figures,
    MedianFigures, Protocol, Run, UncertaintyRanking, compare_with_annotator, thread_pool,
};
use infomark_infer::{DataSet, Encoder, MatchOptions, RefineStep, make_folder};
use serde::Serialize;

use crate::errors_table::write_errors;
use crate::{EncoderRecord, MatchingRecord, Refinement, RefinementRecord, ResultsError, write_json};

/// What results say of their intervals.
pub const INTERVALS: &str = "95 % bootstrap over images (percentiles of 2000 resamples)";

/// The images that were scored, as results tell of them.
#[derive(Clone, Debug, Serialize)]
pub struct DataRecord {
    name: String,
    folder: String,
    images: usize,
    landmarks: usize,
    spacing_mm: [f64; 2],
    spacing_from: String,
}

impl DataRecord {
    /// A data set that was read from a folder.
    pub fn of(data: &DataSet, folder: &Path) -> Self {
        Self {
            name: data.name.clone(),
            folder: folder.display().to_string(),
            images: data.images.len(),
            landmarks: data.landmarks.len(),
            spacing_mm: [data.spacing.x, data.spacing.y],
            spacing_from: folder.join("dataset.toml").display().to_string(),
        }
    }
}

/// `evaluation.json` of an encoder, its main figure first.
#[derive(Clone, Debug, Serialize)]
pub struct EncoderEvaluation {
    /// Medians over the sets of templates.
    #[serde(flatten)]
    pub summary: MedianFigures,
    intervals: &'static str,
    data: DataRecord,
    template_data: String,
    model: EncoderRecord,
    matching: MatchingRecord,
    /// None where templates are what their images show.
    #[serde(skip_serializing_if = "Option::is_none")]
    refined: Option<RefinementRecord>,
    /// How well the uncertainty orders the errors.
    pub uncertainty: UncertaintyRanking,
    /// Error bounds against those measured; none without a calibration.
    pub error_bounds: Option<ErrorBounds>,
    /// None without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_annotator: Option<AnnotatorComparison>,
    version: &'static str,
    seed: u64,
    /// How they were chosen.
    chosen_by: &'static str,
    /// Figures of each set of templates.
    pub templates: Vec<Figures>,
}

impl EncoderEvaluation {
    /// A line below plots: version, data set and templates.
    pub fn note(&self) -> String {
        format!("infomark {}, {}, {}", self.version, self.data.name, self.summary.summary)
    }
}

/// An encoder to score, with the paths that its results name.
#[derive(Clone, Copy, Debug)]
pub struct EncoderJob<'a> {
    /// The encoder.
    pub encoder: &'a Encoder,
    /// Its file, or name.
    pub model: &'a Path,
    /// Folder and images that are scored.
    pub data: (&'a Path, &'a DataSet),
    /// Folder and images of the templates.
    pub template_data: (&'a Path, &'a DataSet),
    /// Places of the templates in their folder, set by set.
    pub sets: &'a [Vec<usize>],
    /// How they were chosen: `random`, `select`, `name` or `all`.
    pub chosen_by: &'static str,
    /// How landmarks are looked for.
    pub matching: MatchOptions,
    /// Images that the templates are refined with.
    pub refinement: Option<&'a Refinement>,
    /// What is measured.
    pub protocol: Protocol<'a>,
    /// A second annotator of the images.
    pub second_annotator: Option<&'a Annotator>,
}

/// Progress of a scoring.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScoringStep {
    /// A template was encoded, or an image scored.
    Scored {
        /// Templates and images that are done.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// Templates are refined.
    Refining(RefineStep),
}

/// A scored encoder.
#[derive(Clone, Debug)]
pub struct ScoredEncoder {
    /// The figures.
    pub evaluation: EncoderEvaluation,
    /// Every score.
    pub runs: Vec<Run>,
}

impl EncoderJob<'_> {
    /// Scores the encoder on so many threads, 0 for all cores. A break of `told` ends the work.
    ///
    /// # Errors
    /// [`ResultsError::Eval`], [`ResultsError::Refine`].
    pub fn run(
        &self,
        threads: usize,
        told: &(dyn Fn(ScoringStep) -> ControlFlow<()> + Sync),
    ) -> Result<ScoredEncoder, ResultsError> {
        let ((folder, data), (template_folder, template_data)) = (self.data, self.template_data);
        let Self { encoder, matching, protocol, .. } = *self;
        let scoring = Evaluation { encoder, data, template_data, matching };
        let templates: BTreeSet<&usize> = self.sets.iter().flatten().collect();
        let images = data.images.len().saturating_add(protocol.calibrate.unwrap_or(0));
        let advance = counted(images.saturating_add(templates.len()), told);
        let (measured, refined) = thread_pool(threads)?.install(|| -> Result<_, ResultsError> {
            let mut ready = scoring.prepare(self.sets, &advance)?;
            let mut refined = None;
            if let Some(refinement) = self.refinement {
                let mut told = |step| {
                    let _ = told(ScoringStep::Refining(step));
                };
                let threads = rayon::current_num_threads();
                let (templates, record) =
                    refinement.apply(encoder, &ready.templates(), threads, &mut told)?;
                ready = ready.with(templates);
                refined = Some(record);
            }
            Ok((ready.measure(&protocol, &advance)?, refined))
        })?;
        let EvaluationResult { runs, figures, summary, uncertainty, error_bounds } = measured;
        let compare = |annotator| compare_with_annotator(data, &runs, annotator, protocol.radii_mm);
        let second_annotator = self.second_annotator.map(compare).transpose()?;
        let evaluation = EncoderEvaluation {
            summary: summary.rounded(),
            intervals: INTERVALS,
            data: DataRecord::of(data, folder),
            template_data: template_folder.display().to_string(),
            model: EncoderRecord::of(encoder, self.model),
            matching: MatchingRecord::of(&matching),
            refined,
            uncertainty,
            error_bounds,
            second_annotator: second_annotator.map(AnnotatorComparison::rounded),
            version: env!("CARGO_PKG_VERSION"),
            seed: protocol.seed,
            chosen_by: self.chosen_by,
            templates: figures.into_iter().map(Figures::rounded).collect(),
        };
        Ok(ScoredEncoder { evaluation, runs })
    }
}

impl ScoredEncoder {
    /// Writes `evaluation.json` and `errors.csv` into a folder; `data` are the images that were scored.
    ///
    /// # Errors
    /// [`ResultsError::File`].
    pub fn write(&self, out: &Path, data: &DataSet) -> Result<(), ResultsError> {
        make_folder(out)?;
        write_json(&out.join("evaluation.json"), &self.evaluation)?;
        write_errors(out, data, &self.runs)
    }
}

/// Tells of each piece of work that is done, and stops where that breaks.
pub(crate) fn counted(
    total: usize,
    told: &(dyn Fn(ScoringStep) -> ControlFlow<()> + Sync),
) -> impl Fn() -> Result<(), EvalError> + Sync {
    let done = AtomicUsize::new(0);
    move || {
        let done = 1 + done.fetch_add(1, Ordering::Relaxed);
        match told(ScoringStep::Scored { done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EvalError::Stopped),
        }
    }
}
