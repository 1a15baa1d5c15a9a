//! A picture as shapes.

mod paint;
mod svg;

use std::sync::Arc;

use infomark_core::Point;

use crate::{Colour, PictureError, Raster};

/// A rectangle in pixels of a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub colour: Colour,
    /// Its width in pixels.
    pub width: f64,
    /// Length of dashes and of the gaps between them, in pixels; none for a solid line.
    pub dashes: Option<(f64, f64)>,
}

impl Stroke {
    /// A solid line.
    pub fn new(colour: Colour, width: f64) -> Self {
        Self { colour, width, dashes: None }
    }
}

/// Which end of a text lies at its place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Anchor {
    /// The left one.
    #[default]
    Start,
    /// Its middle.
    Middle,
    /// The right one.
    End,
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What it says.
    pub text: String,
    /// Its place on the line that letters stand on.
    pub at: Point<f64>,
    /// Which end lies there.
    pub anchor: Anchor,
    /// Font size in pixels.
    pub size: f64,
    /// Its colour.
    pub colour: Colour,
    /// Colour of a seam around the letters, which keeps them readable on any background.
    pub seam: Option<Colour>,
    /// Whether it runs from the bottom to the top.
    pub upwards: bool,
}

impl Text {
    /// Text that starts at a place, of a font size in pixels.
    pub fn new(text: impl Into<String>, at: Point<f64>, size: f64, colour: Colour) -> Self {
        let text = text.into();
        Self { text, at, anchor: Anchor::Start, size, colour, seam: None, upwards: false }
    }

    /// Width of the line that is drawn around the letters.
    fn seam_width(&self) -> f64 {
        (0.2 * self.size).max(1.5)
    }
}

/// What a scene is made of.
#[derive(Clone, Debug)]
enum Shape {
    Line { points: Vec<Point<f64>>, stroke: Stroke },
    Polygon { points: Vec<Point<f64>>, colour: Colour, opacity: f64 },
    Rectangle { area: Area, colour: Colour, opacity: f64 },
    Circle { centre: Point<f64>, radius: f64, stroke: Stroke },
    Disc { centre: Point<f64>, radius: f64, colour: Colour },
    Text(Text),
    Raster { raster: Arc<Raster>, left: i32, top: i32 },
    Scene { scene: Scene, left: i32, top: i32 },
}

/// A picture as shapes on a background, later ones above earlier ones.
///
/// Places are in pixels from the top left corner of the first one, whose centre is (0.5, 0.5); x goes right, y
/// down. What lies outside the picture is cut off; shapes with a place or length that is not finite are left out.
///
/// ```
/// use infomark_core::Point;
/// use infomark_figures::{Scene, Stroke, Text};
///
/// let mut scene = Scene::new(120, 40, [255; 3]);
/// scene.line(vec![Point::new(10.0, 30.0), Point::new(110.0, 30.0)], Stroke::new([0; 3], 1.0));
/// scene.text(Text::new("10 mm", Point::new(10.0, 24.0), 12.0, [0; 3]));
/// assert!(scene.to_svg()?.contains("10 mm"));
/// assert!(scene.to_png(2)?.starts_with(b"\x89PNG"));
/// # Ok::<(), infomark_figures::PictureError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scene {
    width: usize,
    height: usize,
    background: Colour,
    title: String,
    shapes: Vec<Shape>,
}

impl Scene {
    /// An empty picture, sides in pixels.
    pub fn new(width: usize, height: usize, background: Colour) -> Self {
        Self { width, height, background, title: String::new(), shapes: Vec::new() }
    }

    /// A picture of pixels, as large as it is.
    pub fn of(raster: impl Into<Arc<Raster>>) -> Self {
        let raster = raster.into();
        let mut scene = Self::new(raster.width(), raster.height(), [0; 3]);
        scene.raster(raster, 0, 0);
        scene
    }

    /// The same picture with a title that SVG files have for readers of screens.
    pub fn titled(self, title: &str) -> Self {
        Self { title: title.to_owned(), ..self }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// A line through points.
    pub fn line(&mut self, points: Vec<Point<f64>>, stroke: Stroke) {
        let dashes = stroke.dashes.is_none_or(|(on, off)| on > 0.0 && off > 0.0);
        if points.len() > 1 && all_finite(&points) && is_length(stroke.width) && dashes {
            self.shapes.push(Shape::Line { points, stroke });
        }
    }

    /// The area within points, of an opacity from 0 to 1.
    pub fn polygon(&mut self, points: Vec<Point<f64>>, colour: Colour, opacity: f64) {
        if points.len() > 2 && all_finite(&points) {
            self.shapes.push(Shape::Polygon { points, colour, opacity });
        }
    }

    /// A filled rectangle, of an opacity from 0 to 1.
    pub fn rectangle(&mut self, area: Area, colour: Colour, opacity: f64) {
        let corner = Point::new(area.x, area.y);
        if all_finite(&[corner]) && is_length(area.width) && is_length(area.height) {
            self.shapes.push(Shape::Rectangle { area, colour, opacity });
        }
    }

    /// A ring.
    pub fn circle(&mut self, centre: Point<f64>, radius: f64, stroke: Stroke) {
        if all_finite(&[centre]) && is_length(radius) && is_length(stroke.width) {
            self.shapes.push(Shape::Circle { centre, radius, stroke });
        }
    }

    /// A filled circle.
    pub fn disc(&mut self, centre: Point<f64>, radius: f64, colour: Colour) {
        if all_finite(&[centre]) && is_length(radius) {
            self.shapes.push(Shape::Disc { centre, radius, colour });
        }
    }

    /// A line of text.
    pub fn text(&mut self, text: Text) {
        if !text.text.is_empty() && all_finite(&[text.at]) && is_length(text.size) {
            self.shapes.push(Shape::Text(text));
        }
    }

    /// A picture of pixels with its top left corner at a place.
    pub fn raster(&mut self, raster: impl Into<Arc<Raster>>, left: i32, top: i32) {
        self.shapes.push(Shape::Raster { raster: raster.into(), left, top });
    }

    /// Another scene with its top left corner at a place, cut off at its own border.
    pub fn scene(&mut self, scene: Scene, left: i32, top: i32) {
        self.shapes.push(Shape::Scene { scene, left, top });
    }

    /// The picture as the text of an SVG file.
    ///
    /// # Errors
    /// When a picture of pixels in it cannot be written as PNG.
    pub fn to_svg(&self) -> Result<String, PictureError> {
        svg::svg(self)
    }

    /// The picture as the bytes of a PNG file, `zoom` times as wide and high.
    ///
    /// # Errors
    /// When a side is 0, or too long for memory.
    pub fn to_png(&self, zoom: u32) -> Result<Vec<u8>, PictureError> {
        paint::png(self, zoom)
    }
}

/// Whether places can be drawn: finite, and within what painting in single precision takes.
fn all_finite(points: &[Point<f64>]) -> bool {
    points.iter().all(|at| at.x.abs() < FAR && at.y.abs() < FAR)
}

fn is_length(length: f64) -> bool {
    length > 0.0 && length < FAR
}

/// Places beyond it are left out.
const FAR: f64 = 1e6;
