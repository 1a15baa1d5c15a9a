//! Points and pixel spacing.

use crate::Real;
use thiserror::Error;

/// A position in pixels: the centre of pixel `(0, 0)` is at `(0.0, 0.0)`, x goes right, y down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point<T> {
    /// Column.
    pub x: T,
    /// Row.
    pub y: T,
}

impl<T> Point<T> {
    /// The point `(x, y)`.
    pub const fn new(x: T, y: T) -> Self {
        Self { x, y }
    }
}

impl<T: Real> Point<T> {
    /// Whether both coordinates are finite.
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }

    /// The point in another precision, rounded to nearest.
    pub fn cast<U: Real>(self) -> Point<U> {
        Point::new(U::from_f64(self.x.as_f64()), U::from_f64(self.y.as_f64()))
    }

    /// The point after resizing the image by the factors `scale_x`, `scale_y`
    /// (new size over old): centres map as `x' = (x + 0.5) * scale - 0.5`.
    pub fn resized(self, scale_x: T, scale_y: T) -> Self {
        let half = T::from_f64(0.5);
        Point::new((self.x + half) * scale_x - half, (self.y + half) * scale_y - half)
    }
}

impl Point<f64> {
    /// The point in millimetres from the centre of pixel `(0, 0)`.
    pub fn in_mm(self, spacing: Spacing) -> Self {
        Point::new(self.x * spacing.x, self.y * spacing.y)
    }
}

/// Pixel spacing in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spacing {
    /// Distance of horizontal neighbours, in millimetres.
    pub x: f64,
    /// Distance of vertical neighbours, in millimetres.
    pub y: f64,
}

impl Spacing {
    /// A spacing of `x` by `y` millimetres.
    ///
    /// # Errors
    /// When a side is not finite or not above 0.
    pub fn new(x: f64, y: f64) -> Result<Self, SpacingError> {
        let good = |v: f64| v.is_finite() && v > 0.0;
        if good(x) && good(y) { Ok(Self { x, y }) } else { Err(SpacingError { x, y }) }
    }
}

/// A pixel spacing that is not a finite positive length.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("pixel spacing {x} x {y} mm: both sides have to be finite and above 0")]
pub struct SpacingError {
    /// The rejected width.
    pub x: f64,
    /// The rejected height.
    pub y: f64,
}
