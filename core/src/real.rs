//! Sealed trait of floating-point types.

use core::fmt::{Debug, Display};
use core::ops::{AddAssign, DivAssign, MulAssign, SubAssign};
use num_traits::float::FloatCore;

/// Floating-point type, `f32` or `f64`, with elementary functions computed by `libm`.
///
/// The platform's own functions differ between systems in the last bit; `libm` does not, so that a
/// seed gives the same bits everywhere. The trait is sealed.
pub trait Real:
    FloatCore
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + sealed::Sealed
{
    /// Converts from `f64`, rounding to nearest.
    fn from_f64(value: f64) -> Self;
    /// Converts to `f64`, exactly.
    fn as_f64(self) -> f64;
    /// Converts from an integer, rounding to nearest.
    fn from_usize(value: usize) -> Self;
    /// The largest integer not above `self`; saturates, NaN gives 0.
    fn floor_to_i64(self) -> i64;
    /// A number in `[0, 1)` from the top bits of a random word: 24 bits for `f32`, 53 for `f64`.
    fn unit_from_bits(bits: u64) -> Self;
    /// Exponential, e to the power of `self`.
    fn exp(self) -> Self;
    /// Natural logarithm; NaN below 0, minus infinity at 0.
    fn ln(self) -> Self;
    /// Square root; NaN below 0.
    fn sqrt(self) -> Self;
    /// Sine of an angle in radians.
    fn sin(self) -> Self;
    /// Cosine of an angle in radians.
    fn cos(self) -> Self;
    /// `self` to the power of `exponent`; `0^0` is 1.
    fn pow(self, exponent: Self) -> Self;
    /// Length of the vector `(self, other)`.
    fn hypot(self, other: Self) -> Self;
}

macro_rules! real {
    ($t:ty, $bits:literal, $exp:ident, $ln:ident, $sqrt:ident, $sin:ident, $cos:ident, $pow:ident, $hypot:ident) => {
        impl sealed::Sealed for $t {}

        impl Real for $t {
            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            #[inline]
            fn as_f64(self) -> f64 {
                self as f64
            }
            #[inline]
            fn from_usize(value: usize) -> Self {
                value as $t
            }
            #[inline]
            fn floor_to_i64(self) -> i64 {
                let cut = self as i64;
                if (cut as $t) > self { cut.saturating_sub(1) } else { cut }
            }
            #[inline]
            fn unit_from_bits(bits: u64) -> Self {
                const SCALE: $t = 1.0 / (1u64 << $bits) as $t;
                (bits >> (64 - $bits)) as $t * SCALE
            }
            #[inline]
            fn exp(self) -> Self {
                libm::$exp(self)
            }
            #[inline]
            fn ln(self) -> Self {
                libm::$ln(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                libm::$sqrt(self)
            }
            #[inline]
            fn sin(self) -> Self {
                libm::$sin(self)
            }
            #[inline]
            fn cos(self) -> Self {
                libm::$cos(self)
            }
            #[inline]
            fn pow(self, exponent: Self) -> Self {
                libm::$pow(self, exponent)
            }
            #[inline]
            fn hypot(self, other: Self) -> Self {
                libm::$hypot(self, other)
            }
        }
    };
}

real!(f32, 24, expf, logf, sqrtf, sinf, cosf, powf, hypotf);
real!(f64, 53, exp, log, sqrt, sin, cos, pow, hypot);

mod sealed {
    pub trait Sealed {}
}
