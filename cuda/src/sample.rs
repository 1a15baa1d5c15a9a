//! Sampling of pixels in proportion to their weights.

use crate::driver::{Grid, Launch};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::{SampleError, Weighting};

/// Threads per image for the sum of its weights.
const THREADS: u32 = 256;
/// Value of the error slot when there is no error.
const NOTHING: u64 = u64::MAX;

/// Sampler of pixels of each image of a batch, exactly in proportion to their weights: the core's `Sampler` for each.
#[derive(Debug)]
pub struct PixelSampler {
    sums: Buffer<f64>,
    count: usize,
    pixels: usize,
}

impl PixelSampler {
    /// Cumulative weights up to each pixel, image after image. They never decrease, even by rounding, and do not increase at
    /// pixels of weight 0.
    pub fn sums(&self) -> &Buffer<f64> {
        &self.sums
    }
}

impl Device {
    /// Sampling weight of every pixel of a batch of entropy maps: the core's `weight_map`, without gaps. Powers use
    /// the device's functions.
    ///
    /// Synchronises, to check all values. Cost: 8 bytes per pixel; limited by memory.
    ///
    /// # Errors
    /// When the maps have gaps, the parameter is not finite (or an exponent negative), an entropy is negative or not
    /// finite, or the device fails.
    pub fn weight_map(
        &self,
        entropy: Images<'_, f32>,
        weighting: Weighting<f32>,
    ) -> Result<Buffer<f32>, CudaError> {
        const OPERATION: &str = "weight map";
        let (name, parameter, piecewise, good) = match weighting {
            Weighting::Exponential { alpha } => ("exponent", alpha, 0i32, alpha >= 0.0),
            Weighting::Piecewise { threshold } => ("threshold", threshold, 1, true),
        };
        if !(parameter.is_finite() && good) {
            let condition = if piecewise == 1 { "finite" } else { "finite and at least 0" };
            let value = f64::from(parameter);
            return Err(CudaError::Parameter { operation: OPERATION, name, value, condition });
        }
        let total = entropy.without_gaps(OPERATION)?;
        let mut out = self.allocate(total, OPERATION)?;
        let mut refused = self.upload(&[NOTHING])?;
        let pixels = total as u64;
        Launch::new(self, OPERATION, "weight_map")?
            .read(entropy.buffer)
            .write(&mut out)
            .write(&mut refused)
            .value(&pixels)
            .value(&parameter)
            .value(&piecewise)
            .run(Grid::over(total))?;
        self.check_values(OPERATION, &entropy, &refused)?;
        Ok(out)
    }

    /// Makes a sampler: cumulative sums of the weights of each image, in `f64`. Where the additions are exact (weights
    /// of 0 and 1; others whose exponents differ by less than about 2^11 over 2^18 pixels) the sums are the core's, bit for
    /// bit, else within `pixels * 2^-53` of them.
    ///
    /// Synchronises. Cost: 16 bytes per pixel; limited by the latency of additions, one image per block.
    ///
    /// # Errors
    /// When the maps have gaps or no pixels, a weight is negative or not finite, an image has no weight above 0 or
    /// an infinite sum, or the device fails.
    pub fn pixel_sampler(&self, weights: Images<'_, f32>) -> Result<PixelSampler, CudaError> {
        const OPERATION: &str = "pixel sampler";
        let total = weights.without_gaps(OPERATION)?;
        let (count, pixels) = (weights.count, weights.pixels());
        if total == 0 {
            return Err(CudaError::Sample { image: 0, source: SampleError::Empty });
        }
        let mut sums = self.allocate(total, OPERATION)?;
        let mut totals = self.allocate(count, OPERATION)?;
        let mut refused = self.upload(&[NOTHING])?;
        let of_image = pixels as u32;
        Launch::new(self, OPERATION, "cumulative_weights")?
            .read(weights.buffer)
            .write(&mut sums)
            .write(&mut totals)
            .write(&mut refused)
            .value(&of_image)
            .run(Grid::new(count, THREADS))?;
        self.check_values(OPERATION, &weights, &refused)?;
        for (image, total) in self.download(&totals)?.into_iter().enumerate() {
            let source = match total {
                0.0 => SampleError::Empty,
                total if f64::is_finite(total) => continue,
                _ => SampleError::Overflow,
            };
            return Err(CudaError::Sample { image, source });
        }
        Ok(PixelSampler { sums, count, pixels })
    }

    /// Draws `draws` pixels of each image, as indices `y * width + x`, image after image. Draw `j` of image `i` is
    /// that of the core's sampler at position `2 * (first_draw + j)` of `Rng::new(seed, first_stream + i)`.
    ///
    /// Cost: one binary search per draw; limited by latency.
    ///
    /// # Errors
    /// When there are too many draws, or the device fails.
    pub fn draw_pixels(
        &self,
        sampler: &PixelSampler,
        draws: usize,
        seed: u64,
        first_stream: u64,
        first_draw: u64,
    ) -> Result<Buffer<u32>, CudaError> {
        const OPERATION: &str = "draw pixels";
        let total = sampler.count.checked_mul(draws).filter(|_| u32::try_from(draws).is_ok());
        let Some(total) = total else {
            return Err(CudaError::shape(OPERATION, format!("{draws} draws an image are too many")));
        };
        let mut out = self.allocate(total, OPERATION)?;
        let sizes = (sampler.pixels as u32, draws as u32, total as u64);
        Launch::new(self, OPERATION, "draw_pixels")?
            .read(&sampler.sums)
            .write(&mut out)
            .value(&sizes.0)
            .value(&sizes.1)
            .value(&sizes.2)
            .value(&seed)
            .value(&first_stream)
            .value(&first_draw)
            .run(Grid::over(total))?;
        Ok(out)
    }

    fn check_values(
        &self,
        operation: &'static str,
        images: &Images<'_, f32>,
        refused: &Buffer<u64>,
    ) -> Result<(), CudaError> {
        match self.download(refused)?.first() {
            Some(&index) if index != NOTHING => {
                let index = index as usize;
                let (image, pixel) = (index / images.pixels(), index % images.pixels());
                let (x, y) = (pixel % images.width, pixel / images.width);
                Err(CudaError::Value { operation, image, x, y })
            }
            _ => Ok(()),
        }
    }
}
