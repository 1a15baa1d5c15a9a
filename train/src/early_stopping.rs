//! Early stopping on the smoothed loss.

use serde::{Deserialize, Serialize};

/// Number of losses averaged.
const WINDOW: usize = 50;

/// The recent losses and the best mean; part of a checkpoint, so that a resumed training stops at the same step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EarlyStopping {
    recent: Vec<f32>,
    best: Option<f32>,
    best_step: u64,
}

impl EarlyStopping {
    /// Adds the loss of a step. Does nothing without patience.
    pub(crate) fn add(&mut self, step: u64, loss: f32, patience: u64) {
        if patience == 0 {
            return;
        }
        self.recent.push(loss);
        if self.recent.len() > WINDOW {
            self.recent.remove(0);
        }
        let mean = self.recent.iter().sum::<f32>() / self.recent.len() as f32;
        if self.recent.len() == WINDOW && self.best.is_none_or(|best| mean < best) {
            (self.best, self.best_step) = (Some(mean), step);
        }
    }

    /// Whether the mean has not decreased for `patience` steps.
    pub(crate) fn is_over(&self, step: u64, patience: u64) -> bool {
        patience > 0 && self.best.is_some() && step >= self.best_step.saturating_add(patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_mean_has_not_fallen_for_as_long_as_patience_lasts() {
        let mut stopping = EarlyStopping::default();
        let mut over = None;
        for step in 1..400 {
            stopping.add(step, if step < 200 { 500.0 - step as f32 } else { 300.0 + (step % 2) as f32 }, 60);
            if stopping.is_over(step, 60) {
                over.get_or_insert(step);
            }
        }
        // The mean of 50 falls until all of them are past step 200.
        assert!(over.is_some_and(|step| (300..=320).contains(&step)), "{over:?}");
        let mut never = EarlyStopping::default();
        (1..1000).for_each(|step| never.add(step, 1.0, 0));
        assert!(!never.is_over(1000, 0) && never.recent.is_empty());
    }
}
