//! Batches of images and features, over buffers.

use crate::{Buffer, CudaError};
use half::bf16;

/// Limit of a side: smaller coordinates are exact in `f32`.
const MOST_SIDE: usize = 1 << 24;

/// Batch of images of one channel and size, row-major, over a buffer.
#[derive(Debug)]
pub struct Images<'a, T> {
    pub(crate) buffer: &'a Buffer<T>,
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) stride: usize,
}

impl<T> Clone for Images<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Images<'_, T> {}

/// The size of a batch in the kernels' layout.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    width: i32,
    height: i32,
    pitch: i64,
    step: i64,
}

impl<'a, T> Images<'a, T> {
    /// `count` contiguous images. Any number may be 0.
    ///
    /// # Errors
    /// When the buffer's length does not match, or a side is 2^24 or more.
    pub fn new(buffer: &'a Buffer<T>, count: usize, width: usize, height: usize) -> Result<Self, CudaError> {
        let images = Self::with_stride(buffer, count, width, height, width)?;
        let needed = count * width * height;
        if buffer.len() == needed { Ok(images) } else { Err(images.length(needed)) }
    }

    /// Images with a row stride in elements; images are `stride * height` apart. Elements after the last row
    /// are ignored.
    ///
    /// # Errors
    /// When the stride is shorter than a row, the buffer is too short, or a side is 2^24 or more.
    pub fn with_stride(
        buffer: &'a Buffer<T>,
        count: usize,
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, CudaError> {
        let images = Self { buffer, count, width, height, stride };
        let pixels = width.checked_mul(height).filter(|&pixels| i32::try_from(pixels).is_ok());
        if width >= MOST_SIDE || height >= MOST_SIDE || pixels.is_none() || u32::try_from(count).is_err() {
            return Err(CudaError::shape("images", format!("{} are too large", images.shape())));
        }
        if stride < width {
            let reason = format!("a stride of {stride} is shorter than a row of {width} pixels");
            return Err(CudaError::shape("images", reason));
        }
        let rows = count * height;
        let needed = if rows == 0 || width == 0 {
            Some(0)
        } else {
            (rows - 1).checked_mul(stride).and_then(|n| n.checked_add(width))
        };
        match needed {
            Some(needed) if needed <= buffer.len() => Ok(images),
            needed => Err(images.length(needed.unwrap_or(usize::MAX))),
        }
    }

    fn shape(&self) -> String {
        let Self { count, width, height, stride, .. } = self;
        format!("{count} images of {width} x {height} pixels with a stride of {stride}")
    }

    fn length(&self, needed: usize) -> CudaError {
        let (len, shape) = (self.buffer.len(), self.shape());
        CudaError::Length { operation: "images", name: "the buffer", len, needed, shape }
    }

    /// Number of images.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn pixels(&self) -> usize {
        self.width * self.height
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            width: self.width as i32,
            height: self.height as i32,
            pitch: self.stride as i64,
            // Overflows only if there is no second image.
            step: self.stride.wrapping_mul(self.height) as i64,
        }
    }

    /// Number of pixels of the batch, which must have no gaps.
    pub(crate) fn without_gaps(&self, operation: &'static str) -> Result<usize, CudaError> {
        if self.stride == self.width || self.count * self.height <= 1 {
            return Ok(self.count * self.pixels());
        }
        Err(CudaError::shape(operation, format!("{}: no gaps are possible here", self.shape())))
    }
}

/// Element type of features: `f32`, or `bf16` of half the size; sums are `f32` in both cases. Sealed.
pub trait Feature: crate::Element {
    /// Suffix of the kernels' names.
    #[doc(hidden)]
    const SUFFIX: Suffix;
}

/// Variant of a kernel.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// For `f32`.
    F32,
    /// For `bf16`.
    Bf16,
}

impl Feature for f32 {
    const SUFFIX: Suffix = Suffix::F32;
}

impl Feature for bf16 {
    const SUFFIX: Suffix = Suffix::Bf16;
}

/// Batch of feature maps of one stride, in the order item, channel, row, column: the core's `FeatureMap` for each item.
#[derive(Debug)]
pub struct Features<'a, T> {
    pub(crate) buffer: &'a Buffer<T>,
    pub(crate) count: usize,
    pub(crate) channels: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) stride: usize,
}

impl<T> Clone for Features<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Features<'_, T> {}

/// Maximum number of channels: eight templates fit into shared memory.
const MOST_CHANNELS: usize = 1024;

impl<'a, T: Feature> Features<'a, T> {
    /// `count` maps of `channels` by `height` by `width` cells; the stride is in input pixels per cell.
    ///
    /// # Errors
    /// When a size other than `count` is 0, a side is 2^24 or more, there are more than 1024 channels, or the buffer's
    /// length does not match.
    pub fn new(
        buffer: &'a Buffer<T>,
        count: usize,
        channels: usize,
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, CudaError> {
        const OPERATION: &str = "features";
        let shape =
            format!("{count} maps of {channels} channels of {width} x {height} cells at stride {stride}");
        if channels == 0 || width == 0 || height == 0 || stride == 0 {
            return Err(CudaError::shape(OPERATION, format!("{shape}: only the number of maps may be 0")));
        }
        let cells = width.checked_mul(height).filter(|&cells| i32::try_from(cells).is_ok());
        let small = [width, height, stride].into_iter().all(|side| side < MOST_SIDE);
        let map = cells.and_then(|cells| cells.checked_mul(channels));
        let needed = map.and_then(|map| map.checked_mul(count)).filter(|_| u32::try_from(count).is_ok());
        let (true, true, Some(needed)) = (small, channels <= MOST_CHANNELS, needed) else {
            return Err(CudaError::shape(OPERATION, format!("{shape} are too large")));
        };
        if buffer.len() != needed {
            let len = buffer.len();
            return Err(CudaError::Length { operation: OPERATION, name: "the buffer", len, needed, shape });
        }
        Ok(Self { buffer, count, channels, width, height, stride })
    }

    /// Number of maps.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Cells of one channel.
    pub fn cells(&self) -> usize {
        self.width * self.height
    }
}
