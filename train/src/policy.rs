//! Augmentation intensity of each tier.

use infomark_core::{AugmentError, IntensityRange, TierPolicy};
use serde::{Deserialize, Serialize};

/// Ranges of the factors for pixels of one tier: `[lowest, highest]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    /// Brightness factor.
    pub brightness: [f32; 2],
    /// Contrast factor about the mean.
    pub contrast: [f32; 2],
}

/// Ranges for pixels of low, medium and high entropy: the tables `low`, `medium` and `high` of a policy file (TOML);
/// others are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Ranges for pixels of low entropy.
    pub low: Ranges,
    /// Ranges for pixels of medium entropy.
    pub medium: Ranges,
    /// Ranges for pixels of high entropy.
    pub high: Ranges,
}

impl Policy {
    /// The policy with gamma exponents between `exp(-gamma)` and `exp(gamma)`.
    ///
    /// # Errors
    /// When a range is not finite, negative or not in order.
    pub fn tiers(&self, gamma: f32) -> Result<TierPolicy<f32>, AugmentError> {
        let range = |ranges: Ranges| {
            IntensityRange::new(
                ranges.brightness.into(),
                ranges.contrast.into(),
                ((-gamma).exp(), gamma.exp()),
            )
        };
        TierPolicy::new(range(self.low)?, range(self.medium)?, range(self.high)?)
    }
}
