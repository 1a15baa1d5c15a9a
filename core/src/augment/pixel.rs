//! Pixel types of views.

use crate::Real;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Pixel type: `u8`, `u16`, `f32` or `f64`. The trait is sealed.
///
/// White is 255 in `u8`, 65535 in `u16` and 1.0 in floats.
pub trait Pixel: sealed::Sealed + Copy + PartialEq + core::fmt::Debug + Send + Sync + 'static {
    /// Type of the arithmetic: `f64` for `f64`, else `f32`.
    type Work: Real;
    /// The value of white.
    const WHITE: Self;

    /// The unscaled value: 0 to 255 for `u8`.
    fn to_work(self) -> Self::Work;
    /// The nearest pixel value, halves up. Integers are clamped to their range, NaN is 0.
    fn from_work(value: Self::Work) -> Self;
    /// Bilinear interpolation of `[[a, b], [c, d]]`, in rows, at the fractions `right` and `down` in units of 2^-32 pixels.
    #[doc(hidden)]
    fn mix_four(taps: [[Self; 2]; 2], right: u32, down: u32) -> Self;
}

/// A fraction of a pixel in units of 2^-32, as a number in `[0, 1)`; truncated to 24 bits for `f32`.
#[inline(always)]
pub(super) fn part<T: Real>(part: u32) -> T {
    // Conversions from signed integers are faster.
    let (part, unit) = if size_of::<T>() == 4 {
        (T::from((part >> 8) as i32), 1.0 / (1u64 << 24) as f64)
    } else {
        (T::from(i64::from(part)), 1.0 / (1u64 << 32) as f64)
    };
    part.unwrap_or(T::zero()) * T::from_f64(unit)
}

#[inline(always)]
fn mix_real<T: Real>([[a, b], [c, d]]: [[T; 2]; 2], right: u32, down: u32) -> T {
    let (u, v) = (part::<T>(right), part::<T>(down));
    let (above, below) = (a + (b - a) * u, c + (d - c) * u);
    above + (below - above) * v
}

macro_rules! float {
    ($t:ty) => {
        impl Pixel for $t {
            type Work = $t;
            const WHITE: Self = 1.0;

            #[inline(always)]
            fn to_work(self) -> $t {
                self
            }
            #[inline(always)]
            fn from_work(value: $t) -> Self {
                value
            }
            #[inline(always)]
            fn mix_four(taps: [[Self; 2]; 2], right: u32, down: u32) -> Self {
                mix_real(taps, right, down)
            }
        }
    };
}

float!(f32);
float!(f64);

impl Pixel for u8 {
    type Work = f32;
    const WHITE: Self = u8::MAX;

    #[inline(always)]
    fn to_work(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn from_work(value: f32) -> Self {
        (value + 0.5) as u8
    }

    /// Integer arithmetic with fractions of 11 bits: error at most half a grey level, before rounding.
    #[inline(always)]
    fn mix_four([[a, b], [c, d]]: [[Self; 2]; 2], right: u32, down: u32) -> Self {
        const BITS: u32 = 11;
        let (u, v) = ((right >> (32 - BITS)) as i32, (down >> (32 - BITS)) as i32);
        let [a, b, c, d] = [a, b, c, d].map(i32::from);
        let above = (a << BITS) + (b - a) * u;
        let below = (c << BITS) + (d - c) * u;
        (((above << BITS) + (below - above) * v + (1 << (2 * BITS - 1))) >> (2 * BITS)) as u8
    }
}

impl Pixel for u16 {
    type Work = f32;
    const WHITE: Self = u16::MAX;

    #[inline(always)]
    fn to_work(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn from_work(value: f32) -> Self {
        (value + 0.5) as u16
    }

    #[inline(always)]
    fn mix_four(taps: [[Self; 2]; 2], right: u32, down: u32) -> Self {
        Self::from_work(mix_real(taps.map(|row| row.map(f32::from)), right, down))
    }
}
