//! Overlays and contact sheets.

use std::path::Path;

use anyhow::{Context, Result};
use infomark_core::Point;
use infomark_figures::{Mark, Raster, captioned, overlay, sheet};
use infomark_infer::{Image, LandmarkRow};
use infomark_results::Stage;
use rayon::prelude::*;

use crate::files;
use crate::output::{self, shown};

/// Folder of the overlays in the output folder.
pub(super) const OVERLAYS: &str = "overlays";
/// Maximum side of an image on a contact sheet, in pixels.
const SIDE: usize = 320;
const COLUMNS: usize = 6;
const ON_SHEET: usize = 24;

/// Writes an image with its landmarks as PNG, and as SVG if requested.
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
    let picture = overlay(image, 1, &marks, title);
    if svg {
        output::write(&path.with_extension("svg"), picture.to_svg()?.as_bytes())?;
    }
    output::write(path, &picture.to_png(1)?)
}

/// Draws overlays, given with the labels of their images, on contact sheets: `contact-sheet.png`, `contact-sheet-2.png`, ...
pub(super) fn write_sheets(stage: &mut Stage, overlays: &[(String, String)]) -> Result<()> {
    for (index, overlays) in overlays.chunks(ON_SHEET).enumerate() {
        let small = |(name, image): &(String, String)| {
            let path = stage.path(name);
            let bytes = files::bytes(&path)?;
            let picture = Raster::from_png(&bytes).with_context(|| shown(&path))?;
            let long = picture.width().max(picture.height()).max(SIDE);
            let side = |length: usize| (length * SIDE).div_ceil(long);
            Ok(captioned(picture.resized(side(picture.width()), side(picture.height()), false), image))
        };
        let pictures = overlays.par_iter().map(small).collect::<Result<Vec<_>>>()?;
        let name = match index {
            0 => "contact-sheet.png".to_owned(),
            index => format!("contact-sheet-{}.png", index + 1),
        };
        stage.write(&name, &sheet(pictures, COLUMNS).to_png(1)?)?;
    }
    Ok(())
}
