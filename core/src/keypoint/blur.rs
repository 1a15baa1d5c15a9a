//! Gaussian blur.

use crate::Real;

/// Most pixels from the middle of a kernel to its end.
const MOST: usize = 128;

/// By how much a line of the image is extended in total.
pub(super) const LINE_PADDING: usize = 2 * MOST;

/// Standard deviations after which a kernel is cut off.
const CUT: f64 = 4.0;

/// The widest Gaussian that fits.
pub(super) fn most_sigma<T: Real>() -> T {
    T::from_f64(MOST as f64 / CUT)
}

/// A normalised Gaussian: `kernel[j]` is the weight at distance `j`.
pub(super) struct Blur<T> {
    kernel: [T; MOST + 1],
    radius: usize,
}

impl<T: Real> Blur<T> {
    /// A Gaussian of a standard deviation from 0 to [`most_sigma`].
    pub(super) fn new(sigma: T) -> Self {
        let sigma = sigma.as_f64();
        let radius = (libm::ceil(CUT * sigma) as usize).min(MOST);
        let weight = |j: usize| {
            let turn = j as f64 / sigma;
            if j == 0 { 1.0 } else { libm::exp(-0.5 * turn * turn) }
        };
        let sum = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
        let kernel =
            core::array::from_fn(|j| if j <= radius { T::from_f64(weight(j) / sum) } else { T::zero() });
        Self { kernel, radius }
    }

    /// Blurs `image` where it lies and writes what that changes, new minus old, into `difference`.
    /// `half` is as large as the image, `line` longer than a row by [`LINE_PADDING`].
    ///
    /// The weights of both sides meet before they are added, so a mirrored image has the
    /// mirrored blur to the bit.
    pub(super) fn apply(
        &self,
        image: &mut [T],
        half: &mut [T],
        line: &mut [T],
        width: usize,
        difference: &mut [T],
    ) {
        let r = self.radius;
        let line = &mut line[..width + 2 * r];
        for (to, from) in half.chunks_exact_mut(width).zip(image.chunks_exact(width)) {
            line[r..r + width].copy_from_slice(from);
            for j in 0..r {
                line[j] = from[reflect(j as i64 - r as i64, width)];
                line[r + width + j] = from[reflect((width + j) as i64, width)];
            }
            scale(to, from, self.kernel[0]);
            for j in 1..=r {
                add_both(to, &line[r - j..][..width], &line[r + j..][..width], self.kernel[j]);
            }
        }
        let height = image.len() / width;
        let sum = &mut line[..width];
        for (y, (old, change)) in
            image.chunks_exact_mut(width).zip(difference.chunks_exact_mut(width)).enumerate()
        {
            let row = |y: i64| &half[reflect(y, height) * width..][..width];
            let y = y as i64;
            scale(sum, row(y), self.kernel[0]);
            for j in 1..=r {
                add_both(sum, row(y - j as i64), row(y + j as i64), self.kernel[j]);
            }
            for ((old, change), &new) in old.iter_mut().zip(change).zip(&*sum) {
                *change = new - *old;
                *old = new;
            }
        }
    }
}

fn scale<T: Real>(to: &mut [T], from: &[T], weight: T) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from * weight;
    }
}

fn add_both<T: Real>(to: &mut [T], before: &[T], after: &[T], weight: T) {
    for ((to, &before), &after) in to.iter_mut().zip(before).zip(after) {
        *to += (before + after) * weight;
    }
}

/// The pixel that stands for one outside: the image continues as its mirror image, the outermost
/// pixel repeated.
fn reflect(i: i64, size: usize) -> usize {
    let i = i.rem_euclid(2 * size as i64) as usize;
    if i < size { i } else { 2 * size - 1 - i }
}
