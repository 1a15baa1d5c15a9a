//! Letterboxing of images of any size to the model input.

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use crate::landmark::on_pixels;
use crate::resize::resized;
use crate::{Image, Normalisation};

/// Maximum side of an [`InputSize`] in pixels.
const MAX_SIDE: usize = 8192;

/// Maximum area of a model input for which large images are reduced, in pixels.
const MAX_AREA_OF_REDUCED: usize = 1 << 18;

/// Size of the model input in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Sides", into = "Sides")]
pub struct InputSize {
    width: usize,
    height: usize,
}

#[derive(Serialize, Deserialize)]
struct Sides {
    width: usize,
    height: usize,
}

impl From<InputSize> for Sides {
    fn from(size: InputSize) -> Sides {
        Sides { width: size.width, height: size.height }
    }
}

impl TryFrom<Sides> for InputSize {
    type Error = LetterboxError;

    fn try_from(sides: Sides) -> Result<InputSize, LetterboxError> {
        InputSize::new(sides.width, sides.height)
    }
}

impl InputSize {
    /// A model input of `width` by `height` pixels.
    ///
    /// # Errors
    /// [`LetterboxError::Canvas`] unless both sides are between 1 and 8192.
    pub fn new(width: usize, height: usize) -> Result<InputSize, LetterboxError> {
        if (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) {
            Ok(InputSize { width, height })
        } else {
            Err(LetterboxError::Canvas { width, height })
        }
    }

    /// Width in pixels.
    pub fn width(self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(self) -> usize {
        self.height
    }

    /// Area in pixels.
    pub fn area(self) -> usize {
        self.width * self.height
    }

    /// Whether images read with [`ReadLimits::reduced`](crate::ReadLimits::reduced) suit: a model input of at most 2^18 pixels;
    /// reduced images have at least 16 times as many.
    pub fn takes_reduced(self) -> bool {
        self.area() <= MAX_AREA_OF_REDUCED
    }
}

/// Why an image cannot be letterboxed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LetterboxError {
    /// A side of the model input that is 0 or beyond the limit.
    #[error("a canvas of {width} x {height} pixels; both sides have to be between 1 and 8192")]
    Canvas {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// An image without pixels, or with a side above 2^32 - 1.
    #[error("an image of {width} x {height} pixels cannot be resized")]
    Original {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// An invalid normalisation.
    #[error(
        "a local contrast with numbers out of range: sigma above 0 up to 1, gain and floor above 0 are needed"
    )]
    Normalisation,
    /// An image whose size is not that of the letterboxing.
    #[error(
        "an image of {width} x {height} pixels, but the fit is for {expected_width} x {expected_height}; make one for this size"
    )]
    OtherSize {
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
        /// Width expected.
        expected_width: usize,
        /// Height expected.
        expected_height: usize,
    },
}

/// Rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Letterboxing of an image to the model input, with the map of points between the two.
///
/// The image is resized with its aspect ratio kept (each side rounded to whole pixels) and centred, and its edge pixels are repeated
/// to the border of the model input. Centres map as `x' = (x + 0.5) * scale - 0.5 + offset`; [`push`](Letterbox::push) and
/// [`pull`](Letterbox::pull) are inverse to each other for every finite point, inside the image or not.
///
/// ```
/// use infomark_core::Point;
/// use infomark_infer::{Letterbox, InputSize};
///
/// let fit = Letterbox::new(640, 800, InputSize::new(384, 384)?)?;
/// let content = fit.content();
/// assert_eq!((content.x, content.y, content.width, content.height), (38, 0, 307, 384));
/// let on_canvas = fit.push(Point::new(320.0, 400.0));
/// let back = fit.pull(on_canvas);
/// assert!((back.x - 320.0).abs() < 1e-9 && (back.y - 400.0).abs() < 1e-9);
/// # Ok::<(), infomark_infer::LetterboxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letterbox {
    width: u32,
    height: u32,
    input: InputSize,
    content: Rect,
}

impl Letterbox {
    /// The letterboxing of images of `width` by `height` pixels to the model input `input`.
    ///
    /// # Errors
    /// [`LetterboxError::Original`] when a side is 0 or does not fit 32 bits.
    pub fn new(width: usize, height: usize, input: InputSize) -> Result<Letterbox, LetterboxError> {
        let side = |pixels: usize| u32::try_from(pixels).ok().filter(|&pixels| pixels > 0);
        let (Some(wide), Some(high)) = (side(width), side(height)) else {
            return Err(LetterboxError::Original { width, height });
        };
        let scale = (input.width as f64 / width as f64).min(input.height as f64 / height as f64);
        let resized =
            |original: usize, room: usize| ((original as f64 * scale).round() as usize).clamp(1, room);
        let (content_width, content_height) = (resized(width, input.width), resized(height, input.height));
        Ok(Letterbox {
            width: wide,
            height: high,
            input,
            content: Rect {
                x: (input.width - content_width) / 2,
                y: (input.height - content_height) / 2,
                width: content_width,
                height: content_height,
            },
        })
    }

    /// Size of the model input.
    pub fn input(&self) -> InputSize {
        self.input
    }

    /// Width and height of the original image.
    pub fn original(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }

    /// The rectangle of the model input that shows the image; the rest repeats its edge.
    pub fn content(&self) -> Rect {
        self.content
    }

    /// Maps a point of the original image to the model input.
    pub fn push(&self, original: Point<f64>) -> Point<f64> {
        let (scale_x, scale_y) = self.scale();
        let resized = original.resized(scale_x, scale_y);
        Point::new(resized.x + self.content.x as f64, resized.y + self.content.y as f64)
    }

    /// Maps a point of the model input to the original image.
    pub fn pull(&self, canvas: Point<f64>) -> Point<f64> {
        let (scale_x, scale_y) = self.scale();
        let resized = Point::new(canvas.x - self.content.x as f64, canvas.y - self.content.y as f64);
        resized.resized(1.0 / scale_x, 1.0 / scale_y)
    }

    /// Whether a point lies on a pixel of the original image: up to half a pixel beyond the centres of the outermost ones.
    pub fn contains(&self, original: Point<f64>) -> bool {
        let (width, height) = self.original();
        on_pixels(original, width, height, 0.0)
    }

    /// Letterboxes an image: `input.width() * input.height()` row-major pixels in `[0, 1]`.
    ///
    /// Downscaling averages with a triangle filter of half-width one step, upscaling is bilinear. An image of more than 2^24 pixels is first reduced to
    /// block averages, if [`InputSize::takes_reduced`], so that reduced reading changes nothing. The resized image is normalised before its
    /// edges are repeated.
    ///
    /// # Errors
    /// [`LetterboxError::OtherSize`] for an image of another size, [`LetterboxError::Normalisation`] for a normalisation
    /// that [`Normalisation::check`] rejects.
    pub fn apply(&self, image: &Image, normalisation: Normalisation) -> Result<Vec<f32>, LetterboxError> {
        let (expected_width, expected_height) = self.original();
        let other = LetterboxError::OtherSize {
            width: image.width(),
            height: image.height(),
            expected_width,
            expected_height,
        };
        if (image.width(), image.height()) != self.original() {
            return Err(other);
        }
        normalisation.check().map_err(|_| LetterboxError::Normalisation)?;
        let Rect { width, height, x, .. } = self.content;
        let image = image.reduced_where(self.input.takes_reduced());
        let resized = resized(image.pixels(), image.kept_size(), (width, height));
        let resized = normalisation.apply(resized, width, height).ok_or(LetterboxError::Normalisation)?;
        let mut canvas = Vec::with_capacity(self.input.area());
        for row in resized.chunks_exact(width) {
            let (Some(first), Some(last)) = (row.first(), row.last()) else {
                continue;
            };
            canvas.extend(std::iter::repeat_n(*first, x));
            canvas.extend_from_slice(row);
            canvas.extend(std::iter::repeat_n(*last, self.input.width - width - x));
        }
        Ok(self.repeat_rows(canvas))
    }

    /// The rows of the content, full width, with the first and last rows repeated above and below.
    fn repeat_rows(&self, rows: Vec<f32>) -> Vec<f32> {
        let Rect { y, height, .. } = self.content;
        if height == self.input.height {
            return rows;
        }
        let width = self.input.width;
        let mut canvas = rows[..width].repeat(y);
        let below = rows[rows.len() - width..].repeat(self.input.height - height - y);
        canvas.extend(rows);
        canvas.extend(below);
        canvas
    }

    /// Pixels of the original image per pixel of the model input: the geometric mean of both directions.
    pub(crate) fn unit(&self) -> f64 {
        let (x, y) = self.scale();
        1.0 / (x * y).sqrt()
    }

    fn scale(&self) -> (f64, f64) {
        (
            self.content.width as f64 / f64::from(self.width),
            self.content.height as f64 / f64::from(self.height),
        )
    }
}

/// Clamps a point to the centres of the outermost pixels.
pub(crate) fn onto(fit: &Letterbox, at: Point<f64>) -> Point<f64> {
    let (width, height) = fit.original();
    Point::new(at.x.clamp(0.0, (width - 1) as f64), at.y.clamp(0.0, (height - 1) as f64))
}

/// The cells whose centres lie in a rectangle of the model input; at least one in each direction.
pub(crate) fn cells(content: Rect, stride: usize) -> Rect {
    // In half pixels from the border of the model input, the centre of cell `i` lies at `(2 i + 1) * stride`.
    let range = |start: usize, length: usize| {
        let first_from = |half: usize| half.saturating_sub(stride).div_ceil(2 * stride);
        let first = first_from(2 * start);
        let end = first_from(2 * (start + length));
        (first.min(end.saturating_sub(1)), end.saturating_sub(first).max(1))
    };
    let (x, width) = range(content.x, content.width);
    let (y, height) = range(content.y, content.height);
    Rect { x, y, width, height }
}
