//! Landmarks drawn into their image.

use infomark_core::Point;
use infomark_infer::Image;

use crate::font::{CAPITAL, DEPTH, shorten, text_width};
use crate::scene::{Area, Scene, Stroke, Text};
use crate::{Colour, Raster, qualitative};

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

/// Sizes that suit a picture, in its pixels.
struct Style {
    /// Length of a cross's arm.
    arm: f64,
    /// Gap between its middle and the arm, so that the pixel itself stays visible.
    gap: f64,
    stroke: f64,
    /// Font size of names.
    size: f64,
}

impl Style {
    fn of(width: usize, height: usize) -> Self {
        let side = width.min(height) as f64;
        Self {
            arm: (side / 60.0).max(3.0),
            gap: (side / 200.0).max(1.0),
            stroke: (side / 320.0).max(1.0),
            size: (side / 44.0).max(10.0),
        }
    }

    /// Width and height of a line of text.
    fn extent(&self, text: &str) -> (f64, f64) {
        (text_width(text, self.size), (CAPITAL + DEPTH) * self.size)
    }
}

/// The image, `zoom` times enlarged, with a cross and a name at each landmark, a circle around the truth where it
/// is known, and a title.
pub fn overlay(image: &Image, zoom: usize, marks: &[Mark], title: &str) -> Scene {
    let mut raster = Raster::from_image(image);
    if zoom > 1 {
        raster = raster.resized(zoom * raster.width(), zoom * raster.height(), false);
    }
    let mut scene = Scene::of(raster).titled(title);
    let (width, height) = (scene.width(), scene.height());
    let style = Style::of(width, height);
    // In a scene the centre of the first pixel lies at (0.5, 0.5).
    let place = |at: Point<f64>| Point::new(zoom as f64 * (at.x + 0.5), zoom as f64 * (at.y + 0.5));
    let banner = draw_title(&mut scene, title, &style);
    for (index, mark) in marks.iter().enumerate() {
        let at = place(mark.at);
        if let Some(truth) = mark.truth {
            let (truth, white) = (place(truth), [255; 3]);
            scene.line(vec![truth, at], Stroke::new(white, style.stroke));
            draw_ring(&mut scene, truth, white, &style);
        }
        if mark.doubtful {
            draw_ring(&mut scene, at, qualitative(index), &style);
        } else {
            draw_cross(&mut scene, at, qualitative(index), &style);
        }
    }
    let places: Vec<_> = marks.iter().map(|mark| place(mark.at)).collect();
    let frame = Area { x: 0.0, y: 0.0, width: width as f64, height: height as f64 };
    let mut taken: Vec<Area> = places.iter().map(|at| around(*at, style.arm)).collect();
    taken.push(banner);
    for (index, (mark, at)) in marks.iter().zip(places).enumerate() {
        let name = if mark.doubtful { format!("{}?", mark.name) } else { mark.name.clone() };
        let label = place_label(at, style.extent(&name), (style.gap, style.arm), frame, &taken);
        taken.push(label);
        draw_name(&mut scene, name, (label.x, label.y), &style, qualitative(index));
    }
    scene
}

/// Writes text with a black seam; `(x, y)` is the top left corner of its capitals.
fn draw_name(scene: &mut Scene, name: String, (x, y): (f64, f64), style: &Style, colour: Colour) {
    let text = Text::new(name, Point::new(x, y + CAPITAL * style.size), style.size, colour);
    scene.text(Text { seam: Some([0; 3]), ..text });
}

/// Where names beside points cover each other least: the top left corner of each, for names of these widths and
/// this height. `arm` is that of the points' crosses, `others` are places that names should leave free as well.
/// Lengths of any unit.
pub(crate) fn label_corners(
    points: &[Point<f64>],
    others: &[Point<f64>],
    (widths, height): (&[f64], f64),
    arm: f64,
    frame: (f64, f64),
) -> Vec<Point<f64>> {
    let area = Area { x: 0.0, y: 0.0, width: frame.0, height: frame.1 };
    let mut taken: Vec<Area> = points.iter().chain(others).map(|point| around(*point, arm)).collect();
    let place = |(point, width): (&Point<f64>, &f64)| {
        let label = place_label(*point, (*width, height), (0.0, arm), area, &taken);
        taken.push(label);
        Point::new(label.x, label.y)
    };
    points.iter().zip(widths).map(place).collect()
}

/// Writes the title on a darkened strip; the strip.
fn draw_title(scene: &mut Scene, title: &str, style: &Style) -> Area {
    let pad = 0.4 * style.size;
    let title = shorten(title, style.size, scene.width() as f64 - 2.0 * pad);
    let (width, height) = style.extent(&title);
    let strip = Area { x: 0.0, y: 0.0, width: width + 2.0 * pad, height: height + 2.0 * pad };
    scene.rectangle(strip, [0; 3], 0.75);
    draw_name(scene, title, (pad, pad), style, [255; 3]);
    strip
}

fn draw_cross(scene: &mut Scene, at: Point<f64>, colour: Colour, style: &Style) {
    let along = |(dx, dy): (f64, f64), by: f64| Point::new(at.x + by * dx, at.y + by * dy);
    let ends = |to| vec![along(to, style.gap), along(to, style.gap + style.arm)];
    let arms = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];
    for stroke in seamed(colour, style) {
        arms.into_iter().for_each(|to| scene.line(ends(to), stroke));
    }
}

fn draw_ring(scene: &mut Scene, at: Point<f64>, colour: Colour, style: &Style) {
    for stroke in seamed(colour, style) {
        scene.circle(at, style.arm + style.gap, stroke);
    }
}

/// A line and, below it, a wider black one.
fn seamed(colour: Colour, style: &Style) -> [Stroke; 2] {
    [Stroke::new([0; 3], style.stroke + 2.0), Stroke::new(colour, style.stroke)]
}

fn around(at: Point<f64>, reach: f64) -> Area {
    Area { x: at.x - reach, y: at.y - reach, width: 2.0 * reach, height: 2.0 * reach }
}

/// The place beside a landmark where its name covers least of what is drawn already; `gap` and `arm` are those of
/// its cross.
fn place_label(
    Point { x, y }: Point<f64>,
    (width, height): (f64, f64),
    (gap, arm): (f64, f64),
    frame: Area,
    taken: &[Area],
) -> Area {
    let mut best = (f64::INFINITY, frame);
    for ring in 1..=3 {
        let reach = gap + arm * f64::from(ring) + 0.25 * height;
        let sides = [
            (x + reach, y - 0.5 * height),
            (x - reach - width, y - 0.5 * height),
            (x + 0.5 * reach, y - reach - 0.5 * height),
            (x + 0.5 * reach, y + reach - 0.5 * height),
            (x - 0.5 * reach - width, y - reach - 0.5 * height),
            (x - 0.5 * reach - width, y + reach - 0.5 * height),
            (x - 0.5 * width, y - reach - height),
            (x - 0.5 * width, y + reach),
        ];
        for (order, (x, y)) in sides.into_iter().enumerate() {
            let label = Area { x, y, width, height };
            let covered: f64 = taken.iter().map(|other| shared(label, *other)).sum();
            let outside = width * height - shared(label, frame);
            // Near places and the first sides are best where nothing is covered.
            let cost = 100.0 * outside
                + 10.0 * covered
                + height * height * (0.05 * f64::from(ring) + 0.006 * order as f64);
            if cost < best.0 {
                best = (cost, label);
            }
        }
    }
    let Area { x, y, .. } = best.1;
    let within = |from: f64, length: f64, limit: f64| from.min(limit - length).max(0.0);
    Area { x: within(x, width, frame.width), y: within(y, height, frame.height), width, height }
}

/// The area that both have.
fn shared(a: Area, b: Area) -> f64 {
    let along =
        |a: f64, a_length: f64, b: f64, b_length: f64| ((a + a_length).min(b + b_length) - a.max(b)).max(0.0);
    along(a.x, a.width, b.x, b.width) * along(a.y, a.height, b.y, b.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cross_leaves_its_own_pixel_free() -> Result<(), Box<dyn std::error::Error>> {
        let image = Image::new("ramp", 128, 96, (0..128 * 96).map(|at| (at % 128) as f32 / 127.0).collect())?;
        let mark = Mark { name: "sella".into(), at: Point::new(40.0, 60.0), truth: None, doubtful: false };
        let picture = Raster::from_png(&overlay(&image, 1, &[mark], "title").to_png(1)?)?;
        let plain = Raster::from_image(&image);
        assert_eq!(picture.colour(40, 60), plain.colour(40, 60));
        for (x, y) in [(43, 60), (37, 60), (40, 63), (40, 57)] {
            assert_eq!(picture.colour(x, y), qualitative(0), "({x}, {y})");
        }
        assert_eq!(picture.colour(100, 90), plain.colour(100, 90));
        Ok(())
    }

    #[test]
    fn labels_of_close_landmarks_do_not_cover_each_other() {
        let style = Style::of(640, 800);
        let frame = Area { x: 0.0, y: 0.0, width: 640.0, height: 800.0 };
        let mut taken = Vec::new();
        for (x, y) in [(600.0, 400.0), (606.0, 404.0), (594.0, 396.0), (3.0, 3.0), (636.0, 797.0)] {
            let label = place_label(Point::new(x, y), (90.0, 13.0), (style.gap, style.arm), frame, &taken);
            assert!(taken.iter().all(|other| shared(label, *other) == 0.0));
            assert_eq!(shared(label, frame), 90.0 * 13.0, "({x}, {y}) leaves the picture");
            taken.push(label);
        }
    }
}
