//! Image information entropy (IIE): the Shannon entropy of the grey levels around each pixel.

mod fixed;
mod shapes;
mod windows;

pub use fixed::FixedPoint;

use crate::{Plane, PlaneMut, Real};
use thiserror::Error;
use windows::{NARROW_SIDE, PAIRS};

/// Errors of an entropy map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntropyError {
    /// A window without pixels.
    #[error("the window's side is 0 pixels: it has to be at least 1")]
    Window,
    /// The step is 0.
    #[error("a step of 0 pixels: it has to be at least 1")]
    Step,
    /// The output's size does not match the image, or the region leaves it.
    #[error("the output has {out_width} x {out_height} pixels, the image allows {width} x {height}")]
    Size {
        /// Width needed; for a region, the largest possible.
        width: usize,
        /// Height needed; for a region, the largest possible.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
    /// The mask has another size than the image.
    #[error("the mask has {mask_width} x {mask_height} pixels, the image {width} x {height}")]
    Mask {
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
        /// Width of the mask.
        mask_width: usize,
        /// Height of the mask.
        mask_height: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see EntropyMap::scratch_len")]
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

/// Neighbourhood of a pixel whose entropy is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbourhood {
    /// Columns `x - side / 2 ..= x + (side - 1) / 2` and the same rows: a window of even side extends
    /// one pixel further left and up.
    Square {
        /// Side in pixels, at least 1.
        side: usize,
    },
    /// Pixels whose centres are at most `radius` away (Euclidean distance).
    Disk {
        /// Radius in pixels; 0 is the pixel itself.
        radius: usize,
    },
}

/// Border mode of neighbourhoods that reach outside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchBorder {
    /// No padding: the neighbourhood is cropped, as in the authors' method.
    #[default]
    Cut,
    /// The image mirrored at the outer edges of its border pixels, which count twice: `b a | a b c | c b`.
    Mirror,
    /// The nearest pixel of the image: `a a | a b c | c c`.
    Clamp,
}

impl PatchBorder {
    /// Index along a side of `size` pixels (at least 1) of the pixel shown at `at`.
    #[inline]
    pub(crate) fn source(self, at: isize, size: usize) -> Option<usize> {
        if let Ok(inside) = usize::try_from(at)
            && inside < size
        {
            return Some(inside);
        }
        match self {
            Self::Cut => None,
            Self::Clamp => Some(if at < 0 { 0 } else { size - 1 }),
            Self::Mirror => {
                let period = 2 * size as i128;
                let at = (at as i128).rem_euclid(period) as usize;
                Some(if at < size { at } else { 2 * size - 1 - at })
            }
        }
    }
}

/// Local entropy filter: the entropy of the grey levels around each pixel.
///
/// [`compute`](Self::compute) gives, in nats, `H = -sum over g of P(g) ln P(g)`, where `P` is the
/// histogram of the 256 grey levels in the [`Neighbourhood`] of a pixel. The result is at least 0,
/// exactly 0 for one grey level or no pixel at all, and at most the logarithm of the smaller of 256
/// and the number of pixels. For fewer levels, or for `u16`, bin the image first
/// ([`Binning::apply`](crate::Binning::apply)).
///
/// The sum is in integers: `c * log2(c)` of each count, in fixed point with as many fractional bits
/// as keep the sum of the largest neighbourhood below 2^32. So the result depends neither on the
/// order of the pixels nor on how the work is split
/// ([`compute_region`](Self::compute_region)), bit for bit. It is within 3e-6 of the exact value, plus the
/// rounding of `T`, for windows of at least a quarter of the largest one's pixels: all windows without a mask.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), the indicator IIE; its windows are cropped at the
/// border.
///
/// ```
/// use infomark_core::{PatchBorder, EntropyMap, Plane, PlaneMut};
/// let image = [0, 0, 255, 255, 0, 0];
/// let map = EntropyMap::disk(1).border(PatchBorder::Mirror).step(2);
/// assert_eq!(map.output_size(3, 2), (2, 1));
/// let mut entropy = [0.0f64; 2];
/// let mut scratch = vec![0; map.scratch_len(3, 2)];
/// map.compute(Plane::new(&image, 3, 2)?, PlaneMut::new(&mut entropy, 2, 1)?, &mut scratch)?;
/// // Around the first pixel: four zeros and one 255.
/// assert!((entropy[0] - (0.8 * 1.25f64.ln() + 0.2 * 5f64.ln())).abs() < 3e-6);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntropyMap {
    neighbourhood: Neighbourhood,
    border: PatchBorder,
    step: usize,
}

/// Number of output pixels from which the table of pairs saves time.
const MANY: usize = 1 << 15;

impl EntropyMap {
    /// Entropy in neighbourhoods of a shape, cropped at the border, with step 1.
    pub const fn new(neighbourhood: Neighbourhood) -> Self {
        Self { neighbourhood, border: PatchBorder::Cut, step: 1 }
    }

    /// Entropy in squares of side `k`; otherwise as [`new`](Self::new).
    pub const fn square(k: usize) -> Self {
        Self::new(Neighbourhood::Square { side: k })
    }

    /// Entropy in disks of a radius; otherwise as [`new`](Self::new).
    pub const fn disk(radius: usize) -> Self {
        Self::new(Neighbourhood::Disk { radius })
    }

    /// Sets the border mode.
    pub const fn border(self, border: PatchBorder) -> Self {
        Self { border, ..self }
    }

    /// Sets the step: every `step`-th pixel of every `step`-th row, from `(0, 0)` on.
    pub const fn step(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// Width and height of the output for an image of `width` by `height` pixels; 0 for a step of 0.
    pub const fn output_size(&self, width: usize, height: usize) -> (usize, usize) {
        if self.step == 0 { (0, 0) } else { (width.div_ceil(self.step), height.div_ceil(self.step)) }
    }

    /// Elements of scratch needed for an image of `width` by `height` pixels: at most 2^16 plus the
    /// pixels and columns of a neighbourhood. Saturates on overflow.
    pub const fn scratch_len(&self, width: usize, height: usize) -> usize {
        let steps = self.largest(width, height).saturating_add(1);
        steps.saturating_add(if self.takes_pairs(width, height) { PAIRS } else { self.side(width, height) })
    }

    /// The smallest neighbourhood with the same result in an image of this size.
    const fn bounded(&self, width: usize, height: usize) -> Neighbourhood {
        let sum = width.saturating_add(height);
        match (self.border, self.neighbourhood) {
            // Covers the whole image from every pixel.
            (PatchBorder::Cut, Neighbourhood::Square { side }) => {
                Neighbourhood::Square { side: min(side, sum.saturating_mul(2).saturating_add(1)) }
            }
            (PatchBorder::Cut, Neighbourhood::Disk { radius }) => {
                Neighbourhood::Disk { radius: min(radius, sum) }
            }
            (_, neighbourhood) => neighbourhood,
        }
    }

    const fn side(&self, width: usize, height: usize) -> usize {
        match self.bounded(width, height) {
            Neighbourhood::Square { side } => side,
            Neighbourhood::Disk { radius } => radius.saturating_mul(2).saturating_add(1),
        }
    }

    /// Upper bound of the pixels of a neighbourhood, at least 1.
    const fn largest(&self, width: usize, height: usize) -> usize {
        let side = self.side(width, height);
        let (columns, rows) = match self.border {
            PatchBorder::Cut => (min(side, width), min(side, height)),
            PatchBorder::Mirror | PatchBorder::Clamp => (side, side),
        };
        let pixels = columns.saturating_mul(rows);
        if pixels == 0 { 1 } else { pixels }
    }

    /// The fixed-point arithmetic for an image of `width` by `height` pixels.
    ///
    /// # Errors
    /// When a window holds more pixels than can be counted.
    pub fn fixed_point(&self, width: usize, height: usize) -> Result<FixedPoint, EntropyError> {
        let pixels = self.largest(width, height);
        FixedPoint::new(pixels).ok_or(EntropyError::TooLarge { pixels })
    }

    const fn takes_pairs(&self, width: usize, height: usize) -> bool {
        let square = matches!(self.neighbourhood, Neighbourhood::Square { .. });
        square && self.side(width, height) <= NARROW_SIDE && width.saturating_mul(height) >= MANY
    }

    /// Computes the entropy around each pixel, in nats.
    ///
    /// `out` has the size of [`output_size`](Self::output_size); `scratch` holds at least
    /// [`scratch_len`](Self::scratch_len) elements of any content. An empty image changes nothing. The cost per
    /// pixel is linear in the side: a square costs about one addition of eight packed counts and four
    /// lookups for every eight of the pixels that enter or leave it.
    ///
    /// # Errors
    /// When a square's side or the step is 0, the output has the wrong size, or the scratch is too short.
    pub fn compute<T: Real>(
        &self,
        image: Plane<'_, u8>,
        out: PlaneMut<'_, T>,
        scratch: &mut [u64],
    ) -> Result<(), EntropyError> {
        self.check_size(&image, &out)?;
        self.run(image, None, 0, 0, out, scratch)
    }

    /// Variant of [`compute`](Self::compute) that counts only the pixels where `mask` is true.
    ///
    /// Every pixel gets an entropy, masked or not; 0 where nothing is counted. With a mask that is
    /// true throughout, the result is that of [`compute`](Self::compute), bit for bit. Slower.
    ///
    /// # Errors
    /// As [`compute`](Self::compute), and when the mask has another size than the image.
    pub fn compute_masked<T: Real>(
        &self,
        image: Plane<'_, u8>,
        mask: Plane<'_, bool>,
        out: PlaneMut<'_, T>,
        scratch: &mut [u64],
    ) -> Result<(), EntropyError> {
        let (width, height) = (image.width(), image.height());
        if (mask.width(), mask.height()) != (width, height) {
            let (mask_width, mask_height) = (mask.width(), mask.height());
            return Err(EntropyError::Mask { width, height, mask_width, mask_height });
        }
        self.check_size(&image, &out)?;
        self.run(image, Some(mask), 0, 0, out, scratch)
    }

    /// The region of [`compute`](Self::compute)'s output that starts at its column `left` and row `top` and has
    /// the size of `out`; for splitting the work among threads.
    ///
    /// # Errors
    /// As [`compute`](Self::compute), and when the region leaves the output.
    pub fn compute_region<T: Real>(
        &self,
        image: Plane<'_, u8>,
        left: usize,
        top: usize,
        out: PlaneMut<'_, T>,
        scratch: &mut [u64],
    ) -> Result<(), EntropyError> {
        let (width, height) = self.output_size(image.width(), image.height());
        let (out_width, out_height) = (out.width(), out.height());
        let (width, height) = (width.saturating_sub(left), height.saturating_sub(top));
        if out_width > width || out_height > height {
            self.check_parameters()?;
            return Err(EntropyError::Size { width, height, out_width, out_height });
        }
        self.run(image, None, left, top, out, scratch)
    }

    fn check_parameters(&self) -> Result<(), EntropyError> {
        match (self.side(1, 1), self.step) {
            (0, _) => Err(EntropyError::Window),
            (_, 0) => Err(EntropyError::Step),
            _ => Ok(()),
        }
    }

    fn check_size<T>(&self, image: &Plane<'_, u8>, out: &PlaneMut<'_, T>) -> Result<(), EntropyError> {
        self.check_parameters()?;
        let (width, height) = self.output_size(image.width(), image.height());
        let (out_width, out_height) = (out.width(), out.height());
        if (out_width, out_height) == (width, height) {
            return Ok(());
        }
        Err(EntropyError::Size { width, height, out_width, out_height })
    }

    fn run<T: Real>(
        &self,
        image: Plane<'_, u8>,
        mask: Option<Plane<'_, bool>>,
        left: usize,
        top: usize,
        out: PlaneMut<'_, T>,
        scratch: &mut [u64],
    ) -> Result<(), EntropyError> {
        self.check_parameters()?;
        let (width, height) = (image.width(), image.height());
        let (pixels, side) = (self.largest(width, height), self.side(width, height));
        let fixed = self.fixed_point(width, height)?;
        let (len, needed) = (scratch.len(), self.scratch_len(width, height));
        if len < needed {
            return Err(EntropyError::Scratch { len, needed });
        }
        if out.is_empty() {
            return Ok(());
        }
        let (steps, rest) = scratch.split_at_mut(pixels + 1);
        fixed.fill_steps(steps);
        let steps = &*steps;
        let (border, step) = (self.border, self.step);
        let (left, top) = (left * step, top * step);
        // Windows far apart are cheaper to count from scratch.
        let apart = step.saturating_mul(step) > side.saturating_mul(4);
        let square = matches!(self.neighbourhood, Neighbourhood::Square { .. });
        if square && mask.is_none() && !apart {
            let mut pairs = None;
            if self.takes_pairs(width, height)
                && let Some(table) = rest.first_chunk_mut::<PAIRS>()
            {
                windows::fill_pairs(table, steps, side);
                pairs = Some(&*table);
            }
            windows::Map { image, k: side, border, fixed, steps, pairs, left, top, step, out }.fill();
        } else {
            let extents = &mut rest[..side];
            shapes::fill_extents(self.bounded(width, height), extents);
            let extents = &*extents;
            shapes::Map { image, mask, border, fixed, steps, extents, left, top, step, out }.fill();
        }
        Ok(())
    }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// Elements of scratch that [`entropy_map`] needs for windows of side `k` in an image of `width`
/// by `height` pixels.
pub const fn entropy_scratch_len(k: usize, width: usize, height: usize) -> usize {
    EntropyMap::square(k).scratch_len(width, height)
}

/// Image information entropy (IIE) of every pixel, in nats, in squares of side `k`:
/// [`EntropyMap::compute`] of [`EntropyMap::square`].
///
/// # Errors
/// When `k` is 0, the output has the wrong size, or the scratch is too short.
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
    scratch: &mut [u64],
) -> Result<(), EntropyError> {
    EntropyMap::square(k).compute(image, out, scratch)
}
