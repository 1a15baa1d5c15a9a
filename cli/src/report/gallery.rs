//! Pictures small enough for a page.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, GrayImage};
use infomark_core::Point;
use infomark_infer::{Image, InputImage as Input, read_image, rounded};
use rayon::prelude::*;
use serde::Serialize;

use super::results::{Case, Results, Spot};
use crate::draw::label_corners;
use crate::files;
use crate::output::{file_name, shown};
use crate::progress::Progress;

/// Longest side of a picture in pixels.
const SIDE: u32 = 1000;
/// Width of a letter, as a share of its height.
const LETTER: f64 = 0.55;
/// Of JPEG.
const QUALITY: u8 = 82;

/// A picture as the page shows it; lengths are pixels of the original image.
#[derive(Serialize)]
pub(super) struct Picture {
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

#[derive(Serialize)]
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

/// The worst `most` images, with their points.
pub(super) fn pictures(
    results: &Results,
    folder: &Path,
    images: &[Input],
    most: usize,
) -> Result<Vec<Picture>> {
    let places = Places::of(images);
    let chosen: Vec<&Case> = results.cases.iter().take(most).collect();
    let progress = Progress::new(chosen.len() as u64, "drawing");
    let one = |case: &&Case| {
        let picture = picture(case, &places);
        progress.advance();
        picture
    };
    let pictures: Result<Vec<Option<Picture>>> = chosen.par_iter().map(one).collect();
    progress.finish();
    let pictures: Vec<Picture> = pictures?.into_iter().flatten().collect();
    if pictures.is_empty() && !chosen.is_empty() {
        bail!(
            "{}: none of its images is found ({}, ...); say where they are with --images",
            shown(folder),
            chosen[0].image
        );
    }
    Ok(pictures)
}

/// Images by their names.
pub(super) struct Places<'a> {
    by_label: HashMap<&'a str, &'a Path>,
    /// None where two share the name.
    by_name: HashMap<String, Option<&'a Path>>,
}

impl<'a> Places<'a> {
    pub(super) fn of(images: &'a [Input]) -> Self {
        let mut by_name = HashMap::new();
        for input in images {
            by_name
                .entry(file_name(&input.path))
                .and_modify(|place| *place = None)
                .or_insert(Some(input.path.as_path()));
        }
        Self {
            by_label: images.iter().map(|input| (input.label.as_str(), input.path.as_path())).collect(),
            by_name,
        }
    }

    pub(super) fn find(&self, image: &str) -> Option<&'a Path> {
        let named = || self.by_name.get(&file_name(Path::new(image))).copied().flatten();
        self.by_label.get(image).copied().or_else(named)
    }
}

/// None where neither the image nor an overlay is there.
fn picture(case: &Case, places: &Places<'_>) -> Result<Option<Picture>> {
    let found =
        places.find(&case.image).map(|path| read_image(path).map(|image| (path, image))).transpose()?;
    let (width, height, source, drawn) = match (found, &case.overlay) {
        (Some((path, image)), _) => {
            if let Some((width, height)) = case.size.filter(|size| *size != (image.width(), image.height())) {
                bail!(
                    "{}: it has {} x {} pixels, but the result is for {width} x {height}; give the image it was made from",
                    shown(path),
                    image.width(),
                    image.height()
                );
            }
            (image.width(), image.height(), data_address("image/jpeg", &jpeg(&image)?), false)
        }
        (None, Some(overlay)) => {
            let bytes = files::bytes(overlay)?;
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
fn jpeg(image: &Image) -> Result<Vec<u8>> {
    let context = || format!("{}: can't make a picture of it", image.name());
    let (width, height) = (u32::try_from(image.width())?, u32::try_from(image.height())?);
    let levels = GrayImage::from_raw(width, height, image.to_levels()).with_context(context)?;
    let scale = (f64::from(SIDE) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    // Not `imageops::resize`, which would be compiled in this crate, without optimisation in tests.
    let small =
        DynamicImage::from(levels).resize_exact(side(width), side(height), FilterType::Triangle).into_luma8();
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&small, small.width(), small.height(), ExtendedColorType::L8)
        .with_context(context)?;
    Ok(bytes)
}

/// Bytes as an address that needs no other file.
pub(super) fn data_address(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

/// A picture of a file beside a result, if it is there and no link.
pub(super) fn file_address(folder: &Path, name: &str) -> Result<Option<String>> {
    let Some(path) = files::within(folder, name).filter(|path| path.is_file()) else { return Ok(None) };
    let bytes = files::bytes(&path)?;
    let kind =
        if path.extension().is_some_and(|ending| ending == "svg") { "image/svg+xml" } else { "image/png" };
    Ok(Some(data_address(kind, &bytes)))
}
