//! The images that an experiment trains on and scores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infomark_infer::{DataSet, list_images, sha256_files};

use super::DataRecord;
use super::file::Data;
use crate::output::shown;

/// A data set, looked at once.
pub(super) struct Set {
    pub(super) train: PathBuf,
    pub(super) encoder: Option<PathBuf>,
    pub(super) images: PathBuf,
    pub(super) images_sha256: String,
    pub(super) training_images: usize,
    pub(super) dev: PathBuf,
    pub(super) dev_sha256: String,
    pub(super) scored_images: usize,
    pub(super) landmarks: usize,
    pub(super) templates: PathBuf,
    pub(super) templates_sha256: String,
}

impl Set {
    /// Reads what the data's folders, below `root`, hold.
    pub(super) fn open(data: &Data, root: &Path) -> Result<Self> {
        let train = root.join(&data.train);
        let within = train.join("images");
        let images = if within.is_dir() { within } else { train.clone() };
        let dev = root.join(&data.dev);
        let scored = DataSet::open(&dev)?;
        let folder = data.templates.as_ref().map(|folder| root.join(folder));
        let templates = folder.unwrap_or_else(|| train.clone());
        DataSet::open(&templates).context("templates")?;
        let paths = list_images(&images)?;
        Ok(Self {
            train,
            encoder: data.encoder.as_ref().map(|file| root.join(file)),
            training_images: paths.len(),
            images_sha256: hash(&images, &[])?,
            images,
            scored_images: scored.images.len(),
            landmarks: scored.landmarks.len(),
            dev_sha256: hash(&dev.join("images"), &[dev.join("landmarks.csv"), dev.join("dataset.toml")])?,
            dev,
            templates_sha256: hash(&templates.join("images"), &[templates.join("landmarks.csv")])?,
            templates,
        })
    }

    pub(super) fn record(&self, data: &Data) -> DataRecord {
        DataRecord {
            name: data.name.clone(),
            training_images: self.training_images,
            training_images_sha256: self.images_sha256.clone(),
            scored_images: self.scored_images,
            scored_images_sha256: self.dev_sha256.clone(),
            landmarks: self.landmarks,
            templates_from: shown(data.templates.as_ref().unwrap_or(&data.train)),
        }
    }
}

/// One hash of the images of a folder and some more files.
fn hash(images: &Path, more: &[PathBuf]) -> Result<String> {
    let mut paths = list_images(images)?;
    paths.extend_from_slice(more);
    sha256_files(&paths).with_context(|| format!("{}: can't be read", shown(images)))
}
