//! Scenes as SVG.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infomark_core::Point;

use super::{Anchor, Area, Scene, Shape, Stroke, Text};
use crate::font::{FAMILY, text_width};
use crate::{Colour, PictureError, Raster};

/// The text of an SVG file.
pub(super) fn svg(scene: &Scene) -> Result<String, PictureError> {
    let mut out = String::new();
    let (width, height) = (scene.width, scene.height);
    // Writing into a text cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\" stroke-linejoin=\"round\">"
    );
    if !scene.title.is_empty() {
        let _ = writeln!(out, "<title>{}</title>", escaped(&scene.title));
    }
    add_scene(&mut out, scene)?;
    out.push_str("</svg>\n");
    Ok(out)
}

/// The background and the shapes; a background that a picture covers is left out.
fn add_scene(out: &mut String, scene: &Scene) -> Result<(), PictureError> {
    let covers = |raster: &Raster| (raster.width(), raster.height()) == (scene.width, scene.height);
    let covered =
        matches!(scene.shapes.first(), Some(Shape::Raster { raster, left: 0, top: 0 }) if covers(raster));
    if !covered {
        let fill = hex(scene.background);
        let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"{fill}\"/>");
    }
    scene.shapes.iter().try_for_each(|shape| add_shape(out, shape))
}

fn add_shape(out: &mut String, shape: &Shape) -> Result<(), PictureError> {
    let _ = match shape {
        Shape::Line { points, stroke } => match points.as_slice() {
            [from, to] => {
                let [x1, y1, x2, y2] = [from.x, from.y, to.x, to.y].map(number);
                writeln!(out, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" {}/>", drawn(stroke))
            }
            _ => writeln!(out, "<path d=\"{}\" fill=\"none\" {}/>", path(points), drawn(stroke)),
        },
        Shape::Polygon { points, colour, opacity } => {
            writeln!(out, "<path d=\"{}Z\" {}/>", path(points), filled(*colour, *opacity))
        }
        Shape::Rectangle { area: Area { x, y, width, height }, colour, opacity } => {
            let [x, y, width, height] = [x, y, width, height].map(|length| number(*length));
            let fill = filled(*colour, *opacity);
            writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {fill}/>")
        }
        Shape::Circle { centre, radius, stroke } => {
            let [x, y, radius] = [centre.x, centre.y, *radius].map(number);
            writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"none\" {}/>", drawn(stroke))
        }
        Shape::Disc { centre, radius, colour } => {
            let [x, y, radius] = [centre.x, centre.y, *radius].map(number);
            writeln!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{}\"/>", hex(*colour))
        }
        Shape::Text(text) => add_text(out, text),
        Shape::Raster { raster, left, top } => {
            let (width, height) = (raster.width(), raster.height());
            let png = STANDARD.encode(raster.to_png()?);
            writeln!(
                out,
                "<image x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
                 href=\"data:image/png;base64,{png}\"/>"
            )
        }
        Shape::Scene { scene, left, top } => {
            let (width, height) = (scene.width, scene.height);
            let _ = writeln!(out, "<svg x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\">");
            add_scene(out, scene)?;
            writeln!(out, "</svg>")
        }
    };
    Ok(())
}

/// Text that is as wide as in DejaVu Sans whatever font there is, so that it keeps clear of what is beside it.
fn add_text(out: &mut String, text: &Text) -> std::fmt::Result {
    let [x, y, size] = [text.at.x, text.at.y, text.size].map(number);
    let width = number(text_width(&text.text, text.size));
    write!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{}\"", hex(text.colour))?;
    write!(out, " textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"")?;
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => out.push_str(" text-anchor=\"middle\""),
        Anchor::End => out.push_str(" text-anchor=\"end\""),
    }
    if text.upwards {
        write!(out, " transform=\"rotate(-90 {x} {y})\"")?;
    }
    if let Some(seam) = text.seam {
        let seam = Stroke::new(seam, text.seam_width());
        write!(out, " {} paint-order=\"stroke\"", drawn(&seam))?;
    }
    writeln!(out, ">{}</text>", escaped(&text.text))
}

fn path(points: &[Point<f64>]) -> String {
    let mut path = String::new();
    for (index, at) in points.iter().enumerate() {
        let to = if index == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{to}{} {}", number(at.x), number(at.y));
    }
    path
}

fn drawn(stroke: &Stroke) -> String {
    let line = format!("stroke=\"{}\" stroke-width=\"{}\"", hex(stroke.colour), number(stroke.width));
    match stroke.dashes {
        Some((on, off)) => format!("{line} stroke-dasharray=\"{} {}\"", number(on), number(off)),
        None => line,
    }
}

fn filled(colour: Colour, opacity: f64) -> String {
    let fill = format!("fill=\"{}\"", hex(colour));
    if opacity < 1.0 { format!("{fill} fill-opacity=\"{}\"", number(opacity)) } else { fill }
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A hundredth of a pixel is exact enough.
fn number(length: f64) -> String {
    let text = format!("{length:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text as XML takes it; characters that XML has none for become spaces.
fn escaped(text: &str) -> String {
    let letter = |letter: char| match letter {
        '&' => Cow::Borrowed("&amp;"),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '\u{fffe}' | '\u{ffff}' => " ".into(),
        letter if letter.is_control() => " ".into(),
        letter => letter.to_string().into(),
    };
    text.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() -> Result<(), PictureError> {
        let mut scene = Scene::new(8, 8, [255; 3]).titled("a&b\u{0}");
        scene.text(Text::new("<script>", Point::new(0.0, 8.0), 8.0, [0; 3]));
        let svg = scene.to_svg()?;
        assert!(svg.contains("<title>a&amp;b </title>") && svg.contains(">&lt;script&gt;</text>"), "{svg}");
        Ok(())
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        assert_eq!([10.0, -0.5, 2.345, 1e5].map(number), ["10", "-0.5", "2.35", "100000"]);
    }
}
