//! Affine maps.

use super::AugmentError;
use crate::{Point, Real};

/// Affine map between a view and its source: rotation, scaling, shear, translation, flip.
///
/// The matrix maps points of the view to points of the source, in pixels ([`pull`](Self::pull));
/// its inverse is computed once, in `f64` ([`push`](Self::push)). All constructors use this
/// direction: [`scaling`](Self::scaling) by 2 shows twice as much of the source, at half the size.
///
/// ```
/// use infomark_core::{Affine, Point};
/// // A view, mirrored, of a view that starts at column 5 of the source and is 4 pixels wide.
/// let map = Affine::translation(5.0, 0.0)?.then(&Affine::flip_horizontal(4))?;
/// assert_eq!(map.pull(Point::new(0.0, 1.0)), Point::new(8.0, 1.0));
/// assert_eq!(map.push(Point::new(8.0, 1.0)), Point::new(0.0, 1.0));
/// # Ok::<(), infomark_core::AugmentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine<T> {
    pull: [[T; 3]; 2],
    push: [[T; 3]; 2],
}

#[inline(always)]
fn image<T: Real>([[a, b, c], [d, e, f]]: [[T; 3]; 2], p: Point<T>) -> Point<T> {
    Point::new(a * p.x + (b * p.y + c), d * p.x + (e * p.y + f))
}

impl<T: Real> Affine<T> {
    /// The map `x' = a x + b y + c`, `y' = d x + e y + f` from the view to the source, from
    /// `[[a, b, c], [d, e, f]]`.
    ///
    /// # Errors
    /// When an element of the matrix or of its inverse is not finite: the map has to be invertible.
    pub fn new(matrix: [[T; 3]; 2]) -> Result<Self, AugmentError> {
        let [[a, b, c], [d, e, f]] = matrix.map(|row| row.map(T::as_f64));
        let determinant = a * e - b * d;
        let [[a, b], [d, e]] = [[e, -b], [-d, a]].map(|row| row.map(|v| v / determinant));
        // Adding 0 makes zeros positive.
        let push =
            [[a, b, -(a * c + b * f) + 0.0], [d, e, -(d * c + e * f) + 0.0]].map(|row| row.map(T::from_f64));
        if matrix.iter().chain(&push).flatten().all(|v| v.is_finite()) {
            Ok(Self { pull: matrix, push })
        } else {
            Err(AugmentError::Singular { determinant })
        }
    }

    /// The identity.
    pub fn identity() -> Self {
        let (zero, one) = (T::zero(), T::one());
        let matrix = [[one, zero, zero], [zero, one, zero]];
        Self { pull: matrix, push: matrix }
    }

    /// Translation: the view's origin lies at `(x, y)` of the source.
    ///
    /// # Errors
    /// When a number is not finite.
    pub fn translation(x: T, y: T) -> Result<Self, AugmentError> {
        let (zero, one) = (T::zero(), T::one());
        Self::new([[one, zero, x], [zero, one, y]])
    }

    /// Rotation about the origin, from x to y: the view's x axis points clockwise of the source's, on screen.
    ///
    /// # Errors
    /// When the angle is not finite.
    pub fn rotation(angle_rad: T) -> Result<Self, AugmentError> {
        let (sin, cos, zero) = (angle_rad.sin(), angle_rad.cos(), T::zero());
        Self::new([[cos, -sin, zero], [sin, cos, zero]])
    }

    /// Scaling: `x` and `y` source pixels per view pixel; a negative factor mirrors.
    ///
    /// # Errors
    /// When one is 0, or it or its reciprocal is not finite.
    pub fn scaling(x: T, y: T) -> Result<Self, AugmentError> {
        let zero = T::zero();
        Self::new([[x, zero, zero], [zero, y, zero]])
    }

    /// Shear: one pixel down the view is `x` pixels to the right in the source, one to the right is `y` down.
    ///
    /// # Errors
    /// When a number is not finite, or `x * y` is 1.
    pub fn shear(x: T, y: T) -> Result<Self, AugmentError> {
        let (zero, one) = (T::zero(), T::one());
        Self::new([[one, x, zero], [y, one, zero]])
    }

    /// Horizontal flip of an image `width` pixels wide; its own inverse.
    pub fn flip_horizontal(width: usize) -> Self {
        let (zero, one, last) = (T::zero(), T::one(), T::from_usize(width.saturating_sub(1)));
        let matrix = [[-one, zero, last], [zero, one, zero]];
        Self { pull: matrix, push: matrix }
    }

    /// Vertical flip of an image `height` pixels high; its own inverse.
    pub fn flip_vertical(height: usize) -> Self {
        let (zero, one, last) = (T::zero(), T::one(), T::from_usize(height.saturating_sub(1)));
        let matrix = [[one, zero, zero], [zero, -one, last]];
        Self { pull: matrix, push: matrix }
    }

    /// The same linear map about `centre` instead of the origin: a map that fixes the origin then fixes `centre`.
    ///
    /// # Errors
    /// When the result is not finite.
    pub fn around(&self, centre: Point<T>) -> Result<Self, AugmentError> {
        let back = Self::translation(-centre.x, -centre.y)?;
        Self::translation(centre.x, centre.y)?.then(self)?.then(&back)
    }

    /// Composition: the view `next` of the view `self`; pulls through `next` first, then through `self`.
    ///
    /// # Errors
    /// When the product is not invertible in floating point.
    pub fn then(&self, next: &Self) -> Result<Self, AugmentError> {
        let [first, second] = [self.pull, next.pull].map(|m| m.map(|row| row.map(T::as_f64)));
        Self::new(first.map(|[a, b, c]| {
            let column = |k: usize| a * second[0][k] + b * second[1][k];
            [column(0), column(1), column(2) + c].map(T::from_f64)
        }))
    }

    /// The inverse map.
    pub fn inverse(&self) -> Self {
        Self { pull: self.push, push: self.pull }
    }

    /// The matrix `[[a, b, c], [d, e, f]]` from the view to the source; see [`new`](Self::new).
    pub fn matrix(&self) -> [[T; 3]; 2] {
        self.pull
    }

    /// Maps a point of the view to the source.
    #[inline]
    pub fn pull(&self, view: Point<T>) -> Point<T> {
        image(self.pull, view)
    }

    /// Maps a point of the source to the view.
    #[inline]
    pub fn push(&self, source: Point<T>) -> Point<T> {
        image(self.push, source)
    }
}
