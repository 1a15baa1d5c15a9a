//! Keypoints: blobs and corners, as extrema of difference-of-Gaussian images.

use crate::augment::{gaussian, gaussian_scratch_len};
use crate::tree::{Tree, tree_len};
use crate::{Margin, Plane, Point, Real};
use thiserror::Error;

/// Errors of keypoint detection.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum KeyPointError {
    /// A setting is unusable.
    #[error("{name} {value}: it has to be {needed}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The rejected value.
        value: f64,
        /// The condition, in words.
        needed: &'static str,
    },
    /// A pixel is NaN or infinite.
    #[error("the value {value} at column {x}, row {y} is not finite")]
    Value {
        /// The rejected value.
        value: f64,
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see key_points_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Keypoint of a difference-of-Gaussian image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyPoint<T> {
    /// Position, with subpixel precision.
    pub at: Point<T>,
    /// Scale in pixels: geometric mean of the standard deviations of both Gaussians, interpolated between levels. For
    /// a Gaussian blob it is the blob's own standard deviation.
    pub sigma: T,
    /// Absolute difference of the Gaussians at the pixel, in units of the image.
    pub response: T,
}

/// Largest standard deviation of a Gaussian, in pixels.
const WIDEST: f64 = 32.0;

/// Options of keypoint detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyPointRule<T> {
    /// `sigma_0`, the smallest standard deviation in pixels; above 0, at most 32.
    pub sigma: T,
    /// `s`, levels per octave: `sigma_i = sigma_0 * 2^(i / s)`; 1 to 64.
    pub per_octave: usize,
    /// Number of levels searched for extrema, from `i = 1` on; 1 to 64. The incremental blur of the last one must
    /// have a standard deviation of at most 32 pixels.
    pub levels: usize,
    /// Minimum response (exclusive), in units of the image; at least 0.
    pub contrast: T,
    /// Maximum ratio of the principal curvatures, which is larger at edges; at least 1.
    pub edge_ratio: T,
    /// Margin without keypoints; the outermost pixels never have any.
    pub margin: Margin<T>,
    /// Minimum distance of the pixels of two keypoints; at least 0.
    pub min_distance: T,
}

impl<T: Real> Default for KeyPointRule<T> {
    /// For images from 0 to 1: sigma from 1.6 on, 6 levels, 3 per octave, a contrast of 0.01, an
    /// edge ratio of 10, 10 % of the image as margin, a minimum distance of 4 pixels.
    fn default() -> Self {
        Self {
            sigma: T::from_f64(1.6),
            per_octave: 3,
            levels: 6,
            contrast: T::from_f64(0.01),
            edge_ratio: T::from_f64(10.0),
            margin: Margin::Fraction(T::from_f64(0.1)),
            min_distance: T::from_f64(4.0),
        }
    }
}

impl<T: Real> KeyPointRule<T> {
    /// `sigma_i`.
    fn sigma(&self, level: T) -> T {
        self.sigma * T::from_f64(2.0).pow(level / T::from_usize(self.per_octave))
    }

    /// Standard deviation of the incremental blur from `sigma_(i-1)` to `sigma_i`.
    fn added(&self, i: usize) -> T {
        if i == 0 {
            return self.sigma;
        }
        let (wide, narrow) = (self.sigma(T::from_usize(i)), self.sigma(T::from_usize(i - 1)));
        (wide * wide - narrow * narrow).sqrt()
    }

    fn check(&self) -> Result<(), KeyPointError> {
        let refused = |name, value, needed| Err(KeyPointError::Setting { name, value, needed });
        let least = |value: T, least: T| value.is_finite() && value >= least;
        if !(self.sigma > T::zero() && self.sigma.as_f64() <= WIDEST) {
            return refused("sigma", self.sigma.as_f64(), "above 0 and at most 32 pixels");
        }
        for (name, number) in
            [("number of levels per octave", self.per_octave), ("number of levels", self.levels)]
        {
            if !(1..=64).contains(&number) {
                return refused(name, number as f64, "from 1 to 64");
            }
        }
        let widest = self.added(self.levels + 2);
        if widest.is_nan() || widest.as_f64() > WIDEST {
            return refused("blur between the last levels", widest.as_f64(), "at most 32 pixels");
        }
        if !least(self.contrast, T::zero()) {
            return refused("contrast", self.contrast.as_f64(), "finite and at least 0");
        }
        if !least(self.edge_ratio, T::one()) {
            return refused("edge ratio", self.edge_ratio.as_f64(), "finite and at least 1");
        }
        if self.margin.pixels(0).is_none() {
            return refused("margin", self.margin.as_f64(), "a share from 0 to 1");
        }
        if !least(self.min_distance, T::zero()) {
            return refused("least distance", self.min_distance.as_f64(), "finite and at least 0");
        }
        Ok(())
    }
}

/// Elements of scratch that [`key_points`] needs for an image of `width` by `height` pixels;
/// saturates on overflow.
pub const fn key_points_scratch_len(width: usize, height: usize) -> usize {
    let planes = width.saturating_mul(height).saturating_mul(WORK + BEST);
    planes.saturating_add(gaussian_scratch_len(width, height, WIDEST))
}

/// Planes of the blurred image and three differences; the tree reuses them in the end.
const WORK: usize = 4;
/// Response, refinement of column and row, and sigma of the best candidate at each pixel.
const BEST: usize = 4;

/// Detects keypoints by difference of Gaussians, strongest first, into `out`; returns their number.
///
/// With Gaussians `G_i` of standard deviation `sigma_i = sigma_0 * 2^(i / s)` and `D_i = (G_(i+1) - G_i) * image`, a
/// keypoint is a pixel where some `D_i`, `i = 1 ..= levels`, is positive and larger than at its 26 neighbours in
/// column, row and level, or negative and smaller (of equal neighbours, the
/// first counts), where `|D_i|` is above the contrast, and where the Hessian `H` of `D_i` passes
/// Lowe's edge test, `det H > 0` and `tr(H)^2 / det H < (r + 1)^2 / r`. The image is assumed to have
/// no blur of its own. Position and sigma are refined by a parabola in each direction, by up to
/// half a step.
///
/// Non-maximum suppression: the keypoint with the largest `|D_i|` comes first; all nearer to it than
/// `min_distance` (between pixels, before the refinement) are dropped, and so on until `out` is full.
/// Ties are ordered by row, then by column. The rest of `out` is
/// unchanged. An image with a side below 3 has no keypoints.
///
/// `scratch` holds at least [`key_points_scratch_len`]`(width, height)` elements of any content. The
/// cost is proportional to the number of pixels, levels and sigma.
///
/// Source: Lowe, *Distinctive image features from scale-invariant keypoints* (IJCV 2004), sections
/// 3 and 4, without the pyramid of smaller images.
///
/// # Errors
/// When a setting is unusable (see the fields), a pixel is not finite, or the scratch is too short.
///
/// ```
/// use infomark_core::{KeyPoint, KeyPointRule, Plane, key_points, key_points_scratch_len};
/// // A bright blob.
/// let image: Vec<f32> = (0..40 * 40)
///     .map(|i| ((i % 40) as f32 - 17.0, (i / 40) as f32 - 22.5))
///     .map(|(x, y)| (-(x * x + y * y) / 18.0).exp())
///     .collect();
/// let mut scratch = vec![0.0; key_points_scratch_len(40, 40)];
/// let mut found = [KeyPoint::default(); 8];
/// let image = Plane::new(&image, 40, 40)?;
/// let count = key_points(image, KeyPointRule::default(), &mut found, &mut scratch)?;
/// assert!(count >= 1);
/// assert!((found[0].at.x - 17.0).abs() < 0.1 && (found[0].at.y - 22.5).abs() < 0.1);
/// assert!((found[0].sigma - 3.0).abs() < 0.1);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn key_points<T: Real>(
    image: Plane<'_, T>,
    rule: KeyPointRule<T>,
    out: &mut [KeyPoint<T>],
    scratch: &mut [T],
) -> Result<usize, KeyPointError> {
    rule.check()?;
    let (width, height) = (image.width(), image.height());
    for (y, row) in image.rows().enumerate() {
        if let Some(x) = row.iter().position(|v| !v.is_finite()) {
            return Err(KeyPointError::Value { value: row[x].as_f64(), x, y });
        }
    }
    let (len, needed) = (scratch.len(), key_points_scratch_len(width, height));
    let Some(scratch) = scratch.get_mut(..needed) else {
        return Err(KeyPointError::Scratch { len, needed });
    };
    if width < 3 || height < 3 {
        return Ok(0);
    }
    let pixels = width * height;
    let (work, best) = scratch.split_at_mut(WORK * pixels);
    let mut best = Best::new(best, pixels);
    collect(image, rule, work, &mut best);

    let mut tree = Tree::new(
        &mut work[..tree_len(pixels)],
        width,
        height,
        |a: T, b: T| a.max(b),
        |y, row| row.copy_from_slice(&best.response[y * width..][..width]),
    );
    let mut count = 0;
    for place in out {
        if tree.root() == T::zero() {
            break;
        }
        let (x, y) = tree.descend(|left, right| right > left);
        *place = best.key_point(x, y, y * width + x);
        tree.clear_around((x, y), rule.min_distance.as_f64());
        count += 1;
    }
    Ok(count)
}

/// The best candidate at each pixel; a response of 0 where there is none.
struct Best<'a, T> {
    response: &'a mut [T],
    dx: &'a mut [T],
    dy: &'a mut [T],
    sigma: &'a mut [T],
    /// Scratch of the blur.
    blur: &'a mut [T],
}

impl<'a, T: Real> Best<'a, T> {
    fn new(scratch: &'a mut [T], pixels: usize) -> Self {
        let (response, rest) = scratch.split_at_mut(pixels);
        let (dx, rest) = rest.split_at_mut(pixels);
        let (dy, rest) = rest.split_at_mut(pixels);
        let (sigma, blur) = rest.split_at_mut(pixels);
        response.fill(T::zero());
        Self { response, dx, dy, sigma, blur }
    }

    fn key_point(&self, x: usize, y: usize, i: usize) -> KeyPoint<T> {
        let at = Point::new(T::from_usize(x) + self.dx[i], T::from_usize(y) + self.dy[i]);
        KeyPoint { at, sigma: self.sigma[i], response: self.response[i] }
    }
}

/// Collects the candidates of all levels; `work` holds [`WORK`] planes.
fn collect<T: Real>(image: Plane<'_, T>, rule: KeyPointRule<T>, work: &mut [T], best: &mut Best<'_, T>) {
    let (width, height) = (image.width(), image.height());
    let pixels = width * height;
    let (blurred, work) = work.split_at_mut(pixels);
    let (below, work) = work.split_at_mut(pixels);
    let (at, above) = work.split_at_mut(pixels);
    let mut differences = [below, at, above];
    for (to, from) in blurred.chunks_exact_mut(width).zip(image.rows()) {
        to.copy_from_slice(from);
    }
    for i in 0..rule.levels + 3 {
        differences.rotate_left(1);
        let change = &mut *differences[2];
        let load = |y: usize, row: &mut [T]| row.copy_from_slice(&blurred[y * width..][..width]);
        gaussian((width, height), rule.added(i).as_f64(), best.blur, load, |y, row| {
            change[y * width..][..width].copy_from_slice(row);
        });
        for (old, change) in blurred.iter_mut().zip(&mut *change) {
            let new = *change;
            *change = new - *old;
            *old = new;
        }
        // The differences are D_(i-3), D_(i-2) and D_(i-1).
        if i >= 3 {
            let [below, at, above] = &differences;
            extrema(Neighbours { levels: [below, at, above], width }, height, rule, i - 2, best);
        }
    }
}

/// Three adjacent levels of differences.
#[derive(Clone, Copy)]
struct Neighbours<'a, T> {
    levels: [&'a [T]; 3],
    width: usize,
}

impl<T: Real> Neighbours<'_, T> {
    /// Whether the value at `i` is a maximum or minimum of its neighbourhood.
    fn is_extreme(&self, i: usize) -> bool {
        let value = self.levels[1][i];
        let flip = value < T::zero();
        // Whether all neighbours are below the value, or equal and later.
        let below = |neighbours: &[T], later: bool| {
            neighbours.iter().all(|&n| {
                let (n, value) = if flip { (value, n) } else { (n, value) };
                n < value || (later && n == value)
            })
        };
        let up = i - self.width;
        let down = i + self.width;
        let row = |level: usize, at: usize, later| below(&self.levels[level][at - 1..=at + 1], later);
        let level =
            |level: usize, later| row(level, up, later) && row(level, i, later) && row(level, down, later);
        below(&self.levels[1][i - 1..i], false)
            && below(&self.levels[1][i + 1..=i + 1], true)
            && row(1, up, false)
            && row(1, down, true)
            && level(0, false)
            && level(2, true)
    }

    /// Lowe's edge test.
    fn is_no_edge(&self, i: usize, ratio: T) -> bool {
        let at = |i: usize| self.levels[1][i];
        let (up, down, two) = (i - self.width, i + self.width, T::from_f64(2.0));
        let xx = at(i - 1) + at(i + 1) - two * at(i);
        let yy = at(up) + at(down) - two * at(i);
        let xy = ((at(up - 1) + at(down + 1)) - (at(up + 1) + at(down - 1))) / T::from_f64(4.0);
        let (trace, det) = (xx + yy, xx * yy - xy * xy);
        let more = ratio + T::one();
        det > T::zero() && trace * trace * ratio < more * more * det
    }
}

/// Position of the extremum of the parabola through three values: -0.5 to 0.5 from the middle.
fn vertex<T: Real>(before: T, at: T, after: T) -> T {
    let half = T::from_f64(0.5);
    let curvature = (before + after) - at / half;
    let offset = (before - after) * half / curvature;
    if offset.is_finite() { offset.max(-half).min(half) } else { T::zero() }
}

/// Adds the extrema of one level.
fn extrema<T: Real>(
    d: Neighbours<'_, T>,
    height: usize,
    rule: KeyPointRule<T>,
    level: usize,
    best: &mut Best<'_, T>,
) {
    let inner = |size: usize| {
        let margin = rule.margin.pixels(size).unwrap_or(0).max(1);
        margin..size.saturating_sub(margin)
    };
    for y in inner(height) {
        for x in inner(d.width) {
            let i = y * d.width + x;
            let response = d.levels[1][i].abs();
            let counts = response > rule.contrast && response > best.response[i] && response.is_finite();
            if counts && d.is_extreme(i) && d.is_no_edge(i, rule.edge_ratio) {
                let [below, at, above] = d.levels;
                best.response[i] = response;
                best.dx[i] = vertex(at[i - 1], at[i], at[i + 1]);
                best.dy[i] = vertex(at[i - d.width], at[i], at[i + d.width]);
                let middle = T::from_usize(level) + T::from_f64(0.5);
                best.sigma[i] = rule.sigma(middle + vertex(below[i], at[i], above[i]));
            }
        }
    }
}
