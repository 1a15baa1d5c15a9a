//! How strongly the views of each tier differ.

use super::{AugmentError, IntensityJitter, mix};
use crate::{Real, Rng, Tier};

/// Ranges that the factors of a [`IntensityJitter`] are drawn from: `(low, high)` of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityRange<T> {
    /// Range of the brightness factor.
    pub brightness: (T, T),
    /// Range of the contrast factor.
    pub contrast: (T, T),
    /// Range of the gamma exponent.
    pub gamma: (T, T),
}

/// Checks a range that starts at 0 or, when `open`, above.
fn check_range<T: Real>(name: &'static str, (low, high): (T, T), open: bool) -> Result<(), AugmentError> {
    let good = if open { low > T::zero() } else { low >= T::zero() };
    if good && low <= high && high.is_finite() {
        return Ok(());
    }
    let least = if open { "above 0" } else { "at least 0" };
    Err(AugmentError::Range { name, low: low.as_f64(), high: high.as_f64(), least })
}

impl<T: Real> IntensityRange<T> {
    /// A range for each factor.
    ///
    /// # Errors
    /// When an end is not finite or negative (for gamma: not above 0), or the ends are not in order.
    pub fn new(brightness: (T, T), contrast: (T, T), gamma: (T, T)) -> Result<Self, AugmentError> {
        let range = Self { brightness, contrast, gamma };
        range.check()?;
        Ok(range)
    }

    /// Checks the ranges as [`new`](Self::new) does; for those made from their fields.
    ///
    /// # Errors
    /// When an end is not finite or negative (for gamma: not above 0), or the ends are not in order.
    pub fn check(&self) -> Result<(), AugmentError> {
        check_range("brightness", self.brightness, false)?;
        check_range("contrast", self.contrast, false)?;
        check_range("gamma", self.gamma, true)
    }

    /// The range whose ends are `part` of the way from those of this one to those of `other`.
    fn toward(&self, other: &Self, part: T) -> Self {
        let between = |a: (T, T), b: (T, T)| (mix(a.0, b.0, part), mix(a.1, b.1, part));
        Self {
            brightness: between(self.brightness, other.brightness),
            contrast: between(self.contrast, other.contrast),
            gamma: between(self.gamma, other.gamma),
        }
    }

    /// The range that holds only the identity.
    pub fn identity() -> Self {
        let one = (T::one(), T::one());
        Self { brightness: one, contrast: one, gamma: one }
    }

    /// A tone whose factors are uniform in their ranges. Takes six words of the stream.
    pub fn draw(&self, rng: &mut Rng) -> IntensityJitter<T> {
        IntensityJitter {
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
    /// A range for each tier.
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

/// Intensities that change with the entropy without steps: the ranges of a [`TierPolicy`] hold at the
/// centres of the tiers; between, their ends are interpolated linearly; beyond, they are constant.
///
/// ```
/// use infomark_core::{IntensityCurve, Tier, TierPolicy};
/// let policy = TierPolicy::<f64>::published();
/// let curve = IntensityCurve::new(policy, [2.0, 4.0, 5.0])?;
/// assert_eq!(curve.range(5.5), policy.range(Tier::High));
/// let between = curve.range(4.5).brightness.1;
/// assert!((between - (1.997 + 1.612) / 2.0).abs() < 1e-12);
/// # Ok::<(), infomark_core::AugmentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityCurve<T> {
    policy: TierPolicy<T>,
    centres: [T; 3],
}

impl<T: Real> IntensityCurve<T> {
    /// A curve through the ranges of a policy at three entropies, in nats: those of the low, medium and
    /// high tier, for example their medians in the training images.
    ///
    /// # Errors
    /// When a range is unusable, or the centres are not finite and ascending.
    pub fn new(policy: TierPolicy<T>, centres: [T; 3]) -> Result<Self, AugmentError> {
        let policy = TierPolicy::new(policy.low, policy.medium, policy.high)?;
        let [low, medium, high] = centres;
        // A difference that overflows would make parts NaN.
        if low < medium && medium < high && (high - low).is_finite() {
            Ok(Self { policy, centres })
        } else {
            Err(AugmentError::Centres { centres: centres.map(T::as_f64) })
        }
    }

    /// The range for an entropy in nats; that of the low tier for NaN.
    pub fn range(&self, entropy: T) -> IntensityRange<T> {
        let (policy, [low, medium, high]) = (&self.policy, self.centres);
        if entropy >= high {
            policy.high
        } else if entropy >= medium {
            policy.medium.toward(&policy.high, (entropy - medium) / (high - medium))
        } else if entropy > low {
            policy.low.toward(&policy.medium, (entropy - low) / (medium - low))
        } else {
            policy.low
        }
    }
}

/// Ranges that the strengths of noise and blur are drawn from: `(low, high)` of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DisturbanceRange<T> {
    /// Range of the noise's standard deviation; 1 is the difference of black and white.
    pub noise: (T, T),
    /// Range of the blur's standard deviation in pixels.
    pub blur_px: (T, T),
}

/// Strengths of noise and blur, for [`Noise::new`](super::Noise::new) and [`blur`](super::blur()).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disturbance<T> {
    /// Standard deviation of the noise; 1 is the difference of black and white.
    pub noise: T,
    /// Standard deviation of the blur in pixels.
    pub blur_px: T,
}

impl<T: Real> DisturbanceRange<T> {
    /// A range for each strength.
    ///
    /// # Errors
    /// When an end is negative or not finite, or the ends are not in order.
    pub fn new(noise: (T, T), blur_px: (T, T)) -> Result<Self, AugmentError> {
        check_range("noise", noise, false)?;
        check_range("blur", blur_px, false)?;
        Ok(Self { noise, blur_px })
    }

    /// Strengths that are uniform in their ranges. Takes four words of the stream.
    pub fn draw(&self, rng: &mut Rng) -> Disturbance<T> {
        Disturbance {
            noise: rng.uniform_in(self.noise.0, self.noise.1),
            blur_px: rng.uniform_in(self.blur_px.0, self.blur_px.1),
        }
    }
}
