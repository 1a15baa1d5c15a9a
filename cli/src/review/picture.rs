//! Pictures of a landmark: on the scheme's drawing, and in an image in which it is placed.

use infomark_core::Point;
use infomark_figures::Raster;
use infomark_infer::{Levels, Scheme};

use super::images::{self, Known};
use super::refusal::Refusal;
use super::{App, lock};

/// Part of the image's longer side that a picture shows.
const PART: usize = 5;
/// Side of a picture, in pixels.
const SIDE: usize = 240;

/// A landmark on the drawing of the scheme, as SVG.
pub(super) fn drawn(app: &App, landmark: &str) -> Result<String, Refusal> {
    let of_scheme = |scheme: &Scheme| scheme.picture(scheme.position(landmark)?);
    let svg = app.scheme.as_ref().and_then(of_scheme);
    svg.ok_or_else(|| Refusal::missing(format!("{landmark}: the scheme has no drawing of it")))
}

/// The surroundings of a landmark in an image in which it is placed, as PNG, with the landmark in the middle.
pub(super) fn around(app: &App, known: &Known, landmark: &str) -> Result<Vec<u8>, Refusal> {
    let spot =
        lock(&app.store).state().images.get(&known.name).and_then(|record| record.points.get(landmark)?.at);
    let [x, y] =
        spot.ok_or_else(|| Refusal::missing(format!("{landmark} has no point in {}", known.name)))?;
    let (levels, _) = images::levels(known)?;
    let raster = cut(&levels, Point::new(x, y))?;
    Ok(raster.to_png().map_err(anyhow::Error::from)?)
}

/// A square around a point, as the image's window shows it; black outside the image.
fn cut(image: &Levels, at: Point<f64>) -> Result<Raster, Refusal> {
    let side = (image.width.max(image.height) / PART).max(1);
    let [low, high] = image.window.map(|end| end * f64::from(u16::MAX));
    let grey = |x: i64, y: i64| {
        let inside = |at: i64, size: usize| usize::try_from(at).ok().filter(|at| *at < size);
        let (x, y) = inside(x, image.width).zip(inside(y, image.height))?;
        let level = f64::from(*image.levels.get(y * image.width + x)?);
        Some((255.0 * (level - low) / (high - low).max(1.0)).clamp(0.0, 255.0).round() as u8)
    };
    let corner = |at: f64| at.round() as i64 - (side / 2) as i64;
    let (left, top) = (corner(at.x), corner(at.y));
    let rows = (0..side as i64).flat_map(|y| (0..side as i64).map(move |x| (left + x, top + y)));
    let pixels = rows.map(|(x, y)| grey(x, y).unwrap_or(0)).collect();
    let raster = Raster::from_levels(side, side, pixels).map_err(anyhow::Error::from)?;
    Ok(raster.resized(SIDE, SIDE, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_point_is_in_the_middle_and_black_is_around_the_image() -> Result<(), Box<dyn std::error::Error>> {
        let (width, height) = (100, 50);
        let mut levels = vec![30_000_u16; width * height];
        levels[10 * width + 5] = u16::MAX;
        let image = Levels { width, height, levels, window: [0.0, 1.0] };
        let raster = cut(&image, Point::new(5.2, 9.8)).map_err(|refusal| refusal.error)?;
        let png = image::load_from_memory(&raster.to_png()?)?.into_luma8();
        assert_eq!((png.width(), png.height()), (SIDE as u32, SIDE as u32));
        let at = |x: f64, y: f64| png.get_pixel((x * SIDE as f64) as u32, (y * SIDE as f64) as u32).0[0];
        assert!(at(0.525, 0.525) > 230, "the brightest pixel");
        assert_eq!(at(0.9, 0.5), 117);
        assert_eq!(at(0.1, 0.5), 0, "left of the image");
        Ok(())
    }
}
