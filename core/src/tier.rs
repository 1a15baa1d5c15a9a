//! Tiers of information: low, medium and high entropy.

use crate::{Plane, PlaneMut, Real};
use thiserror::Error;

/// Tier of the entropy around a pixel.
///
/// Under a trained encoder, pixels of low entropy (background, noise) and of high entropy (edges,
/// corners) have stable features under augmentation; the medium ones are the hard ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Background and noise.
    #[default]
    Low,
    /// Texture.
    Medium,
    /// Edges and corners.
    High,
}

impl Tier {
    /// All tiers, from low to high.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];
}

/// Entropies that separate the tiers: `Low < medium <= Medium < high <= High`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds<T> {
    /// Minimum entropy of the medium tier, in nats.
    pub medium: T,
    /// Minimum entropy of the high tier, in nats.
    pub high: T,
}

/// Errors of thresholds and tier maps.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TierError {
    /// The quantiles are not in `[0, 1]` or not in ascending order.
    #[error("quantiles {medium} and {high}: they have to be in [0, 1] and in ascending order")]
    Quantiles {
        /// Fraction of pixels below the medium tier.
        medium: f64,
        /// Fraction of pixels below the high tier.
        high: f64,
    },
    /// The thresholds are not finite or not in ascending order.
    #[error("thresholds {medium} and {high}: they have to be finite and in ascending order")]
    Order {
        /// Minimum entropy of the medium tier.
        medium: f64,
        /// Minimum entropy of the high tier.
        high: f64,
    },
    /// The entropy map has no pixels.
    #[error("the entropy map has no pixels")]
    Empty,
    /// An entropy is NaN or infinite.
    #[error("the entropy at column {x}, row {y} is not finite")]
    NotFinite {
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}, one for each pixel")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// The output's size differs from that of the entropy map.
    #[error("the output has {out_width} x {out_height} pixels, the entropy map {width} x {height}")]
    Size {
        /// Width of the entropy map.
        width: usize,
        /// Height of the entropy map.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
}

impl<T: Real> Thresholds<T> {
    /// Thresholds in nats.
    ///
    /// # Errors
    /// When one is not finite or `medium > high`.
    pub fn new(medium: T, high: T) -> Result<Self, TierError> {
        if medium.is_finite() && high.is_finite() && medium <= high {
            Ok(Self { medium, high })
        } else {
            Err(TierError::Order { medium: medium.as_f64(), high: high.as_f64() })
        }
    }

    /// Thresholds as quantiles: the fraction `q_medium` of the pixels is below the medium tier and
    /// `q_high` below the high one; linear between neighbours in order.
    ///
    /// `scratch` holds at least one element per pixel.
    ///
    /// # Errors
    /// When the quantiles are not `0 <= q_medium <= q_high <= 1`, the map is empty or has a value that is not
    /// finite, or the scratch is too short.
    pub fn from_quantiles(
        entropy: Plane<'_, T>,
        q_medium: f64,
        q_high: f64,
        scratch: &mut [T],
    ) -> Result<Self, TierError> {
        if !(0.0 <= q_medium && q_medium <= q_high && q_high <= 1.0) {
            return Err(TierError::Quantiles { medium: q_medium, high: q_high });
        }
        if entropy.is_empty() {
            return Err(TierError::Empty);
        }
        let (len, needed) = (scratch.len(), entropy.width() * entropy.height());
        let Some(values) = scratch.get_mut(..needed) else {
            return Err(TierError::Scratch { len, needed });
        };
        for (y, (to, from)) in values.chunks_exact_mut(entropy.width()).zip(entropy.rows()).enumerate() {
            if let Some(x) = from.iter().position(|v| !v.is_finite()) {
                return Err(TierError::NotFinite { x, y });
            }
            to.copy_from_slice(from);
        }
        Self::new(quantile(values, q_medium), quantile(values, q_high))
    }

    /// The tier of an entropy; NaN is low.
    #[inline]
    pub fn tier(&self, entropy: T) -> Tier {
        if entropy >= self.high {
            Tier::High
        } else if entropy >= self.medium {
            Tier::Medium
        } else {
            Tier::Low
        }
    }
}

/// The quantile of finite values, linear between neighbours; reorders them.
pub(crate) fn quantile<T: Real>(values: &mut [T], q: f64) -> T {
    let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(core::cmp::Ordering::Equal);
    let place = q * (values.len() - 1) as f64;
    let index = (place as usize).min(values.len() - 1);
    let (_, &mut low, above) = values.select_nth_unstable_by(index, order);
    let high = above.iter().copied().min_by(order).unwrap_or(low);
    let part = place - index as f64;
    // Exact at both ends and for equal neighbours.
    T::from_f64(low.as_f64() + part * (high.as_f64() - low.as_f64()))
}

/// Computes the tier of every pixel of an entropy map.
///
/// # Errors
/// When the sizes differ.
pub fn tier_map<T: Real>(
    entropy: Plane<'_, T>,
    thresholds: Thresholds<T>,
    mut out: PlaneMut<'_, Tier>,
) -> Result<(), TierError> {
    if (out.width(), out.height()) != (entropy.width(), entropy.height()) {
        return Err(TierError::Size {
            width: entropy.width(),
            height: entropy.height(),
            out_width: out.width(),
            out_height: out.height(),
        });
    }
    for (y, row) in entropy.rows().enumerate() {
        for (tier, &h) in out.row_mut(y).iter_mut().zip(row) {
            *tier = thresholds.tier(h);
        }
    }
    Ok(())
}
