//! Overlays as the text of SVG files.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infomark_core::Point;

use crate::Colour;
use crate::canvas::{Area, Font};
use crate::pen::Pen;

/// An SVG file as it is drawn.
pub(super) struct Svg {
    size: (usize, usize),
    background: String,
    shapes: String,
}

impl Svg {
    /// On a PNG file of this size.
    pub(super) fn new(size: (usize, usize), png: &[u8]) -> Self {
        Self { size, background: STANDARD.encode(png), shapes: String::new() }
    }

    /// The text of the file. In SVG the first pixel's corner is at (0, 0), so all shapes are moved by half a pixel.
    pub(super) fn finish(self, title: &str) -> String {
        let ((width, height), title) = (self.size, escaped(title));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<title>{title}</title>\n\
             <image width=\"{width}\" height=\"{height}\" href=\"data:image/png;base64,{}\"/>\n\
             <g transform=\"translate(0.5 0.5)\" fill=\"none\">\n{}</g>\n</svg>\n",
            self.background, self.shapes
        )
    }

    fn add(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing into a text cannot fail.
        let _ = self.shapes.write_fmt(shape);
    }
}

impl Pen for Svg {
    fn dim(&mut self, Area { x, y, width, height }: Area) {
        self.add(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"#000\" fill-opacity=\"0.75\"/>\n"
        ));
    }

    fn seamed_text(&mut self, text: &str, x: i32, y: i32, font: Font, colour: Colour) {
        // As wide as in the picture, whatever font there is, so that names keep clear of each other.
        let (height, width) = (font.height(), font.width(text));
        let (base, seam) = (f64::from(y) + 0.8 * f64::from(height), (f64::from(height) / 6.0).max(1.5));
        let (size, text) = (0.85 * f64::from(height), escaped(text));
        self.add(format_args!(
            "<text x=\"{x}\" y=\"{base:.1}\" font-family=\"DejaVu Sans Mono, monospace\" font-size=\"{size:.1}\" \
             textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\" stroke=\"#000\" \
             stroke-width=\"{seam:.1}\" stroke-linejoin=\"round\" paint-order=\"stroke\">{text}</text>\n",
            hex(colour)
        ));
    }

    fn line(&mut self, from: Point<f64>, to: Point<f64>, width: u32, colour: Colour) {
        self.add(format_args!(
            "<line x1=\"{:.3}\" y1=\"{:.3}\" x2=\"{:.3}\" y2=\"{:.3}\" stroke=\"{}\" stroke-width=\"{width}\"/>\n",
            from.x,
            from.y,
            to.x,
            to.y,
            hex(colour)
        ));
    }

    fn circle(&mut self, centre: Point<f64>, radius: u32, width: u32, colour: Colour) {
        self.add(format_args!(
            "<circle cx=\"{:.3}\" cy=\"{:.3}\" r=\"{radius}\" stroke=\"{}\" stroke-width=\"{width}\"/>\n",
            centre.x,
            centre.y,
            hex(colour)
        ));
    }
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text as XML takes it; characters that XML has none for become spaces.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}
