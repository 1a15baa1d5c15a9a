//! How far results may be from the core's, or from its `f64` twin where sums are taken in another order.
//!
//! What is not here has to be equal to the bit: entropies, mutual information, weights of 0 and 1, drawn pixels, views
//! of unchanged contrast and gamma, pushed points, drawn tones, and which cells are highest.

/// Units in the last place of a power: CUDA's `powf` is within 4, the core's within 1.
pub(crate) const POWER_ULPS: u32 = 5;

/// Units in the last place of what a sine, cosine or exponential was multiplied into: CUDA's are within 2 each.
pub(crate) const PLAN_ULPS: u32 = 6;

/// A pixel of a view whose contrast was changed: the mean may round the other way.
pub(crate) const CONTRAST: f64 = 2.4e-7;

/// A pixel of a view whose gamma was changed, for exponents from 1/4 on: the mean's rounding, raised.
pub(crate) const GAMMA: f64 = 1e-6;

/// A loss, relative to its size and 1: products of 32-bit sums over the channels, exponentials within 2 units.
pub(crate) const LOSS: f64 = 2e-5;

/// A gradient, relative to the largest of its level.
pub(crate) const GRADIENT: f64 = 3e-5;

/// A gradient against finite differences of the loss in `f64`, relative to the largest.
pub(crate) const DIFFERENCES: f64 = 1e-4;

/// A similarity, relative to the sum of the products' sizes.
pub(crate) const SIMILARITY: f64 = 4e-6;
