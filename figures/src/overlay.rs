//! Landmarks drawn into their image.

use infomark_core::Point;
use infomark_infer::Image;

use crate::canvas::{Area, Canvas, Font, grey_png};
use crate::pen::{Pen, rounded};
use crate::svg::Svg;
use crate::{Colour, PictureError, qualitative};

/// A landmark to draw.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Its name, written beside it.
    pub name: String,
    /// Its place in pixels of the image.
    pub at: Point<f64>,
    /// Where it really is, if that is known.
    pub truth: Option<Point<f64>>,
    /// Whether nobody should rely on it: a ring in place of the cross, and a question mark.
    pub doubtful: bool,
}

/// Sizes that suit a picture.
struct Style {
    /// Length of a cross's arm.
    arm: i32,
    /// Gap between its middle and the arm, so that the pixel itself stays visible.
    gap: i32,
    stroke: u32,
    font: Font,
}

impl Style {
    fn of(width: usize, height: usize) -> Self {
        let side = width.min(height) as i32;
        Self {
            arm: (side / 60).max(3),
            gap: (side / 200).max(1),
            stroke: (side / 320).max(1) as u32,
            font: Font::of_height((side / 38).max(8)),
        }
    }
}

/// The image, `zoom` times enlarged, with a cross and a name at each landmark, a circle around the truth
/// where it is known, and a title.
pub fn overlay(image: &Image, zoom: usize, marks: &[Mark], title: &str) -> Canvas {
    let mut canvas = Canvas::from_image(image);
    if zoom > 1 {
        canvas = canvas.resized(zoom * canvas.width(), zoom * canvas.height(), false);
    }
    let size = (canvas.width(), canvas.height());
    draw(&mut canvas, size, zoom, marks, title);
    canvas
}

/// The same as the text of an SVG file, which holds the image in 256 grey levels. Marks lie where they were found, to a fraction
/// of a pixel.
///
/// # Errors
/// When the image cannot be written as PNG.
pub fn overlay_svg(image: &Image, marks: &[Mark], title: &str) -> Result<String, PictureError> {
    let size = (image.width(), image.height());
    let mut svg = Svg::new(size, &grey_png(size.0, size.1, &image.to_levels())?);
    draw(&mut svg, size, 1, marks, title);
    Ok(svg.finish(title))
}

fn draw(pen: &mut impl Pen, size: (usize, usize), zoom: usize, marks: &[Mark], title: &str) {
    let style = Style::of(size.0, size.1);
    let scale = zoom as f64;
    let pixel = |at: Point<f64>| at.resized(scale, scale);
    let banner = draw_title(pen, size.0, title, &style);
    for (index, mark) in marks.iter().enumerate() {
        if let Some(truth) = mark.truth {
            draw_truth(pen, pixel(truth), pixel(mark.at), &style);
        }
        if mark.doubtful {
            draw_ring(pen, pixel(mark.at), qualitative(index), &style);
        } else {
            draw_cross(pen, pixel(mark.at), qualitative(index), &style);
        }
    }
    let places: Vec<_> = marks.iter().map(|mark| rounded(pixel(mark.at))).collect();
    let frame = Area { x: 0, y: 0, width: size.0 as i32, height: size.1 as i32 };
    let mut taken: Vec<Area> = places.iter().map(|&at| around(at, style.arm)).collect();
    taken.push(banner);
    for (index, (mark, &at)) in marks.iter().zip(&places).enumerate() {
        let name = if mark.doubtful { format!("{}?", mark.name) } else { mark.name.clone() };
        let size = (style.font.width(&name), style.font.height());
        let label = place_label(at, size, &style, frame, &taken);
        taken.push(label);
        pen.seamed_text(&name, label.x, label.y, style.font, qualitative(index));
    }
}

/// Where names beside points cover each other least: the top left corner of each, for names of these widths and this height. `arm` is
/// that of the points' crosses, `others` are places that names should leave free as well. Lengths of any unit.
pub fn label_corners(
    points: &[Point<f64>],
    others: &[Point<f64>],
    (widths, height): (&[f64], f64),
    arm: f64,
    frame: (f64, f64),
) -> Vec<Point<f64>> {
    // Whole numbers, fine enough.
    let scale = 4096.0 / frame.0.max(frame.1).max(1.0);
    let whole = |length: f64| (length * scale).round() as i32;
    let style = Style { arm: whole(arm).max(1), gap: 0, stroke: 1, font: Font::of_height(8) };
    let area = Area { x: 0, y: 0, width: whole(frame.0), height: whole(frame.1) };
    let at = |point: &Point<f64>| (whole(point.x), whole(point.y));
    let mut taken: Vec<Area> =
        points.iter().chain(others).map(|point| around(at(point), style.arm)).collect();
    let place = |(point, width): (&Point<f64>, &f64)| {
        let label = place_label(at(point), (whole(*width), whole(height)), &style, area, &taken);
        taken.push(label);
        Point::new(f64::from(label.x) / scale, f64::from(label.y) / scale)
    };
    points.iter().zip(widths).map(place).collect()
}

/// Writes the title on a darkened strip; the strip.
fn draw_title(pen: &mut impl Pen, width: usize, title: &str, style: &Style) -> Area {
    let pad = style.font.height() / 3;
    let title = style.font.shorten(title, width as i32 - 2 * pad);
    let strip =
        Area { x: 0, y: 0, width: style.font.width(&title) + 2 * pad, height: style.font.height() + 2 * pad };
    pen.dim(strip);
    pen.seamed_text(&title, pad, pad, style.font, [255; 3]);
    strip
}

fn draw_cross(pen: &mut impl Pen, at: Point<f64>, colour: Colour, style: &Style) {
    let (gap, arm) = (f64::from(style.gap), f64::from(style.gap + style.arm));
    let along = |(dx, dy): (f64, f64), by: f64| Point::new(at.x + by * dx, at.y + by * dy);
    let arms = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)].map(|to| (along(to, gap), along(to, arm)));
    for (from, to) in arms {
        pen.line(from, to, style.stroke + 2, [0; 3]);
    }
    for (from, to) in arms {
        pen.line(from, to, style.stroke, colour);
    }
}

fn draw_ring(pen: &mut impl Pen, at: Point<f64>, colour: Colour, style: &Style) {
    let radius = (style.arm + style.gap) as u32;
    pen.circle(at, radius, style.stroke + 2, [0; 3]);
    pen.circle(at, radius, style.stroke, colour);
}

fn draw_truth(pen: &mut impl Pen, truth: Point<f64>, found: Point<f64>, style: &Style) {
    let radius = (style.arm + style.gap) as u32;
    pen.line(truth, found, style.stroke, [255; 3]);
    pen.circle(truth, radius, style.stroke + 2, [0; 3]);
    pen.circle(truth, radius, style.stroke, [255; 3]);
}

fn around((x, y): (i32, i32), reach: i32) -> Area {
    Area { x: x - reach, y: y - reach, width: 2 * reach + 1, height: 2 * reach + 1 }
}

/// The place beside a landmark where its name covers least of what is drawn already.
fn place_label(
    (x, y): (i32, i32),
    (width, height): (i32, i32),
    style: &Style,
    frame: Area,
    taken: &[Area],
) -> Area {
    let mut best = (i64::MAX, frame);
    for ring in 1..=3 {
        let reach = style.gap + style.arm * ring + 2;
        let sides = [
            (x + reach, y - height / 2),
            (x - reach - width, y - height / 2),
            (x + reach / 2, y - reach - height / 2),
            (x + reach / 2, y + reach - height / 2),
            (x - reach / 2 - width, y - reach - height / 2),
            (x - reach / 2 - width, y + reach - height / 2),
            (x - width / 2, y - reach - height),
            (x - width / 2, y + reach),
        ];
        for (order, (x, y)) in sides.into_iter().enumerate() {
            let label = Area { x, y, width, height };
            let covered: i64 = taken.iter().map(|other| shared(label, *other)).sum();
            let outside = i64::from(width) * i64::from(height) - shared(label, frame);
            let cost = 100 * outside + 10 * covered + i64::from(ring * 8) + order as i64;
            if cost < best.0 {
                best = (cost, label);
            }
        }
    }
    let Area { x, y, .. } = best.1;
    Area {
        x: x.min(frame.width - width - 1).max(1),
        y: y.min(frame.height - height - 1).max(1),
        width,
        height,
    }
}

/// Pixels that two areas share.
fn shared(a: Area, b: Area) -> i64 {
    let along = |a: i32, a_length: i32, b: i32, b_length: i32| {
        i64::from(((a + a_length).min(b + b_length) - a.max(b)).max(0))
    };
    along(a.x, a.width, b.x, b.width) * along(a.y, a.height, b.y, b.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_close_landmarks_do_not_cover_each_other() {
        let style = Style::of(640, 800);
        let frame = Area { x: 0, y: 0, width: 640, height: 800 };
        let mut taken = Vec::new();
        for at in [(600, 400), (606, 404), (594, 396), (3, 3), (636, 797)] {
            let label = place_label(at, (90, 13), &style, frame, &taken);
            assert!(taken.iter().all(|other| shared(label, *other) == 0));
            assert_eq!(shared(label, frame), 90 * 13, "{at:?} leaves the picture");
            taken.push(label);
        }
    }
}
