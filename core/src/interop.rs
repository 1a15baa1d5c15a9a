//! Zero-copy conversion of `ndarray` arrays to planes and feature maps, and back.
//!
//! Arrays are indexed row first: element `[y, x]` is the pixel at column `x` and row `y`, and
//! `[channel, row, column]` a feature. Input has to be in standard layout, so a slice with gaps
//! between its rows is rejected ([`Plane::with_stride`] over the whole memory takes it).
//!
//! ```
//! use infomark_core::{Plane, PlaneMut, entropy_map, entropy_scratch_len};
//! use ndarray::{Array2, ArrayView2};
//!
//! let image = Array2::from_shape_fn((5, 4), |(y, x)| (7 * x + y) as u8);
//! let mut entropy = Array2::<f32>::zeros((5, 4));
//! let mut scratch = vec![0; entropy_scratch_len(3, 4, 5)];
//! let out = PlaneMut::try_from(entropy.view_mut())?;
//! entropy_map(Plane::try_from(image.view())?, 3, out, &mut scratch)?;
//! assert!((entropy[[2, 1]] - 9f32.ln()).abs() < 1e-5);
//!
//! let part = Plane::try_from(image.view())?.crop(1, 2, 3, 2)?;
//! let part = ArrayView2::try_from(part)?;
//! assert_eq!(part.dim(), (2, 3));
//! assert_eq!(part[[0, 0]], image[[2, 1]]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::{FeatureError, FeatureMap, Plane, PlaneError, PlaneMut};
use ndarray::{ArrayView2, ArrayView3, ArrayViewMut2, ShapeBuilder};

/// An image in standard layout.
///
/// # Errors
/// [`PlaneError::Layout`] for any other layout.
impl<'a, T> TryFrom<ArrayView2<'a, T>> for Plane<'a, T> {
    type Error = PlaneError;

    fn try_from(array: ArrayView2<'a, T>) -> Result<Self, PlaneError> {
        let (height, width) = array.dim();
        match array.to_slice() {
            Some(data) => Self::new(data, width, height),
            None => Err(PlaneError::Layout { width, height }),
        }
    }
}

/// An image in standard layout, for writing.
///
/// # Errors
/// [`PlaneError::Layout`] for any other layout.
impl<'a, T> TryFrom<ArrayViewMut2<'a, T>> for PlaneMut<'a, T> {
    type Error = PlaneError;

    fn try_from(array: ArrayViewMut2<'a, T>) -> Result<Self, PlaneError> {
        let (height, width) = array.dim();
        match array.into_slice() {
            Some(data) => Self::new(data, width, height),
            None => Err(PlaneError::Layout { width, height }),
        }
    }
}

/// A plane as an array, of any stride.
///
/// # Errors
/// [`PlaneError::TooLarge`] when `ndarray` cannot address a side.
impl<'a, T> TryFrom<Plane<'a, T>> for ArrayView2<'a, T> {
    type Error = PlaneError;

    fn try_from(plane: Plane<'a, T>) -> Result<Self, PlaneError> {
        let (width, height, stride) = (plane.width(), plane.height(), plane.stride());
        let shape = (height, width).strides((stride, 1));
        ArrayView2::from_shape(shape, plane.data()).map_err(|_| PlaneError::TooLarge { width, height })
    }
}

impl<'a, T> FeatureMap<'a, T> {
    /// Feature map of an array `[channel, row, column]` in standard layout; `stride` is in input pixels per cell.
    ///
    /// # Errors
    /// As [`new`](Self::new); another layout is reported as a wrong length.
    pub fn from_array(array: ArrayView3<'a, T>, stride: usize) -> Result<Self, FeatureError> {
        let (channels, height, width) = array.dim();
        match array.to_slice() {
            Some(data) => Self::new(data, channels, width, height, stride),
            None => Err(FeatureError::Length { len: 0, channels, width, height }),
        }
    }
}
