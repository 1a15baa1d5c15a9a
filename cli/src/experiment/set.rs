//! The images that an experiment trains on and scores.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_eval::check_names;
use infomark_infer::{DataSet, list_images, sha256_files};

use super::DataRecord;
use super::file::{Data, Experiment};
use crate::inputs::images_of;
use crate::output::shown;

/// A data set, opened once.
pub(super) struct Set {
    pub(super) train: PathBuf,
    pub(super) encoder: Option<PathBuf>,
    pub(super) images: PathBuf,
    pub(super) images_sha256: String,
    pub(super) training_images: usize,
    pub(super) dev: PathBuf,
    pub(super) dev_sha256: String,
    /// Names of the images that are scored.
    pub(super) scored: Vec<String>,
    pub(super) landmarks: usize,
    pub(super) templates: PathBuf,
    pub(super) templates_sha256: String,
}

impl Set {
    /// Reads what the data's folders, below `root`, hold, and refuses those that the arms could not be trained or scored with.
    pub(super) fn open(data: &Data, root: &Path, experiment: &Experiment) -> Result<Self> {
        for folder in [&data.train, &data.dev].into_iter().chain(&data.templates) {
            let folder = root.join(folder);
            if !folder.is_dir() {
                bail!("{}: no such folder; set INFOMARK_DATA or give --data", shown(&folder));
            }
        }
        let train = root.join(&data.train);
        let within = train.join("images");
        let images = if within.is_dir() { within } else { train.clone() };
        let dev = root.join(&data.dev);
        let scored = DataSet::open(&dev)?;
        let folder = data.templates.as_ref().map(|folder| root.join(folder));
        let templates = folder.unwrap_or_else(|| train.clone());
        let annotated = DataSet::open(&templates).context("templates")?;
        for arm in &experiment.arm {
            let of_arm = || match &arm.network {
                Some(network) => trainable(&DataSet::open(&train)?, &scored, network.images),
                None => matchable(&annotated, &scored, experiment.evaluate.templates),
            };
            of_arm().with_context(|| format!("arm {}", arm.name))?;
        }
        let paths = images_of(&images)?;
        Ok(Self {
            train,
            encoder: data.encoder.as_ref().map(|file| root.join(file)),
            training_images: paths.len(),
            images_sha256: hash(&images, &[])?,
            images,
            landmarks: scored.landmarks.len(),
            scored: scored.images.into_iter().map(|sample| sample.name).collect(),
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
            scored_images: self.scored.len(),
            scored_images_sha256: self.dev_sha256.clone(),
            landmarks: self.landmarks,
            templates_from: shown(data.templates.as_ref().unwrap_or(&data.train)),
        }
    }
}

/// Whether so many templates can be drawn, and find what is annotated in the images that are scored.
fn matchable(templates: &DataSet, scored: &DataSet, count: usize) -> Result<()> {
    check_names(scored, templates)?;
    let all = templates.images.len();
    if count > all {
        bail!("evaluate: templates {count}: {} holds {all} images; ask for at most as many", templates.name);
    }
    Ok(())
}

/// Whether a network can learn from so many images what is annotated in those that are scored.
fn trainable(annotated: &DataSet, scored: &DataSet, count: Option<usize>) -> Result<()> {
    let all = annotated.images.len();
    if let Some(count) = count.filter(|count| !(1..=all).contains(count)) {
        bail!("network: images {count}: {} holds {all}; give 1 to {all}", annotated.name);
    }
    if let Some(missing) = scored.landmarks.iter().find(|name| !annotated.landmarks.contains(name)) {
        bail!("{} has no landmark {missing}, which {} is scored by", annotated.name, scored.name);
    }
    Ok(())
}

/// One hash of the images of a folder and some more files.
fn hash(images: &Path, more: &[PathBuf]) -> Result<String> {
    let mut paths = list_images(images)?;
    paths.extend_from_slice(more);
    sha256_files(&paths).with_context(|| format!("{}: can't be read", shown(images)))
}
