//! Training on annotated images.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_core::Point;
use infomark_eval::draw;
use infomark_infer::{DataSet, LabelSource};

use super::LandmarkConfig;
use super::data::{Label, Labelled};
use super::import::Start;
use super::run::{From, Job, LandmarkHeader, LandmarkSummary, fit};
use crate::checkpoint::{Checkpoint, refuse_existing};
use crate::clock::Clock;
use crate::data::input_size;
use crate::outputs::{lock, prepare, write_atomically};
use crate::progress::{Progress, Reporter, Tell};
use crate::threads::in_threads;
use crate::{ConfigError, DataError, TrainError, stream};

/// Paths of the training of a landmark network.
#[derive(Clone, Debug)]
pub struct LandmarkPaths {
    /// Data folder: `images/`, `landmarks.csv`, `dataset.toml`.
    pub data: PathBuf,
    /// Number of its images to learn from, drawn at random by the seed; `None` for all.
    pub images: Option<usize>,
    /// The encoder that initialises the weights, a file or the name of a bundled one; `None` for random
    /// weights. Ignored when resuming.
    pub encoder: Option<PathBuf>,
    /// Output: the network's file.
    pub out: PathBuf,
    /// Folder of the checkpoints and the log; created if missing.
    pub run: PathBuf,
}

/// Annotated images for training a landmark network.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotatedSet {
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// Image files with their landmarks in that order, in pixels; `None` where a landmark is absent or not annotated.
    pub images: Vec<(PathBuf, Vec<Option<Point<f64>>>)>,
    /// Points, by image and landmark, that a person accepted as a detector proposed them. They are trained on like all others, but how far that detector
    /// is off cannot be measured against them.
    pub accepted: BTreeSet<(PathBuf, String)>,
}

impl AnnotatedSet {
    /// Whether a point was [accepted](Self::accepted) as proposed.
    pub fn is_accepted(&self, image: &Path, landmark: &str) -> bool {
        self.accepted.contains(&(image.to_owned(), landmark.to_owned()))
    }

    /// Number of points, and how many of them a person placed or moved.
    pub fn points(&self) -> (usize, usize) {
        let points = self.images.iter().flat_map(|(path, points)| {
            let named = self.landmarks.iter().zip(points).filter(|(_, at)| at.is_some());
            named.map(move |(name, _)| self.is_accepted(path, name))
        });
        points.fold((0, 0), |(all, placed), is_accepted| (all + 1, placed + usize::from(!is_accepted)))
    }
}

/// Trains a landmark network on given images, and returns the bytes of its file with the result of the run.
///
/// `encoder` is a file or the name of a bundled one that initialises the weights; `None` for random weights. `run` is the
/// folder of checkpoints and log. An existing run of the same options, images and landmarks is resumed. `progress` is that of
/// [`train_landmarks`].
///
/// # Errors
/// As [`train_landmarks`]; [`ConfigError::Images`] without an annotated image.
pub fn train_landmarks_on(
    config: &LandmarkConfig,
    set: &AnnotatedSet,
    encoder: Option<&Path>,
    run: &Path,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    config.check()?;
    let labelled = |(path, points): &(PathBuf, Vec<Option<Point<f64>>>)| Labelled {
        path: path.clone(),
        labels: points.iter().map(|at| at.map(|at| Label { at, weight: 1.0 })).collect(),
    };
    let images: Vec<Labelled> = set.images.iter().map(labelled).collect();
    let whole = |image: &Labelled| image.labels.len() == set.landmarks.len();
    if images.is_empty() || set.landmarks.is_empty() || !images.iter().all(whole) {
        return Err(ConfigError::Images { dir: run.to_owned(), wanted: 1, found: 0 }.into());
    }
    std::fs::create_dir_all(run).map_err(TrainError::file(run, "can't make the folder"))?;
    let _lock = lock(run)?;
    in_threads(config.threads, || {
        let existing = match refuse_existing(run) {
            Ok(()) => None,
            Err(_) => Some(Checkpoint::<LandmarkHeader>::open(run)?),
        };
        let from = match (existing, encoder) {
            (Some(checkpoint), _) => From::Checkpoint(Box::new(checkpoint)),
            (None, Some(path)) => From::Encoder(Box::new(config.clone()), Box::new(Start::read(path)?)),
            (None, None) => {
                let files: Vec<_> = images.iter().map(|image| image.path.clone()).collect();
                From::Random(Box::new(config.clone()), input_size(&files, config.model.input_area)?)
            }
        };
        let job = Job {
            names: &set.landmarks,
            images: &images,
            source: LabelSource::Annotated,
            run: run.to_owned(),
            chosen: None,
        };
        fit(&job, from, &Clock::system(), &mut Reporter::new(progress))
    })
}

/// Trains a landmark network on the annotated images of a folder.
///
/// `progress` is called by one thread at a time. When it breaks, the training stops after the current or first step
/// and saves a checkpoint.
///
/// # Errors
/// When an option, an image or a file is unusable, or the folder already contains a run.
pub fn train_landmarks(
    config: &LandmarkConfig,
    paths: &LandmarkPaths,
    progress: Tell<'_>,
) -> Result<LandmarkSummary, TrainError> {
    train_landmarks_by(&Clock::system(), config, paths, progress)
}

/// [`train_landmarks`] with a clock for the minutes of its budget.
pub(crate) fn train_landmarks_by(
    clock: &Clock,
    config: &LandmarkConfig,
    paths: &LandmarkPaths,
    progress: Tell<'_>,
) -> Result<LandmarkSummary, TrainError> {
    config.check()?;
    refuse_existing(&paths.run)?;
    in_threads(config.threads, || {
        let data = DataSet::open(&paths.data)?;
        let config = Box::new(config.clone());
        let (images, seed) = (paths.images, config.seed);
        let from = match &paths.encoder {
            Some(path) => From::Encoder(config, Box::new(Start::read(path)?)),
            None => {
                let files: Vec<_> = data.images.iter().map(|image| image.path.clone()).collect();
                let input = input_size(&files, config.model.input_area)?;
                From::Random(config, input)
            }
        };
        run(&data, paths, (images, seed), from, clock, progress)
    })
}

/// Resumes the run in `paths.run`, with its own options.
///
/// # Errors
/// As [`train_landmarks`], and when there is no checkpoint, it is damaged, or images or landmarks are not those of the
/// run.
pub fn resume_landmarks(
    paths: &LandmarkPaths,
    threads: usize,
    progress: Tell<'_>,
) -> Result<LandmarkSummary, TrainError> {
    resume_landmarks_by(&Clock::system(), paths, threads, progress)
}

/// [`resume_landmarks`] with a clock for the minutes of its budget.
pub(crate) fn resume_landmarks_by(
    clock: &Clock,
    paths: &LandmarkPaths,
    threads: usize,
    progress: Tell<'_>,
) -> Result<LandmarkSummary, TrainError> {
    let checkpoint = Box::new(Checkpoint::<LandmarkHeader>::open(&paths.run)?);
    in_threads(threads, || {
        let chosen = (checkpoint.header.images, checkpoint.header.config.seed);
        run(&DataSet::open(&paths.data)?, paths, chosen, From::Checkpoint(checkpoint), clock, progress)
    })
}

fn run(
    data: &DataSet,
    paths: &LandmarkPaths,
    (images, seed): (Option<usize>, u64),
    from: From,
    clock: &Clock,
    progress: Tell<'_>,
) -> Result<LandmarkSummary, TrainError> {
    let chosen = choose(data, paths, images, seed)?;
    let files = ["landmarks.csv", "dataset.toml"].map(|name| paths.data.join(name));
    let inputs: Vec<_> = files.iter().chain(&paths.encoder).map(PathBuf::as_path).collect();
    let _lock = prepare(&paths.out, &paths.run, &paths.data.join("images"), &inputs)?;
    let job = Job {
        names: &data.landmarks,
        images: &chosen,
        source: LabelSource::Annotated,
        run: paths.run.clone(),
        chosen: images,
    };
    let (bytes, summary) = fit(&job, from, clock, &mut Reporter::new(progress))?;
    write_atomically(&paths.out, &bytes)?;
    Ok(summary)
}

/// The images to learn from, in the folder's order.
fn choose(
    data: &DataSet,
    paths: &LandmarkPaths,
    images: Option<usize>,
    seed: u64,
) -> Result<Vec<Labelled>, TrainError> {
    let all = data.images.len();
    let count = images.unwrap_or(all);
    if count == 0 || count > all {
        return Err(ConfigError::Images { dir: paths.data.clone(), wanted: count, found: all }.into());
    }
    let labelled = |&image: &usize| {
        let sample = &data.images[image];
        let label = |at: &Option<_>| at.map(|at| Label { at, weight: 1.0 });
        Labelled { path: sample.path.clone(), labels: sample.landmarks.iter().map(label).collect() }
    };
    let chosen: Vec<Labelled> = draw(count, all, seed, stream::SOME_IMAGES).iter().map(labelled).collect();
    let has = |place: usize| chosen.iter().any(|image| matches!(image.labels.get(place), Some(Some(_))));
    match data.landmarks.iter().enumerate().find(|(place, _)| !has(*place)) {
        None => Ok(chosen),
        Some((_, landmark)) => {
            Err(DataError::Unannotated { dir: paths.data.clone(), landmark: landmark.clone(), images: count }
                .into())
        }
    }
}
