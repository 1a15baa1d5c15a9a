//! Entropy maps.

use crate::driver::{Grid, Launch};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::{EntropyMap, PatchBorder};

/// Threads per block, one column each.
const THREADS: usize = 64;
/// Words per histogram of a thread.
const WORDS: usize = 128;
/// Maximum side of a window: its table and the histograms of a block fill 48 KiB.
const MOST_SIDE: usize = 64;

impl Device {
    /// Image information entropy around each pixel of a batch, in nats: bit for bit that of the core's
    /// [`EntropyMap::square`] with that border, with the same integer arithmetic.
    ///
    /// The result has the images' count, width and height, without gaps.
    ///
    /// Cost: reads the images once from memory and writes 4 bytes per pixel; limited by shared memory, `2 * side` updates
    /// per pixel. A single image does not fill a device: use a batch.
    ///
    /// # Errors
    /// When the side is 0 or above 64, or the device fails.
    pub fn entropy_map(
        &self,
        images: Images<'_, u8>,
        side: usize,
        border: PatchBorder,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "entropy map";
        if side == 0 || side > MOST_SIDE {
            let reason = format!("windows of side {side}: 1 to {MOST_SIDE} are possible");
            return Err(CudaError::shape(OPERATION, reason));
        }
        let (count, width, height) = (images.count, images.width, images.height);
        let mut out = self.allocate(count * width * height, OPERATION)?;
        if out.is_empty() {
            return Ok(out);
        }
        let fixed = EntropyMap::square(side).border(border).fixed_point(width, height)?;
        let largest = fixed.largest_window();
        let mut steps = vec![0; largest];
        fixed.fill_steps(&mut steps);
        // Below 2^32, as the sums are.
        let steps: Vec<u32> = steps.into_iter().map(|step| step as u32).collect();
        let (tops, factors): (Vec<u32>, Vec<f64>) = (0..=largest).map(|n| fixed.scale(n)).unzip();
        let (steps, tops, factors) = (self.upload(&steps)?, self.upload(&tops)?, self.upload(&factors)?);

        // Long strips waste less on their first windows, short ones fill the device.
        let blocks_x = width.div_ceil(THREADS);
        let rows = (height * blocks_x * count / (16 * self.multiprocessors())).clamp(side.max(16), 128);
        let strips = height.div_ceil(rows);
        let border = match border {
            PatchBorder::Cut => 0,
            PatchBorder::Mirror => 1,
            PatchBorder::Clamp => 2,
        };
        let numbers = [largest, side, border, rows, blocks_x, strips].map(|n| n as i32);
        let extent = images.extent();
        let mut launch = Launch::new(self, OPERATION, "entropy_map")?
            .read(images.buffer)
            .write(&mut out)
            .read(&steps)
            .read(&tops)
            .read(&factors)
            .value(&extent);
        for number in &numbers {
            launch = launch.value(number);
        }
        let shared = (largest + WORDS * THREADS) * size_of::<u32>();
        launch.run(Grid::new(blocks_x * strips * count, THREADS as u32).shared(shared))?;
        Ok(out)
    }
}
