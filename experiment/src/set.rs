//! The images that an experiment trains on and scores.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use infomark_eval::{Annotator, ErrorTable, check_annotated, check_names};
use infomark_infer::{DataSet, FileError, list_folder, list_images, sha256_files};
use serde::Serialize;

use crate::ExperimentError;
use crate::arm::{Choice, Kind};
use crate::error::Within;
use crate::event::{Observer, data_folder, warn};
use crate::file::{Data, Experiment};
use crate::part::is_called;

/// A data set, opened once.
pub(crate) struct Set {
    pub(crate) name: String,
    /// Seeds of its trainings, where it has its own.
    pub(crate) seeds: Option<Vec<u64>>,
    /// Folder of the data folders.
    root: PathBuf,
    pub(crate) train: PathBuf,
    pub(crate) encoder: Option<PathBuf>,
    pub(crate) images: PathBuf,
    pub(crate) images_sha256: String,
    training_images: usize,
    pub(crate) dev: PathBuf,
    pub(crate) dev_sha256: String,
    /// Names of the images that are scored.
    pub(crate) scored: Vec<String>,
    /// Names of the landmarks that are scored.
    pub(crate) landmarks: Vec<String>,
    pub(crate) templates: PathBuf,
    pub(crate) templates_sha256: String,
    /// The folder of the templates as the experiment names it.
    templates_from: String,
    /// Errors of each annotator whose file is named.
    pub(crate) annotators: Vec<ErrorTable>,
    /// Parts that have images, each with the places of these among the scored ones; one without a name where there are
    /// no parts.
    pub(crate) parts: Vec<(Option<String>, BTreeSet<usize>)>,
}

/// A data set, as `experiment.json` tells of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DataRecord {
    name: String,
    training_images: usize,
    training_images_sha256: String,
    scored_images: usize,
    scored_images_sha256: String,
    landmarks: usize,
    templates_from: String,
    /// Images of each part, where there are parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, usize>,
}

impl Set {
    /// Reads what the data's folders, below `root`, hold, and refuses those that the arms could not be trained or
    /// scored with.
    pub(crate) fn open(
        data: &Data,
        root: &Path,
        experiment: &Experiment,
        observer: Observer<'_>,
    ) -> Result<Self, ExperimentError> {
        for folder in [&data.train, &data.dev].into_iter().chain(&data.templates) {
            let folder = root.join(folder);
            if !folder.is_dir() {
                return Err(ExperimentError::NoFolder { folder });
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
        let annotated = DataSet::open(&templates).within(|| "templates".to_owned())?;
        for arm in &experiment.arm {
            let check = || -> Result<(), ExperimentError> {
                match arm.kind() {
                    Kind::Network(network) => trainable(&DataSet::open(&train)?, &scored, network.images),
                    Kind::Encoder => {
                        matchable(&annotated, &scored, Choice::Random(experiment.evaluate.templates))
                    }
                    Kind::Match(matching) => matchable(&annotated, &scored, matching.choice()?),
                    Kind::SelfTrain(templates) => matchable(&annotated, &scored, templates.choice()?),
                }?;
                let own = arm.encoder.as_ref().or(data.encoder.as_ref());
                own.filter(|_| arm.takes_encoder() && arm.encoder_of.is_none())
                    .map_or(Ok(()), |file| check_encoder(encoder_file(root, file)))
            };
            check().within(|| format!("arm {}", arm.name))?;
        }
        let listing = list_folder(&images)?;
        listing.warning().into_iter().for_each(|warning| warn(observer, warning));
        let annotator = |file: &PathBuf| -> Result<ErrorTable, ExperimentError> {
            let file = dev.join(file);
            let mut tell = |warning| warn(observer, warning);
            let mut errors =
                Annotator::read(std::slice::from_ref(&file), &scored, &mut tell)?.errors(&scored);
            // By its name alone: it is a row beside the arms.
            errors.templates = vec![file.file_stem().unwrap_or_default().to_string_lossy().into_owned()];
            Ok(errors)
        };
        Ok(Self {
            name: data.name.clone(),
            seeds: data.seeds.clone(),
            root: root.to_owned(),
            train,
            encoder: data.encoder.as_ref().map(|file| encoder_file(root, file)),
            annotators: data.annotators.iter().map(annotator).collect::<Result<_, _>>()?,
            parts: parts(data, &scored, observer)?,
            training_images: listing.images.len(),
            images_sha256: hash(&images, &[])?,
            images,
            landmarks: scored.landmarks,
            scored: scored.images.into_iter().map(|sample| sample.name).collect(),
            dev_sha256: hash_data_folder(&dev)?,
            dev,
            templates_sha256: hash(&templates.join("images"), &[templates.join("landmarks.csv")])?,
            templates,
            templates_from: data.templates.as_ref().unwrap_or(&data.train).display().to_string(),
        })
    }

    /// The file of an encoder, or its name.
    pub(crate) fn encoder_file(&self, file: &Path) -> PathBuf {
        encoder_file(&self.root, file)
    }

    /// The folder that is scored, opened.
    pub(crate) fn open_dev(&self, observer: Observer<'_>) -> Result<DataSet, ExperimentError> {
        data_folder(&self.dev, observer)
    }

    /// The folder of the templates, opened.
    pub(crate) fn open_templates(&self, observer: Observer<'_>) -> Result<DataSet, ExperimentError> {
        data_folder(&self.templates, observer)
    }

    pub(crate) fn record(&self) -> DataRecord {
        let parts = self.parts.iter().filter_map(|(name, images)| Some((name.clone()?, images.len())));
        DataRecord {
            name: self.name.clone(),
            training_images: self.training_images,
            training_images_sha256: self.images_sha256.clone(),
            scored_images: self.scored.len(),
            scored_images_sha256: self.dev_sha256.clone(),
            landmarks: self.landmarks.len(),
            parts: parts.collect(),
            templates_from: self.templates_from.clone(),
        }
    }
}

/// Refuses a file that is not there, before anything is trained.
fn check_encoder(file: PathBuf) -> Result<(), ExperimentError> {
    let is_name = file.to_str().is_some_and(|name| infomark_models::find(name).is_some());
    if is_name || file.is_file() { Ok(()) } else { Err(ExperimentError::NoEncoder { file }) }
}

/// A file of the data's folder, or an encoder that comes with the program.
pub(crate) fn encoder_file(root: &Path, file: &Path) -> PathBuf {
    let beside = root.join(file);
    let is_name = file.to_str().is_some_and(|name| infomark_models::find(name).is_some());
    if is_name && !beside.exists() { file.to_owned() } else { beside }
}

/// A part of the images that are scored: its name, and the places of its images.
type Part = (Option<String>, BTreeSet<usize>);

/// The places of the images of each part; a part without any is left out with a warning.
fn parts(data: &Data, scored: &DataSet, observer: Observer<'_>) -> Result<Vec<Part>, ExperimentError> {
    if data.parts.is_empty() {
        return Ok(vec![(None, (0..scored.images.len()).collect())]);
    }
    let mut parts = Vec::new();
    for (name, part) in &data.parts {
        let images = scored.images.iter().enumerate().filter(|(_, sample)| part.has(&sample.name));
        let images: BTreeSet<usize> = images.map(|(place, _)| place).collect();
        if images.is_empty() {
            warn(observer, format!("{}: part {name} has no images; it is left out", scored.name));
        } else {
            parts.push((Some(name.clone()), images));
        }
    }
    if parts.is_empty() {
        return Err(ExperimentError::NoParts { data: scored.name.clone() });
    }
    Ok(parts)
}

/// The place of the image of this name, with or without ending.
pub(crate) fn place_of(templates: &DataSet, name: &str) -> Result<usize, ExperimentError> {
    let place = templates.images.iter().position(|sample| is_called(&sample.name, name));
    let missing = || ExperimentError::NoTemplate { name: name.to_owned(), data: templates.name.clone() };
    place.ok_or_else(missing)
}

/// Refuses to take none, or more images than a data set has.
pub(crate) fn check_count(
    key: &'static str,
    count: usize,
    (data, images): (&str, usize),
) -> Result<(), ExperimentError> {
    if (1..=images).contains(&count) {
        return Ok(());
    }
    Err(ExperimentError::Count { key, count, data: data.to_owned(), images })
}

/// Whether the templates are there, and find what is annotated in the images that are scored.
fn matchable(templates: &DataSet, scored: &DataSet, choice: Choice<'_>) -> Result<(), ExperimentError> {
    check_names(scored, templates)?;
    check_annotated(templates)?;
    match choice {
        Choice::Named(names) => names.iter().try_for_each(|name| place_of(templates, name).map(drop)),
        Choice::Random(count) | Choice::Select(count) => {
            check_count("templates", count, (&templates.name, templates.images.len()))
        }
    }
}

/// Whether a network can learn from so many images what is annotated in those that are scored.
fn trainable(annotated: &DataSet, scored: &DataSet, count: Option<usize>) -> Result<(), ExperimentError> {
    let all = annotated.images.len();
    count.map_or(Ok(()), |count| check_count("network: images", count, (&annotated.name, all)))?;
    let missing = scored.landmarks.iter().find(|name| !annotated.landmarks.contains(name));
    missing.map_or(Ok(()), |landmark| {
        let (landmark, scored) = (landmark.clone(), scored.name.clone());
        Err(ExperimentError::NoLandmark { data: annotated.name.clone(), landmark, scored })
    })
}

/// One hash of the images, the landmarks and the description of a data folder.
pub(crate) fn hash_data_folder(folder: &Path) -> Result<String, ExperimentError> {
    hash(&folder.join("images"), &[folder.join("landmarks.csv"), folder.join("dataset.toml")])
}

/// One hash of the images of a folder and some more files.
fn hash(images: &Path, more: &[PathBuf]) -> Result<String, ExperimentError> {
    let mut paths = list_images(images)?;
    paths.extend_from_slice(more);
    Ok(sha256_files(&paths).map_err(FileError::system(images, "can't be read"))?)
}
