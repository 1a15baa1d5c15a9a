//! Batches of images and features, over buffers.

use crate::{Buffer, CudaError};
use half::bf16;

/// Coordinates are exact in `f32` below this.
const MOST_SIDE: usize = 1 << 24;

/// A batch of images of one channel and size, row-major, over a buffer.
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

/// The size of a batch as the kernels have it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    width: i32,
    height: i32,
    pitch: i64,
    step: i64,
}

impl<'a, T> Images<'a, T> {
    /// `count` images without gaps between rows or images. Any number may be 0.
    ///
    /// # Errors
    /// When the buffer does not hold exactly as many elements, or a side is 2^24 or more.
    pub fn new(buffer: &'a Buffer<T>, count: usize, width: usize, height: usize) -> Result<Self, CudaError> {
        let images = Self::with_stride(buffer, count, width, height, width)?;
        let needed = count * width * height;
        if buffer.len() == needed { Ok(images) } else { Err(images.length(needed)) }
    }

    /// Images whose rows start `stride` elements apart, and whose first rows `stride * height`; what follows the last row
    /// is ignored.
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
            // Too large only where there is no second image to step to.
            step: self.stride.wrapping_mul(self.height) as i64,
        }
    }

    /// Pixels of the batch, which may have no gaps.
    pub(crate) fn without_gaps(&self, operation: &'static str) -> Result<usize, CudaError> {
        if self.stride == self.width || self.count * self.height <= 1 {
            return Ok(self.count * self.pixels());
        }
        Err(CudaError::shape(operation, format!("{}: no gaps are possible here", self.shape())))
    }
}

/// What features consist of: `f32`, or `bf16`, which is half as large; sums are `f32` in both cases. Sealed.
pub trait Feature: crate::Element {
    /// The end of the kernels' names.
    #[doc(hidden)]
    const SUFFIX: Suffix;
}

/// Which of a pair of kernels.
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

/// A batch of feature maps of one stride, in the order item, channel, row, column: the core's `FeatureMap` for each item.
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

/// Channels whose template fits into shared memory, eight at a time.
const MOST_CHANNELS: usize = 1024;

impl<'a, T: Feature> Features<'a, T> {
    /// `count` maps of `channels` by `height` by `width` cells; `stride` input pixels lead from a cell to the next.
    ///
    /// # Errors
    /// When a number but `count` is 0, a side is 2^24 or more, there are more than 1024 channels, or the buffer does not hold
    /// exactly as many elements.
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
