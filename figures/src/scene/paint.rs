//! Scenes as pixels.
//!
//! tiny-skia is built without SIMD and with libm's functions, so that the same scene gives the same pixels on every
//! machine.

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use infomark_core::Point;
use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Rect, StrokeDash,
    Transform,
};

use super::{Anchor, Scene, Shape, Stroke, Text};
use crate::font::{outline, text_width};
use crate::{Colour, PictureError};

/// Most pixels that are painted at once where a picture is written in bands.
const BAND: usize = 1 << 22;

/// Pixels from which a picture is written in bands.
const LARGE: usize = 1 << 24;

/// The bytes of a PNG file, `zoom` times as large.
pub(super) fn png(scene: &Scene, zoom: u32) -> Result<Vec<u8>, PictureError> {
    // Scenes within it would be painted for each band.
    let is_flat = !scene.shapes.iter().any(|shape| matches!(shape, Shape::Scene { .. }));
    if zoom == 1 && is_flat && scene.width.saturating_mul(scene.height) > LARGE {
        return png_in_bands(scene, BAND);
    }
    let pixmap = painted(scene, zoom)?;
    let (width, height) = (pixmap.width(), pixmap.height());
    let mut pixels = pixmap.take();
    // Nothing is transparent: red, green and blue of each pixel move up, in place.
    let count = pixels.len() / 4;
    for pixel in 1..count {
        pixels.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    pixels.truncate(3 * count);
    let mut bytes = Vec::new();
    let written = PngEncoder::new(&mut bytes).write_image(&pixels, width, height, ExtendedColorType::Rgb8);
    written.map_err(|error| PictureError::not_png(scene.width, scene.height, &error))?;
    Ok(bytes)
}

/// [`png`] in bands of so many pixels or a row, so that the picture is never in memory as a whole.
fn png_in_bands(scene: &Scene, pixels: usize) -> Result<Vec<u8>, PictureError> {
    let failed = |reason: &dyn std::fmt::Display| PictureError::not_png(scene.width, scene.height, reason);
    let side = |length: usize| u32::try_from(length).map_err(|error| failed(&error));
    let (width, height) = (side(scene.width)?, side(scene.height)?);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    let mut stream = writer.stream_writer().map_err(|error| failed(&error))?;
    let rows = (pixels / scene.width.max(1)).max(1);
    let mut row = Vec::with_capacity(3 * scene.width);
    for top in (0..scene.height).step_by(rows) {
        let band = painted_rows(scene, 1, top..(top + rows).min(scene.height))?;
        for pixels in band.pixels().chunks_exact(scene.width.max(1)) {
            row.clear();
            row.extend(pixels.iter().flat_map(|at| [at.red(), at.green(), at.blue()]));
            stream.write_all(&row).map_err(|error| failed(&error))?;
        }
    }
    stream.finish().map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// The pixels of a scene and of those within it.
fn painted(scene: &Scene, zoom: u32) -> Result<Pixmap, PictureError> {
    painted_rows(scene, zoom, 0..scene.height)
}

/// Some rows of a scene.
fn painted_rows(scene: &Scene, zoom: u32, rows: Range<usize>) -> Result<Pixmap, PictureError> {
    let side = |length: usize| u32::try_from(length).ok()?.checked_mul(zoom);
    let sides = side(scene.width).zip(side(rows.len()));
    let pixmap = sides.and_then(|(width, height)| Pixmap::new(width, height));
    let no_size = || PictureError::not_png(scene.width, scene.height, &"no pixels, or too many");
    let mut pixmap = pixmap.ok_or_else(no_size)?;
    pixmap.fill(color(scene.background, 1.0));
    for shape in &scene.shapes {
        draw(&mut pixmap, shape, zoom, rows.start)?;
    }
    Ok(pixmap)
}

/// Draws a shape into the rows of a scene from `first` on.
fn draw(pixmap: &mut Pixmap, shape: &Shape, zoom: u32, first: usize) -> Result<(), PictureError> {
    let above = first as i64 * i64::from(zoom);
    let enlarge = Transform::from_scale(zoom as f32, zoom as f32).post_translate(0.0, -above as f32);
    let corner =
        |left: i32, top: i32| (i64::from(left) * i64::from(zoom), i64::from(top) * i64::from(zoom) - above);
    match shape {
        Shape::Line { points, stroke } => draw_line(pixmap, lines(points), stroke, enlarge),
        Shape::Polygon { points, colour, opacity } => {
            fill(pixmap, lines(points), color(*colour, *opacity), enlarge);
        }
        Shape::Rectangle { area, colour, opacity } => {
            let [x, y, width, height] = [area.x, area.y, area.width, area.height].map(|length| length as f32);
            let path = Rect::from_xywh(x, y, width, height).map(PathBuilder::from_rect);
            fill(pixmap, path, color(*colour, *opacity), enlarge);
        }
        Shape::Circle { centre, radius, stroke } => {
            draw_line(pixmap, ring(*centre, *radius), stroke, enlarge)
        }
        Shape::Disc { centre, radius, colour } => {
            fill(pixmap, ring(*centre, *radius), color(*colour, 1.0), enlarge);
        }
        Shape::Text(text) => draw_text(pixmap, text, enlarge),
        Shape::Raster { raster, left, top } => {
            let size = [raster.width(), raster.height()].map(|side| side.saturating_mul(zoom as usize));
            let raster = match zoom {
                1 => Cow::Borrowed(raster.as_ref()),
                _ => Cow::Owned(raster.resized(size[0], size[1], false)),
            };
            copy(pixmap, corner(*left, *top), size, |x, y| raster.colour(x, y));
        }
        Shape::Scene { scene, left, top } => {
            let inner = painted(scene, zoom)?;
            let size = [inner.width(), inner.height()].map(|side| side as usize);
            let colour = |x, y| inner.pixel(x, y).map_or([0; 3], |at| [at.red(), at.green(), at.blue()]);
            copy(pixmap, corner(*left, *top), size, colour);
        }
    }
    Ok(())
}

/// Copies pixels to a place, cut at the border.
fn copy(
    pixmap: &mut Pixmap,
    (left, top): (i64, i64),
    [width, height]: [usize; 2],
    colour: impl Fn(u32, u32) -> Colour,
) {
    let (across, down) = (i64::from(pixmap.width()), i64::from(pixmap.height()));
    let cut = |from: i64, length: usize, limit: i64| -> Range<i64> {
        let end = from.saturating_add_unsigned(length as u64);
        from.clamp(0, limit)..end.clamp(0, limit)
    };
    let columns = cut(left, width, across);
    for y in cut(top, height, down) {
        let start = y * across;
        let row = (start + columns.start) as usize..(start + columns.end) as usize;
        let pixels = pixmap.pixels_mut().get_mut(row).unwrap_or_default();
        for (pixel, x) in pixels.iter_mut().zip(columns.clone()) {
            let [red, green, blue] = colour((x - left) as u32, (y - top) as u32);
            let opaque = PremultipliedColorU8::from_rgba(red, green, blue, u8::MAX);
            *pixel = opaque.unwrap_or(PremultipliedColorU8::TRANSPARENT);
        }
    }
}

fn draw_text(pixmap: &mut Pixmap, text: &Text, enlarge: Transform) {
    let path = outline(&text.text, text.size);
    let width = text_width(&text.text, text.size);
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => 0.5 * width,
        Anchor::End => width,
    };
    let placed = enlarge.pre_translate(text.at.x as f32, text.at.y as f32);
    let turned =
        if text.upwards { Transform::from_row(0.0, -1.0, 1.0, 0.0, 0.0, 0.0) } else { Transform::identity() };
    let transform = placed.pre_concat(turned).pre_translate(-before as f32, 0.0);
    if let Some(seam) = text.seam {
        draw_line(pixmap, path.clone(), &Stroke::new(seam, text.seam_width()), transform);
    }
    fill(pixmap, path, color(text.colour, 1.0), transform);
}

fn draw_line(pixmap: &mut Pixmap, path: Option<Path>, stroke: &Stroke, transform: Transform) {
    let Some(path) = path else { return };
    let dash = stroke.dashes.and_then(|(on, off)| StrokeDash::new(vec![on as f32, off as f32], 0.0));
    let line = tiny_skia::Stroke {
        width: stroke.width as f32,
        line_join: LineJoin::Round,
        dash,
        ..tiny_skia::Stroke::default()
    };
    pixmap.stroke_path(&path, &paint(color(stroke.colour, 1.0)), &line, transform, None);
}

fn fill(pixmap: &mut Pixmap, path: Option<Path>, color: Color, transform: Transform) {
    let Some(path) = path else { return };
    pixmap.fill_path(&path, &paint(color), FillRule::Winding, transform, None);
}

fn paint(color: Color) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(color);
    paint
}

fn color([red, green, blue]: Colour, opacity: f64) -> Color {
    Color::from_rgba8(red, green, blue, (255.0 * opacity).round() as u8)
}

/// Straight lines from point to point; none without any.
fn lines(points: &[Point<f64>]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, at) in points.iter().enumerate() {
        let (x, y) = (at.x as f32, at.y as f32);
        if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path.finish()
}

fn ring(centre: Point<f64>, radius: f64) -> Option<Path> {
    PathBuilder::from_circle(centre.x as f32, centre.y as f32, radius as f32)
}

#[cfg(test)]
mod tests {
    use infomark_infer::sha256;

    use super::*;
    use crate::Raster;
    use crate::scene::Area;

    const PAPER: Colour = [255; 3];
    const RED: Colour = [200, 0, 0];

    fn pixel(pixmap: &Pixmap, x: u32, y: u32) -> Option<Colour> {
        pixmap.pixel(x, y).map(|at| [at.red(), at.green(), at.blue()])
    }

    #[test]
    fn pictures_of_pixels_are_copied_exactly_and_cut_at_the_border() -> Result<(), PictureError> {
        let raster = Raster::from_fn(4, 4, |x, y| [10 * x as u8, 10 * y as u8, 7]);
        let mut scene = Scene::new(4, 4, PAPER);
        scene.raster(raster, -1, 2);
        let painted = painted(&scene, 1)?;
        assert_eq!(pixel(&painted, 0, 2), Some([10, 0, 7]));
        assert_eq!(pixel(&painted, 2, 3), Some([30, 10, 7]));
        assert_eq!([pixel(&painted, 3, 3), pixel(&painted, 0, 1)], [Some(PAPER); 2]);
        Ok(())
    }

    #[test]
    fn a_scene_within_another_is_cut_at_its_own_border() -> Result<(), PictureError> {
        let mut inner = Scene::new(3, 3, PAPER);
        inner.rectangle(Area { x: -9.0, y: -9.0, width: 30.0, height: 30.0 }, RED, 1.0);
        let mut scene = Scene::new(8, 8, PAPER);
        scene.scene(inner, 2, 2);
        let painted = painted(&scene, 2)?;
        assert_eq!([pixel(&painted, 4, 4), pixel(&painted, 9, 9)], [Some(RED); 2]);
        assert_eq!([pixel(&painted, 3, 4), pixel(&painted, 9, 10)], [Some(PAPER); 2]);
        Ok(())
    }

    #[test]
    fn a_picture_is_written_in_bands_as_at_once_but_for_edges_of_shapes() -> Result<(), PictureError> {
        let mut scene = Scene::of(Raster::from_fn(90, 70, |x, y| [(2 * x) as u8, (3 * y) as u8, 99]));
        scene.line([(3.5, 2.5), (80.5, 66.5)].map(|(x, y)| Point::new(x, y)).into(), Stroke::new(RED, 2.0));
        scene.text(Text::new("sella", Point::new(20.0, 40.0), 17.0, PAPER));
        let at_once = Raster::from_png(&scene.to_png(1)?)?;
        for (pixels, most) in [(90 * 100, 0), (90 * 64, 63), (90 * 24, 63), (90 * 7, 63)] {
            let banded = Raster::from_png(&png_in_bands(&scene, pixels)?)?;
            assert_eq!((banded.width(), banded.height()), (90, 70));
            // Edges of shapes are smoothed otherwise where a band cuts them: in less than a hundredth of the pixels.
            let differ = |i: u32| {
                let (a, b) = (at_once.colour(i % 90, i / 90), banded.colour(i % 90, i / 90));
                a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > 8)
            };
            let count = (0..90 * 70).filter(|&i| differ(i)).count();
            assert!(count <= most, "{pixels}: {count} pixels differ");
        }
        Ok(())
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        assert!(matches!(Scene::new(0, 8, PAPER).to_png(1), Err(PictureError::Encode { .. })));
        assert!(matches!(Scene::new(8, 8, PAPER).to_png(u32::MAX), Err(PictureError::Encode { .. })));
    }

    /// A later tiny-skia may paint otherwise; another machine may not.
    #[test]
    fn the_same_scene_has_the_same_pixels_on_every_machine() -> Result<(), PictureError> {
        let mut scene = Scene::new(160, 90, PAPER);
        let points = [(5.3, 80.1), (50.0, 20.7), (90.2, 60.0)].map(|(x, y)| Point::new(x, y));
        scene.polygon(points.into(), RED, 0.4);
        scene.line(points.into(), Stroke { dashes: Some((5.0, 3.0)), ..Stroke::new([0; 3], 1.7) });
        scene.circle(Point::new(120.4, 40.6), 21.3, Stroke::new([0, 90, 180], 3.1));
        let text = Text::new("\u{c4}g, 0.5 \u{b5}m", Point::new(80.5, 70.5), 17.3, [255; 3]);
        scene.text(Text { anchor: Anchor::Middle, seam: Some([0; 3]), ..text.clone() });
        scene.text(Text { upwards: true, at: Point::new(150.2, 85.0), colour: [0; 3], ..text });
        assert_eq!(sha256(painted(&scene, 2)?.data()), PIXELS);
        Ok(())
    }

    const PIXELS: &str = "b120014649e058f8ef17609dc7be5398d9bbe25f0b895519e1aec14606d35821";
}
