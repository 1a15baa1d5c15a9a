//! Feature maps of one stride.

use crate::{Point, Real};
use thiserror::Error;

/// Feature map of an image at one stride: `channels` planes of `width` by `height` cells, channel
/// after channel, each row-major.
///
/// The centre of cell `(i, j)` lies at the input pixel `((i + 0.5) * stride - 0.5, ...)`.
#[derive(Clone, Copy, Debug)]
pub struct FeatureMap<'a, T> {
    data: &'a [T],
    channels: usize,
    width: usize,
    height: usize,
    stride: usize,
}

/// Errors of making a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// The number of elements does not fit the shape.
    #[error("{channels} channels of {width} x {height} cells do not make {len} elements")]
    Length {
        /// Elements given.
        len: usize,
        /// Number of channels.
        channels: usize,
        /// Width in cells.
        width: usize,
        /// Height in cells.
        height: usize,
    },
    /// A size is 0.
    #[error("{channels} channels of {width} x {height} cells at stride {stride}: none may be 0")]
    Empty {
        /// Number of channels.
        channels: usize,
        /// Width in cells.
        width: usize,
        /// Height in cells.
        height: usize,
        /// Stride: input pixels per cell.
        stride: usize,
    },
}

impl<'a, T> FeatureMap<'a, T> {
    /// A map over `data` in the order channel, row, column.
    ///
    /// # Errors
    /// When a size is 0 or `data` has not exactly `channels * width * height` elements.
    pub fn new(
        data: &'a [T],
        channels: usize,
        width: usize,
        height: usize,
        stride: usize,
    ) -> Result<Self, FeatureError> {
        if channels == 0 || width == 0 || height == 0 || stride == 0 {
            return Err(FeatureError::Empty { channels, width, height, stride });
        }
        let needed = channels.checked_mul(width).and_then(|n| n.checked_mul(height));
        if needed != Some(data.len()) {
            return Err(FeatureError::Length { len: data.len(), channels, width, height });
        }
        Ok(Self { data, channels, width, height, stride })
    }

    /// All elements, in the order channel, row, column.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Width in cells.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in cells.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Stride: input pixels per cell.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Cells of one channel.
    pub fn cells(&self) -> usize {
        self.width * self.height
    }
}

impl<T: Real> FeatureMap<'_, T> {
    /// The cell that contains an input pixel, `floor((p + 0.5) / stride)` as `(column, row)`; the
    /// nearest one for a point outside the map, and 0 for NaN.
    pub fn cell(&self, at: Point<T>) -> (usize, usize) {
        let index = |p: T, size: usize| {
            let cell = ((p + T::from_f64(0.5)) / T::from_usize(self.stride)).floor_to_i64();
            (cell.max(0) as usize).min(size - 1)
        };
        (index(at.x, self.width), index(at.y, self.height))
    }

    /// The input pixel at the centre of a cell.
    pub fn centre(&self, column: usize, row: usize) -> Point<T> {
        cell_centre(T::from_usize(column), T::from_usize(row), self.stride)
    }
}

/// The input pixel of a position in cells.
pub(crate) fn cell_centre<T: Real>(x: T, y: T, stride: usize) -> Point<T> {
    let scale = T::from_usize(stride);
    Point::new(x, y).resized(scale, scale)
}
