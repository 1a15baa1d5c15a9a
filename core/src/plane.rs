//! Borrowed images: row-major, with a stride.

use thiserror::Error;

/// Borrowed image of one channel, row-major; the stride is in elements from a row to the next.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a, T> {
    data: &'a [T],
    width: usize,
    height: usize,
    stride: usize,
}

/// Mutably borrowed image of one channel; otherwise as [`Plane`].
#[derive(Debug)]
pub struct PlaneMut<'a, T> {
    data: &'a mut [T],
    width: usize,
    height: usize,
    stride: usize,
}

/// Errors of making a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaneError {
    /// The number of elements does not fit the size.
    #[error("{width} x {height} pixels with a stride of {stride} need {needed} elements, not {len}")]
    Length {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Stride: elements from a row to the next.
        stride: usize,
    },
    /// Rows would overlap.
    #[error("a stride of {stride} is shorter than a row of {width} pixels")]
    Stride {
        /// Stride: elements from a row to the next.
        stride: usize,
        /// Width in pixels.
        width: usize,
    },
    /// The number of pixels does not fit a `usize`.
    #[error("{width} x {height} pixels are more than this machine can address")]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// An array is not in row-major standard layout.
    #[error("an array of {width} x {height} pixels is not in standard layout: copy it into one that is")]
    Layout {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A crop extends outside its plane.
    #[error("a crop of {width} x {height} pixels at ({x}, {y}) leaves a plane of {of_width} x {of_height}")]
    Crop {
        /// Left column of the crop.
        x: usize,
        /// Top row of the crop.
        y: usize,
        /// Width of the crop.
        width: usize,
        /// Height of the crop.
        height: usize,
        /// Width of the plane.
        of_width: usize,
        /// Height of the plane.
        of_height: usize,
    },
}

/// Elements needed for a plane; the last row may be unpadded.
fn needed(width: usize, height: usize, stride: usize) -> Result<usize, PlaneError> {
    if stride < width {
        return Err(PlaneError::Stride { stride, width });
    }
    if width == 0 || height == 0 {
        return Ok(0);
    }
    (height - 1)
        .checked_mul(stride)
        .and_then(|n| n.checked_add(width))
        .ok_or(PlaneError::TooLarge { width, height })
}

fn check_exact(len: usize, width: usize, height: usize) -> Result<(), PlaneError> {
    let needed = needed(width, height, width)?;
    if len == needed {
        return Ok(());
    }
    Err(PlaneError::Length { len, needed, width, height, stride: width })
}

fn check_strided(len: usize, width: usize, height: usize, stride: usize) -> Result<(), PlaneError> {
    let needed = needed(width, height, stride)?;
    if len >= needed {
        return Ok(());
    }
    Err(PlaneError::Length { len, needed, width, height, stride })
}

/// Methods of both types of plane.
macro_rules! shared {
    ($plane:ident $(, $mutable:tt)?) => {
        impl<'a, T> $plane<'a, T> {
            /// A contiguous plane, without padding between rows. A side may be 0: the plane is then empty.
            ///
            /// # Errors
            /// When `data` does not hold exactly `width * height` elements.
            pub fn new(data: &'a $($mutable)? [T], width: usize, height: usize) -> Result<Self, PlaneError> {
                check_exact(data.len(), width, height)?;
                Ok(Self { data, width, height, stride: width })
            }

            /// [`new`](Self::new) for data of known length.
            #[cfg(feature = "alloc")]
            pub(crate) fn exact(data: &'a $($mutable)? [T], width: usize, height: usize) -> Self {
                Self { data, width, height, stride: width }
            }

            /// A plane with a row stride, in elements; elements between and after the rows are ignored.
            ///
            /// # Errors
            /// When `stride < width` or `data` is too short.
            pub fn with_stride(
                data: &'a $($mutable)? [T],
                width: usize,
                height: usize,
                stride: usize,
            ) -> Result<Self, PlaneError> {
                check_strided(data.len(), width, height, stride)?;
                Ok(Self { data, width, height, stride })
            }

            /// Width in pixels.
            pub fn width(&self) -> usize {
                self.width
            }

            /// Height in pixels.
            pub fn height(&self) -> usize {
                self.height
            }

            /// Whether the plane has no pixels.
            pub fn is_empty(&self) -> bool {
                self.width == 0 || self.height == 0
            }
        }
    };
}

shared!(Plane);
shared!(PlaneMut, mut);

impl<'a, T> Plane<'a, T> {
    /// Stride: elements from a row to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The elements from the first pixel on, including padding.
    pub fn data(&self) -> &'a [T] {
        self.data
    }

    /// The pixels of row `y`.
    ///
    /// # Panics
    /// When `y` is not below [`height`](Self::height), as slice indexing.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [T] {
        assert!(y < self.height, "row {y} of a plane with {} rows", self.height);
        if self.width == 0 {
            return &[];
        }
        &self.data[y * self.stride..][..self.width]
    }

    /// The elements and the stride.
    pub(crate) fn raw(&self) -> (&'a [T], usize) {
        (self.data, self.stride)
    }

    /// The rows from top to bottom.
    pub fn rows(self) -> impl ExactSizeIterator<Item = &'a [T]> {
        (0..self.height).map(move |y| self.row(y))
    }

    /// Crop of `width` by `height` pixels whose top left pixel is `(x, y)`; nothing is copied.
    ///
    /// # Errors
    /// When the crop extends outside.
    pub fn crop(self, x: usize, y: usize, width: usize, height: usize) -> Result<Self, PlaneError> {
        let start = crop_start(&self, x, y, width, height)?;
        Ok(Self { data: &self.data[start.min(self.data.len())..], width, height, stride: self.stride })
    }
}

impl<T: Copy> Plane<'_, T> {
    /// The pixel at column `x` and row `y`; `None` outside.
    #[inline]
    pub fn get(&self, x: usize, y: usize) -> Option<T> {
        if x < self.width && y < self.height { self.data.get(y * self.stride + x).copied() } else { None }
    }
}

impl<T> PlaneMut<'_, T> {
    /// The plane for reading.
    pub fn as_plane(&self) -> Plane<'_, T> {
        Plane { data: self.data, width: self.width, height: self.height, stride: self.stride }
    }

    /// Reborrows the plane for a shorter lifetime.
    pub fn reborrow(&mut self) -> PlaneMut<'_, T> {
        PlaneMut { data: self.data, width: self.width, height: self.height, stride: self.stride }
    }

    /// The pixels of row `y`.
    ///
    /// # Panics
    /// When `y` is not below [`height`](Self::height), as slice indexing.
    #[inline]
    pub fn row(&self, y: usize) -> &[T] {
        self.as_plane().row(y)
    }

    /// The pixels of row `y`, for writing.
    ///
    /// # Panics
    /// When `y` is not below [`height`](Self::height), as slice indexing.
    #[inline]
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        assert!(y < self.height, "row {y} of a plane with {} rows", self.height);
        if self.width == 0 {
            return &mut [];
        }
        &mut self.data[y * self.stride..][..self.width]
    }

    /// The elements, for writing, with the layout of [`stride`](Plane::stride).
    pub(crate) fn raw_mut(&mut self) -> &mut [T] {
        self.data
    }

    /// Crop of `width` by `height` pixels whose top left pixel is `(x, y)`; nothing is copied.
    ///
    /// # Errors
    /// When the crop extends outside.
    pub fn crop(self, x: usize, y: usize, width: usize, height: usize) -> Result<Self, PlaneError> {
        let start = crop_start(&self.as_plane(), x, y, width, height)?;
        let start = start.min(self.data.len());
        Ok(Self { data: &mut self.data[start..], width, height, stride: self.stride })
    }
}

impl<T: Copy> PlaneMut<'_, T> {
    /// The pixel at column `x` and row `y`; `None` outside.
    #[inline]
    pub fn get(&self, x: usize, y: usize) -> Option<T> {
        self.as_plane().get(x, y)
    }

    /// Writes the pixel at column `x` and row `y`; returns whether it exists.
    #[inline]
    pub fn set(&mut self, x: usize, y: usize, value: T) -> bool {
        if x >= self.width || y >= self.height {
            return false;
        }
        match self.data.get_mut(y * self.stride + x) {
            Some(pixel) => {
                *pixel = value;
                true
            }
            None => false,
        }
    }

    /// Writes one value into every pixel.
    pub fn fill(&mut self, value: T) {
        for y in 0..self.height {
            self.row_mut(y).fill(value);
        }
    }
}

/// Index of the first element of a crop.
fn crop_start<T>(
    plane: &Plane<'_, T>,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
) -> Result<usize, PlaneError> {
    let fits = |start: usize, len: usize, of: usize| start <= of && len <= of - start;
    if fits(x, width, plane.width) && fits(y, height, plane.height) {
        // In an empty crop the product may lie beyond the data, or even overflow.
        Ok(y.saturating_mul(plane.stride).saturating_add(x))
    } else {
        Err(PlaneError::Crop { x, y, width, height, of_width: plane.width, of_height: plane.height })
    }
}
