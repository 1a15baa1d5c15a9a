//! Image information entropy: the Shannon entropy of the grey levels around each pixel.

use crate::{Plane, PlaneMut, Real};
use thiserror::Error;

/// Windows that are moved together, so that the processor has independent work.
const LANES: usize = 4;
const LEVELS: usize = 256;
/// Fractional bits of the fixed-point table of `c * log2(c)`.
const FRACTION: u32 = 24;
const ONE: f64 = (1u64 << FRACTION) as f64;

/// Why an entropy map could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntropyError {
    /// A window of no pixels.
    #[error("the window's side is 0 pixels: it has to be at least 1")]
    Window,
    /// The output has another size than the image.
    #[error("the output has {out_width} x {out_height} pixels, the image {width} x {height}")]
    Size {
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see entropy_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// A window holds more pixels than can be counted.
    #[error("windows of {pixels} pixels are too large")]
    TooLarge {
        /// Pixels of the largest window.
        pixels: usize,
    },
}

/// Elements of scratch that [`entropy_map`] needs for windows of side `k` in an image of `width`
/// by `height` pixels; saturates where the product overflows.
pub const fn entropy_scratch_len(k: usize, width: usize, height: usize) -> usize {
    LANES * LEVELS + largest_window(k, width, height)
}

const fn largest_window(k: usize, width: usize, height: usize) -> usize {
    let w = if k < width { k } else { width };
    let h = if k < height { k } else { height };
    // Far below usize::MAX, so that the histograms can still be added.
    let product = w.saturating_mul(h);
    if product > usize::MAX / 2 { usize::MAX / 2 } else { product }
}

/// Image information entropy (IIE) of every pixel, in nats.
///
/// `H = -sum over g of P(g) ln P(g)`, where `P` is the histogram of the 256 grey levels in the
/// `k` by `k` window around the pixel: columns `x - k / 2 ..= x + (k - 1) / 2` and the same for
/// rows, so a window of even side reaches one pixel further to the left and up. Windows are cut
/// off at the border of the image. The result is at least 0, exactly 0 for a window of one grey
/// level, and at most the logarithm of the smaller of 256 and the window's pixels.
///
/// The sum runs in integers (a fixed-point table of `c * log2(c)`), so it does not depend on the
/// order of the pixels; it is within 1e-6 of the exact value, plus the rounding of `T`. The cost
/// of a pixel grows linearly with `k`. An empty image is left as it is.
///
/// `scratch` holds at least [`entropy_scratch_len`]`(k, width, height)` elements of any content.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), the indicator IIE.
///
/// # Errors
/// When `k` is 0, the output has another size than the image, or the scratch is too short.
///
/// ```
/// use infomark_core::{Plane, PlaneMut, entropy_map, entropy_scratch_len};
/// let image = [0, 0, 255, 255];
/// let mut entropy = [0.0f64; 4];
/// let mut scratch = [0; entropy_scratch_len(3, 2, 2)];
/// entropy_map(
///     Plane::new(&image, 2, 2)?,
///     3,
///     PlaneMut::new(&mut entropy, 2, 2)?,
///     &mut scratch,
/// )?;
/// assert!((entropy[0] - 2f64.ln()).abs() < 1e-6);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn entropy_map<T: Real>(
    image: Plane<'_, u8>,
    k: usize,
    mut out: PlaneMut<'_, T>,
    scratch: &mut [u32],
) -> Result<(), EntropyError> {
    let (width, height) = (image.width(), image.height());
    if k == 0 {
        return Err(EntropyError::Window);
    }
    if (out.width(), out.height()) != (width, height) {
        return Err(EntropyError::Size { width, height, out_width: out.width(), out_height: out.height() });
    }
    let pixels = largest_window(k, width, height);
    if u32::try_from(pixels).is_err() {
        return Err(EntropyError::TooLarge { pixels });
    }
    let len = scratch.len();
    let needed = entropy_scratch_len(k, width, height);
    if len < needed {
        return Err(EntropyError::Scratch { len, needed });
    }
    let (histograms, steps) = scratch[..needed].split_at_mut(LANES * LEVELS);
    let (histograms, _) = histograms.as_chunks_mut::<LEVELS>();
    fill_steps(steps);

    let mut x = 0;
    while x < width {
        if let ([a, b, c, d], true) = (&mut *histograms, width - x >= LANES) {
            strip([a, b, c, d], steps, image, k, x, &mut out);
            x += LANES;
        } else if let [a, ..] = &mut *histograms {
            strip([a], steps, image, k, x, &mut out);
            x += 1;
        }
    }
    Ok(())
}

/// `steps[c] = f(c + 1) - f(c)` with `f(c) = round(c * log2(c) * 2^24)`.
fn fill_steps(steps: &mut [u32]) {
    let mut below = 0;
    for (step, c) in steps.iter_mut().zip(1u64..) {
        let above = fixed(c);
        // The slope of c * log2(c) is log2(c) + 1.44 < 34: it fits.
        *step = (above - below) as u32;
        below = above;
    }
}

/// `round(c * log2(c) * 2^24)`.
fn fixed(c: u64) -> u64 {
    let c = c as f64;
    (c * libm::log2(c) * ONE + 0.5) as u64
}

/// One lane's window: its columns, and what turns its sum into an entropy.
#[derive(Clone, Copy, Default)]
struct Lane {
    left: usize,
    right: usize,
    /// `f(n)`: the sum of a window of one grey level.
    top: u64,
    /// `ln(2) / (n * 2^24)`.
    factor: f64,
}

/// Moves `N` neighbouring windows down from the top of the image to its bottom.
fn strip<T: Real, const N: usize>(
    mut histograms: [&mut [u32; LEVELS]; N],
    steps: &[u32],
    image: Plane<'_, u8>,
    k: usize,
    x: usize,
    out: &mut PlaneMut<'_, T>,
) {
    let (width, height) = (image.width(), image.height());
    let (before, after) = (k / 2, (k - 1) / 2);
    let mut lanes = [Lane::default(); N];
    for (i, lane) in lanes.iter_mut().enumerate() {
        lane.left = (x + i).saturating_sub(before);
        lane.right = (x + i).saturating_add(after).min(width - 1) + 1;
    }
    for histogram in &mut histograms {
        histogram.fill(0);
    }
    let mut sums = [0u64; N];
    for y in 0..after.min(height) {
        enter(&mut histograms, &mut sums, steps, &lanes, image.row(y));
    }
    let mut rows_before = 0;
    for y in 0..height {
        let entering = y.checked_add(after).filter(|&row| row < height);
        let leaving = y.checked_sub(before + 1);
        match (entering, leaving) {
            (Some(new), Some(old)) => {
                exchange(&mut histograms, &mut sums, steps, &lanes, image.row(old), image.row(new));
            }
            (Some(new), None) => enter(&mut histograms, &mut sums, steps, &lanes, image.row(new)),
            (None, Some(old)) => leave(&mut histograms, &mut sums, steps, &lanes, image.row(old)),
            (None, None) => {}
        }
        let rows = y.saturating_add(after).min(height - 1) + 1 - y.saturating_sub(before);
        if rows != rows_before {
            rows_before = rows;
            for lane in &mut lanes {
                let n = (rows * (lane.right - lane.left)) as u64;
                lane.top = fixed(n);
                lane.factor = core::f64::consts::LN_2 / (n as f64 * ONE);
            }
        }
        let row = &mut out.row_mut(y)[x..x + N];
        for ((value, lane), sum) in row.iter_mut().zip(&lanes).zip(&sums) {
            *value = T::from_f64(lane.top.saturating_sub(*sum) as f64 * lane.factor);
        }
    }
}

/// The lanes' parts of a row, side by side, when all are equally long: `(shortest left, length)`.
fn common<const N: usize>(lanes: &[Lane; N]) -> Option<(usize, usize)> {
    let first = lanes.first()?;
    let len = first.right - first.left;
    let regular = lanes
        .iter()
        .enumerate()
        .all(|(i, lane)| lane.left == first.left + i && lane.right - lane.left == len);
    regular.then_some((first.left, len))
}

#[inline(always)]
fn add(histogram: &mut [u32; LEVELS], sum: &mut u64, steps: &[u32], level: u8) {
    let count = &mut histogram[level as usize];
    *sum += steps[*count as usize] as u64;
    *count += 1;
}

#[inline(always)]
fn remove(histogram: &mut [u32; LEVELS], sum: &mut u64, steps: &[u32], level: u8) {
    let count = &mut histogram[level as usize];
    *count -= 1;
    *sum -= steps[*count as usize] as u64;
}

fn enter<const N: usize>(
    histograms: &mut [&mut [u32; LEVELS]; N],
    sums: &mut [u64; N],
    steps: &[u32],
    lanes: &[Lane; N],
    row: &[u8],
) {
    for i in 0..N {
        for &level in &row[lanes[i].left..lanes[i].right] {
            add(histograms[i], &mut sums[i], steps, level);
        }
    }
}

fn leave<const N: usize>(
    histograms: &mut [&mut [u32; LEVELS]; N],
    sums: &mut [u64; N],
    steps: &[u32],
    lanes: &[Lane; N],
    row: &[u8],
) {
    for i in 0..N {
        for &level in &row[lanes[i].left..lanes[i].right] {
            remove(histograms[i], &mut sums[i], steps, level);
        }
    }
}

/// One row leaves and another enters: the step that nearly all the time goes into.
#[inline(always)]
fn exchange<const N: usize>(
    histograms: &mut [&mut [u32; LEVELS]; N],
    sums: &mut [u64; N],
    steps: &[u32],
    lanes: &[Lane; N],
    old: &[u8],
    new: &[u8],
) {
    let Some((left, len)) = common(lanes) else {
        leave(histograms, sums, steps, lanes, old);
        enter(histograms, sums, steps, lanes, new);
        return;
    };
    let old = old[left..left + len + N - 1].windows(N);
    let new = new[left..left + len + N - 1].windows(N);
    let mut totals = *sums;
    for (old, new) in old.zip(new) {
        for i in 0..N {
            remove(histograms[i], &mut totals[i], steps, old[i]);
        }
        for i in 0..N {
            add(histograms[i], &mut totals[i], steps, new[i]);
        }
    }
    *sums = totals;
}
