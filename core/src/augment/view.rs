//! Views: affine maps with a size.

use super::resample::{
    Bicubic, Bilinear, Border, FARTHEST, Interpolation, Kernel, Nearest, Source, fixed, on_pixel,
};
use super::{Affine, AugmentError, Pixel, check_size};
use crate::{Plane, PlaneMut, Point, Real};

/// View of an image: an [`Affine`] map and a size in pixels.
///
/// [`resample`](Self::resample) maps pixels, [`pull`](Self::pull) and [`push`](Self::push) map
/// points, all by the same affine map.
///
/// ```
/// use infomark_core::{Affine, Border, Interpolation, Plane, PlaneMut, Point, View};
/// let source: Vec<u8> = (0..100).collect();
/// let source = Plane::new(&source, 10, 10)?;
/// // A quarter turn around the middle, and only the upper half of that.
/// let turn = Affine::rotation(core::f64::consts::FRAC_PI_2)?.around(Point::new(4.5, 4.5))?;
/// let view = View::new(turn, 10, 5)?;
/// let mut out = [0u8; 50];
/// view.resample(source, PlaneMut::new(&mut out, 10, 5)?, Interpolation::Bilinear, Border::Clamp)?;
/// assert_eq!(out[..3], [9, 19, 29]);
/// let at = view.push(Point::new(9.0, 1.0)).ok_or("outside")?;
/// assert!((at.x - 1.0).abs() < 1e-9 && at.y.abs() < 1e-9);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View<T> {
    map: Affine<T>,
    width: usize,
    height: usize,
}

impl<T: Real> View<T> {
    /// A view of `width` by `height` pixels; `map` goes from the view to the source.
    ///
    /// # Errors
    /// When a side is 0, or a corner lies more than 2^29 pixels from the source's origin.
    pub fn new(map: Affine<T>, width: usize, height: usize) -> Result<Self, AugmentError> {
        if width == 0 || height == 0 {
            return Err(AugmentError::Side { width, height });
        }
        let mut reach = 0f64;
        for x in [0, width - 1] {
            for y in [0, height - 1] {
                let at = map.pull(Point::new(T::from_usize(x), T::from_usize(y)));
                reach = reach.max(at.x.as_f64().abs()).max(at.y.as_f64().abs());
            }
        }
        if reach <= FARTHEST { Ok(Self { map, width, height }) } else { Err(AugmentError::Far { reach }) }
    }

    /// Crop of `width` by `height` pixels whose top left pixel is `(x, y)` of the source.
    ///
    /// # Errors
    /// When a side is 0, or the crop extends farther than 2^29 pixels.
    pub fn crop(x: usize, y: usize, width: usize, height: usize) -> Result<Self, AugmentError> {
        Self::new(Affine::translation(T::from_usize(x), T::from_usize(y))?, width, height)
    }

    /// A view with its centre, `((width - 1) / 2, (height - 1) / 2)`, at `map` of the origin plus `centre`.
    ///
    /// For a rotation followed by a scaling this is a [`Warp`](super::Warp).
    ///
    /// # Errors
    /// As for [`new`](Self::new), and when the shifted map is not finite.
    pub fn around(
        centre: Point<T>,
        map: &Affine<T>,
        width: usize,
        height: usize,
    ) -> Result<Self, AugmentError> {
        let middle = |size: usize| T::from_usize(size.saturating_sub(1)) * T::from_f64(0.5);
        let shift = Affine::translation(-middle(width), -middle(height))?;
        Self::new(Affine::translation(centre.x, centre.y)?.then(map)?.then(&shift)?, width, height)
    }

    /// The map from the view to the source.
    pub fn affine(&self) -> Affine<T> {
        self.map
    }

    /// Width of the view in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height of the view in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Maps a point of the view to the source; also for points outside the view.
    #[inline]
    pub fn pull(&self, view: Point<T>) -> Point<T> {
        self.map.pull(view)
    }

    /// Maps a point of the source to the view; `None` outside the view's pixels,
    /// `-0.5 <= x < width - 0.5` and the same for y, or if not finite.
    pub fn push(&self, source: Point<T>) -> Option<Point<T>> {
        let view = self.map.push(source);
        self.covers(view).then_some(view)
    }

    /// Whether a point lies on a pixel of the view.
    pub(super) fn covers(&self, view: Point<T>) -> bool {
        let half = T::from_f64(0.5);
        let inside = |v: T, size: usize| v >= -half && v < T::from_usize(size) - half;
        inside(view.x, self.width) && inside(view.y, self.height)
    }

    /// Resamples a source of any size into the view.
    ///
    /// Coordinates are rounded to multiples of 2^-32 pixels at the start of each row and in the step to
    /// the right: less than 1e-6 pixels of error in views up to 4000 pixels wide. Weights are truncated to 24 bits,
    /// 32 for `f64`; to 11 for bilinear `u8`, whose error is below one grey level. Integers
    /// are rounded to nearest. A view that maps pixels onto pixels copies them exactly. There is no
    /// anti-aliasing filter for downscaling.
    ///
    /// # Errors
    /// When `dst` has another size than the view, or the source is empty.
    pub fn resample<P: Pixel>(
        &self,
        src: Plane<'_, P>,
        dst: PlaneMut<'_, P>,
        interpolation: Interpolation,
        border: Border<P>,
    ) -> Result<(), AugmentError> {
        check_size((self.width, self.height), &dst.as_plane())?;
        if src.is_empty() {
            return Err(AugmentError::Empty);
        }
        let source = Source::new(src, border);
        match interpolation {
            Interpolation::Nearest => self.fill::<P, Nearest, 1>(&source, dst),
            Interpolation::Bilinear => self.fill::<P, Bilinear, 2>(&source, dst),
            Interpolation::Bicubic => self.fill::<P, Bicubic, 4>(&source, dst),
        }
        Ok(())
    }

    fn fill<P: Pixel, K: Kernel<P, N>, const N: usize>(
        &self,
        source: &Source<'_, P>,
        mut dst: PlaneMut<'_, P>,
    ) {
        let step = self.step();
        for y in 0..self.height {
            source.row::<K, N>(dst.row_mut(y), self.start(y), step);
        }
    }

    /// Validity mask: whether the centre of each view pixel lies on a pixel of a source of
    /// `src_width` by `src_height`, i.e. [`Border::Value`] does not apply.
    ///
    /// # Errors
    /// When `dst` has another size than the view.
    pub fn mask(
        &self,
        src_width: usize,
        src_height: usize,
        mut dst: PlaneMut<'_, bool>,
    ) -> Result<(), AugmentError> {
        check_size((self.width, self.height), &dst.as_plane())?;
        let (dx, dy) = self.step();
        for y in 0..self.height {
            let (mut u, mut v) = self.start(y);
            for value in dst.row_mut(y) {
                *value = on_pixel(u, src_width) && on_pixel(v, src_height);
                u += dx;
                v += dy;
            }
        }
        Ok(())
    }

    /// Start of a row of the view, in fixed point.
    fn start(&self, y: usize) -> (i64, i64) {
        let [[_, b, c], [_, e, f]] = self.map.matrix().map(|row| row.map(T::as_f64));
        (fixed(b * y as f64 + c), fixed(e * y as f64 + f))
    }

    /// Step from one pixel of a row to the next, in fixed point.
    fn step(&self) -> (i64, i64) {
        let [[a, _, _], [d, _, _]] = self.map.matrix();
        // Not more than the view's reach, except when the row has only one pixel.
        if self.width == 1 { (0, 0) } else { (fixed(a.as_f64()), fixed(d.as_f64())) }
    }
}
