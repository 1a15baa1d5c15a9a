//! Elastic deformation by random cubic B-spline displacement fields.

use super::resample::{
    Bicubic, Bilinear, Border, Interpolation, Kernel, Nearest, Source, fixed_place, on_pixel,
};
use super::{AugmentError, Pixel, View, check_size};
use crate::{Plane, PlaneMut, Point, Real, Rng};

/// Lipschitz bound of a displacement field.
const STEEPEST: f64 = 0.8;
/// Tolerance of limits for rounding: a fifth of the spacing in `f32` may be slightly more.
const ROUNDING: f64 = 1.0 + 1e-6;
/// Change, in pixels, at which [`Elastic::push`] stops.
const TOLERANCE: f64 = 1e-10;
/// Maximum number of iterations: `0.8^150` is below `1e-14`.
const STEPS: usize = 150;

/// Number of control points of a field over a view: `(width / spacing + 4) * (height / spacing + 4)`.
///
/// 0 when the spacing is 0.
pub const fn elastic_controls_len(width: usize, height: usize, spacing: usize) -> usize {
    if spacing == 0 {
        return 0;
    }
    (width / spacing).saturating_add(4).saturating_mul((height / spacing).saturating_add(4))
}

/// Elastic view: a smooth displacement, then an [`Affine`](super::Affine) map. A point `p` of the view
/// lies at `affine(p + d(p))` of the source.
///
/// The displacement `d`, in pixels of the view, is a uniform cubic B-spline in x and y of control
/// points that lie `spacing` pixels apart, in rows; control `(i, j)` has its greatest weight, 4/9, at
/// `((i - 1) * spacing - 0.5, (j - 1) * spacing - 0.5)`. Beyond the outer edges of the view's pixels
/// the displacement is that of the nearest point on them.
///
/// A field is rejected unless its controls guarantee `|d(p) - d(q)| <= 0.8 |p - q|` (in the maximum
/// norm). The map is then injective, its Jacobian is positive, and [`push`](Self::push) converges from
/// any start. Displacements of up to a fifth of the spacing always satisfy this.
///
/// Sources: Rueckert et al., *Nonrigid registration using free-form deformations* (IEEE TMI 1999);
/// Choi and Lee, *Injectivity conditions of 2D and 3D uniform cubic B-spline functions* (Graphical
/// Models 2000) for wider bounds.
///
/// ```
/// use infomark_core::{
///     Affine, Border, Elastic, Interpolation, Plane, PlaneMut, Point, Rng, View, elastic_controls_len,
/// };
/// let view = View::new(Affine::identity(), 32, 32)?;
/// let mut controls = [Point::new(0f64, 0.0); elastic_controls_len(32, 32, 16)];
/// let elastic = Elastic::draw(view, 16, 3.0, &mut Rng::new(1, 0), &mut controls)?;
///
/// let source = [7u8; 32 * 32];
/// let mut out = [0; 32 * 32];
/// let (source, dst) = (Plane::new(&source, 32, 32)?, PlaneMut::new(&mut out, 32, 32)?);
/// elastic.resample(source, dst, Interpolation::Bilinear, Border::Mirror)?;
/// assert_eq!(out, [7; 32 * 32]);
///
/// let place = Point::new(11.0, 20.0);
/// let back = elastic.push(elastic.pull(place)).ok_or("outside")?;
/// assert!((back.x - place.x).hypot(back.y - place.y) < 1e-9);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Elastic<'a, T> {
    view: View<T>,
    controls: &'a [Point<T>],
    columns: usize,
    spacing: usize,
}

/// Weights of a uniform cubic B-spline at the fraction `t` between two controls.
#[inline(always)]
fn weights<T: Real>(t: T) -> [T; 4] {
    let n = T::from_f64;
    let (s, sixth) = (T::one() - t, n(1.0 / 6.0));
    let inner = |t: T| ((n(3.0) * t - n(6.0)) * t * t + n(4.0)) * sixth;
    [s * s * s * sixth, inner(t), inner(s), t * t * t * sixth]
}

#[inline(always)]
fn sum<T: Real>(values: [Point<T>; 4], w: [T; 4]) -> Point<T> {
    let along = |v: [T; 4]| (v[0] * w[0] + v[1] * w[1]) + (v[2] * w[2] + v[3] * w[3]);
    Point::new(along(values.map(|p| p.x)), along(values.map(|p| p.y)))
}

impl<'a, T: Real> Elastic<'a, T> {
    /// A field from its control displacements, row by row, in pixels of the view;
    /// [`elastic_controls_len`] of them.
    ///
    /// # Errors
    /// When the spacing is 0, the number of controls is wrong, or the field is too steep (see the
    /// type) or not finite.
    pub fn new(view: View<T>, spacing: usize, controls: &'a [Point<T>]) -> Result<Self, AugmentError> {
        let needed = elastic_controls_len(view.width(), view.height(), spacing);
        if spacing == 0 || controls.len() != needed {
            return Err(AugmentError::Controls { spacing, needed, len: controls.len() });
        }
        let columns = view.width() / spacing + 4;
        let steepness = steepness(controls, columns) / spacing as f64;
        if steepness <= STEEPEST * ROUNDING && controls.iter().all(|control| control.is_finite()) {
            Ok(Self { view, controls, columns, spacing })
        } else {
            Err(AugmentError::Steep { steepness, most: STEEPEST })
        }
    }

    /// Random field: control displacements uniform in `-amplitude..amplitude` pixels of the view,
    /// in x and y; written to `controls`. Consumes four words of the stream per control.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and when the amplitude is negative or more than a fifth of the
    /// spacing.
    pub fn draw(
        view: View<T>,
        spacing: usize,
        amplitude: T,
        rng: &mut Rng,
        controls: &'a mut [Point<T>],
    ) -> Result<Self, AugmentError> {
        if !(amplitude >= T::zero() && amplitude.as_f64() <= spacing as f64 / 5.0 * ROUNDING) {
            return Err(AugmentError::Amplitude { amplitude: amplitude.as_f64(), spacing });
        }
        for control in controls.iter_mut() {
            let x = rng.uniform_in(-amplitude, amplitude);
            *control = Point::new(x, rng.uniform_in(-amplitude, amplitude));
        }
        Self::new(view, spacing, controls)
    }

    /// The view before the deformation.
    pub fn view(&self) -> View<T> {
        self.view
    }

    /// Distance of neighbouring control points, in pixels of the view.
    pub fn spacing(&self) -> usize {
        self.spacing
    }

    /// The control displacements, row by row, in pixels of the view.
    pub fn controls(&self) -> &'a [Point<T>] {
        self.controls
    }

    /// The displacement `d` at a point of the view, in pixels of the view.
    pub fn displacement(&self, view: Point<T>) -> Point<T> {
        let (i, t) = self.cell(view.x, self.view.width());
        let (j, s) = self.cell(view.y, self.view.height());
        let down = weights(s);
        sum(core::array::from_fn(|k| self.column(i + k, j, down)), weights(t))
    }

    /// The cell of a coordinate, and the fraction within it.
    fn cell(&self, v: T, size: usize) -> (usize, T) {
        // NaN counts as 0.
        let v = (v + T::from_f64(0.5)).max(T::zero()).min(T::from_usize(size));
        let cell = (v.floor_to_i64() as usize).min(size) / self.spacing;
        (cell, (v - T::from_usize(cell * self.spacing)) / T::from_usize(self.spacing))
    }

    /// Weighted sum of four controls of column `i` from row `j` on.
    #[inline(always)]
    fn column(&self, i: usize, j: usize, down: [T; 4]) -> Point<T> {
        sum(core::array::from_fn(|k| self.controls[(j + k) * self.columns + i]), down)
    }

    /// Maps a point of the view to the source; also for points outside the view.
    pub fn pull(&self, view: Point<T>) -> Point<T> {
        let d = self.displacement(view);
        self.view.pull(Point::new(view.x + d.x, view.y + d.y))
    }

    /// Maps a point of the source to the view; `None` outside the view's pixels, as for [`View::push`].
    ///
    /// Fixed-point iteration to within 1e-9 pixels of the view, besides the rounding of `T`.
    pub fn push(&self, source: Point<T>) -> Option<Point<T>> {
        let goal = self.view.affine().push(source);
        if !goal.is_finite() {
            return None;
        }
        let goal = goal.cast::<f64>();
        let mut at = goal;
        for _ in 0..STEPS {
            let d = self.displacement_f64(at);
            let next = Point::new(goal.x - d.x, goal.y - d.y);
            let moved = (next.x - at.x).abs().max((next.y - at.y).abs());
            at = next;
            // The remaining error is at most 0.8 / (1 - 0.8) of the last step.
            if moved <= TOLERANCE {
                break;
            }
        }
        let view = at.cast();
        self.view.covers(view).then_some(view)
    }

    /// [`displacement`](Self::displacement) in double precision.
    fn displacement_f64(&self, view: Point<f64>) -> Point<f64> {
        let cell = |v: f64, size: usize| {
            let v = (v + 0.5).clamp(0.0, size as f64);
            let cell = v as usize / self.spacing;
            (cell, (v - (cell * self.spacing) as f64) / self.spacing as f64)
        };
        let (i, t) = cell(view.x, self.view.width());
        let (j, s) = cell(view.y, self.view.height());
        let control = |i: usize, j: usize| self.controls[j * self.columns + i].cast();
        let down = weights(s);
        let column = |i: usize| sum(core::array::from_fn(|k| control(i, j + k)), down);
        sum(core::array::from_fn(|k| column(i + k)), weights(t))
    }

    /// Resamples a source of any size into the view, as [`View::resample`] does.
    ///
    /// Each point is [`pull`](Self::pull)ed in the precision of `T` and rounded down to a multiple
    /// of 2^-32 pixels; points farther than 2^29 pixels from the source's origin are moved nearer.
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
        if src.is_empty() {
            return Err(AugmentError::Empty);
        }
        let source = Source::new(src, border);
        match interpolation {
            Interpolation::Nearest => self.fill::<P, Nearest, 1>(&source, dst),
            Interpolation::Bilinear => self.fill::<P, Bilinear, 2>(&source, dst),
            Interpolation::Bicubic => self.fill::<P, Bicubic, 4>(&source, dst),
        }
    }

    fn fill<P: Pixel, K: Kernel<P, N>, const N: usize>(
        &self,
        source: &Source<'_, P>,
        dst: PlaneMut<'_, P>,
    ) -> Result<(), AugmentError> {
        self.each(dst, |value, x, y| *value = source.at::<K, N>(x, y))
    }

    /// Validity mask: whether the centre of each view pixel lies on a pixel of a source of `src_width`
    /// by `src_height`.
    ///
    /// # Errors
    /// When `dst` has another size than the view.
    pub fn mask(
        &self,
        src_width: usize,
        src_height: usize,
        dst: PlaneMut<'_, bool>,
    ) -> Result<(), AugmentError> {
        self.each(dst, |value, x, y| *value = on_pixel(x, src_width) && on_pixel(y, src_height))
    }

    /// Calls a function for each pixel of the view with its source point in fixed point.
    #[inline(always)]
    fn each<P>(
        &self,
        mut dst: PlaneMut<'_, P>,
        mut visit: impl FnMut(&mut P, i64, i64),
    ) -> Result<(), AugmentError> {
        let (width, height) = (self.view.width(), self.view.height());
        check_size((width, height), &dst.as_plane())?;
        let spacing = T::from_usize(self.spacing);
        for y in 0..height {
            let v = T::from_usize(y);
            let (j, s) = self.cell(v, height);
            let down = weights(s);
            // The column sums of a cell's controls slide along the row.
            let mut window: [_; 4] = core::array::from_fn(|k| self.column(k, j, down));
            for (i, cell) in dst.row_mut(y).chunks_mut(self.spacing).enumerate() {
                if i > 0 {
                    window = [window[1], window[2], window[3], self.column(i + 3, j, down)];
                }
                for (k, value) in cell.iter_mut().enumerate() {
                    let t = (T::from_usize(k) + T::from_f64(0.5)) / spacing;
                    let d = sum(window, weights(t));
                    let x = T::from_usize(i * self.spacing + k);
                    let at = self.view.pull(Point::new(x + d.x, v + d.y));
                    let (x, y) = fixed_place(at);
                    visit(value, x, y);
                }
            }
        }
        Ok(())
    }
}

/// Bound of `|d(p) - d(q)|` for points one spacing apart, in the maximum norm: the derivative of a
/// B-spline is a mean of the differences of neighbouring controls.
fn steepness<T: Real>(controls: &[Point<T>], columns: usize) -> f64 {
    let mut most = [[0f64; 2]; 2];
    let mut widen = |along: usize, a: Point<T>, b: Point<T>| {
        let (a, b) = (a.cast::<f64>(), b.cast::<f64>());
        most[0][along] = most[0][along].max((b.x - a.x).abs());
        most[1][along] = most[1][along].max((b.y - a.y).abs());
    };
    for row in controls.chunks(columns) {
        row.windows(2).for_each(|pair| widen(0, pair[0], pair[1]));
    }
    for (above, below) in controls.iter().zip(controls.iter().skip(columns)) {
        widen(1, *above, *below);
    }
    most.iter().map(|[across, down]| across + down).fold(0.0, f64::max)
}
