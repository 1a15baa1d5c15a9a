//! Grey image in memory.

mod decode;
#[cfg(feature = "dicom")]
mod dicom;
mod error;
mod foreign;
#[cfg(feature = "pictures")]
mod grey;
#[cfg(any(feature = "dicom", feature = "jpeg"))]
mod jpeg;
#[cfg_attr(not(feature = "pictures"), allow(dead_code, reason = "not every reader needs all of it"))]
mod levels;
#[cfg_attr(not(feature = "pictures"), allow(dead_code, reason = "not every reader needs all of it"))]
mod limits;
mod list;
#[cfg(feature = "nifti")]
mod nifti;
#[cfg(feature = "pictures")]
mod picture;
#[cfg_attr(
    not(all(feature = "nifti", feature = "pictures")),
    allow(dead_code, reason = "not every reader needs all of it")
)]
pub(crate) mod reduction;
#[cfg(feature = "pictures")]
mod resolution;
#[cfg_attr(not(feature = "pictures"), allow(dead_code, reason = "not every reader needs all of it"))]
mod source;
mod stretch;

pub use decode::{
    ImageHeader, ReadEstimate, decode_image, decode_levels, estimate_reading, read_hashed_image, read_image,
    read_image_header, read_image_size, read_image_with,
};
pub use error::ImageError;
pub use levels::Levels;
pub use limits::ReadLimits;
pub use list::{Listing, Skipped, list_folder, list_images};
#[cfg(feature = "nifti")]
pub use nifti::read_nifti_slice;

use infomark_core::Plane;

use crate::PixelSpacing;

/// Supported formats, for messages.
const KINDS: &str = match (cfg!(feature = "pictures"), cfg!(feature = "dicom"), cfg!(feature = "nifti")) {
    (true, true, true) => "a PNG, TIFF, JPEG, BMP, PGM, DICOM or NIfTI image",
    (true, true, false) => "a PNG, TIFF, JPEG, BMP, PGM or DICOM image",
    (true, false, true) => "a PNG, TIFF, JPEG, BMP, PGM or NIfTI image",
    (true, false, false) => "a PNG, TIFF, JPEG, BMP or PGM image",
    (false, true, true) => "a DICOM or NIfTI image",
    (false, true, false) => "a DICOM image",
    (false, false, true) => "a NIfTI image",
    (false, false, false) => {
        "an image that this program reads: it was built without the readers of image files"
    }
};

/// Minimum side of an image, in pixels: the width of one cell of the coarsest feature map.
pub const MIN_SIDE: usize = 32;

/// A grey image: row-major pixels in `[0, 1]`, 0 black.
///
/// Invariants: both sides are at least [`MIN_SIDE`], every pixel is finite and in
/// `[0, 1]`, and not all of them are equal.
///
/// An image read with [`ReadLimits::reduced`] may store block averages of its pixels: its size and positions remain those of
/// the file, its pixels are those of [`kept_size`](Image::kept_size).
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    name: String,
    width: usize,
    height: usize,
    /// Width and height of `pixels`.
    kept: (usize, usize),
    pixels: Vec<f32>,
    spacing: Option<PixelSpacing>,
}

impl Image {
    /// An image from `width * height` row-major pixels in `[0, 1]`; `name` is its name in messages.
    ///
    /// # Errors
    /// [`ImageError::TooSmall`], [`ImageError::Buffer`] for a wrong number of pixels, [`ImageError::Range`] for a pixel
    /// that is not in `[0, 1]` (NaN too), [`ImageError::Constant`].
    ///
    /// ```
    /// use infomark_infer::Image;
    ///
    /// let pixels = (0..64 * 48).map(|i| (i % 64) as f32 / 63.0).collect();
    /// let image = Image::new("ramp", 64, 48, pixels)?;
    /// assert_eq!((image.width(), image.height()), (64, 48));
    /// # Ok::<(), infomark_infer::ImageError>(())
    /// ```
    pub fn new(
        name: impl Into<String>,
        width: usize,
        height: usize,
        pixels: Vec<f32>,
    ) -> Result<Image, ImageError> {
        let name = name.into();
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(ImageError::TooSmall { name, width, height });
        }
        if width.checked_mul(height) != Some(pixels.len()) {
            return Err(ImageError::Buffer { name, width, height, pixels: pixels.len() });
        }
        if let Some(at) = pixels.iter().position(|v| !(0.0..=1.0).contains(v)) {
            return Err(ImageError::Range { name, x: at % width, y: at / width, value: pixels[at] });
        }
        if pixels.windows(2).all(|pair| pair[0] == pair[1]) {
            return Err(ImageError::Constant { name });
        }
        Ok(Image { name, width, height, kept: (width, height), pixels, spacing: None })
    }

    /// An image from `width * height` row-major grey values of any range, which are rescaled between their 0.1 and 99.9
    /// percentiles and clipped, as those of files of more than 8 bits are.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`ImageError::Range`] for a value that is not finite.
    ///
    /// ```
    /// use infomark_infer::Image;
    ///
    /// let image = Image::stretched("ramp", 64, 48, (0..64 * 48).map(|i| (i % 64) as f32 * 60.0 - 1000.0).collect())?;
    /// assert_eq!((image.pixels()[0], image.pixels()[63]), (0.0, 1.0));
    /// # Ok::<(), infomark_infer::ImageError>(())
    /// ```
    pub fn stretched(
        name: impl Into<String>,
        width: usize,
        height: usize,
        mut values: Vec<f32>,
    ) -> Result<Image, ImageError> {
        let name = name.into();
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (x, y) = (at % width.max(1), at / width.max(1));
            return Err(ImageError::Range { name, x, y, value: values[at] });
        }
        stretch::stretch_values(&mut values);
        Image::new(name, width, height, values)
    }

    /// Sets the pixel size.
    pub fn with_spacing(self, spacing: PixelSpacing) -> Image {
        Image { spacing: Some(spacing), ..self }
    }

    /// The pixel size, if known.
    pub fn spacing(&self) -> Option<&PixelSpacing> {
        self.spacing.as_ref()
    }

    /// Name in messages: the path, if it was read from a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width and height of the [`pixels`](Self::pixels): those of the image, or less for an image of more than 2^24 pixels that was read
    /// with [`ReadLimits::reduced`].
    pub fn kept_size(&self) -> (usize, usize) {
        self.kept
    }

    /// The pixels, row by row; their number is that of [`kept_size`](Self::kept_size).
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The pixels, row by row, without a copy.
    pub fn into_pixels(self) -> Vec<f32> {
        self.pixels
    }

    /// The pixels in 256 grey levels, row by row, rounded to the nearest: the input of the entropy.
    ///
    /// An image read from an 8-bit file gives the file's own values.
    pub fn to_levels(&self) -> Vec<u8> {
        self.pixels.iter().map(|v| (v * 255.0 + 0.5) as u8).collect()
    }

    /// The pixels as a [`Plane`] of `infomark-core`, of [`kept_size`](Self::kept_size).
    pub fn plane(&self) -> Plane<'_, f32> {
        #[expect(clippy::expect_used, reason = "Image::new checked the length")]
        Plane::new(&self.pixels, self.kept.0, self.kept.1).expect("checked when made")
    }
}
