//! Augmentation intensity of each tier.

use super::{AugmentError, IntensityJitter};
use crate::{Real, Rng, Tier};

/// Ranges of the factors of an [`IntensityJitter`]: `(low, high)` of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityRange<T> {
    /// Range of the brightness factor.
    pub brightness: (T, T),
    /// Range of the contrast factor.
    pub contrast: (T, T),
    /// Range of the gamma exponent.
    pub gamma: (T, T),
}

/// Checks that a range starts at 0 or above, or above 0 when `open`.
fn check_range<T: Real>(name: &'static str, (low, high): (T, T), open: bool) -> Result<(), AugmentError> {
    let good = if open { low > T::zero() } else { low >= T::zero() };
    if good && low <= high && high.is_finite() {
        return Ok(());
    }
    let least = if open { "above 0" } else { "at least 0" };
    Err(AugmentError::Range { name, low: low.as_f64(), high: high.as_f64(), least })
}

impl<T: Real> IntensityRange<T> {
    /// Ranges of the three factors.
    ///
    /// # Errors
    /// When an end is not finite or negative (for gamma: not above 0), or the ends are not in order.
    pub fn new(brightness: (T, T), contrast: (T, T), gamma: (T, T)) -> Result<Self, AugmentError> {
        let range = Self { brightness, contrast, gamma };
        range.check()?;
        Ok(range)
    }

    /// Checks the ranges as [`new`](Self::new) does, for values made from fields.
    ///
    /// # Errors
    /// When an end is not finite or negative (for gamma: not above 0), or the ends are not in order.
    pub fn check(&self) -> Result<(), AugmentError> {
        check_range("brightness", self.brightness, false)?;
        check_range("contrast", self.contrast, false)?;
        check_range("gamma", self.gamma, true)
    }

    /// The range that contains only the identity.
    pub fn identity() -> Self {
        let one = (T::one(), T::one());
        Self { brightness: one, contrast: one, gamma: one }
    }

    /// Random intensity jitter, each factor uniform in its range. Consumes six words of the stream.
    pub fn draw(&self, rng: &mut Rng) -> IntensityJitter<T> {
        IntensityJitter {
            brightness: rng.uniform_in(self.brightness.0, self.brightness.1),
            contrast: rng.uniform_in(self.contrast.0, self.contrast.1),
            gamma: rng.uniform_in(self.gamma.0, self.gamma.1),
        }
    }
}

/// Augmentation intensities of the three tiers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierPolicy<T> {
    /// Range for pixels of low entropy.
    pub low: IntensityRange<T>,
    /// Range for pixels of medium entropy.
    pub medium: IntensityRange<T>,
    /// Range for pixels of high entropy.
    pub high: IntensityRange<T>,
}

impl<T: Real> TierPolicy<T> {
    /// A policy with one range per tier.
    ///
    /// # Errors
    /// When a range is unusable; see [`IntensityRange::new`].
    pub fn new(
        low: IntensityRange<T>,
        medium: IntensityRange<T>,
        high: IntensityRange<T>,
    ) -> Result<Self, AugmentError> {
        for range in [&low, &medium, &high] {
            range.check()?;
        }
        Ok(Self { low, medium, high })
    }

    /// A policy with the same range for all tiers.
    pub fn uniform(range: IntensityRange<T>) -> Self {
        Self { low: range, medium: range, high: range }
    }

    /// The ranges published for cephalograms by Quan et al. (IEEE TMI 2025): medium brightness
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
