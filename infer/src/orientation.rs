//! Orientation of an image relative to another.

use std::fmt;

use infomark_core::Point;

use crate::{Image, ImageError};

/// Orientation of an image relative to a template: optional horizontal mirroring, then quarter turns, clockwise on screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Orientation {
    mirrored: bool,
    quarter_turns: u8,
}

impl Orientation {
    /// All eight orientations, the identity first, then the mirrored one.
    pub const ALL: [Orientation; 8] = {
        let mut all = [Orientation { mirrored: false, quarter_turns: 0 }; 8];
        let mut i = 0;
        while i < 8 {
            all[i] = Orientation { mirrored: i % 2 == 1, quarter_turns: i as u8 / 2 };
            i += 1;
        }
        all
    };

    /// Whether the image is mirrored horizontally.
    pub fn is_mirrored(self) -> bool {
        self.mirrored
    }

    /// Number of quarter turns, clockwise on screen, after the mirroring; 0 to 3.
    pub fn quarter_turns(self) -> u8 {
        self.quarter_turns
    }

    /// Whether the image has the template's orientation.
    pub fn is_upright(self) -> bool {
        self == Self::default()
    }

    /// The inverse: the orientation of the template relative to the image.
    pub fn inverse(self) -> Orientation {
        // A mirrored turn is its own inverse.
        let quarter_turns = if self.mirrored { self.quarter_turns } else { (4 - self.quarter_turns) % 4 };
        Orientation { quarter_turns, ..self }
    }

    /// Maps a point of an image of `width` by `height` pixels to the reoriented image.
    pub fn push(self, at: Point<f64>, (width, height): (usize, usize)) -> Point<f64> {
        let (right, bottom) = (width as f64 - 1.0, height as f64 - 1.0);
        let x = if self.mirrored { right - at.x } else { at.x };
        match self.quarter_turns {
            1 => Point::new(bottom - at.y, x),
            2 => Point::new(right - x, bottom - at.y),
            3 => Point::new(at.y, right - x),
            _ => Point::new(x, at.y),
        }
    }

    /// Width and height of the reoriented image.
    pub fn size(self, (width, height): (usize, usize)) -> (usize, usize) {
        if self.quarter_turns % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Reorients an image, pixel by pixel; drops its pixel size.
    ///
    /// # Errors
    /// [`ImageError`], which does not occur for valid images.
    pub fn apply(self, image: &Image) -> Result<Image, ImageError> {
        let from = image.kept_size();
        let (width, height) = self.size(from);
        let back = self.inverse();
        let pixels = (0..width * height).map(|i| {
            let at = Point::new((i % width) as f64, (i / width) as f64);
            let source = back.push(at, (width, height));
            image.pixels().get(source.y as usize * from.0 + source.x as usize).copied().unwrap_or(0.0)
        });
        image.laid(self.size((image.width(), image.height())), (width, height), pixels.collect())
    }
}

impl fmt::Display for Orientation {
    /// In words: "mirrored, turned by 90 degrees clockwise".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mirrored, self.quarter_turns) {
            (false, 0) => f.write_str("as the template"),
            (true, 0) => f.write_str("mirrored"),
            (false, turns) => write!(f, "turned by {} degrees clockwise", 90 * u32::from(turns)),
            (true, turns) => write!(f, "mirrored, turned by {} degrees clockwise", 90 * u32::from(turns)),
        }
    }
}
