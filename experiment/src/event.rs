//! What happens while an experiment is made.

use std::ops::ControlFlow;
use std::path::Path;

use infomark_infer::DataSet;
use infomark_results::{EncoderEvaluation, ScoringStep};
use infomark_train::Progress;

use crate::ExperimentError;

/// What happens while an experiment is made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something that a person should know; the work goes on.
    Warning(String),
    /// Progress of a training; `run` is the folder of its checkpoints and log.
    Training {
        /// Folder of the run.
        run: &'a Path,
        /// What the training reports.
        progress: Progress,
    },
    /// Intensities are estimated.
    Tuning {
        /// Comparisons that are done.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// Templates are chosen by their images.
    Choosing {
        /// Searches that are done.
        done: usize,
        /// All of them.
        total: usize,
    },
    /// Progress of a scoring.
    Scoring(ScoringStep),
    /// An encoder was scored, and its figures are in a folder.
    Scored {
        /// The folder.
        folder: &'a Path,
        /// The figures.
        evaluation: &'a EncoderEvaluation,
    },
    /// Progress of active learning.
    Learning {
        /// Annotated images of the round.
        images: usize,
        /// Fraction of all rounds that is done, 0 to 1.
        fraction: f64,
    },
}

/// Called for every [`Event`], by several threads; a break stops the work, which goes on when the experiment is made
/// again.
pub type Observer<'a> = &'a (dyn Fn(Event<'_>) -> ControlFlow<()> + Sync);

/// Tells a warning, after which the work goes on.
pub(crate) fn warn(observer: Observer<'_>, warning: String) {
    let _ = observer(Event::Warning(warning));
}

/// A data folder; what it has and should not becomes warnings.
pub(crate) fn data_folder(path: &Path, observer: Observer<'_>) -> Result<DataSet, ExperimentError> {
    let data = DataSet::open(path)?;
    for warning in data.warnings() {
        warn(observer, warning);
    }
    Ok(data)
}
