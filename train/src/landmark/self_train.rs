//! Self-training from one or a few annotated images: matching gives pseudo-labels of the others, and networks
//! trained on them reject outliers.

mod config;
mod label;

use std::fs;
use std::path::{Path, PathBuf};

use infomark_infer::{Encoder, LabelSource, Landmark, list_images, sha256, sha256_files};
use serde::{Deserialize, Serialize};

use super::LabelCount;
use super::data::Labelled;
use super::import::Start;
use super::pseudo::{Pseudo, PseudoImage, count};
use super::run::{From, Job, LandmarkSummary, fit};
use crate::checkpoint::{Checkpoint, exists};
use crate::clock::Clock;
use crate::outputs::{prepare, read_bytes, write_atomically};
use crate::progress::{Progress, Reporter, Tell};
use crate::threads::in_threads;
use crate::{CheckpointError, ConfigError, DataError, TemplateSetError, TrainError};

pub use config::SelfTrainConfig;

/// Name of the index file in a run's folder, with its inputs and options.
const INDEX: &str = "self-train.json";
/// Name of a round's labels.
const LABELS: &str = "labels.json";
/// Name of a round's network.
const NETWORK: &str = "network.onnx";

/// Annotated image.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateImage {
    /// Path of the image.
    pub image: PathBuf,
    /// Landmarks in pixels of the image.
    pub landmarks: Vec<Landmark>,
}

/// Paths of a self-training.
#[derive(Clone, Debug)]
pub struct SelfTrainPaths {
    /// Folder of the unlabelled images.
    pub images: PathBuf,
    /// The encoder's file, or the name of a bundled one.
    pub encoder: PathBuf,
    /// The annotated images, at least one, inside or outside the folder. All need the same landmarks, which the network has in the
    /// order of the first.
    pub templates: Vec<TemplateImage>,
    /// Output: the network's file.
    pub out: PathBuf,
    /// Folder of the rounds; created if missing.
    pub run: PathBuf,
}

/// Result of self-training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelfTrainSummary {
    /// The last round's network.
    pub network: LandmarkSummary,
    /// Steps of training in all rounds.
    pub steps: u64,
    /// Training time of all rounds in seconds.
    pub seconds: f64,
    /// Numbers of each landmark's kept and rejected labels before each round.
    pub rounds: Vec<Vec<LabelCount>>,
}

/// Inputs and options of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Index {
    format: u32,
    #[serde(deserialize_with = "crate::options::stored")]
    config: SelfTrainConfig,
    images_sha256: String,
    encoder_sha256: String,
    templates: Vec<IndexTemplate>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct IndexTemplate {
    sha256: String,
    landmarks: Vec<(String, [f64; 2])>,
}

/// Trains a landmark network from one or several annotated images.
///
/// `progress` is called by one thread at a time. When it breaks, the training stops after the current or next step
/// and saves a checkpoint; the network of the current round is the result.
///
/// # Errors
/// When an option, an image or a file is unusable, the folder already contains a run, or too few labels are accepted.
pub fn self_train(
    config: &SelfTrainConfig,
    paths: &SelfTrainPaths,
    progress: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    self_train_by(Clock::system(), config, paths, progress)
}

/// [`self_train`] with a clock for the minutes of its budget.
pub(crate) fn self_train_by(
    clock: Clock,
    config: &SelfTrainConfig,
    paths: &SelfTrainPaths,
    progress: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    config.check()?;
    if paths.run.join(INDEX).exists() || exists(&paths.run) {
        return Err(TrainError::Checkpoint { path: paths.run.join(INDEX), problem: CheckpointError::Exists });
    }
    in_threads(config.network.threads, || run(Some(config), paths, clock, &mut Reporter::new(progress)))
}

/// Resumes the run in `paths.run`, with its own options.
///
/// # Errors
/// As [`self_train`], and when there is no run, it is damaged, or it was started with other images, another encoder or other
/// templates.
pub fn resume_self_train(
    paths: &SelfTrainPaths,
    threads: usize,
    progress: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    in_threads(threads, || run(None, paths, Clock::system(), &mut Reporter::new(progress)))
}

/// Data common to all rounds.
struct Work<'a> {
    config: SelfTrainConfig,
    paths: &'a SelfTrainPaths,
    clock: Clock,
    encoder: Encoder,
    files: Vec<PathBuf>,
    names: Vec<String>,
    templates: Vec<Known>,
}

/// A template.
struct Known {
    sha256: String,
    /// Index of its file.
    place: usize,
    /// Landmarks in the order of the names.
    landmarks: Vec<Landmark>,
}

impl Work<'_> {
    fn template_at(&self, place: usize) -> Option<&Known> {
        self.templates.iter().find(|template| template.place == place)
    }
}

fn run(
    config: Option<&SelfTrainConfig>,
    paths: &SelfTrainPaths,
    clock: Clock,
    reporter: &mut Reporter<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    let inputs: Vec<&Path> = std::iter::once(paths.encoder.as_path())
        .chain(paths.templates.iter().map(|template| template.image.as_path()))
        .collect();
    let (work, fresh) = begin(config, paths, clock)?;
    let _lock = prepare(&paths.out, &paths.run, &paths.images, &inputs)?;
    if let Some(index) = fresh {
        let json = serde_json::to_vec_pretty(&index).map_err(TrainError::internal)?;
        write_atomically(&paths.run.join(INDEX), &json)?;
    }
    let rounds = work.config.rounds;
    let mut counts = Vec::new();
    let mut earlier: Option<(PathBuf, Vec<PseudoImage>)> = None;
    let (mut last, mut steps, mut seconds) = (None, 0, 0.0);
    for round in 0..rounds {
        let dir = paths.run.join(format!("round-{round}"));
        fs::create_dir_all(&dir).map_err(TrainError::file(&dir, "can't make the folder"))?;
        let labels = match read_labels(&dir)? {
            Some(labels) => labels,
            None => {
                let labels = match earlier.take() {
                    None => label::matched(&work, reporter)?,
                    Some((network, labels)) => label::relabelled(&work, &network, labels, round, reporter)?,
                };
                let json = serde_json::to_vec_pretty(&labels).map_err(TrainError::internal)?;
                write_atomically(&dir.join(LABELS), &json)?;
                labels
            }
        };
        let counted = count(&work.names, &labels);
        reporter.report(Progress::Labels { round, rounds, labels: counted.clone() });
        if let Some(none) = counted.iter().find(|count| count.kept == 0) {
            let images = work.files.len() - work.templates.len();
            return Err(DataError::Labels { landmark: none.landmark.clone(), images }.into());
        }
        counts.push(counted);
        let network = dir.join(NETWORK);
        let (bytes, summary) = train_round(&work, round, &dir, &labels, reporter)?;
        write_atomically(&network, &bytes)?;
        steps += summary.steps;
        seconds += summary.seconds;
        let stopped = summary.stopped;
        last = Some((bytes, summary));
        if stopped {
            break;
        }
        earlier = Some((network, labels));
    }
    let (bytes, network) = last.ok_or_else(|| TrainError::internal("no round of self-training"))?;
    write_atomically(&paths.out, &bytes)?;
    Ok(SelfTrainSummary { network, steps, seconds, rounds: counts })
}

/// Opens the inputs and compares them with those of the run, or makes the index of a new one.
fn begin<'a>(
    config: Option<&SelfTrainConfig>,
    paths: &'a SelfTrainPaths,
    clock: Clock,
) -> Result<(Work<'a>, Option<Index>), TrainError> {
    let encoder = infomark_models::load_encoder(&paths.encoder)?;
    let mut files = list_images(&paths.images)?;
    let unlabelled = files.len();
    let mut templates: Vec<Known> = Vec::new();
    for template in &paths.templates {
        let known = place(template, paths, &mut files)?;
        if templates.iter().any(|other| other.place == known.place) {
            let problem = TemplateSetError::Repeated;
            return Err(DataError::Templates { image: template.image.clone(), problem }.into());
        }
        templates.push(known);
    }
    let Some(first) = templates.first() else {
        return Err(ConfigError::Option { option: "templates", needs: "at least one annotated image" }.into());
    };
    let names: Vec<String> = first.landmarks.iter().map(|landmark| landmark.name.clone()).collect();
    if files.len() <= templates.len() {
        let found = unlabelled.saturating_sub(templates.len());
        return Err(DataError::TooFew { dir: paths.images.clone(), found, needed: 1 }.into());
    }
    let path = paths.run.join(INDEX);
    let refuse = |problem| TrainError::Checkpoint { path: path.clone(), problem };
    let written: Option<Index> = match config {
        Some(_) => None,
        None => {
            let bytes = read_bytes(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => refuse(CheckpointError::NoSelfTraining),
                _ => TrainError::file(&path, "can't read")(error),
            })?;
            let index = serde_json::from_slice(&bytes);
            Some(index.map_err(|e: serde_json::Error| {
                refuse(CheckpointError::SelfTraining { reason: e.to_string() })
            })?)
        }
    };
    let config = config.or(written.as_ref().map(|index| &index.config));
    let config = config.cloned().ok_or_else(|| TrainError::internal("no options of self-training"))?;
    let index = Index {
        format: 2,
        config: config.clone(),
        images_sha256: sha256_files(&files)
            .map_err(TrainError::file(&paths.images, "can't read the images"))?,
        encoder_sha256: encoder.sha256().to_owned(),
        templates: templates.iter().map(written_template).collect(),
    };
    let fresh = match written {
        Some(written) if written != index => {
            let input = match () {
                () if written.images_sha256 != index.images_sha256 => "images",
                () if written.encoder_sha256 != index.encoder_sha256 => "an encoder",
                () => "templates",
            };
            return Err(refuse(CheckpointError::OtherSelfTraining { input }));
        }
        Some(_) => {
            config.check().map_err(|error| refuse(error.into()))?;
            None
        }
        None => Some(index),
    };
    Ok((Work { config, paths, clock, encoder, files, names, templates }, fresh))
}

/// Finds a template among the files, or adds it, and sorts its landmarks into the order of the first template's.
fn place(
    template: &TemplateImage,
    paths: &SelfTrainPaths,
    files: &mut Vec<PathBuf>,
) -> Result<Known, TrainError> {
    let hash = |path: &Path| -> Result<String, TrainError> {
        Ok(sha256(&read_bytes(path).map_err(TrainError::file(path, "can't read"))?))
    };
    let sha256 = hash(&template.image)?;
    let length = |path: &Path| fs::metadata(path).map(|data| data.len()).ok();
    let is_own = |path: &PathBuf| {
        length(path) == length(&template.image) && hash(path).is_ok_and(|hash| hash == sha256)
    };
    let place = match files.iter().position(is_own) {
        Some(place) => place,
        None => {
            files.push(template.image.clone());
            files.len() - 1
        }
    };
    let refuse = |problem| TrainError::Data(DataError::Templates { image: template.image.clone(), problem });
    let first = paths.templates.first().map(|first| &first.landmarks[..]).unwrap_or_default();
    let named = |name: &str| template.landmarks.iter().find(|landmark| landmark.name == name).cloned();
    let landmarks = first.iter().map(|landmark| {
        named(&landmark.name)
            .ok_or_else(|| refuse(TemplateSetError::MissingLandmark { landmark: landmark.name.clone() }))
    });
    let landmarks = landmarks.collect::<Result<Vec<_>, _>>()?;
    match template.landmarks.iter().find(|landmark| first.iter().all(|other| other.name != landmark.name)) {
        Some(Landmark { name, .. }) => {
            Err(refuse(TemplateSetError::ExtraLandmark { landmark: name.clone() }))
        }
        None => Ok(Known { sha256, place, landmarks }),
    }
}

fn written_template(template: &Known) -> IndexTemplate {
    let landmarks = template.landmarks.iter().map(|l| (l.name.clone(), [l.at.x, l.at.y])).collect();
    IndexTemplate { sha256: template.sha256.clone(), landmarks }
}

fn read_labels(dir: &Path) -> Result<Option<Vec<PseudoImage>>, TrainError> {
    let path = dir.join(LABELS);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_bytes(&path).map_err(TrainError::file(&path, "can't read"))?;
    let labels = serde_json::from_slice(&bytes);
    labels.map(Some).map_err(|e| TrainError::Checkpoint {
        path,
        problem: CheckpointError::Json { expected: "the labels of a round", reason: e.to_string() },
    })
}

/// Trains the network of a round, from the encoder or from its checkpoint.
fn train_round(
    work: &Work<'_>,
    round: usize,
    dir: &Path,
    labels: &[PseudoImage],
    reporter: &mut Reporter<'_>,
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    let labelled = |(path, image): (&PathBuf, &PseudoImage)| Labelled {
        path: path.clone(),
        labels: image.landmarks.iter().map(Pseudo::label).collect(),
    };
    let images: Vec<Labelled> = work
        .files
        .iter()
        .zip(labels)
        .map(labelled)
        .filter(|image| image.labels.iter().any(Option::is_some))
        .collect();
    let kept =
        labels.iter().flat_map(|image| &image.landmarks).filter(|pseudo| pseudo.doubt.is_none()).count();
    let job = Job {
        names: &work.names,
        images: &images,
        source: LabelSource::Matched {
            templates_sha256: work.templates.iter().map(|template| template.sha256.clone()).collect(),
            rounds: round + 1,
            kept: [kept, labels.len() * work.names.len()],
        },
        run: dir.to_owned(),
        chosen: None,
    };
    let from = if exists(dir) {
        From::Checkpoint(Box::new(Checkpoint::open(dir)?))
    } else {
        From::Encoder(Box::new(work.config.of_round(round)), Box::new(Start::read(&work.paths.encoder)?))
    };
    fit(&job, from, &work.clock, reporter)
}
