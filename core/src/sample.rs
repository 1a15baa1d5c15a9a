//! Sampling of pixels in proportion to their information.

mod apart;
mod ratio;
mod tournament;

pub use apart::{sample_spaced, sample_spaced_scratch_len};
pub use ratio::{TierRatios, clear_margin, tier_weight_map};
pub use tournament::Tournament;

use crate::{Plane, PlaneMut, Real, Rng};
use thiserror::Error;

/// Sampling weight as a function of entropy (method of IGU-Aug, "sampling ratio").
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weighting<T> {
    /// `H^alpha`: 0 is uniform (also where the entropy is 0).
    Exponential {
        /// Exponent, at least 0.
        alpha: T,
    },
    /// 1 where `H >= threshold`, 0 elsewhere.
    Piecewise {
        /// Minimum entropy that is sampled, in nats.
        threshold: T,
    },
}

/// Errors of sampling.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The parameter of the weighting is unusable.
    #[error("weighting parameter {value}: it has to be finite, and an exponent at least 0")]
    Parameter {
        /// The rejected value.
        value: f64,
    },
    /// An entropy or a weight is negative, NaN or infinite.
    #[error("the value {value} at column {x}, row {y} is not a finite number of at least 0")]
    Value {
        /// The rejected value.
        value: f64,
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
    },
    /// The fractions of the tiers are unusable.
    #[error("shares {low}, {medium} and {high}: they have to be finite, at least 0, and one above 0")]
    Ratios {
        /// Fraction of the low tier.
        low: f64,
        /// Fraction of the medium tier.
        medium: f64,
        /// Fraction of the high tier.
        high: f64,
    },
    /// The minimum distance is unusable.
    #[error("the least distance {value}: it has to be finite and at least 0")]
    Distance {
        /// The rejected value.
        value: f64,
    },
    /// The margin is unusable.
    #[error("the margin {value}: a share has to be from 0 to 1")]
    Margin {
        /// The rejected value.
        value: f64,
    },
    /// The output's size differs from that of the entropy or tier map.
    #[error("the output has {out_width} x {out_height} pixels, the map {width} x {height}")]
    Size {
        /// Width of the map.
        width: usize,
        /// Height of the map.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
    /// All weights are 0.
    #[error("no pixel has a weight above 0: lower the threshold or the margin")]
    Empty,
    /// The sum of the weights is infinite.
    #[error("the sum of the weights is not finite: scale them down")]
    Overflow,
    /// Too little scratch.
    #[error("the scratch or buffer of cumulative weights has {len} elements and needs {needed}")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Sampling weight of every pixel of an entropy map.
///
/// # Errors
/// When the sizes differ, the parameter is unusable, or an entropy is negative or not finite; the
/// rows above it have been written by then.
pub fn weight_map<T: Real>(
    entropy: Plane<'_, T>,
    weighting: Weighting<T>,
    mut out: PlaneMut<'_, T>,
) -> Result<(), SampleError> {
    let (parameter, least) = match weighting {
        Weighting::Exponential { alpha } => (alpha, T::zero()),
        Weighting::Piecewise { threshold } => (threshold, T::neg_infinity()),
    };
    if !parameter.is_finite() || parameter < least {
        return Err(SampleError::Parameter { value: parameter.as_f64() });
    }
    check_size(entropy, &out)?;
    for (y, row) in entropy.rows().enumerate() {
        check_row(row, y)?;
        for (weight, &h) in out.row_mut(y).iter_mut().zip(row) {
            *weight = match weighting {
                Weighting::Exponential { alpha } => h.pow(alpha),
                Weighting::Piecewise { threshold } if h >= threshold => T::one(),
                Weighting::Piecewise { .. } => T::zero(),
            };
        }
    }
    Ok(())
}

fn check_size<T, U>(map: Plane<'_, T>, out: &PlaneMut<'_, U>) -> Result<(), SampleError> {
    let (width, height, out_width, out_height) = (map.width(), map.height(), out.width(), out.height());
    if (width, height) == (out_width, out_height) {
        return Ok(());
    }
    Err(SampleError::Size { width, height, out_width, out_height })
}

fn check_row<T: Real>(row: &[T], y: usize) -> Result<(), SampleError> {
    match row.iter().position(|v| !(v.is_finite() && *v >= T::zero())) {
        None => Ok(()),
        Some(x) => Err(SampleError::Value { value: row[x].as_f64(), x, y }),
    }
}

/// Sampler of pixels, exactly in proportion to their weights.
#[derive(Clone, Copy, Debug)]
pub struct Sampler<'a> {
    cumulative: &'a [f64],
    width: usize,
    total: f64,
    last: usize,
}

impl<'a> Sampler<'a> {
    /// A sampler over a map of weights; `cumulative` holds the cumulative sums, at least one element per
    /// pixel.
    ///
    /// # Errors
    /// When a weight is negative or not finite, none is above 0, or `cumulative` is too short.
    pub fn new<T: Real>(weights: Plane<'_, T>, cumulative: &'a mut [f64]) -> Result<Self, SampleError> {
        if weights.is_empty() {
            return Err(SampleError::Empty);
        }
        let width = weights.width();
        let (len, needed) = (cumulative.len(), width * weights.height());
        let Some(cumulative) = cumulative.get_mut(..needed) else {
            return Err(SampleError::Scratch { len, needed });
        };
        let (mut total, mut last) = (0.0, None);
        for (y, (sums, row)) in cumulative.chunks_exact_mut(width).zip(weights.rows()).enumerate() {
            check_row(row, y)?;
            for (x, (sum, weight)) in sums.iter_mut().zip(row).enumerate() {
                let next = total + weight.as_f64();
                if next > total {
                    last = Some(y * width + x);
                }
                total = next;
                *sum = total;
            }
        }
        if !total.is_finite() {
            return Err(SampleError::Overflow);
        }
        match last {
            None => Err(SampleError::Empty),
            Some(last) => Ok(Self { cumulative, width, total, last }),
        }
    }

    /// The sum of the weights.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Samples a pixel as `(column, row)`, never one of weight 0. Consumes two words of the stream.
    pub fn draw(&self, rng: &mut Rng) -> (usize, usize) {
        let target = rng.uniform::<f64>() * self.total;
        let index = self.cumulative.partition_point(|&sum| sum <= target).min(self.last);
        (index % self.width, index / self.width)
    }
}
