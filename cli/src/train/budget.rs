//! Budget, seed and folder options of the commands that train.

use std::path::{Path, PathBuf};

use infomark_train::Budget;

use crate::output::beside;

/// `minutes` has a help text of its own in each command, with its default.
#[derive(clap::Args)]
pub(crate) struct TrainingArgs {
    #[arg(long, value_name = "M", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Steps of training instead: reproducible, bit for bit
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Random seed [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Folder of checkpoints and logs [default: beside --out, ending in .run]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    run: Option<PathBuf>,
    /// Continue the training in this folder, with its own options
    #[arg(long, value_name = "DIR", conflicts_with_all = ["minutes", "steps", "seed"])]
    resume: Option<PathBuf>,
}

impl TrainingArgs {
    /// Whether a run is resumed.
    pub(crate) fn resumes(&self) -> bool {
        self.resume.is_some()
    }

    /// The folder of the run of a training that writes `out`.
    pub(crate) fn folder(&self, out: &Path) -> PathBuf {
        self.resume.as_ref().or(self.run.as_ref()).cloned().unwrap_or_else(|| beside(out, "run"))
    }

    /// Overrides seed and budget, if given.
    pub(crate) fn change(&self, seed: &mut u64, budget: &mut Budget) {
        *seed = self.seed.unwrap_or(*seed);
        *budget = match (self.steps, self.minutes) {
            (Some(steps), _) => Budget::Steps(steps),
            (None, Some(minutes)) => Budget::Minutes(minutes),
            (None, None) => *budget,
        };
    }
}
