//! Common parts of the kernels for views: tiles of pixels, and checks of shapes and jitters.

use crate::driver::{Grid, Launch};
use crate::{Buffer, CudaError, Device, Images};
use infomark_core::IntensityJitter;

/// Division of views of one size into tiles, one per block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    operation: &'static str,
    views: usize,
    /// Pixels per view.
    area: u32,
    /// Tiles per view.
    pub(crate) each: u32,
}

/// Pixels per tile.
const TILE_PIXELS: usize = 2048;
/// Threads per tile.
const TILE_THREADS: u32 = 256;

impl Tiles {
    /// The sides satisfy [`check_size`], or are 0 without views.
    pub(crate) fn new(
        operation: &'static str,
        views: usize,
        width: usize,
        height: usize,
    ) -> Result<Self, CudaError> {
        let area = width * height;
        let tiles = Self { operation, views, area: area as u32, each: area.div_ceil(TILE_PIXELS) as u32 };
        if views.checked_mul(area).is_none() {
            return Err(CudaError::OutOfMemory { operation, bytes: usize::MAX });
        }
        Ok(tiles)
    }

    pub(crate) fn grid(&self) -> Grid {
        Grid::new(self.views * self.each as usize, TILE_THREADS)
    }

    /// Allocates all pixels.
    pub(crate) fn pixels(&self, device: &Device) -> Result<Buffer<f32>, CudaError> {
        device.allocate(self.views * self.area as usize, self.operation)
    }

    /// Allocates the brightness sums of all tiles.
    pub(crate) fn sums(&self, device: &Device) -> Result<Buffer<f64>, CudaError> {
        device.allocate(self.views * self.each as usize, self.operation)
    }

    /// Applies contrast and gamma to brightened views.
    pub(crate) fn tone<P>(
        &self,
        device: &Device,
        kernel: &'static str,
        plans: &Buffer<P>,
        sums: &Buffer<f64>,
        out: &mut Buffer<f32>,
    ) -> Result<(), CudaError> {
        Launch::new(device, self.operation, kernel)?
            .read(plans)
            .read(sums)
            .write(out)
            .value(&self.area)
            .value(&self.each)
            .run(self.grid())
    }
}

/// Checks the factors of an intensity jitter.
pub(crate) fn checked_tone(
    operation: &'static str,
    tone: IntensityJitter<f32>,
) -> Result<[f32; 3], CudaError> {
    let IntensityJitter { brightness, contrast, gamma } = tone;
    for (name, value, good, condition) in [
        ("brightness", brightness, brightness >= 0.0, "finite and at least 0"),
        ("contrast", contrast, contrast >= 0.0, "finite and at least 0"),
        ("gamma", gamma, gamma > 0.0, "finite and above 0"),
    ] {
        if !(value.is_finite() && good) {
            return Err(CudaError::Parameter { operation, name, value: f64::from(value), condition });
        }
    }
    Ok([brightness, contrast, gamma])
}

/// Rejects views of images outside a batch.
pub(crate) fn check_images<T>(
    operation: &'static str,
    images: Images<'_, T>,
    views: usize,
    of: usize,
) -> Result<(), CudaError> {
    let Images { count, width, height, .. } = images;
    if views == 0 || (of <= count && images.pixels() > 0) {
        return Ok(());
    }
    let reason = format!("views of {of} images, the batch has {count} of {width} x {height} pixels");
    Err(CudaError::shape(operation, reason))
}

/// Points of each view, and the images' width, in the kernels' layout.
pub(crate) fn check_points(
    operation: &'static str,
    count: usize,
    views: usize,
    source_width: usize,
) -> Result<(u32, u32), CudaError> {
    let fits = count.is_multiple_of(views.max(1)) && (views > 0 || count == 0);
    match (u32::try_from(count / views.max(1)), u32::try_from(source_width)) {
        (Ok(per_view), Ok(width @ 1..)) if fits => Ok((per_view, width)),
        _ => {
            let reason = format!("{count} points of images {source_width} pixels wide for {views} views");
            Err(CudaError::shape(operation, reason))
        }
    }
}

/// Rejects views of too many pixels, or with coordinates that are not exact in `f32`.
pub(crate) fn check_size(operation: &'static str, width: usize, height: usize) -> Result<(), CudaError> {
    let pixels = width.checked_mul(height).and_then(|pixels| i32::try_from(pixels).ok());
    match pixels {
        Some(1..) if width < 1 << 24 && height < 1 << 24 => Ok(()),
        _ => Err(CudaError::shape(operation, format!("views of {width} x {height} pixels are not possible"))),
    }
}
