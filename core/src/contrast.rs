//! Local contrast normalisation.

use thiserror::Error;

use crate::augment::mirrored;
use crate::{Plane, PlaneMut, Real};

/// Largest standard deviation of a neighbourhood, in pixels.
const WIDEST: f64 = 1024.0;
/// Box filters in a row; three differ from a Gaussian by a few per cent of its height.
const PASSES: usize = 3;
/// Rows filtered together.
const ROWS: usize = 8;

/// Errors of [`local_contrast`].
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ContrastError {
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
    /// The sizes of the planes differ.
    #[error("the output has {width} x {height} pixels, the image {of_width} x {of_height}: make them equal")]
    Size {
        /// Width of the output in pixels.
        width: usize,
        /// Height of the output in pixels.
        height: usize,
        /// Width of the image in pixels.
        of_width: usize,
        /// Height of the image in pixels.
        of_height: usize,
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
    #[error("the scratch has {len} elements and needs {needed}: see local_contrast_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Options of [`local_contrast`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ContrastRule<T> {
    /// Standard deviation of the neighbourhood in pixels; above 0, at most 1024.
    pub sigma_px: T,
    /// Output for one local standard deviation; above 0.
    pub gain: T,
    /// Added to the local standard deviation, so that noise in flat regions is not amplified; above 0, in
    /// units of the image.
    pub floor: T,
}

impl<T: Real> ContrastRule<T> {
    fn check(&self) -> Result<(), ContrastError> {
        let positive = |value: T| value.is_finite() && value > T::zero();
        let refused =
            |name, value: T, needed| Err(ContrastError::Setting { name, value: value.as_f64(), needed });
        if !positive(self.sigma_px) || self.sigma_px.as_f64() > WIDEST {
            return refused("sigma", self.sigma_px, "above 0, at most 1024 pixels");
        }
        if !positive(self.gain) {
            return refused("gain", self.gain, "a finite number above 0");
        }
        if !positive(self.floor) {
            return refused("floor", self.floor, "a finite number above 0");
        }
        Ok(())
    }

    /// Radius of the box filter of which three have about the requested deviation.
    fn radius(&self) -> usize {
        let sigma = self.sigma_px.as_f64();
        ((Real::sqrt(4.0 * sigma * sigma + 1.0) - 1.0) / 2.0 + 0.5) as usize
    }
}

/// Elements of scratch that [`local_contrast`] needs: two copies of the image and eight padded rows.
pub const fn local_contrast_scratch_len(width: usize, height: usize, sigma_px: f64) -> usize {
    // A radius is below sigma + 1/2; invalid deviations need none.
    let reach = if sigma_px > 0.0 && sigma_px <= WIDEST { sigma_px as usize + 1 } else { 0 };
    let padded = width.saturating_add(2 * reach).saturating_mul(ROWS);
    width.saturating_mul(height).saturating_mul(2).saturating_add(padded)
}

/// Local contrast normalisation: maps each pixel `v`, with the mean `m` and standard deviation `s` of its neighbourhood, to
/// `1/2 + gain * (v - m) / (s + floor)`, clamped to `[0, 1]` (divisive normalisation, as in Jarrett et al.,
/// *What is the best multi-stage architecture for object recognition?*, ICCV 2009).
///
/// Nearly invariant to exposure and slow shading: scaling and offsetting the grey levels changes little
/// while the floor is small compared with the contrast. The mean is that of three box filters of
/// `2 r + 1` pixels in each direction, whose joint deviation is within half a pixel of `sigma_px`; `s^2` is the same mean
/// of `(v - m)^2`. The border is mirrored at the outer edges of its pixels, `b a | a b c | c b`.
///
/// The cost does not depend on sigma. `scratch` holds at least [`local_contrast_scratch_len`] elements.
///
/// # Errors
/// [`ContrastError`]: unusable settings, sizes or scratch, or a pixel that is not finite.
///
/// ```
/// use infomark_core::{ContrastRule, Plane, PlaneMut, local_contrast, local_contrast_scratch_len};
/// let image: Vec<f32> = (0..64).map(|i| 0.3 + 0.1 * (i % 2) as f32).collect();
/// let darker: Vec<f32> = image.iter().map(|v| v * 0.6).collect();
/// let rule = ContrastRule { sigma_px: 3.0, gain: 0.2, floor: 1e-4 };
/// let mut scratch = vec![0.0; local_contrast_scratch_len(64, 1, 3.0)];
/// let (mut a, mut b) = (vec![0.0; 64], vec![0.0; 64]);
/// local_contrast(Plane::new(&image, 64, 1)?, PlaneMut::new(&mut a, 64, 1)?, rule, &mut scratch)?;
/// local_contrast(Plane::new(&darker, 64, 1)?, PlaneMut::new(&mut b, 64, 1)?, rule, &mut scratch)?;
/// assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3));
/// assert!((a[30] - 0.3).abs() < 0.02 && (a[31] - 0.7).abs() < 0.02);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[inline(always)]
pub fn local_contrast<T: Real>(
    src: Plane<'_, T>,
    mut dst: PlaneMut<'_, T>,
    rule: ContrastRule<T>,
    scratch: &mut [T],
) -> Result<(), ContrastError> {
    rule.check()?;
    let (width, height) = (src.width(), src.height());
    let (of_width, of_height) = (width, height);
    let out = dst.as_plane();
    if (out.width(), out.height()) != (width, height) {
        let (width, height) = (out.width(), out.height());
        return Err(ContrastError::Size { width, height, of_width, of_height });
    }
    let (needed, len) = (local_contrast_scratch_len(width, height, rule.sigma_px.as_f64()), scratch.len());
    if len < needed {
        return Err(ContrastError::Scratch { needed, len });
    }
    for (y, row) in src.rows().enumerate() {
        if let Some((x, value)) = row.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(ContrastError::Value { value: value.as_f64(), x, y });
        }
    }
    if src.is_empty() {
        return Ok(());
    }
    let (means, rest) = scratch.split_at_mut(width * height);
    let (other, padded) = rest.split_at_mut(width * height);
    for (to, from) in means.chunks_exact_mut(width).zip(src.rows()) {
        to.copy_from_slice(from);
    }
    smooth(means, other, width, rule.radius(), padded);
    for (y, (from, mean)) in src.rows().zip(means.chunks_exact_mut(width)).enumerate() {
        for ((out, &value), mean) in dst.row_mut(y).iter_mut().zip(from).zip(mean) {
            *out = value - *mean;
            *mean = *out * *out;
        }
    }
    smooth(means, other, width, rule.radius(), padded);
    let half = T::from_f64(0.5);
    for (y, row) in means.chunks_exact(width).enumerate() {
        for (out, &variance) in dst.row_mut(y).iter_mut().zip(row) {
            // Rounding of running sums may give slightly negative values.
            let deviation = Real::sqrt(variance.max(T::zero()));
            let value = half + rule.gain * *out / (deviation + rule.floor);
            *out = value.max(T::zero()).min(T::one());
        }
    }
    Ok(())
}

/// Three box filters in both directions, in place in `image`.
#[inline(always)]
fn smooth<T: Real>(image: &mut [T], other: &mut [T], width: usize, radius: usize, padded: &mut [T]) {
    if radius == 0 {
        return;
    }
    for _ in 0..PASSES {
        mean_rows(image, other, width, radius, &mut padded[..ROWS * (width + 2 * radius)]);
        mean_columns(other, image, width, radius, &mut padded[..width]);
    }
}

#[inline(always)]
fn mean_rows<T: Real>(from: &[T], to: &mut [T], width: usize, radius: usize, padded: &mut [T]) {
    let share = T::one() / T::from_usize(2 * radius + 1);
    // Several rows side by side: the sums of one row depend on each other.
    let (padded, _) = padded.as_chunks_mut::<ROWS>();
    for (from, to) in from.chunks(ROWS * width).zip(to.chunks_mut(ROWS * width)) {
        for (lane, row) in from.chunks_exact(width).enumerate() {
            for (column, &value) in padded[radius..].iter_mut().zip(row) {
                column[lane] = value;
            }
        }
        for i in (0..radius).chain(radius + width..padded.len()) {
            padded[i] = padded[radius + mirrored(i, radius, width)];
        }
        let mut sums = [T::zero(); ROWS];
        for column in &padded[..2 * radius] {
            add(&mut sums, column);
        }
        for x in 0..width {
            add(&mut sums, &padded[x + 2 * radius]);
            let means = sums.map(|sum| sum * share);
            // The column is no longer needed.
            for (sum, &first) in sums.iter_mut().zip(&padded[x]) {
                *sum -= first;
            }
            padded[x] = means;
        }
        for (lane, row) in to.chunks_exact_mut(width).enumerate() {
            for (value, column) in row.iter_mut().zip(&*padded) {
                *value = column[lane];
            }
        }
    }
}

#[inline(always)]
fn add<T: Real>(sums: &mut [T; ROWS], values: &[T; ROWS]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

#[inline(always)]
fn mean_columns<T: Real>(from: &[T], to: &mut [T], width: usize, radius: usize, sums: &mut [T]) {
    let share = T::one() / T::from_usize(2 * radius + 1);
    let height = from.len() / width;
    // Row `i` of the image with `radius` mirrored rows before it.
    let row = |i: usize| &from[mirrored(i, radius, height) * width..][..width];
    sums.fill(T::zero());
    for i in 0..2 * radius {
        for (sum, &value) in sums.iter_mut().zip(row(i)) {
            *sum += value;
        }
    }
    for (y, to) in to.chunks_exact_mut(width).enumerate() {
        for (((to, sum), &next), &first) in to.iter_mut().zip(&mut *sums).zip(row(y + 2 * radius)).zip(row(y))
        {
            *sum += next;
            *to = *sum * share;
            *sum -= first;
        }
    }
}
