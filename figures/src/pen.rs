//! What overlays are drawn with: a picture of pixels or the text of an SVG file.

use infomark_core::Point;

use crate::Colour;
use crate::canvas::{Area, Canvas, Font};

/// What an overlay is drawn with. Places are pixels, (0, 0) the centre of the first one.
pub(super) trait Pen {
    /// Darkens an area so that text on it can be read.
    fn dim(&mut self, area: Area);
    /// Text with a black seam, whose top left corner is at `(x, y)`.
    fn seamed_text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour);
    fn line(&mut self, from: Point<f64>, to: Point<f64>, width: u32, colour: Colour);
    fn circle(&mut self, centre: Point<f64>, radius: u32, width: u32, colour: Colour);
}

/// The nearest pixel.
pub(super) fn rounded(at: Point<f64>) -> (i32, i32) {
    (at.x.round() as i32, at.y.round() as i32)
}

impl Pen for Canvas {
    fn dim(&mut self, area: Area) {
        Canvas::dim(self, area);
    }

    fn seamed_text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour) {
        Canvas::seamed_text(self, text, x, y, font, colour);
    }

    fn line(&mut self, from: Point<f64>, to: Point<f64>, width: u32, colour: Colour) {
        Canvas::line(self, rounded(from), rounded(to), width, colour);
    }

    fn circle(&mut self, centre: Point<f64>, radius: u32, width: u32, colour: Colour) {
        Canvas::circle(self, rounded(centre), radius, width, colour);
    }
}
