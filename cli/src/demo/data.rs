//! Synthetic radiographs, written as data folders.

use std::path::Path;

use anyhow::{Context, Result, bail};
use infomark_core::Spacing;
use infomark_figures::Raster;
use infomark_infer::{DataSet, Landmark, Sample, write_landmarks};
use infomark_phantom::{LANDMARKS, Phantom, PhantomImage};
use rayon::prelude::*;

use crate::output;
use crate::progress::Progress;

/// Width of every image in pixels.
pub(super) const WIDTH: usize = 256;
const HEIGHT: usize = 320;
/// Nominal pixel size.
pub(super) const SPACING_MM: f64 = 0.8;
/// Index of the first test image in the series.
const FIRST_TEST: u64 = 1 << 32;

/// Numbers of images.
pub(super) struct Phantoms {
    pub(super) seed: u64,
    pub(super) train: usize,
    pub(super) test: usize,
}

impl Phantoms {
    /// Writes both data folders: the template, which is the first training image, and the test images.
    pub(super) fn make(&self, train: &Path, test: &Path) -> Result<(DataSet, DataSet)> {
        if !(4..=10_000).contains(&self.train) {
            bail!("--images {}: 4 to 10000 images can be made", self.train);
        }
        let progress = Progress::new((self.train + self.test) as u64, "drawing");
        let training = self.write_images(train, 0, self.train, &progress)?;
        let testing = self.write_images(test, FIRST_TEST, self.test, &progress)?;
        progress.finish();
        let template = data_set("demo template", training.into_iter().take(1).collect())?;
        let testing = data_set("demo test", testing)?;
        write_table(&train.join("template.csv"), &template)?;
        write_table(&test.join("landmarks.csv"), &testing)?;
        output::write(&test.join("dataset.toml"), manifest(&testing).as_bytes())?;
        Ok((template, testing))
    }

    fn write_images(
        &self,
        folder: &Path,
        first: u64,
        count: usize,
        progress: &Progress,
    ) -> Result<Vec<Sample>> {
        let phantom = Phantom::new(WIDTH, HEIGHT)?;
        let images = folder.join("images");
        output::make_folder(&images)?;
        let one = |index: usize| {
            let image = phantom.image(self.seed, first + index as u64);
            let name = format!("{:03}.png", index + 1);
            let path = images.join(&name);
            let PhantomImage { width, height, pixels, landmarks } = image;
            output::write(&path, &Raster::from_levels(width, height, pixels)?.to_png()?)?;
            progress.advance();
            let landmarks = landmarks.into_iter().map(|(_, at)| Some(at)).collect();
            Ok(Sample { name, path, width, height, landmarks })
        };
        (0..count).into_par_iter().map(one).collect()
    }
}

fn data_set(name: &str, images: Vec<Sample>) -> Result<DataSet> {
    let landmarks = LANDMARKS.map(str::to_owned).into();
    let spacing = Spacing::new(SPACING_MM, SPACING_MM)?;
    Ok(DataSet::new(name, spacing, landmarks, images)?)
}

fn write_table(path: &Path, data: &DataSet) -> Result<()> {
    let rows: Vec<(&str, Vec<Landmark>)> =
        data.images.iter().map(|sample| (sample.name.as_str(), data.landmarks_of(sample))).collect();
    let rows = rows.iter().map(|(name, landmarks)| (*name, landmarks.as_slice()));
    write_landmarks(path, rows).context("the landmarks of the demo")
}

fn manifest(data: &DataSet) -> String {
    format!(
        "name = \"{}\"\nspacing_mm = [{SPACING_MM}, {SPACING_MM}]\nlandmarks = [\"{}\"]\n",
        data.name,
        data.landmarks.join("\", \"")
    )
}
