//! How strongly views may differ, tier by tier.

use infomark_core::{AugmentError, IntensityRange, TierPolicy};
use serde::{Deserialize, Serialize};

/// Ranges of the factors for pixels of one tier: `[lowest, highest]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranges {
    /// Factor of the intensity.
    pub brightness: [f32; 2],
    /// Factor of the distance from the mean.
    pub contrast: [f32; 2],
}

/// Ranges for pixels of low, medium and high entropy: what a policy file (TOML) holds under `low`, `medium` and `high`,
/// whatever it tells besides.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// For pixels of low entropy.
    pub low: Ranges,
    /// For pixels of medium entropy.
    pub medium: Ranges,
    /// For pixels of high entropy.
    pub high: Ranges,
}

impl Policy {
    /// The policy with exponents of gamma between `exp(-gamma)` and `exp(gamma)`.
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
