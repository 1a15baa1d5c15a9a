//! Overlays, and sheets of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use infomark_core::Point;
use infomark_infer::{Image, LandmarkRow};
use rayon::prelude::*;

use super::record::Matched;
use crate::draw::{Canvas, Mark, captioned, overlay, overlay_svg, sheet};
use crate::files;
use crate::output::{self, shown};

/// Folder of the overlays, within that of the results.
pub(super) const OVERLAYS: &str = "overlays";
/// Longest side of a picture on a sheet.
const SIDE: usize = 320;
const COLUMNS: usize = 6;
const ON_SHEET: usize = 24;

/// Draws the landmarks into their image, as PNG, and as SVG beside it if that is wanted.
pub(super) fn write_overlay(
    path: &Path,
    image: &Image,
    landmarks: &[LandmarkRow],
    title: &str,
    svg: bool,
) -> Result<()> {
    let mark = |row: &LandmarkRow| Mark {
        name: row.landmark.clone(),
        at: Point::new(row.x, row.y),
        truth: None,
        doubtful: row.trust.as_ref().is_some_and(|trust| trust.abstain),
    };
    let marks: Vec<_> = landmarks.iter().map(mark).collect();
    if svg {
        output::write(&path.with_extension("svg"), overlay_svg(image, &marks, title)?.as_bytes())?;
    }
    output::write(path, &overlay(image, 1, &marks, title).to_png()?)
}

/// Draws all overlays small onto sheets, which are `contact-sheet.png`, `contact-sheet-2.png` and so on.
pub(super) fn write_sheets(out: &Path, images: &[Matched]) -> Result<()> {
    let overlays: Vec<(&str, &str)> =
        images.iter().filter_map(|image| Some((image.overlay.as_deref()?, image.image.as_str()))).collect();
    let small = |(name, image): &(&str, &str)| {
        let path = out.join(name);
        let bytes = files::bytes(&path)?;
        let picture = Canvas::from_png(&bytes).with_context(|| shown(&path))?;
        let long = picture.width().max(picture.height()).max(SIDE);
        let side = |length: usize| (length * SIDE).div_ceil(long);
        Ok(captioned(&picture.resized(side(picture.width()), side(picture.height()), false), image))
    };
    let name = |index: usize| match index {
        0 => "contact-sheet.png".to_owned(),
        index => format!("contact-sheet-{}.png", index + 1),
    };
    let mut pages = 0;
    for (index, overlays) in overlays.chunks(ON_SHEET).enumerate() {
        let pictures = overlays.par_iter().map(small).collect::<Result<Vec<_>>>()?;
        let path = out.join(name(index));
        output::write(&path, &sheet(&pictures, COLUMNS).to_png()?)?;
        pages += 1;
    }
    // Pages of an earlier, longer result.
    while fs::remove_file(out.join(name(pages))).is_ok() {
        pages += 1;
    }
    Ok(())
}
