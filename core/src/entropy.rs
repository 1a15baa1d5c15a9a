//! Image information entropy: the Shannon entropy of the grey levels around each pixel.

mod windows;

use crate::{Plane, PlaneMut, Real};
use thiserror::Error;
use windows::{LEVELS, Map, fill_steps};

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
    let pixels = largest_window(k, width, height);
    if pixels < LEVELS { LEVELS } else { pixels }
}

const fn largest_window(k: usize, width: usize, height: usize) -> usize {
    let columns = if k < width { k } else { width };
    let rows = if k < height { k } else { height };
    columns.saturating_mul(rows)
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
    out: PlaneMut<'_, T>,
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
    let steps = &mut scratch[..needed];
    fill_steps(steps);
    let steps = &*steps;
    let map = Map { image, k, out };
    // As many windows side by side as their counts fit into one word.
    match steps.first_chunk::<LEVELS>() {
        Some(few) if pixels < 1 << 8 && k >= 8 => map.fill::<8, 8>(|c| few[usize::from(c as u8)]),
        _ if pixels < 1 << 16 => map.fill::<4, 16>(|c| steps[usize::from(c as u16)]),
        _ => map.fill::<2, 32>(|c| steps[c as u32 as usize]),
    }
    Ok(())
}
