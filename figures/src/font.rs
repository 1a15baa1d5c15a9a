//! The font of all pictures: DejaVu Sans, which is part of the program, so that they look the same everywhere.

use std::sync::OnceLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Names of the font in SVG files, then fonts of the same widths or nearly so.
pub(crate) const FAMILY: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, sans-serif";
/// Height of capitals, as a share of the font size.
pub(crate) const CAPITAL: f64 = 0.73;
/// Depth of letters below the line that they stand on, as a share of the font size.
pub(crate) const DEPTH: f64 = 0.21;

/// Width of a text in pixels, of a font size in pixels.
pub fn text_width(text: &str, size: f64) -> f64 {
    let Some(face) = face() else { return 0.0 };
    let advances = text.chars().map(|letter| f64::from(advance(face, glyph(face, letter))));
    advances.sum::<f64>() * size / f64::from(face.units_per_em())
}

/// `text`, its middle replaced by dots where it is wider than `width` pixels.
pub(crate) fn shorten(text: &str, size: f64, width: f64) -> String {
    let letters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| {
        let tail = letters.iter().rev().take(kept / 2).rev();
        letters.iter().take(kept.div_ceil(2)).chain(&['.', '.', '.']).chain(tail).collect::<String>()
    };
    let fits = |text: &str| text_width(text, size) <= width;
    if fits(text) {
        return text.to_owned();
    }
    // No letter of it is narrower than a fifth of the font size.
    let most = letters.len().min((5.0 * width / size) as usize + 1);
    (0..most).rev().map(shortened).find(|text| fits(text)).unwrap_or_default()
}

/// The outlines of a text of a font size in pixels, which starts at (0, 0); y down. None without any.
pub(crate) fn outline(text: &str, size: f64) -> Option<Path> {
    let face = face()?;
    let scale = size as f32 / f32::from(face.units_per_em());
    let mut outline = Outline { path: PathBuilder::new(), scale, right: 0.0 };
    for letter in text.chars() {
        let glyph = glyph(face, letter);
        face.outline_glyph(glyph, &mut outline);
        outline.right += scale * f32::from(advance(face, glyph));
    }
    outline.path.finish()
}

/// Makes a path of glyphs, which are in font units, y up.
struct Outline {
    path: PathBuilder,
    scale: f32,
    /// Where the glyph begins.
    right: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.right + self.scale * x, -self.scale * y)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

fn glyph(face: &Face<'_>, letter: char) -> GlyphId {
    // Glyph 0 is the box of what the font does not have.
    face.glyph_index(letter).unwrap_or(GlyphId(0))
}

fn advance(face: &Face<'_>, glyph: GlyphId) -> u16 {
    face.glyph_hor_advance(glyph).unwrap_or(0)
}

fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(dejavu::sans::regular(), 0).ok()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_wide_as_the_font_says() {
        // Of 2,048 units to an em, "m" takes 1,995.
        assert_eq!(text_width("mm", 2048.0), 2.0 * 1995.0);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten("short", 12.0, 100.0), "short");
        let name = "a-rather-long-name-of-an-image-0042.png";
        let shortened = shorten(name, 12.0, 120.0);
        assert!(text_width(&shortened, 12.0) <= 120.0);
        assert!(shortened.starts_with("a-ra") && shortened.ends_with(".png"), "{shortened}");
    }
}
