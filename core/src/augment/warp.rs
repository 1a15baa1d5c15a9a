//! Rotated, scaled and shifted views (similarity transforms).

use super::{Affine, AugmentError, View, check_size};
use crate::{Plane, PlaneMut, Point, Real};
use core::ops::Range;

/// View of an image by a similarity transform: rotation, scale and shift.
///
/// `source = centre + scale * R * (view - middle)`, where `middle` is the centre of the view,
/// `((width - 1) / 2, (height - 1) / 2)`, and `R` rotates from x to y: clockwise on
/// screen. The same transform maps pixels and points ([`pull`](Self::pull), [`push`](Self::push)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warp<T> {
    centre: Point<T>,
    middle: Point<T>,
    /// Scale times cosine and sine of the angle.
    turn: Point<T>,
    inverse: Point<T>,
    width: usize,
    height: usize,
}

impl<T: Real> Warp<T> {
    /// A view of `width` by `height` pixels around `centre` of the source.
    ///
    /// `scale` is the number of source pixels per view pixel: above 1 the view covers
    /// more of the source; a negative scale adds half a turn.
    ///
    /// # Errors
    /// When a side or the scale is 0, or a number is not finite.
    pub fn new(
        centre: Point<T>,
        rotation_rad: T,
        scale: T,
        width: usize,
        height: usize,
    ) -> Result<Self, AugmentError> {
        let half = T::from_f64(0.5);
        let (sin, cos) = (rotation_rad.sin(), rotation_rad.cos());
        let warp = Self {
            centre,
            middle: Point::new(
                T::from_usize(width.saturating_sub(1)) * half,
                T::from_usize(height.saturating_sub(1)) * half,
            ),
            turn: Point::new(scale * cos, scale * sin),
            inverse: Point::new(cos / scale, sin / scale),
            width,
            height,
        };
        let finite = centre.is_finite() && warp.turn.is_finite() && warp.inverse.is_finite();
        if finite && width > 0 && height > 0 {
            Ok(warp)
        } else {
            Err(AugmentError::Warp { width, height, scale: scale.as_f64() })
        }
    }

    /// Width of the view in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height of the view in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The same map as a [`View`], which can be composed and takes all pixel types.
    /// The two differ by rounding.
    ///
    /// # Errors
    /// When the view extends more than 2^29 pixels from the source's origin.
    pub fn view(&self) -> Result<View<T>, AugmentError> {
        let zero = T::zero();
        let turn = [[self.turn.x, -self.turn.y, zero], [self.turn.y, self.turn.x, zero]];
        View::around(self.centre, &Affine::new(turn)?, self.width, self.height)
    }

    /// Maps a point of the view to the source; also for points outside the view.
    #[inline]
    pub fn pull(&self, view: Point<T>) -> Point<T> {
        let (x, y) = (view.x - self.middle.x, view.y - self.middle.y);
        Point::new(
            self.centre.x + (x * self.turn.x - y * self.turn.y),
            self.centre.y + (x * self.turn.y + y * self.turn.x),
        )
    }

    /// Maps a point of the source to the view; `None` outside the view's pixels,
    /// `-0.5 <= x < width - 0.5` and the same for y, or if not finite.
    pub fn push(&self, source: Point<T>) -> Option<Point<T>> {
        let (x, y) = (source.x - self.centre.x, source.y - self.centre.y);
        let view = Point::new(
            self.middle.x + (x * self.inverse.x + y * self.inverse.y),
            self.middle.y + (y * self.inverse.x - x * self.inverse.y),
        );
        let half = T::from_f64(0.5);
        let inside = |v: T, size: usize| v >= -half && v < T::from_usize(size) - half;
        (inside(view.x, self.width) && inside(view.y, self.height)).then_some(view)
    }

    /// Bilinear resampling of a source into the view.
    ///
    /// The outer half of a border pixel has the border pixel's value; points outside
    /// the source get `border`. There is no anti-aliasing filter for downscaling.
    ///
    /// # Errors
    /// When `dst` has another size than the view, or the source is empty.
    pub fn resample(
        &self,
        src: Plane<'_, T>,
        mut dst: PlaneMut<'_, T>,
        border: T,
    ) -> Result<(), AugmentError> {
        check_size((self.width, self.height), &dst.as_plane())?;
        if src.is_empty() {
            return Err(AugmentError::Empty);
        }
        for y in 0..self.height {
            let inside = self.inside(y, src.width(), src.height());
            let row = dst.row_mut(y);
            for x in (0..inside.start).chain(inside.end..self.width) {
                row[x] = bilinear(src, self.pixel(x, y)).unwrap_or(border);
            }
            for (x, value) in inside.clone().zip(&mut row[inside]) {
                *value = inner_bilinear(src, self.pixel(x, y));
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn pixel(&self, x: usize, y: usize) -> Point<T> {
        self.pull(Point::new(number(x), number(y)))
    }

    /// The pixels of a row of the view that have four source neighbours.
    ///
    /// Coordinates are monotonic along a row, rounding included: each condition holds from the
    /// start on, or to the end.
    fn inside(&self, y: usize, src_width: usize, src_height: usize) -> Range<usize> {
        let (first, last) = (self.pixel(0, y), self.pixel(self.width - 1, y));
        if !(first.is_finite() && last.is_finite()) {
            return 0..0;
        }
        let (right, bottom) = (T::from_usize(src_width - 1), T::from_usize(src_height - 1));
        let conditions: [&dyn Fn(Point<T>) -> bool; 4] =
            [&|p| p.x >= T::zero(), &|p| p.x < right, &|p| p.y >= T::zero(), &|p| p.y < bottom];
        let mut range = 0..self.width;
        for holds in conditions {
            let (start, end) = (holds(first), holds(last));
            if start && end {
                continue;
            }
            if !start && !end {
                return 0..0;
            }
            let (mut low, mut high) = (0, self.width - 1);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if holds(self.pixel(middle, y)) == start { low = middle } else { high = middle }
            }
            if start { range.end = range.end.min(high) } else { range.start = range.start.max(high) }
        }
        if range.start < range.end { range } else { 0..0 }
    }
}

/// An index as a float: converting from signed integers is faster.
#[inline(always)]
fn number<T: Real>(index: usize) -> T {
    T::from(index as i64).unwrap_or(T::infinity())
}

/// [`bilinear`] where all four neighbours exist.
#[inline(always)]
fn inner_bilinear<T: Real>(src: Plane<'_, T>, at: Point<T>) -> T {
    let (data, stride) = src.raw();
    let cut = |v: T| v.to_i64().unwrap_or(0) as usize;
    let (left, top) = (cut(at.x), cut(at.y));
    let (part_x, part_y) = (at.x - number(left), at.y - number(top));
    let start = top * stride + left;
    let Some(block) = data.get(start..start + stride + 2) else {
        return T::zero();
    };
    let (above, below) = block.split_at(stride);
    let (Some(&[a, b]), Some(&[c, d])) = (above.first_chunk(), below.first_chunk()) else {
        return T::zero();
    };
    mix(mix(a, b, part_x), mix(c, d, part_x), part_y)
}

/// Bilinear interpolation at a point; `None` outside the image.
#[inline]
fn bilinear<T: Real>(src: Plane<'_, T>, at: Point<T>) -> Option<T> {
    let (left, right, part_x) = neighbours(at.x, src.width())?;
    let (top, bottom, part_y) = neighbours(at.y, src.height())?;
    let (top, bottom) = (src.row(top), src.row(bottom));
    let above = mix(top[left], top[right], part_x);
    let below = mix(bottom[left], bottom[right], part_x);
    Some(mix(above, below, part_y))
}

#[inline]
pub(crate) fn mix<T: Real>(a: T, b: T, part: T) -> T {
    a + (b - a) * part
}

/// The neighbouring pixels of a coordinate, and the fraction between them.
#[inline]
fn neighbours<T: Real>(v: T, size: usize) -> Option<(usize, usize, T)> {
    let half = T::from_f64(0.5);
    let last = T::from_usize(size - 1);
    if !(v >= -half && v < last + half) {
        return None;
    }
    Some(clamped_neighbours(v, size))
}

/// As [`neighbours`], with coordinates clamped to the image.
#[inline]
pub(crate) fn clamped_neighbours<T: Real>(v: T, size: usize) -> (usize, usize, T) {
    let v = v.max(T::zero()).min(T::from_usize(size - 1));
    let low = v.floor_to_i64() as usize;
    (low, (low + 1).min(size - 1), v - T::from_usize(low))
}
