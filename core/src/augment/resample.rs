//! Interpolation at fixed-point coordinates.
//!
//! A coordinate is an `i64` in units of 2^-32 pixels. Along a row it grows by a constant step, exactly,
//! so that a view has the same bits however it is split; integer part and fraction are two shifts.

use super::pixel::{Pixel, part};
use crate::{Plane, Point, Real};

/// Interpolation method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// Nearest neighbour; of two equally near pixels, the one to the right or below.
    Nearest,
    /// Bilinear: linear in x and y between the four surrounding pixels.
    #[default]
    Bilinear,
    /// Bicubic: cubic convolution of the 16 surrounding pixels with a = -1/2; exact for quadratic images.
    /// May overshoot; integers are clamped to their range.
    ///
    /// Source: Keys, *Cubic convolution interpolation for digital image processing* (IEEE TASSP
    /// 1981), equation 15.
    Bicubic,
}

/// Border mode: values outside the source. A point is outside when no pixel covers it: pixels extend half a
/// pixel around their centres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Border<P> {
    /// Constant value outside. Inside, the border pixels are replicated for interpolation.
    Value(P),
    /// The border pixels are replicated.
    Clamp,
    /// Mirrored at the outer edges of the border pixels, which count twice: `b a | a b c | c b`.
    Mirror,
}

/// Fractional bits of a coordinate.
const BITS: u32 = 32;
const ONE: i64 = 1 << BITS;
/// Limit of a view's coordinates; steps are at most twice as large: sums cannot overflow.
pub(super) const FARTHEST: f64 = (1u64 << 29) as f64;

/// A coordinate or step in fixed point, rounded to nearest.
#[inline]
pub(super) fn fixed(pixels: f64) -> i64 {
    libm::rint(pixels.clamp(-2.0 * FARTHEST, 2.0 * FARTHEST) * ONE as f64) as i64
}

/// A point in fixed point, rounded down; clamped to the limit of coordinates.
#[inline(always)]
pub(super) fn fixed_place<T: Real>(at: Point<T>) -> (i64, i64) {
    let (one, far) = (T::from_f64(ONE as f64), T::from_f64(FARTHEST));
    let cut = |v: T| (v.max(-far).min(far) * one).floor_to_i64();
    (cut(at.x), cut(at.y))
}

/// Whether a coordinate lies on one of `size` pixels.
#[inline]
pub(super) fn on_pixel(v: i64, size: usize) -> bool {
    let pixel = (v + ONE / 2) >> BITS;
    usize::try_from(pixel).is_ok_and(|pixel| pixel < size)
}

/// Range of the indices `0..len` for which `start + step * i` is from `low` up to `high`.
fn span(start: i64, step: i64, len: usize, low: i64, high: i64) -> (usize, usize) {
    if low > high {
        return (0, 0);
    }
    let (first, last) = match step {
        0 if (low..=high).contains(&start) => return (0, len),
        0 => return (0, 0),
        // Rounded up and down; the differences cannot overflow.
        1.. => (-(start - low).div_euclid(step), (high - start).div_euclid(step)),
        _ => (-(high - start).div_euclid(-step), (start - low).div_euclid(-step)),
    };
    let end = (last.saturating_add(1)).clamp(0, len as i64) as usize;
    ((first.clamp(0, len as i64) as usize).min(end), end)
}

/// Interpolation kernel over `N` by `N` neighbours.
pub(super) trait Kernel<P: Pixel, const N: usize> {
    /// Number of neighbours left of, and above, the pixel of the truncated coordinate.
    const BEFORE: i64;
    /// Offset added to a coordinate before truncation.
    const OFFSET: i64;
    fn mix(taps: [[P; N]; N], right: u32, down: u32) -> P;
}

pub(super) struct Nearest;
pub(super) struct Bilinear;
pub(super) struct Bicubic;

impl<P: Pixel> Kernel<P, 1> for Nearest {
    const BEFORE: i64 = 0;
    const OFFSET: i64 = ONE / 2;
    #[inline(always)]
    fn mix([[value]]: [[P; 1]; 1], _: u32, _: u32) -> P {
        value
    }
}

impl<P: Pixel> Kernel<P, 2> for Bilinear {
    const BEFORE: i64 = 0;
    const OFFSET: i64 = 0;
    #[inline(always)]
    fn mix(taps: [[P; 2]; 2], right: u32, down: u32) -> P {
        P::mix_four(taps, right, down)
    }
}

impl<P: Pixel> Kernel<P, 4> for Bicubic {
    const BEFORE: i64 = 1;
    const OFFSET: i64 = 0;
    #[inline(always)]
    fn mix(taps: [[P; 4]; 4], right: u32, down: u32) -> P {
        let (u, v) = (cubic_weights(part(right)), cubic_weights(part(down)));
        let rows = taps.map(|row| weighted(row.map(P::to_work), u));
        P::from_work(weighted(rows, v))
    }
}

#[inline(always)]
fn weighted<T: Real>(values: [T; 4], weights: [T; 4]) -> T {
    (values[0] * weights[0] + values[1] * weights[1]) + (values[2] * weights[2] + values[3] * weights[3])
}

#[inline(always)]
fn cubic_weights<T: Real>(t: T) -> [T; 4] {
    let (half, one, two) = (T::from_f64(0.5), T::one(), T::from_f64(2.0));
    let s = one - t;
    // w(1 + t), w(t), w(s), w(1 + s): the first and the last are -t s^2 / 2 and -s t^2 / 2.
    let (first, last) = (-half * t * s * s, -half * s * t * t);
    let inner = |t: T| ((t + half * t - two - half) * t) * t + one;
    [first, inner(t), inner(s), last]
}

/// A source with its interpolation and border.
pub(super) struct Source<'a, P> {
    data: &'a [P],
    width: usize,
    height: usize,
    stride: usize,
    border: Border<P>,
}

impl<'a, P: Pixel> Source<'a, P> {
    /// `plane` is not empty.
    pub(super) fn new(plane: Plane<'a, P>, border: Border<P>) -> Self {
        let (data, stride) = plane.raw();
        Self { data, width: plane.width(), height: plane.height(), stride, border }
    }

    /// Coordinates where all neighbours exist: first and last, with [`Kernel::OFFSET`] added.
    #[inline(always)]
    fn inner<K: Kernel<P, N>, const N: usize>(size: usize) -> (i64, i64) {
        let last = size.min(1 << 30) as i64 - (N as i64 - K::BEFORE);
        (K::BEFORE << BITS, (last << BITS) + (ONE - 1))
    }

    /// Interpolates a row of a view that starts at `(x, y)` with the step `(dx, dy)`.
    #[inline]
    pub(super) fn row<K: Kernel<P, N>, const N: usize>(
        &self,
        out: &mut [P],
        (x, y): (i64, i64),
        (dx, dy): (i64, i64),
    ) {
        let (low, high) = Self::inner::<K, N>(self.width);
        let across = span(x + K::OFFSET, dx, out.len(), low, high);
        let (low, high) = Self::inner::<K, N>(self.height);
        let down = span(y + K::OFFSET, dy, out.len(), low, high);
        let first = across.0.max(down.0);
        let end = across.1.min(down.1).max(first);
        let (before, rest) = out.split_at_mut(first);
        let (inside, after) = rest.split_at_mut(end - first);
        for (i, value) in before.iter_mut().enumerate() {
            *value = self.outer::<K, N>(x + dx * i as i64, y + dy * i as i64);
        }
        let mut u = x + K::OFFSET + dx * first as i64;
        let mut v = y + K::OFFSET + dy * first as i64;
        for value in inside {
            *value = self.inside::<K, N>(u, v);
            u += dx;
            v += dy;
        }
        for (i, value) in after.iter_mut().enumerate() {
            let i = (end + i) as i64;
            *value = self.outer::<K, N>(x + dx * i, y + dy * i);
        }
    }

    /// The value at any point.
    #[inline]
    pub(super) fn at<K: Kernel<P, N>, const N: usize>(&self, x: i64, y: i64) -> P {
        let inner = |v: i64, size: usize| {
            let (low, high) = Self::inner::<K, N>(size);
            (low..=high).contains(&(v + K::OFFSET))
        };
        if inner(x, self.width) && inner(y, self.height) {
            self.inside::<K, N>(x + K::OFFSET, y + K::OFFSET)
        } else {
            self.outer::<K, N>(x, y)
        }
    }

    /// The value where all neighbours exist; [`Kernel::OFFSET`] is already added.
    #[inline(always)]
    fn inside<K: Kernel<P, N>, const N: usize>(&self, u: i64, v: i64) -> P {
        let first = ((v >> BITS) - K::BEFORE) as usize * self.stride + ((u >> BITS) - K::BEFORE) as usize;
        let mut taps = [[P::WHITE; N]; N];
        let mut at = first;
        for row in &mut taps {
            // Always present; the loop is faster without a panic.
            let Some(found) = self.data.get(at..).and_then(<[P]>::first_chunk::<N>) else {
                return P::WHITE;
            };
            *row = *found;
            at += self.stride;
        }
        K::mix(taps, u as u32, v as u32)
    }

    /// The value where neighbours may lie outside.
    #[cold]
    fn outer<K: Kernel<P, N>, const N: usize>(&self, x: i64, y: i64) -> P {
        if let Border::Value(value) = self.border
            && !(on_pixel(x, self.width) && on_pixel(y, self.height))
        {
            return value;
        }
        let (u, v) = (x + K::OFFSET, y + K::OFFSET);
        let mirror = matches!(self.border, Border::Mirror);
        let tap = |at: i64, k: usize, size: usize| {
            let at = (at >> BITS) - K::BEFORE + k as i64;
            let last = size as i64 - 1;
            if (0..=last).contains(&at) {
                at as usize
            } else if mirror {
                let at = at.rem_euclid(2 * size as i64);
                at.min(2 * last + 1 - at) as usize
            } else {
                at.clamp(0, last) as usize
            }
        };
        let taps = core::array::from_fn(|j| {
            let row = tap(v, j, self.height) * self.stride;
            core::array::from_fn(|i| self.data[row + tap(u, i, self.width)])
        });
        K::mix(taps, u as u32, v as u32)
    }
}
