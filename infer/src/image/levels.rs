//! All grey levels of a file, for an interactive choice of the window.

use super::{ImageError, MIN_SIDE};

/// Range of levels beyond the window for files of 32 or 64 bits, in widths of the window: beyond it, 16 bits would be too coarse.
#[cfg(feature = "nifti")]
const BEYOND: f64 = 15.0;

/// Grey levels of an image file in 16 bits, and the window of them that [`read_image`](crate::read_image) shows.
///
/// An [`Image`](crate::Image) is clipped to black and white; these levels extend to the smallest and the largest value of the file. Files of at
/// most 16 bits keep all values distinct; for others the range is limited to 15 widths of the window beyond it.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The levels, row by row: 0 is the lowest value of the file or of the window, 65535 the highest.
    pub levels: Vec<u16>,
    /// The levels shown as black and white, as fractions of 65535, ascending and within `[0, 1]`.
    pub window: [f64; 2],
}

impl Levels {
    pub(super) fn new(
        name: &str,
        (width, height): (usize, usize),
        (levels, window): (Vec<u16>, [f64; 2]),
    ) -> Result<Levels, ImageError> {
        let name = name.to_owned();
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(ImageError::TooSmall { name, width, height });
        }
        if levels.windows(2).all(|pair| pair[0] == pair[1]) {
            return Err(ImageError::Constant { name });
        }
        Ok(Levels { width, height, levels, window })
    }
}

/// Linear map from values to levels.
pub(super) struct Scale {
    from: f64,
    range: f64,
    shown: (f64, f64),
}

impl Scale {
    /// A scale over the extremes and the values shown as black and white.
    pub(super) fn new((least, most): (f64, f64), shown: (f64, f64)) -> Scale {
        let (from, to) = (least.min(shown.0), most.max(shown.1));
        let range = to - from;
        Scale { from, range: if range > 0.0 && range.is_finite() { range } else { 1.0 }, shown }
    }

    /// [`new`](Self::new), with a limited range beyond the window.
    #[cfg(feature = "nifti")]
    pub(super) fn near((least, most): (f64, f64), shown: (f64, f64)) -> Scale {
        let far = BEYOND * (shown.1 - shown.0);
        Scale::new((least.max(shown.0 - far), most.min(shown.1 + far)), shown)
    }

    pub(super) fn level(&self, value: f64) -> u16 {
        (self.share(value) * f64::from(u16::MAX)).round() as u16
    }

    pub(super) fn window(&self) -> [f64; 2] {
        let low = self.share(self.shown.0);
        // At least one level wide, and within the range.
        let step = 1.0 / f64::from(u16::MAX);
        let low = low.min(1.0 - step);
        [low, self.share(self.shown.1).max(low + step)]
    }

    fn share(&self, value: f64) -> f64 {
        ((value - self.from) / self.range).clamp(0.0, 1.0)
    }
}
