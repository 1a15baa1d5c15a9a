//! A picture in memory that text and lines can be drawn on.

use std::convert::Infallible;
use std::io::Cursor;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_5X8, FONT_6X10, FONT_7X13_BOLD, FONT_9X18_BOLD, FONT_10X20,
};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{Drawable, Primitive};
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle};
use embedded_graphics::text::{Baseline, Text};
use image::codecs::png::PngEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage, imageops};
use infomark_infer::Image;

use crate::{Colour, PictureError};

/// A font and the whole number by which its pixels are enlarged.
#[derive(Clone, Copy)]
pub struct Font {
    face: &'static MonoFont<'static>,
    zoom: i32,
}

impl Font {
    /// The largest font of at most `height` pixels; 8 pixels are the least.
    pub fn of_height(height: i32) -> Self {
        let faces = [&FONT_10X20, &FONT_9X18_BOLD, &FONT_7X13_BOLD, &FONT_6X10];
        let best = |&face: &&'static MonoFont<'static>| {
            let zoom = height / face.character_size.height as i32;
            (zoom >= 1).then_some(Self { face, zoom })
        };
        let fonts = faces.iter().filter_map(best);
        fonts.max_by_key(Self::height).unwrap_or(Self { face: &FONT_5X8, zoom: 1 })
    }

    /// Height of a line in pixels.
    pub fn height(&self) -> i32 {
        self.face.character_size.height as i32 * self.zoom
    }

    /// Width of a text in pixels.
    pub fn width(&self, text: &str) -> i32 {
        let count = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 64);
        self.face.character_size.width as i32 * self.zoom * count
    }

    /// `text`, its middle replaced by dots where it is wider than `width` pixels.
    pub fn shorten(&self, text: &str, width: i32) -> String {
        let fit = usize::try_from(width / self.width("m").max(1)).unwrap_or(0);
        let letters: Vec<char> = text.chars().collect();
        if letters.len() <= fit {
            return text.to_owned();
        }
        let kept = fit.saturating_sub(3);
        let head = kept.div_ceil(2);
        let tail = letters.len() - (kept - head);
        let parts = [&letters[..head], &['.', '.', '.'], &letters[tail..]];
        parts.concat().into_iter().take(fit).collect()
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// A picture.
#[derive(Clone)]
pub struct Canvas {
    pixels: RgbImage,
}

impl Canvas {
    /// A picture of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        let (width, height) = (width as u32, height as u32);
        Self { pixels: RgbImage::from_pixel(width, height, Rgb(colour)) }
    }

    /// The picture whose pixel in column `x` of row `y` is `colour(x, y)`.
    pub fn from_fn(width: usize, height: usize, colour: impl Fn(usize, usize) -> Colour) -> Self {
        let pixel = |x, y| Rgb(colour(x as usize, y as usize));
        Self { pixels: RgbImage::from_fn(width as u32, height as u32, pixel) }
    }

    /// A radiograph in grey.
    pub fn from_image(image: &Image) -> Self {
        let levels = image.to_levels();
        Self::from_fn(image.width(), image.height(), |x, y| [levels[y * image.width() + x]; 3])
    }

    /// The picture of a PNG file.
    ///
    /// # Errors
    /// When the bytes are no PNG file, or a damaged one.
    pub fn from_png(bytes: &[u8]) -> Result<Self, PictureError> {
        let picture = image::load_from_memory_with_format(bytes, ImageFormat::Png);
        let picture = picture.map_err(|error| PictureError::Decode { reason: error.to_string() })?;
        Ok(Self { pixels: picture.into_rgb8() })
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
        let (width, height) = (width.max(1) as u32, height.max(1) as u32);
        Self { pixels: resize(self.pixels.clone(), (width, height), filter) }
    }

    /// Copies another picture into this one, cut at the border.
    pub fn paste(&mut self, other: &Self, x: i32, y: i32) {
        imageops::replace(&mut self.pixels, &other.pixels, x.into(), y.into());
    }

    /// Gives an area one colour.
    pub fn fill(&mut self, area: Area, colour: Colour) {
        self.change(area, |_| colour);
    }

    /// Darkens an area so that text on it can be read.
    pub fn dim(&mut self, area: Area) {
        self.change(area, |old| old.map(|part| part / 4));
    }

    /// Text whose top left corner is at `(x, y)`.
    pub fn text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour) {
        let mut target = Enlarged { pixels: &mut self.pixels, left: x, top: y, zoom: font.zoom };
        let style = MonoTextStyle::new(font.face, rgb(colour));
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut target);
    }

    /// The same with a black seam, readable on any background.
    pub fn seamed_text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour) {
        let seam = font.zoom;
        for dy in -seam..=seam {
            for dx in -seam..=seam {
                self.text(text, x + dx, y + dy, font, [0; 3]);
            }
        }
        self.text(text, x, y, font, colour);
    }

    /// A straight line, `width` pixels wide.
    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), width: u32, colour: Colour) {
        let line = Line::new(Point::new(from.0, from.1), Point::new(to.0, to.1));
        let style = PrimitiveStyle::with_stroke(rgb(colour), width);
        let Ok(()) = line.into_styled(style).draw(&mut self.target());
    }

    /// A ring, `width` pixels wide.
    pub fn circle(&mut self, centre: (i32, i32), radius: u32, width: u32, colour: Colour) {
        let circle = Circle::with_center(Point::new(centre.0, centre.1), 2 * radius + 1);
        let style = PrimitiveStyle::with_stroke(rgb(colour), width);
        let Ok(()) = circle.into_styled(style).draw(&mut self.target());
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// When PNG has no picture of this size.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Cursor::new(Vec::new());
        let written = self.pixels.write_to(&mut bytes, ImageFormat::Png);
        written.map_err(|error| not_png(self.width(), self.height(), &error))?;
        Ok(bytes.into_inner())
    }

    fn target(&mut self) -> Enlarged<'_> {
        Enlarged { pixels: &mut self.pixels, left: 0, top: 0, zoom: 1 }
    }

    fn change(&mut self, area: Area, colour: impl Fn(Colour) -> Colour) {
        let cut = |from: i32, length: i32, limit: u32| {
            let end = from.saturating_add(length).max(0) as u32;
            (from.max(0) as u32).min(limit)..end.min(limit)
        };
        for y in cut(area.y, area.height, self.pixels.height()) {
            for x in cut(area.x, area.width, self.pixels.width()) {
                let pixel = self.pixels.get_pixel_mut(x, y);
                pixel.0 = colour(pixel.0);
            }
        }
    }
}

/// Grey levels, row by row, as the bytes of a PNG file.
///
/// # Errors
/// When there are not `width * height` levels, or none.
pub fn grey_png(width: usize, height: usize, levels: &[u8]) -> Result<Vec<u8>, PictureError> {
    let (Ok(across), Ok(down)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(not_png(width, height, &"too large"));
    };
    if width.checked_mul(height) != Some(levels.len()) {
        return Err(not_png(width, height, &format_args!("{} pixels given", levels.len())));
    }
    let mut bytes = Vec::new();
    let written = PngEncoder::new(&mut bytes).write_image(levels, across, down, ExtendedColorType::L8);
    written.map_err(|error| not_png(width, height, &error))?;
    Ok(bytes)
}

fn not_png(width: usize, height: usize, reason: &dyn std::fmt::Display) -> PictureError {
    PictureError::Encode { format: "PNG", width, height, reason: reason.to_string() }
}

/// Red, green and blue of each pixel, row by row, shrunk, as the bytes of a PNG file.
pub(crate) fn rgb_png(
    pixels: Vec<u8>,
    (width, height): (u32, u32),
    to: (u32, u32),
) -> Result<Vec<u8>, PictureError> {
    let other = || not_png(width as usize, height as usize, &"another number of pixels given");
    let pixels = RgbImage::from_raw(width, height, pixels).ok_or_else(other)?;
    Canvas { pixels: resize(pixels, to, FilterType::Triangle) }.to_png()
}

/// Resizes by code that is compiled in the image crate, which is optimised where this crate is not.
fn resize(pixels: RgbImage, (width, height): (u32, u32), filter: FilterType) -> RgbImage {
    DynamicImage::from(pixels).resize_exact(width, height, filter).into_rgb8()
}

fn rgb([red, green, blue]: Colour) -> Rgb888 {
    Rgb888::new(red, green, blue)
}

/// Draws with every pixel enlarged to `zoom` x `zoom`, and nothing outside the picture.
struct Enlarged<'a> {
    pixels: &'a mut RgbImage,
    left: i32,
    top: i32,
    zoom: i32,
}

impl OriginDimensions for Enlarged<'_> {
    fn size(&self) -> Size {
        Size::new(self.pixels.width(), self.pixels.height())
    }
}

impl DrawTarget for Enlarged<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        for Pixel(at, colour) in pixels {
            let colour = Rgb([colour.r(), colour.g(), colour.b()]);
            for dy in 0..self.zoom {
                for dx in 0..self.zoom {
                    let x = self.left + at.x * self.zoom + dx;
                    let y = self.top + at.y * self.zoom + dy;
                    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                        && let Some(pixel) = self.pixels.get_pixel_mut_checked(x, y)
                    {
                        *pixel = colour;
                    }
                }
            }
        }
        Ok(())
    }
}
