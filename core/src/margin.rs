//! Margins along the border of an image.

use crate::Real;

/// Distance from the border.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin<T> {
    /// Width of the margin in pixels, on each side.
    Pixels(usize),
    /// Fraction of the width on the left and on the right, and of the height above and below,
    /// rounded down to whole pixels; 0 to 1.
    Fraction(T),
}

impl<T: Real> Margin<T> {
    /// The margin at each end of a row or column of `size` pixels; `None` when the fraction is not
    /// from 0 to 1.
    pub fn pixels(self, size: usize) -> Option<usize> {
        match self {
            Self::Pixels(pixels) => Some(pixels),
            Self::Fraction(share) if share >= T::zero() && share <= T::one() => {
                Some((share.as_f64() * size as f64) as usize)
            }
            Self::Fraction(_) => None,
        }
    }

    /// The margin as it was given.
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Pixels(pixels) => pixels as f64,
            Self::Fraction(share) => share.as_f64(),
        }
    }
}
