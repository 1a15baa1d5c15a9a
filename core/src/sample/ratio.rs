//! Sampling weights by tier, and margins.

use super::{SampleError, check_size};
use crate::{Margin, Plane, PlaneMut, Real, Tier};

/// Fractions of the samples in each tier, `rho` of IGU-Aug; only their ratios matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TierRatios<T> {
    low: T,
    medium: T,
    high: T,
}

impl<T: Real> TierRatios<T> {
    /// Fractions of the low, medium and high tiers.
    ///
    /// # Errors
    /// When one is negative or not finite, or none is above 0.
    pub fn new(low: T, medium: T, high: T) -> Result<Self, SampleError> {
        let good = |v: T| v >= T::zero() && v.is_finite();
        if good(low) && good(medium) && good(high) && low.max(medium).max(high) > T::zero() {
            return Ok(Self { low, medium, high });
        }
        Err(SampleError::Ratios { low: low.as_f64(), medium: medium.as_f64(), high: high.as_f64() })
    }

    /// All samples in one tier.
    pub fn only(tier: Tier) -> Self {
        let share = |of| if of == tier { T::one() } else { T::zero() };
        Self { low: share(Tier::Low), medium: share(Tier::Medium), high: share(Tier::High) }
    }

    /// The fraction of a tier, as it was given.
    pub fn share(&self, tier: Tier) -> T {
        match tier {
            Tier::Low => self.low,
            Tier::Medium => self.medium,
            Tier::High => self.high,
        }
    }
}

/// Sampling weight of every pixel from the fractions of the tiers; returns the number of pixels of each tier,
/// in the order of [`Tier::ALL`].
///
/// The weight is `rho_a / (n_a * r)` for a pixel of tier `a` with `n_a` pixels, where `r` is the sum
/// of the fractions of the non-empty tiers: the weights add up to 1, and the fraction of an empty
/// tier is distributed to the others in proportion to theirs.
///
/// # Errors
/// When the sizes differ, or no tier with a fraction above 0 has a pixel.
///
/// ```
/// use infomark_core::{Plane, PlaneMut, Tier, TierRatios, tier_weight_map};
/// let tiers = [Tier::Low, Tier::Low, Tier::Low, Tier::High];
/// let mut weights = [0.0f64; 4];
/// let ratios = TierRatios::new(0.3, 0.5, 0.3)?;
/// tier_weight_map(Plane::new(&tiers, 2, 2)?, ratios, PlaneMut::new(&mut weights, 2, 2)?)?;
/// // There is no pixel of the medium tier.
/// assert_eq!(weights, [0.5 / 3.0, 0.5 / 3.0, 0.5 / 3.0, 0.5]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn tier_weight_map<T: Real>(
    tiers: Plane<'_, Tier>,
    ratios: TierRatios<T>,
    mut out: PlaneMut<'_, T>,
) -> Result<[usize; 3], SampleError> {
    check_size(tiers, &out)?;
    let mut pixels = [0usize; 3];
    for &tier in tiers.rows().flatten() {
        pixels[tier as usize] += 1;
    }
    let mut shares = Tier::ALL.map(|tier| ratios.share(tier).as_f64());
    for (share, &pixels) in shares.iter_mut().zip(&pixels) {
        if pixels == 0 {
            *share = 0.0;
        }
    }
    let most = shares.into_iter().fold(0.0, f64::max);
    if most == 0.0 {
        return Err(SampleError::Empty);
    }
    // Divided by the largest, so that their sum is finite.
    let [low, medium, high] = shares.map(|share| share / most);
    let sum = low + medium + high;
    let mut weights = [T::zero(); 3];
    for ((weight, share), &pixels) in weights.iter_mut().zip([low, medium, high]).zip(&pixels) {
        if pixels > 0 {
            *weight = T::from_f64(share / sum / pixels as f64);
        }
    }
    for (y, row) in tiers.rows().enumerate() {
        for (weight, &tier) in out.row_mut(y).iter_mut().zip(row) {
            *weight = weights[tier as usize];
        }
    }
    Ok(pixels)
}

/// Sets the weights of the pixels in the margin to 0: those with fewer than the margin's number of
/// pixels between them and the edge of the image. A margin of half the image leaves none.
///
/// # Errors
/// When the margin is a fraction outside 0 to 1.
///
/// ```
/// use infomark_core::{Margin, PlaneMut, clear_margin};
/// let mut weights = [1.0f32; 12];
/// clear_margin(PlaneMut::new(&mut weights, 4, 3)?, Margin::Pixels(1))?;
/// assert_eq!(weights, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn clear_margin<T: Real>(mut weights: PlaneMut<'_, T>, margin: Margin<T>) -> Result<(), SampleError> {
    let (width, height) = (weights.width(), weights.height());
    let (Some(columns), Some(rows)) = (margin.pixels(width), margin.pixels(height)) else {
        return Err(SampleError::Margin { value: margin.as_f64() });
    };
    for y in 0..height {
        let row = weights.row_mut(y);
        if y < rows || height - 1 - y < rows {
            row.fill(T::zero());
        } else {
            let columns = columns.min(width);
            row[..columns].fill(T::zero());
            row[width - columns..].fill(T::zero());
        }
    }
    Ok(())
}
