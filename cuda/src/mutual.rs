//! Mutual information of patches.

use crate::driver::{Grid, Launch};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::mutual_information_terms;

/// Maximum number of pixels of a patch: its pairs of levels fill at most half of a hash table of 32 KiB.
const MOST_PIXELS: usize = 64 * 64;

/// Two patches of one size by their top left pixels, in images of two batches.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PatchPair {
    first: [i32; 3],
    second: [i32; 3],
}

/// Position of a patch: image of the batch, and column and row of its top left pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Index of the image in the batch.
    pub image: usize,
    /// Left column.
    pub x: usize,
    /// Top row.
    pub y: usize,
}

impl Device {
    /// Mutual information of pairs of patches of `width` by `height` pixels with 256 grey levels each, in nats: bit for bit
    /// that of the core's `mutual_information` in `f32`.
    ///
    /// Cost: reads 2 bytes per pixel of a pair; limited by atomic additions in shared memory, four per pixel.
    ///
    /// # Errors
    /// When a patch is empty, has more than 4096 pixels or leaves its image, or the device fails.
    pub fn mutual_information(
        &self,
        first: Images<'_, u8>,
        second: Images<'_, u8>,
        pairs: &[(Patch, Patch)],
        width: usize,
        height: usize,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "mutual information";
        let pixels = width.saturating_mul(height);
        if pixels == 0 || pixels > MOST_PIXELS {
            let reason =
                format!("patches of {width} x {height} pixels: 1 to {MOST_PIXELS} pixels are possible");
            return Err(CudaError::shape(OPERATION, reason));
        }
        let place = |index: usize, patch: &Patch, images: &Images<'_, u8>| {
            let fits = |at: usize, size: usize, of: usize| size <= of && at <= of - size;
            let inside = fits(patch.x, width, images.width) && fits(patch.y, height, images.height);
            if inside && patch.image < images.count {
                return Ok([patch.image, patch.x, patch.y].map(|n| n as i32));
            }
            let (count, of_width, of_height) = (images.count, images.width, images.height);
            let reason = format!(
                "pair {index}: {patch:?} of {width} x {height} pixels leaves {count} images of {of_width} x {of_height}"
            );
            Err(CudaError::shape(OPERATION, reason))
        };
        let pairs = pairs
            .iter()
            .enumerate()
            .map(|(i, (a, b))| Ok(PatchPair { first: place(i, a, &first)?, second: place(i, b, &second)? }));
        let pairs = pairs.collect::<Result<Vec<_>, CudaError>>()?;
        let mut out = self.allocate(pairs.len(), OPERATION)?;
        let mut terms = vec![0u64; pixels + 1];
        let nats = mutual_information_terms(&mut terms) / pixels as f64;
        let (pairs, terms) = (self.upload(&pairs)?, self.upload(&terms)?);
        let slots = (2 * pixels).next_power_of_two();
        let sizes = (width as i32, height as i32, slots as u32);
        let extents = (first.extent(), second.extent());
        Launch::new(self, OPERATION, "mutual_information")?
            .read(first.buffer)
            .read(second.buffer)
            .read(&pairs)
            .write(&mut out)
            .read(&terms)
            .value(&extents.0)
            .value(&extents.1)
            .value(&sizes.0)
            .value(&sizes.1)
            .value(&sizes.2)
            .value(&nats)
            .run(Grid::new(pairs.len(), 256).shared(slots * size_of::<u32>()))?;
        Ok(out)
    }
}
