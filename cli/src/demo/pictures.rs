//! Overlays of the test images, and a contact sheet of some.

use std::path::Path;

use anyhow::Result;
use infomark_eval::{Run, ScoredImage};
use infomark_figures::{Mark, Scene, overlay, sheet};
use infomark_infer::{DataSet, read_image};
use rayon::prelude::*;

use crate::output;
use crate::progress::Progress;

/// Enlargement of the small images, so that names fit in.
const ZOOM: usize = 2;
const ON_SHEET: usize = 8;
const COLUMNS: usize = 4;

pub(super) fn draw(test: &DataSet, run: &Run, overlays: &Path, contact_sheet: &Path) -> Result<()> {
    output::make_folder(overlays)?;
    let progress = Progress::new(run.images.len() as u64, "pictures");
    let one = |(order, scored): (usize, &ScoredImage)| {
        let picture = picture(test, scored)?;
        let name = &test.images[scored.image].name;
        output::write(&overlays.join(name), &picture.to_png(1)?)?;
        progress.advance();
        Ok((order < ON_SHEET).then_some(picture))
    };
    let pictures = run.images.par_iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
    progress.finish();
    let shown: Vec<Scene> = pictures.into_iter().flatten().collect();
    output::write(contact_sheet, &sheet(shown, COLUMNS).to_png(1)?)
}

fn picture(test: &DataSet, scored: &ScoredImage) -> Result<Scene> {
    let sample = &test.images[scored.image];
    let image = read_image(&sample.path)?;
    let marks: Vec<_> = test
        .landmarks
        .iter()
        .zip(&scored.scores)
        .filter_map(|(name, score)| Some((name, score.as_ref()?)))
        .map(|(name, score)| Mark {
            name: name.clone(),
            at: score.found,
            truth: Some(score.truth),
            doubtful: false,
        })
        .collect();
    let title = format!("{}: + found, o true", sample.name);
    Ok(overlay(&image, ZOOM, &marks, &title))
}
