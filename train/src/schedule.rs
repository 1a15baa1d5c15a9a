//! Budget, learning rate and the times of checkpoints.

use crate::{Budget, OptimiserConfig, ScheduleConfig};

/// When a training ends, how fast it learns meanwhile, and when it saves checkpoints.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) budget: Budget,
    /// Largest learning rate.
    pub(crate) learning_rate: f64,
    /// Steps of linear warm-up.
    pub(crate) warm_up: u64,
    /// Images of a step.
    pub(crate) batch: usize,
    /// Steps between checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Steps without improvement after which the training stops early; 0 never stops.
    pub(crate) patience: u64,
}

impl Schedule {
    /// That of a training with so many images in a step.
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

    /// Fraction of the budget that is used, 1 and more at its end.
    pub(crate) fn fraction(&self, step: u64, seconds: f64) -> f64 {
        match self.budget {
            Budget::Steps(all) => step as f64 / all as f64,
            Budget::Minutes(all) => seconds / (all * 60.0),
        }
    }

    /// Seconds until the budget is used, at so many seconds a step.
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
