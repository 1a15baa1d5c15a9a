//! Options of self-training, and their defaults.

use serde::Serialize;

use crate::landmark::LandmarkConfig;
use crate::landmark::pseudo::Limits;
use crate::options::{named_options, option_group};
use crate::{Budget, ConfigError};

/// How much longer the last round is than each before.
const LAST: f64 = 2.0;

/// Options of self-training. [`SelfTrainConfig::default`] is what `infomark self-train` runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelfTrainConfig {
    /// Options of the network; its budget is that of all rounds together.
    pub network: LandmarkConfig,
    /// Networks that are trained, each from the encoder: the last one is the result, those before say which labels to believe.
    pub rounds: usize,
    /// Whether a single template is refined with the unlabelled images before it is matched to them
    /// ([`Template::refined`](infomark_infer::Template::refined)); several gain nothing by it.
    pub refine: bool,
    /// Largest cycle-consistency error of a label that is learnt, in pixels of the model input; with several templates the
    /// median counts.
    pub max_cycle_error: f64,
    /// How unusual a score, or a place beside the image's other landmarks, may be: multiples of the median over the images.
    pub outlier: f64,
    /// Largest distance between network and matching of a label that is learnt, in pixels of the model input.
    pub max_disagreement: f64,
}

option_group!(SelfTrainConfig { network, rounds, refine, max_cycle_error, outlier, max_disagreement });

named_options!(SelfTrainConfig {
    renamed: [("match_back", "max_cycle_error"), ("agreement", "max_disagreement")],
    dropped: [],
    nested: network of LandmarkConfig
});

impl Default for SelfTrainConfig {
    fn default() -> Self {
        let network = LandmarkConfig::default().with(|o| o.schedule.budget = Budget::Minutes(60.0));
        Self { network, rounds: 2, refine: true, max_cycle_error: 10.0, outlier: 3.5, max_disagreement: 10.0 }
    }
}

impl SelfTrainConfig {
    /// Refuses what can't be trained with, naming the option.
    ///
    /// # Errors
    /// [`ConfigError::Option`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.network.check()?;
        if !(1..=16).contains(&self.rounds) {
            return Err(ConfigError::Option { option: "rounds", needs: "1 to 16" });
        }
        for (option, value) in [
            ("max_cycle_error", self.max_cycle_error),
            ("outlier", self.outlier),
            ("max_disagreement", self.max_disagreement),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ConfigError::Option { option, needs: "a finite number above 0" });
            }
        }
        Ok(())
    }

    pub(super) fn limits(&self) -> Limits {
        let Self { max_cycle_error, outlier, max_disagreement, .. } = *self;
        Limits { max_cycle_error, outlier, max_disagreement }
    }

    /// The options of a round's network.
    pub(super) fn of_round(&self, round: usize) -> LandmarkConfig {
        let all = (self.rounds - 1) as f64 + LAST;
        let share = if round + 1 == self.rounds { LAST / all } else { 1.0 / all };
        let budget = match self.network.schedule.budget {
            Budget::Steps(steps) => Budget::Steps(((steps as f64 * share).round() as u64).max(1)),
            Budget::Minutes(minutes) => Budget::Minutes(minutes * share),
        };
        // Each starts from other random weights of its own, so that networks do not share their errors.
        self.network.clone().with(|o| {
            o.schedule.budget = budget;
            o.seed = self.network.seed.wrapping_add(round as u64);
        })
    }
}
