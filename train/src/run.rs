//! The training loop.

mod log;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_infer::{Channels, Description, Encoder as Trained, InputSize, Origin, sha256};

use crate::checkpoint::{self, Position, State};
use crate::clock::{Clock, Stopwatch, images_per_second};
use crate::compute::{self, Compute};
use crate::data::TrainingSet;
use crate::encoder::{Encoders, STRIDES};
use crate::optimizer::AdamW;
use crate::outputs::prepare;
use crate::schedule::{fraction, schedule};
use crate::score::{Scorer, Scoring};
use crate::stall::Stall;
use crate::step::Workspace;
use crate::tune::{self, TuneConfig, Tuned};
use crate::views::{self, ViewExample};
use crate::whiten::whiten;
use crate::{Budget, CheckpointError, ComputeOn, TrainConfig, TrainError, export};

pub(crate) use log::kept_rows;
use log::{Log, Row};

/// Where a training reads and writes.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Folder of the unlabelled images.
    pub images: PathBuf,
    /// The encoder's file.
    pub out: PathBuf,
    /// Folder of the checkpoints and the log; made when missing.
    pub run: PathBuf,
    /// Annotated images to score the encoder on at every checkpoint, if there are some.
    pub score: Option<Scoring>,
}

/// What a training tells while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Where entropies, weights, drawn pixels, views and the loss are computed; told once, first of all. The network is on the CPU.
    Computing {
        /// "CPU" or "CUDA device NAME".
        scoring_and_loss: String,
        /// Why that is the CPU, where a device was looked for.
        reason: Option<String>,
    },
    /// Images read.
    Reading {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Examples of the views that will be compared, up to four of each tier; told once, before the first step.
    Views(Vec<ViewExample>),
    /// The intensity of each tier was estimated, if [`TrainConfig::estimate_after`] asks for it; what is trained from now on
    /// uses it.
    Estimated {
        /// Steps done.
        step: u64,
        /// What was found.
        tuned: Box<Tuned>,
    },
    /// The encoder of a checkpoint was scored, if [`Paths::score`] asks for it.
    Scored {
        /// Steps done.
        step: u64,
        /// Median over the templates of the mean radial error in mm.
        mre_mm: f64,
    },
    /// A step was made.
    Step {
        /// Steps done.
        step: u64,
        /// Part of the budget that is used, 0 to 1.
        fraction: f64,
        /// Sum of the levels' losses in nats.
        loss: f32,
        /// Losses at strides 2, 4, 8, 16, 32.
        levels: [f32; 5],
        /// Mean cosine of the positives of the low, medium and high tier at stride 8, of the latest step that it was
        /// measured at; none for a tier that had none.
        psi: [Option<f32>; 3],
        /// Images a second, since the start or resumption.
        images_per_second: f64,
        /// Seconds left, about.
        seconds_left: f64,
    },
}

/// What a training came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// Steps done in all.
    pub steps: u64,
    /// Seconds of training in all, resumed ones included.
    pub seconds: f64,
    /// Mean loss of the last 50 steps of this process; none where it made none.
    pub loss: Option<f32>,
    /// Training images.
    pub images: usize,
    /// The encoder's input.
    pub input: InputSize,
    /// Hash of the encoder's file.
    pub sha256: String,
    /// Whether the caller stopped it before the budget was used; the encoder is written all the same.
    pub stopped: bool,
    /// Whether it ended before the budget was used because the loss no longer fell ([`TrainConfig::patience`]).
    pub stalled: bool,
    /// What computed entropies, weights, drawn pixels, views and the loss: "CPU" or "CUDA device NAME".
    pub scoring_and_loss: String,
    /// The scores at checkpoints of this process: step and mean radial error in mm.
    pub scores: Vec<(u64, f64)>,
}

/// Trains an encoder from random weights.
///
/// `progress` is called by one thread at a time. Where it breaks at a step or a score the training stops, and a checkpoint is saved; elsewhere it
/// goes on to the next step, which asks again.
///
/// # Errors
/// When an option, an image or a file is not usable, or the run's folder already holds a run.
pub fn train(
    config: &TrainConfig,
    paths: &Paths,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    train_by(&Clock::system(), config, paths, progress)
}

/// [`train`], with the minutes of its budget read from a clock.
pub(crate) fn train_by(
    clock: &Clock,
    config: &TrainConfig,
    paths: &Paths,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    config.check()?;
    if checkpoint::exists(&paths.run) {
        return Err(TrainError::Checkpoint {
            path: paths.run.join(checkpoint::INDEX),
            problem: CheckpointError::Exists,
        });
    }
    in_threads(config.threads, || start(config.clone(), None, paths, clock, progress))
}

/// Goes on with the run in `paths.run`, with the options it was started with but for the number of threads and where to compute.
///
/// # Errors
/// As [`train`], and when there is no checkpoint, it is damaged, or the images are not those it was trained on.
pub fn resume(
    paths: &Paths,
    threads: usize,
    compute: ComputeOn,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    resume_by(&Clock::system(), paths, threads, compute, progress)
}

/// [`resume`], with the minutes of its budget read from a clock.
pub(crate) fn resume_by(
    clock: &Clock,
    paths: &Paths,
    threads: usize,
    compute: ComputeOn,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    let position = checkpoint::position(&paths.run)?;
    let begun_on_cpu = position.scoring_and_loss == compute::CPU;
    let compute = if compute == ComputeOn::Auto && begun_on_cpu { ComputeOn::Cpu } else { compute };
    let config = TrainConfig { compute, ..position.config.clone() };
    in_threads(threads, || start(config, Some(position), paths, clock, progress))
}

pub(crate) fn in_threads<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, TrainError> + Send,
) -> Result<T, TrainError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| TrainError::Threads { threads, reason: e.to_string() })?.install(work)
}

fn start(
    mut config: TrainConfig,
    resumed: Option<Position>,
    paths: &Paths,
    clock: &Clock,
    progress: &mut (dyn FnMut(Progress) -> ControlFlow<()> + Send),
) -> Result<Summary, TrainError> {
    let scored =
        paths.score.as_ref().map(|score| ["landmarks.csv", "dataset.toml"].map(|name| score.data.join(name)));
    let inputs: Vec<&Path> = scored.iter().flatten().map(PathBuf::as_path).collect();
    let _lock = prepare(&paths.out, &paths.run, &paths.images, &inputs)?;
    let compute = Compute::open(config.compute, &config)?;
    let (scoring_and_loss, reason) = (compute.name(), compute.reason().map(str::to_owned));
    // Stopping is honoured at the first step.
    let _ = progress(Progress::Computing { scoring_and_loss: scoring_and_loss.clone(), reason });
    let set = {
        let told = std::sync::Mutex::new(&mut *progress);
        TrainingSet::open(&paths.images, &config, None, compute, &|done, total| {
            if let Ok(mut told) = told.lock() {
                // Stopping is honoured at the first step.
                let _ = told(Progress::Reading { done, total });
            }
        })?
    };
    let tuning = TuneConfig { seed: config.seed, ..TuneConfig::default() };
    let estimates = config.policy.is_none() && config.estimate_after > 0.0;
    if estimates {
        tune::check_images(&set, &paths.images, &tuning)?;
    }
    let (encoders, parameters) = Encoders::new(&config);
    let optimizer = AdamW::new(config.weight_decay, parameters.len());
    let mut state = State { encoders, average: parameters.values.clone(), parameters, optimizer };
    let description = |config: &TrainConfig, step| Description {
        input: set.input,
        input_policy: Default::default(),
        normalisation: config.normalisation,
        strides: STRIDES.to_vec(),
        channels: Channels::Same(config.embedding),
        temperature: config.temperature,
        origin: Origin::Trained {
            training_data_sha256: set.sha256.clone(),
            training_images: set.len(),
            steps: step,
            seed: config.seed,
        },
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let (mut step, mut spent, mut stall) = (0, 0.0, Stall::default());
    let scorer = paths.score.as_ref().map(Scorer::open).transpose()?;
    if let Some(position) = resumed {
        if position.training_data_sha256 != set.sha256 {
            return Err(TrainError::Checkpoint {
                path: paths.run.join(checkpoint::INDEX),
                problem: CheckpointError::OtherImages { dir: paths.images.clone() },
            });
        }
        checkpoint::load(&paths.run, &mut state)?;
        (step, spent, stall) = (position.step, position.seconds, position.stall);
    } else {
        // Found out now, not after the training.
        let untrained = &state.parameters.values;
        let bytes = export::onnx(&state.encoders.image, untrained, &description(&config, 0))?;
        Trained::from_bytes(&bytes, "encoder").map_err(|error| TrainError::Unloadable(Box::new(error)))?;
        // Stopping is honoured at the first step.
        let _ = progress(Progress::Views(views::examples(&set, &config, EXAMPLES)?));
    }
    let mut log = Log::open(&paths.run, step)?;
    let mut indicator = [None; 3];
    let mut scores = Vec::new();
    let (first, before) = (step, spent);
    let mut recent = Vec::new();
    let mut stopped = false;
    let position = |config: &TrainConfig, step, seconds, stall: &Stall| Position {
        config: config.clone(),
        step,
        seconds,
        training_data_sha256: set.sha256.clone(),
        stall: stall.clone(),
        scoring_and_loss: scoring_and_loss.clone(),
    };
    let score = |scorer: &Scorer, state: &State, config: &TrainConfig, step| {
        scorer.mre_mm(&readable(&exported(state, &set, config, (&description(config, step), step))?)?)
    };
    if let Some(scorer) = &scorer
        && step > 0
        && !log.has_score(step)
    {
        // It was interrupted between the checkpoint and its score.
        let mre_mm = score(scorer, &state, &config, step)?;
        log.score(step, mre_mm)?;
        scores.push((step, mre_mm));
        // Stopping is honoured at the next step.
        let _ = progress(Progress::Scored { step, mre_mm });
    }
    let mut workspace = Workspace::new(&config, (set.input.width(), set.input.height()));
    let mut watch = Stopwatch::start(clock);
    let patience = config.patience;
    let stalled = |step, stall: &Stall| stall.is_over(step, patience);
    while fraction(config.budget, step, spent) < 1.0 && !stopped && !stalled(step, &stall) {
        let share = fraction(config.budget, step, spent);
        if estimates && config.policy.is_none() && share >= config.estimate_after {
            let encoder = readable(&exported(&state, &set, &config, (&description(&config, step), step))?)?;
            let tuned = Box::new(tune::tune_on(&set, &paths.images, &encoder, &tuning, &|_, _| {})?);
            config.policy = Some(tuned.policy());
            // Stopping is honoured after the step.
            let _ = progress(Progress::Estimated { step, tuned });
        }
        let rate =
            config.learning_rate * schedule(config.warm_up, step, fraction(config.budget, step, spent));
        let (losses, measured) = workspace.step(&mut state, &set, &config, step, rate)?;
        let loss: f32 = losses.iter().sum();
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        step += 1;
        let took = before + watch.seconds() - spent;
        spent += took;
        let speed = images_per_second(config.batch, took);
        log.row(Row { step, seconds: spent, rate, loss, levels: losses, speed, psi: measured })?;
        indicator = measured.unwrap_or(indicator);
        stall.add(step, loss, config.patience);
        recent.push(loss);
        let done = fraction(config.budget, step, spent);
        let took = (spent - before) / (step - first) as f64;
        let told = progress(Progress::Step {
            step,
            fraction: done,
            loss,
            levels: losses,
            psi: indicator,
            images_per_second: images_per_second(config.batch, took),
            seconds_left: match config.budget {
                Budget::Steps(all) => all.saturating_sub(step) as f64 * took,
                Budget::Minutes(all) => (all * 60.0 - spent).max(0.0),
            },
        });
        stopped = told.is_break() && done < 1.0;
        let ends = stopped || done >= 1.0 || stalled(step, &stall);
        if ends || step % config.checkpoint_every == 0 {
            checkpoint::save(&paths.run, &position(&config, step, spent, &stall), &state)?;
            if let Some(scorer) = &scorer {
                // Scoring is no training, and takes nothing of its minutes.
                watch.pause(|| {
                    let mre_mm = score(scorer, &state, &config, step)?;
                    log.score(step, mre_mm)?;
                    scores.push((step, mre_mm));
                    stopped |= progress(Progress::Scored { step, mre_mm }).is_break() && !ends;
                    Ok::<_, TrainError>(())
                })?;
            }
        }
    }
    let bytes = exported(&state, &set, &config, (&description(&config, step), step))?;
    checkpoint::write_atomically(&paths.out, &bytes)?;
    let recent = &recent[recent.len().saturating_sub(50)..];
    Ok(Summary {
        steps: step,
        seconds: spent,
        loss: (!recent.is_empty()).then(|| recent.iter().sum::<f32>() / recent.len() as f32),
        images: set.len(),
        input: set.input,
        sha256: sha256(&bytes),
        stopped,
        stalled: stalled(step, &stall) && fraction(config.budget, step, spent) < 1.0,
        scoring_and_loss: scoring_and_loss.clone(),
        scores,
    })
}

/// Views of each tier that are shown.
const EXAMPLES: usize = 4;

/// The file of the encoder that is worth keeping: of the average of its weights, if there is one, with white embeddings, if they are wanted.
fn exported(
    state: &State,
    set: &TrainingSet,
    config: &TrainConfig,
    (description, step): (&Description, u64),
) -> Result<Vec<u8>, TrainError> {
    let worth = if config.average > 0.0 { &state.average } else { &state.parameters.values };
    let (encoder, mut values) = (&state.encoders.image, worth.clone());
    if config.whiten {
        whiten(encoder, &mut values, set, config, step)?;
    }
    export::onnx(encoder, &values, description)
}

/// The encoder as whoever reads its file has it.
fn readable(file: &[u8]) -> Result<Trained, TrainError> {
    Trained::from_bytes(file, "the encoder in training").map_err(TrainError::internal("export"))
}
