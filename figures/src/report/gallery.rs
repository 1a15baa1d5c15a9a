//! Pictures small enough for a page.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, GrayImage};
use infomark_core::Point;
use infomark_infer::{Image, read_file, read_image, rounded};
use rayon::prelude::*;
use serde::Serialize;

use super::{Case, ReportError, Spot};
use crate::PictureError;
use crate::overlay::label_corners;

/// Longest side of a picture in pixels.
const SIDE: u32 = 1000;
/// Width of a letter, as a share of its height.
const LETTER: f64 = 0.55;
/// Of JPEG.
const QUALITY: u8 = 82;
/// Longest overlay that is read, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// A picture as the page shows it; lengths are pixels of the original image.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    image: String,
    width: usize,
    height: usize,
    /// Where the pixels are, as a data address.
    source: String,
    /// Whether the points are drawn into the pixels already.
    drawn: bool,
    /// What is said below it.
    error_mm: Option<f64>,
    worst: Option<String>,
    score: Option<f64>,
    error_bound_mm: Option<f64>,
    abstained: usize,
    points: Vec<Mark>,
    /// Half of a cross's length.
    arm: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Mark {
    name: String,
    x: f64,
    y: f64,
    truth: Option<[f64; 2]>,
    error_mm: Option<f64>,
    score: Option<f64>,
    error_bound_mm: Option<f64>,
    abstained: bool,
    /// Where its name begins or ends, on the line that letters stand on.
    label: [f64; 2],
    /// `start` or `end`.
    anchor: &'static str,
}

/// The pictures of images, with their points; those whose image is not found and that have no overlay are left out.
/// `advance` is called after each.
///
/// # Errors
/// [`ReportError`] when an image or overlay cannot be read, or has another size than the result says.
pub fn pictures(
    cases: &[Case],
    images: &ImagePaths<'_>,
    advance: &(dyn Fn() + Sync),
) -> Result<Vec<Picture>, ReportError> {
    let one = |case: &Case| {
        let picture = picture(case, images);
        advance();
        picture
    };
    let pictures: Result<Vec<Option<Picture>>, ReportError> = cases.par_iter().map(one).collect();
    Ok(pictures?.into_iter().flatten().collect())
}

/// Paths of images by the names that a result has for them.
#[derive(Clone, Debug, Default)]
pub struct ImagePaths<'a> {
    by_label: HashMap<&'a str, &'a Path>,
    /// None where two share the name.
    by_name: HashMap<String, Option<&'a Path>>,
}

impl<'a> ImagePaths<'a> {
    /// Of images, each with its label in the result and its path.
    pub fn new(images: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Self {
        let mut paths = Self::default();
        for (label, path) in images {
            paths.by_name.entry(file_name(path)).and_modify(|place| *place = None).or_insert(Some(path));
            paths.by_label.insert(label, path);
        }
        paths
    }

    /// The path of an image by its label, else by its file name where only one has it.
    pub fn find(&self, image: &str) -> Option<&'a Path> {
        let named = || self.by_name.get(&file_name(Path::new(image))).copied().flatten();
        self.by_label.get(image).copied().or_else(named)
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// None where neither the image nor an overlay is there.
fn picture(case: &Case, places: &ImagePaths<'_>) -> Result<Option<Picture>, ReportError> {
    let found = places.find(&case.image).map(|path| read_image(path).map(|image| (path, image))).transpose();
    let (width, height, source, drawn) = match (found.map_err(Box::new)?, &case.overlay) {
        (Some((path, image)), _) => {
            let size = (image.width(), image.height());
            if let Some(expected) = case.size.filter(|expected| *expected != size) {
                return Err(ReportError::Size { path: path.to_owned(), size, expected });
            }
            (image.width(), image.height(), data_address("image/jpeg", &jpeg(&image)?), false)
        }
        (None, Some(overlay)) => {
            let bytes = read_file(overlay, MAX_BYTES)?;
            let Some((width, height)) = case.size else { return Ok(None) };
            (width, height, data_address("image/png", &bytes), true)
        }
        (None, None) => return Ok(None),
    };
    let mean = |value: &dyn Fn(&Spot) -> Option<f64>| {
        infomark_core::mean(&case.points.iter().filter_map(value).collect::<Vec<f64>>())
    };
    let worst = case.points.iter().filter(|point| point.error_mm.is_some());
    let worst = worst.max_by(|a, b| a.error_mm.unwrap_or(0.0).total_cmp(&b.error_mm.unwrap_or(0.0)));
    Ok(Some(Picture {
        image: case.image.clone(),
        width,
        height,
        source,
        drawn,
        error_mm: case.error_mm().map(|value| rounded(value, 2)),
        worst: worst.map(|point| format!("{} {:.1} mm", point.name, point.error_mm.unwrap_or(0.0))),
        score: mean(&|point| point.score).map(|value| rounded(value, 3)),
        error_bound_mm: mean(&|point| point.error_bound_mm).map(|value| rounded(value, 2)),
        abstained: case.points.iter().filter(|point| point.abstained).count(),
        points: marks(&case.points, (width as f64, height as f64)),
        arm: arm((width as f64, height as f64)),
    }))
}

fn arm((width, height): (f64, f64)) -> f64 {
    width.max(height) / 90.0
}

/// Points with their names beside them.
fn marks(points: &[Spot], size: (f64, f64)) -> Vec<Mark> {
    let arm = arm(size);
    let height = 2.0 * arm;
    let at: Vec<_> = points.iter().map(|point| Point::new(point.at.0, point.at.1)).collect();
    let truths: Vec<_> =
        points.iter().filter_map(|point| point.truth).map(|(x, y)| Point::new(x, y)).collect();
    let widths: Vec<f64> =
        points.iter().map(|point| LETTER * height * point.name.chars().count() as f64).collect();
    let corners = label_corners(&at, &truths, (&widths, height), arm, size);
    let one = |((point, corner), width): ((&Spot, Point<f64>), &f64)| {
        // Names left of their point end beside it, however wide the letters are.
        let left = corner.x + width / 2.0 < point.at.0;
        let (x, anchor) = if left { (corner.x + width, "end") } else { (corner.x, "start") };
        mark(point, [rounded(x, 2), rounded(corner.y + 0.8 * height, 2)], anchor)
    };
    points.iter().zip(corners).zip(&widths).map(one).collect()
}

fn mark(point: &Spot, label: [f64; 2], anchor: &'static str) -> Mark {
    Mark {
        label,
        anchor,
        name: point.name.clone(),
        x: rounded(point.at.0, 2),
        y: rounded(point.at.1, 2),
        truth: point.truth.map(|(x, y)| [rounded(x, 2), rounded(y, 2)]),
        error_mm: point.error_mm.map(|value| rounded(value, 2)),
        score: point.score.map(|value| rounded(value, 3)),
        error_bound_mm: point.error_bound_mm.map(|value| rounded(value, 2)),
        abstained: point.abstained,
    }
}

/// The image, shrunk to what a screen shows.
fn jpeg(image: &Image) -> Result<Vec<u8>, ReportError> {
    let failed = |reason: String| {
        let (width, height) = (image.width(), image.height());
        PictureError::Encode { format: "JPEG", width, height, reason }
    };
    let side = |length: usize| u32::try_from(length).map_err(|_| failed("too large".into()));
    let (width, height) = image.kept_size();
    let (width, height) = (side(width)?, side(height)?);
    let levels = GrayImage::from_raw(width, height, image.to_levels());
    let levels = levels.ok_or_else(|| failed("too large".into()))?;
    let scale = (f64::from(SIDE) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    // Not `imageops::resize`, which would be compiled in this crate, without optimisation in tests.
    let small =
        DynamicImage::from(levels).resize_exact(side(width), side(height), FilterType::Triangle).into_luma8();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&small, small.width(), small.height(), ExtendedColorType::L8)
        .map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// Bytes as an address that needs no other file.
pub(crate) fn data_address(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}
