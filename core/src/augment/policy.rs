//! How strongly the views of each tier differ.

use super::{AugmentError, Tone};
use crate::{Real, Rng, Tier};

/// Ranges that the factors of a [`Tone`] are drawn from: `(low, high)` of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityRange<T> {
    /// Range of the brightness factor.
    pub brightness: (T, T),
    /// Range of the contrast factor.
    pub contrast: (T, T),
    /// Range of the gamma exponent.
    pub gamma: (T, T),
}

impl<T: Real> IntensityRange<T> {
    /// A range for each factor.
    ///
    /// # Errors
    /// When an end is not finite or negative (for gamma: not above 0), or the ends are not in order.
    pub fn new(brightness: (T, T), contrast: (T, T), gamma: (T, T)) -> Result<Self, AugmentError> {
        let zero = T::zero();
        for (name, (low, high), good, least) in [
            ("brightness", brightness, brightness.0 >= zero, "at least 0"),
            ("contrast", contrast, contrast.0 >= zero, "at least 0"),
            ("gamma", gamma, gamma.0 > zero, "above 0"),
        ] {
            if !(good && low <= high && high.is_finite()) {
                return Err(AugmentError::Range { name, low: low.as_f64(), high: high.as_f64(), least });
            }
        }
        Ok(Self { brightness, contrast, gamma })
    }

    /// The range that holds only the identity.
    pub fn identity() -> Self {
        let one = (T::one(), T::one());
        Self { brightness: one, contrast: one, gamma: one }
    }

    /// A tone whose factors are uniform in their ranges. Takes six words of the stream.
    pub fn draw(&self, rng: &mut Rng) -> Tone<T> {
        Tone {
            brightness: rng.uniform_in(self.brightness.0, self.brightness.1),
            contrast: rng.uniform_in(self.contrast.0, self.contrast.1),
            gamma: rng.uniform_in(self.gamma.0, self.gamma.1),
        }
    }
}

/// The intensities of augmentation for the three tiers: weak where there is much information,
/// strong where there is less.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierPolicy<T> {
    /// For pixels of low entropy.
    pub low: IntensityRange<T>,
    /// For pixels of medium entropy.
    pub medium: IntensityRange<T>,
    /// For pixels of high entropy.
    pub high: IntensityRange<T>,
}

impl<T: Real> TierPolicy<T> {
    /// One range for all tiers.
    pub fn uniform(range: IntensityRange<T>) -> Self {
        Self { low: range, medium: range, high: range }
    }

    /// The ranges found for cephalograms by Quan et al. (IEEE TMI 2025): medium brightness
    /// 0.505 to 1.997 and contrast 0.340 to 2.329, high 0.562 to 1.612 and 0.416 to 1.817, low as
    /// medium, no gamma.
    pub fn published() -> Self {
        let range = |b: (f64, f64), c: (f64, f64)| IntensityRange {
            brightness: (T::from_f64(b.0), T::from_f64(b.1)),
            contrast: (T::from_f64(c.0), T::from_f64(c.1)),
            gamma: (T::one(), T::one()),
        };
        let strong = range((0.505, 1.997), (0.340, 2.329));
        Self { low: strong, medium: strong, high: range((0.562, 1.612), (0.416, 1.817)) }
    }

    /// The range for a tier.
    pub fn range(&self, tier: Tier) -> IntensityRange<T> {
        match tier {
            Tier::Low => self.low,
            Tier::Medium => self.medium,
            Tier::High => self.high,
        }
    }
}
