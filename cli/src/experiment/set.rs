//! The images that an experiment trains on and scores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_eval::{ErrorTable, check_annotated, check_names};
use infomark_infer::{DataSet, list_images, sha256_files};

use super::DataRecord;
use super::arm::{Choice, Kind};
use super::file::{Data, Experiment};
use super::part::is_called;
use crate::annotators;
use crate::inputs::images_of;
use crate::output::{self, shown};

/// A data set, opened once.
pub(super) struct Set {
    /// Folder of the data folders.
    root: PathBuf,
    pub(super) train: PathBuf,
    pub(super) encoder: Option<PathBuf>,
    pub(super) images: PathBuf,
    pub(super) images_sha256: String,
    pub(super) training_images: usize,
    pub(super) dev: PathBuf,
    pub(super) dev_sha256: String,
    /// Names of the images that are scored.
    pub(super) scored: Vec<String>,
    /// Names of the landmarks that are scored.
    pub(super) landmarks: Vec<String>,
    pub(super) templates: PathBuf,
    pub(super) templates_sha256: String,
    /// Errors of each annotator whose file is named.
    pub(super) annotators: Vec<ErrorTable>,
    /// Parts that have images, each with the places of these among the scored ones; one without a name where there are no parts.
    pub(super) parts: Vec<(Option<String>, BTreeSet<usize>)>,
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
        check_annotated(&scored)?;
        let folder = data.templates.as_ref().map(|folder| root.join(folder));
        let templates = folder.unwrap_or_else(|| train.clone());
        let annotated = DataSet::open(&templates).context("templates")?;
        for arm in &experiment.arm {
            let of_arm = || match arm.kind() {
                Kind::Network(network) => trainable(&DataSet::open(&train)?, &scored, network.images),
                Kind::Encoder => {
                    matchable(&annotated, &scored, Choice::Random(experiment.evaluate.templates))
                }
                Kind::Match(matching) => matchable(&annotated, &scored, matching.choice()?),
                Kind::SelfTrain(templates) => matchable(&annotated, &scored, templates.choice()?),
            };
            of_arm().with_context(|| format!("arm {}", arm.name))?;
            let own = arm.encoder.as_ref().or(data.encoder.as_ref());
            if let Some(file) = own.filter(|_| arm.takes_encoder() && arm.encoder_of.is_none()) {
                check_encoder(&encoder_file(root, file)).with_context(|| format!("arm {}", arm.name))?;
            }
        }
        let paths = images_of(&images)?;
        let annotator = |file: &PathBuf| {
            let file = dev.join(file);
            let mut errors = annotators::read(std::slice::from_ref(&file), &scored)?.errors(&scored);
            // By its name alone: it is a row beside the arms.
            errors.templates = vec![file.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
            Ok(errors)
        };
        Ok(Self {
            root: root.to_owned(),
            train,
            encoder: data.encoder.as_ref().map(|file| encoder_file(root, file)),
            annotators: data.annotators.iter().map(annotator).collect::<Result<_>>()?,
            parts: parts(data, &scored)?,
            training_images: paths.len(),
            images_sha256: hash(&images, &[])?,
            images,
            landmarks: scored.landmarks,
            scored: scored.images.into_iter().map(|sample| sample.name).collect(),
            dev_sha256: hash(&dev.join("images"), &[dev.join("landmarks.csv"), dev.join("dataset.toml")])?,
            dev,
            templates_sha256: hash(&templates.join("images"), &[templates.join("landmarks.csv")])?,
            templates,
        })
    }

    /// The file of an encoder, or its name.
    pub(super) fn encoder_file(&self, file: &Path) -> PathBuf {
        encoder_file(&self.root, file)
    }

    pub(super) fn record(&self, data: &Data) -> DataRecord {
        DataRecord {
            name: data.name.clone(),
            training_images: self.training_images,
            training_images_sha256: self.images_sha256.clone(),
            scored_images: self.scored.len(),
            scored_images_sha256: self.dev_sha256.clone(),
            landmarks: self.landmarks.len(),
            parts: self
                .parts
                .iter()
                .filter_map(|(name, images)| Some((name.clone()?, images.len())))
                .collect(),
            templates_from: shown(data.templates.as_ref().unwrap_or(&data.train)),
        }
    }
}

/// Refuses a file that is not there, before anything is trained.
fn check_encoder(file: &Path) -> Result<()> {
    let is_name = file.to_str().is_some_and(|name| infomark_models::find(name).is_some());
    if !is_name && !file.is_file() {
        bail!("encoder {}: no such file, nor the name of an encoder that comes with infomark", shown(file));
    }
    Ok(())
}

/// A file of the data's folder, or an encoder that comes with the program.
fn encoder_file(root: &Path, file: &Path) -> PathBuf {
    let beside = root.join(file);
    let is_name = file.to_str().is_some_and(|name| infomark_models::find(name).is_some());
    if is_name && !beside.exists() { file.to_owned() } else { beside }
}

/// The places of the images of each part; a part without any is left out with a warning.
fn parts(data: &Data, scored: &DataSet) -> Result<Vec<(Option<String>, BTreeSet<usize>)>> {
    if data.parts.is_empty() {
        return Ok(vec![(None, (0..scored.images.len()).collect())]);
    }
    let mut parts = Vec::new();
    for (name, part) in &data.parts {
        let images = scored.images.iter().enumerate().filter(|(_, sample)| part.has(&sample.name));
        let images: BTreeSet<usize> = images.map(|(place, _)| place).collect();
        if images.is_empty() {
            output::warn(format_args!("{}: part {name} has no images; it is left out", scored.name));
        } else {
            parts.push((Some(name.clone()), images));
        }
    }
    if parts.is_empty() {
        bail!("{}: none of its images is in a part; correct parts", scored.name);
    }
    Ok(parts)
}

/// The place of the image of this name, with or without ending.
pub(super) fn place_of(templates: &DataSet, name: &str) -> Result<usize> {
    let place = templates.images.iter().position(|sample| is_called(&sample.name, name));
    place.with_context(|| format!("template {name}: {} has no such image", templates.name))
}

/// Whether the templates are there, and find what is annotated in the images that are scored.
fn matchable(templates: &DataSet, scored: &DataSet, choice: Choice<'_>) -> Result<()> {
    check_names(scored, templates)?;
    check_annotated(templates)?;
    let all = templates.images.len();
    match choice {
        Choice::Named(names) => names.iter().try_for_each(|name| place_of(templates, name).map(|_| ())),
        Choice::Random(count) | Choice::Select(count) if count > all => {
            bail!("templates {count}: {} holds {all} images; ask for at most as many", templates.name)
        }
        Choice::Random(_) | Choice::Select(_) => Ok(()),
    }
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
