//! Pictures of pixels.

use std::io::Cursor;

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba};
use infomark_infer::Image;

use crate::{Colour, PictureError};

/// A picture of pixels, grey or in colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    pixels: DynamicImage,
}

impl Raster {
    /// The picture whose pixel in column `x` of row `y` is `colour(x, y)`.
    pub fn from_fn(width: usize, height: usize, colour: impl Fn(usize, usize) -> Colour) -> Self {
        let pixel = |x, y| Rgb(colour(x as usize, y as usize));
        Self { pixels: RgbImage::from_fn(side(width), side(height), pixel).into() }
    }

    /// Grey levels, row by row.
    ///
    /// # Errors
    /// When there are not `width * height` levels.
    pub fn from_levels(width: usize, height: usize, levels: Vec<u8>) -> Result<Self, PictureError> {
        let given = levels.len();
        let pixels = GrayImage::from_raw(side(width), side(height), levels);
        let pixels = pixels.filter(|_| width.checked_mul(height) == Some(given));
        let pixels = pixels.ok_or(PictureError::Pixels { width, height, given })?;
        Ok(Self { pixels: pixels.into() })
    }

    /// A radiograph in 256 grey levels, in the size of the image: for a reduced image each pixel is the average of its block.
    pub fn from_image(image: &Image) -> Self {
        let (levels, (across, down)) = (image.to_levels(), image.kept_size());
        // The block that the centre of a pixel lies in.
        let block = |at: u32, to: usize, from: usize| (2 * at as usize + 1) * to / (2 * from);
        let pixel = |x: u32, y: u32| {
            levels.get(block(y, down, image.height()) * across + block(x, across, image.width())).copied()
        };
        let grey = |x, y| Luma([pixel(x, y).unwrap_or(0)]);
        Self { pixels: GrayImage::from_fn(side(image.width()), side(image.height()), grey).into() }
    }

    /// The picture of a PNG file.
    ///
    /// # Errors
    /// When the bytes are no PNG file, or a damaged one.
    pub fn from_png(bytes: &[u8]) -> Result<Self, PictureError> {
        let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png);
        let picture = picture.map_err(|error| PictureError::Decode { reason: error.to_string() })?;
        Ok(Self { pixels: picture.into_rgb8().into() })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.pixels.width() as usize
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.pixels.height() as usize
    }

    /// The same picture in another size, smoothly, or (`sharp`) by repeating pixels.
    pub fn resized(&self, width: usize, height: usize, sharp: bool) -> Self {
        let filter = if sharp { FilterType::Nearest } else { FilterType::Triangle };
        Self { pixels: self.pixels.resize_exact(side(width.max(1)), side(height.max(1)), filter) }
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// When a side is 0.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Cursor::new(Vec::new());
        let written = self.pixels.write_to(&mut bytes, ImageFormat::Png);
        written.map_err(|error| PictureError::not_png(self.width(), self.height(), &error))?;
        Ok(bytes.into_inner())
    }

    /// The colour of a pixel within the picture.
    pub(crate) fn colour(&self, x: u32, y: u32) -> Colour {
        let Rgba([red, green, blue, _]) = self.pixels.get_pixel(x, y);
        [red, green, blue]
    }
}

fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
