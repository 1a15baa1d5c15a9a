//! Options of self-training, and their defaults.

use serde::Serialize;

use crate::landmark::LandmarkConfig;
use crate::landmark::pseudo::Limits;
use crate::options::{named_options, option_group};
use crate::{Budget, ConfigError};

/// Length of the last round relative to each earlier one.
const LAST: f64 = 2.0;

/// Options of self-training. [`SelfTrainConfig::default`] is the default of `infomark self-train`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelfTrainConfig {
    /// Options of the network; its budget is the total of all rounds.
    pub network: LandmarkConfig,
    /// Number of rounds, each of which trains a network from the encoder: the last one is the result, earlier ones reject outliers among the labels.
    pub rounds: usize,
    /// Whether a single template is refined with the unlabelled images before matching
    /// ([`Template::refined`](infomark_infer::Template::refined)); several templates gain nothing.
    pub refine: bool,
    /// Largest cycle-consistency error of a label that is learnt, in pixels of the model input; with several templates the
    /// median counts.
    pub max_cycle_error: f64,
    /// Outlier threshold of a score, or of a position relative to the image's other landmarks, in multiples of the median over the images.
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
    /// Rejects invalid options, with the option's name.
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
        // Different random initialisations, so that networks have independent errors.
        self.network.clone().with(|o| {
            o.schedule.budget = budget;
            o.seed = self.network.seed.wrapping_add(round as u64);
        })
    }
}
