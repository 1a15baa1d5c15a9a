//! Gaussian blur.

use crate::Real;

/// Largest standard deviation of a blur, in pixels.
const WIDEST: f64 = 1024.0;

/// Kernel radius: three standard deviations, rounded up; 0 for an invalid deviation.
const fn radius(sigma_px: f64) -> usize {
    if !(sigma_px > 0.0 && sigma_px <= WIDEST) {
        return 0;
    }
    let cut = (3.0 * sigma_px) as usize;
    if (cut as f64) < 3.0 * sigma_px { cut + 1 } else { cut }
}

/// Elements of scratch that [`gaussian`] needs: a copy of the image, a padded row and the weights.
pub(crate) const fn gaussian_scratch_len(width: usize, height: usize, sigma_px: f64) -> usize {
    let radius = radius(sigma_px);
    width.saturating_mul(height).saturating_add(width).saturating_add(3 * radius + 1)
}

/// Gaussian blur of standard deviation `sigma_px`, in pixels; 0 copies the image.
///
/// Weights are `exp(-k^2 / (2 sigma^2))` up to three deviations (rounded up) on each side and add up to
/// 1; rows first, then columns. The border is mirrored at the outer edges of its pixels,
/// `b a | a b c | c b`, which keeps the mean; constant images are unchanged, exactly.
///
/// `load` reads a row, `store` receives a blurred one; the deviation is at most 1024 and the scratch
/// holds [`gaussian_scratch_len`] elements.
pub(crate) fn gaussian<T: Real>(
    (width, height): (usize, usize),
    sigma_px: f64,
    scratch: &mut [T],
    load: impl Fn(usize, &mut [T]),
    mut store: impl FnMut(usize, &[T]),
) {
    let radius = radius(sigma_px);
    let (weights, rest) = scratch.split_at_mut(radius);
    let (padded, rest) = rest.split_at_mut(width + 2 * radius);
    fill_weights(weights, sigma_px);
    for (y, row) in rest.chunks_exact_mut(width).take(height).enumerate() {
        load(y, &mut padded[radius..][..width]);
        for i in (0..radius).chain(radius + width..padded.len()) {
            padded[i] = padded[radius + mirrored(i, radius, width)];
        }
        row.copy_from_slice(&padded[radius..][..width]);
        for (k, &weight) in (1..).zip(&*weights) {
            add(row, &padded[radius..], &padded[radius - k..], &padded[radius + k..], weight);
        }
    }
    let row = |y: usize| &rest[y * width..][..width];
    let sums = &mut padded[..width];
    for y in 0..height {
        sums.copy_from_slice(row(y));
        for (k, &weight) in (1..).zip(&*weights) {
            let above = row(mirrored(y + radius - k, radius, height));
            add(sums, row(y), above, row(mirrored(y + radius + k, radius, height)), weight);
        }
        store(y, sums);
    }
}

/// Adds `weight * ((before - middle) + (after - middle))`: 0 where all are equal.
#[inline]
fn add<T: Real>(sums: &mut [T], middle: &[T], before: &[T], after: &[T], weight: T) {
    for (((sum, &m), &b), &a) in sums.iter_mut().zip(middle).zip(before).zip(after) {
        *sum += weight * ((b - m) + (a - m));
    }
}

/// The weights of the neighbours at distances 1, 2, ... pixels.
fn fill_weights<T: Real>(weights: &mut [T], sigma_px: f64) {
    let weight = |k: usize| Real::exp(-0.5 * (k as f64 / sigma_px) * (k as f64 / sigma_px));
    let total = 1.0 + 2.0 * (1..=weights.len()).map(weight).sum::<f64>();
    for (k, value) in (1..).zip(weights) {
        *value = T::from_f64(weight(k) / total);
    }
}

/// Source index of element `i` of a row padded by `before` mirrored pixels.
pub(crate) fn mirrored(i: usize, before: usize, size: usize) -> usize {
    let period = 2 * size;
    let at = (i % period + period - before % period) % period;
    at.min(period - 1 - at)
}
