//! Schedule of a training: budget, learning rate and checkpoints.

use crate::{Budget, OptimiserConfig, ScheduleConfig};

/// Budget, learning rate and checkpoint interval of a training.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) budget: Budget,
    /// Maximum learning rate.
    pub(crate) learning_rate: f64,
    /// Steps of linear warm-up.
    pub(crate) warm_up: u64,
    /// Images per step.
    pub(crate) batch: usize,
    /// Interval of checkpoints, in steps.
    pub(crate) checkpoint_every: u64,
    /// Number of steps without improvement for early stopping; 0 disables it.
    pub(crate) patience: u64,
}

impl Schedule {
    /// The schedule of a training with `batch` images per step.
    pub(crate) fn new(
        optimiser: &OptimiserConfig,
        schedule: &ScheduleConfig,
        batch: usize,
        patience: u64,
    ) -> Self {
        let ScheduleConfig { budget, warm_up, checkpoint_every } = *schedule;
        let learning_rate = optimiser.learning_rate;
        Self { budget, learning_rate, warm_up, batch, checkpoint_every, patience }
    }

    /// Fraction of the budget used, at least 1 at its end.
    pub(crate) fn fraction(&self, step: u64, seconds: f64) -> f64 {
        match self.budget {
            Budget::Steps(all) => step as f64 / all as f64,
            Budget::Minutes(all) => seconds / (all * 60.0),
        }
    }

    /// Remaining seconds of the budget, at the given seconds per step.
    pub(crate) fn seconds_left(&self, step: u64, seconds: f64, seconds_per_step: f64) -> f64 {
        match self.budget {
            Budget::Steps(all) => all.saturating_sub(step) as f64 * seconds_per_step,
            Budget::Minutes(all) => (all * 60.0 - seconds).max(0.0),
        }
    }

    /// Learning rate of a step: linear warm-up, then a cosine down to a fiftieth.
    pub(crate) fn rate(&self, step: u64, fraction: f64) -> f64 {
        let warm = ((step + 1) as f64 / self.warm_up.max(1) as f64).min(1.0);
        let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * fraction.min(1.0)));
        self.learning_rate * (warm * (0.98 * cosine + 0.02))
    }
}
