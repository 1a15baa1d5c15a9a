//! Training of an encoder.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_eval::thread_pool;
use infomark_infer::{Encoder as Trained, FolderLock, InputSize, sha256};
use serde::{Deserialize, Serialize};

use self::task::{EncoderHeader, EncoderTask};
use crate::arithmetic;
use crate::checkpoint::{self, Checkpoint, Position};
use crate::clock::Clock;
use crate::compute::{self, Compute};
use crate::data::TrainingSet;
use crate::encoder::Encoder;
use crate::exchange::Exchange;
use crate::group::Group;
use crate::outputs::{prepare, write_atomically};
use crate::progress::{Progress, Reporter, Tell};
use crate::psi::ByTier;
use crate::score::{Scorer, Scoring};
use crate::state::TrainState;
use crate::step::Workspace;
use crate::trainer;
use crate::tune::{self, TuneConfig};
use crate::views::{self, ViewExample};
use crate::{Budget, CheckpointError, ComputeOn, ConfigError, RunError, TrainConfig, TrainError, export};

mod task;

/// Paths of the training of an encoder.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Folder of the unlabelled images.
    pub images: PathBuf,
    /// Output: the encoder's file.
    pub out: PathBuf,
    /// Folder of the checkpoints and the log; created if missing.
    pub run: PathBuf,
    /// Annotated images to score the encoder on at every checkpoint, if any.
    pub score: Option<Scoring>,
}

/// Result of training an encoder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Total number of steps.
    pub steps: u64,
    /// Total training time in seconds, including resumed runs.
    pub seconds: f64,
    /// Mean loss of the last 50 steps of this process; `None` without any.
    pub loss: Option<f32>,
    /// Number of training images.
    pub images: usize,
    /// Size of the model input.
    pub input: InputSize,
    /// SHA-256 of the encoder's file.
    pub sha256: String,
    /// Whether the caller stopped it before the end of the budget; the encoder is written all the same.
    pub stopped: bool,
    /// Whether it was stopped early because the loss no longer decreased ([`TrainConfig::patience`]).
    pub stopped_early: bool,
    /// Device of entropies, weights, drawn pixels, views and the loss: "CPU" or "CUDA device NAME".
    pub scoring_and_loss: String,
    /// Scores at checkpoints of this process: step and mean radial error in mm.
    pub scores: Vec<(u64, f64)>,
}

/// Trains an encoder from random weights.
///
/// `progress` is called by one thread at a time. When it breaks, the training stops after the current or first step
/// and saves a checkpoint.
///
/// # Errors
/// When an option, an image or a file is unusable, or the folder already contains a run.
pub fn train(
    config: &TrainConfig,
    paths: &Paths,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    train_by(&Clock::system(), config, paths, progress)
}

/// [`train`] with a clock for the minutes of its budget.
pub(crate) fn train_by(
    clock: &Clock,
    config: &TrainConfig,
    paths: &Paths,
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    begin(clock, &Group::alone(), Begin::New, config, paths, progress)
}

/// Resumes the run in `paths.run`, with its own options, except the number of threads and the device.
///
/// # Errors
/// As [`train`], and when there is no checkpoint, it is damaged, or the images are not those of the run.
pub fn resume(
    paths: &Paths,
    threads: usize,
    compute: ComputeOn,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    resume_by(&Clock::system(), paths, threads, compute, progress)
}

/// [`resume`] with a clock for the minutes of its budget.
pub(crate) fn resume_by(
    clock: &Clock,
    paths: &Paths,
    threads: usize,
    compute: ComputeOn,
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    let config = TrainConfig { threads, compute, ..TrainConfig::default() };
    begin(clock, &Group::alone(), Begin::Resume, &config, paths, progress)
}

/// Whether a training starts or is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Start; an existing run is an error.
    New,
    /// Resume the run in its folder, with its own options; a missing run is an error.
    Resume,
    /// Resume the run in its folder, whose options have to be those given, or start if there is none.
    Auto,
}

/// Trains an encoder in one process or several, each of which makes this call and works on its part of the images of each step.
///
/// With any number of processes, even if it changes after an interruption, the encoder has the bits of [`train`]: each process sums a slice
/// of the gradient, in the order of the images. Only rank 0 needs the folder of the run and writes: log, checkpoints, encoder and scores.
/// `paths.images` has to contain the same images for all ranks. Every rank's `progress` is called (read images are counted per
/// rank), and a break of one stops all after the same step. Several processes need the CPU and a budget in steps, and their number is at most
/// [`batch`](crate::SamplingConfig::batch).
///
/// # Errors
/// As [`train`] and [`resume`](fn@resume), on all ranks if one fails: no rank waits for it. Also when the ranks differ in version, processor,
/// options, images or weights ([`RunError::RanksDiffer`](crate::RunError::RanksDiffer)), which is checked before the first step and at checkpoints.
pub fn train_with(
    exchange: &dyn Exchange,
    begin: Begin,
    config: &TrainConfig,
    paths: &Paths,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    self::begin(&Clock::system(), &Group::new(exchange)?, begin, config, paths, progress)
}

/// Replaces [`train_with`] on a rank that cannot train: reports the reason to the other ranks, which fail with it.
///
/// # Errors
/// When communication fails.
pub fn give_up(exchange: &dyn Exchange, reason: &str) -> Result<(), TrainError> {
    let group = Group::new(exchange)?;
    match group.agree::<()>(Err(RunError::GivenUp { reason: reason.to_owned() }.into())) {
        Err(TrainError::Run(RunError::GivenUp { .. })) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

/// State of a resumed run.
#[derive(Serialize, Deserialize)]
struct Resumed {
    header: EncoderHeader,
    position: Position,
}

/// Agrees with the other ranks on the training, and trains.
fn begin(
    clock: &Clock,
    group: &Group<'_>,
    begin: Begin,
    config: &TrainConfig,
    paths: &Paths,
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    group.agree(if begin == Begin::Resume { Ok(()) } else { check(config, group) })?;
    group.same(|| shared(begin, config))?;
    // Only rank 0 has the folder of the run.
    let mut checkpoint = None;
    let told = group.broadcast(|| {
        checkpoint = open(begin, config, &paths.run)?;
        let resumed = checkpoint.as_ref().map(|c| (&c.header, &c.position));
        if group.is_alone() {
            Ok(Vec::new())
        } else {
            serde_json::to_vec(&resumed).map_err(TrainError::internal)
        }
    })?;
    let resumed = match &checkpoint {
        _ if !group.is_first() => serde_json::from_slice(&told).map_err(TrainError::internal)?,
        checkpoint => checkpoint.as_ref().map(|c| (c.header.clone(), c.position.clone())),
    };
    let resumed = resumed.map(|(header, position): (EncoderHeader, Position)| Resumed { header, position });
    let (threads, mut compute) = (config.threads, config.compute);
    let mut config = config.clone();
    if let Some(resumed) = &resumed {
        config = resumed.header.config.clone();
        let begun_on_cpu = resumed.header.scoring_and_loss == compute::CPU;
        if compute == ComputeOn::Auto && begun_on_cpu {
            compute = ComputeOn::Cpu;
        }
    }
    if !group.is_alone() && compute == ComputeOn::Auto {
        compute = ComputeOn::Cpu;
    }
    let config = config.with(|o| (o.threads, o.compute) = (threads, compute));
    group.agree(check(&config, group))?;
    let pool = group.agree(thread_pool(threads).map_err(|error| RunError::from(error).into()))?;
    pool.install(|| {
        start(config, resumed.map(|resumed| (resumed, checkpoint)), paths, group, clock, progress)
    })
}

/// Rejects invalid options, also for this number of processes.
fn check(config: &TrainConfig, group: &Group<'_>) -> Result<(), TrainError> {
    config.check()?;
    let batch = config.sampling.batch;
    Err(match config.schedule.budget {
        _ if group.is_alone() => return Ok(()),
        Budget::Minutes(_) => ConfigError::MinutesTogether,
        Budget::Steps(_) if group.size() > batch => ConfigError::World { size: group.size(), batch },
        Budget::Steps(_) if config.compute == ComputeOn::Cuda => ConfigError::DeviceTogether,
        Budget::Steps(_) => return Ok(()),
    }
    .into())
}

/// Values that have to be equal on all ranks before they start.
fn shared(begin: Begin, config: &TrainConfig) -> Result<Vec<(String, String)>, TrainError> {
    let mut shared = vec![
        ("the version of infomark".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("the processor".to_owned(), arithmetic::processor()),
        ("the results of a test computation".to_owned(), format!("hash {}", arithmetic::fingerprint())),
        ("whether to resume".to_owned(), format!("{begin:?}").to_lowercase()),
    ];
    if begin != Begin::Resume {
        shared.extend(options(config)?.into_iter().map(|(name, value)| (format!("option {name}"), value)));
    }
    Ok(shared)
}

/// Names and values of all options.
fn options(config: &TrainConfig) -> Result<BTreeMap<String, String>, TrainError> {
    // By way of text, where numbers have their shortest form.
    let text = serde_json::to_string(config).map_err(TrainError::internal)?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(TrainError::internal)?;
    let options = json.as_object().into_iter().flatten();
    Ok(options.map(|(name, value)| (name.clone(), value.to_string())).collect())
}

/// The checkpoint to resume from, if there is one and it is requested.
fn open(
    begin: Begin,
    config: &TrainConfig,
    run: &Path,
) -> Result<Option<Checkpoint<EncoderHeader>>, TrainError> {
    match begin {
        Begin::New => checkpoint::refuse_existing(run).map(|()| None),
        Begin::Auto if !checkpoint::exists(run) => Ok(None),
        Begin::Resume => Checkpoint::open(run).map(Some),
        Begin::Auto => {
            let checkpoint = Checkpoint::<EncoderHeader>::open(run)?;
            let mut begun = checkpoint.header.config.clone();
            if EncoderTask::estimates(config) {
                // It was estimated during the run.
                begun.augmentation.policy = None;
            }
            let (begun, given) = (options(&begun)?, options(config)?);
            let other = begun.iter().filter(|(name, value)| given.get(*name) != Some(value));
            let told = |name: &String, value: &String| {
                let given = given.get(name).map_or("nothing", String::as_str);
                format!("{name}: {value}, now {given}")
            };
            let options: Vec<String> = other.map(|(name, value)| told(name, value)).collect();
            if options.is_empty() {
                return Ok(Some(checkpoint));
            }
            Err(checkpoint.refuse(CheckpointError::OtherOptions { options: options.join("; ") }))
        }
    }
}

/// Trains on the images, from the start or from the resumed state; rank 0 has its checkpoint.
fn start(
    config: TrainConfig,
    resumed: Option<(Resumed, Option<Checkpoint<EncoderHeader>>)>,
    paths: &Paths,
    group: &Group<'_>,
    clock: &Clock,
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    let reporter = &mut Reporter::new(progress);
    let prepared = if group.is_first() { prepare_paths(paths).map(Some) } else { Ok(None) };
    let _lock = group.agree(prepared)?;
    let compute = group.agree(Compute::open(config.compute, config.sampling.patch))?;
    let (scoring_and_loss, reason) = (compute.name(), compute.reason().map(str::to_owned));
    reporter.report(Progress::Computing { scoring_and_loss: scoring_and_loss.clone(), reason });
    let set = reporter.counting(
        |done, total| Progress::Reading { done, total },
        |counted| TrainingSet::open_by(group, &paths.images, &config, None, compute, counted),
    )?;
    let tuning = TuneConfig { seed: config.seed, ..TuneConfig::default() };
    if EncoderTask::estimates(&config) {
        group.agree(tune::check_images(&set, &paths.images, &tuning))?;
    }
    let (encoder, parameters) = Encoder::new(&config);
    let state = TrainState::new(parameters, config.optimiser.weight_decay);
    let workspace = Workspace::new(&config, (set.input.width(), set.input.height()), group);
    let scoring = paths.score.as_ref().filter(|_| group.is_first());
    let scorer = group.agree(scoring.map(Scorer::open).transpose())?;
    let training_data_sha256 = set.sha256.clone();
    let mut task = EncoderTask {
        header: EncoderHeader { config, training_data_sha256, scoring_and_loss },
        group,
        images: &paths.images,
        set,
        encoder,
        state,
        workspace,
        psi: ByTier::default(),
        tuning,
        scorer,
        scores: Vec::new(),
    };
    let position = match resumed {
        Some((resumed, checkpoint)) => {
            let state = group.broadcast(|| {
                let Some(checkpoint) = checkpoint else { return Ok(Vec::new()) };
                if checkpoint.header.training_data_sha256 != task.set.sha256 {
                    let dir = paths.images.clone();
                    return Err(checkpoint.refuse(CheckpointError::OtherImages { dir }));
                }
                checkpoint.load(&mut task.state)?;
                Ok(if group.is_alone() { Vec::new() } else { task.state.to_bytes() })
            })?;
            if !group.is_first() {
                task.state.take_bytes(&state)?;
            }
            resumed.position
        }
        None => {
            let looked = if group.is_first() { look_ahead(&task).map(Some) } else { Ok(None) };
            if let Some(examples) = group.agree(looked)? {
                reporter.report(Progress::Views(examples));
            }
            Position::default()
        }
    };
    let ended = trainer::train(&mut task, position, (&paths.run, group), clock, reporter)?;
    let sha256 = group.broadcast(|| {
        let bytes = task.exported(ended.position.step)?;
        write_atomically(&paths.out, &bytes)?;
        Ok(sha256(&bytes).into_bytes())
    })?;
    Ok(Summary {
        steps: ended.position.step,
        seconds: ended.position.seconds,
        loss: ended.loss,
        images: task.set.len(),
        input: task.set.input,
        sha256: String::from_utf8_lossy(&sha256).into_owned(),
        stopped: ended.stopped,
        stopped_early: ended.stopped_early,
        scoring_and_loss: task.header.scoring_and_loss,
        scores: task.scores,
    })
}

/// Creates and locks the output folders.
fn prepare_paths(paths: &Paths) -> Result<FolderLock, TrainError> {
    let scored =
        paths.score.as_ref().map(|score| ["landmarks.csv", "dataset.toml"].map(|name| score.data.join(name)));
    let inputs: Vec<&Path> = scored.iter().flatten().map(PathBuf::as_path).collect();
    prepare(&paths.out, &paths.run, &paths.images, &inputs)
}

/// Checks before the training that its encoder will be readable; returns examples of views.
fn look_ahead(task: &EncoderTask<'_>) -> Result<Vec<ViewExample>, TrainError> {
    let untrained = &task.state.parameters.values;
    let bytes = task.joined(export::onnx(&task.encoder, untrained, &task.description(0))?)?;
    Trained::from_bytes(&bytes, "encoder")
        .map_err(|error| TrainError::Config(ConfigError::Unloadable(Box::new(error))))?;
    views::examples(&task.set, &task.header.config, EXAMPLES)
}

/// Number of example views per tier.
const EXAMPLES: usize = 4;
