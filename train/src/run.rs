//! Training of an encoder.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_infer::{Channels, Description, Encoder as Trained, InputSize, Origin, sha256};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, Checkpoint, Header};
use crate::clock::Clock;
use crate::compute::{self, Compute};
use crate::data::TrainingSet;
use crate::encoder::{Encoder, STRIDES};
use crate::log::{Columns, Log};
use crate::outputs::{prepare, write_atomically};
use crate::progress::{LossTerms, Progress, Reporter, Tell};
use crate::psi::ByTier;
use crate::schedule::Schedule;
use crate::score::{Scorer, Scoring};
use crate::state::TrainState;
use crate::step::Workspace;
use crate::threads::in_threads;
use crate::trainer::{self, Measured, Task};
use crate::tune::{self, TuneConfig};
use crate::views;
use crate::whiten::whiten;
use crate::{CheckpointError, ComputeOn, ConfigError, TrainConfig, TrainError, export};

/// Paths of the training of an encoder.
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

/// Result of the training of an encoder.
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
    pub stopped_early: bool,
    /// What computed entropies, weights, drawn pixels, views and the loss: "CPU" or "CUDA device NAME".
    pub scoring_and_loss: String,
    /// The scores at checkpoints of this process: step and mean radial error in mm.
    pub scores: Vec<(u64, f64)>,
}

/// Trains an encoder from random weights.
///
/// `progress` is called by one thread at a time. Where it breaks, the training stops after the step that is under way, or the first one,
/// and saves a checkpoint.
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
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    config.check()?;
    checkpoint::refuse_existing(&paths.run)?;
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
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    let checkpoint = Checkpoint::<EncoderHeader>::open(&paths.run)?;
    let begun_on_cpu = checkpoint.header.scoring_and_loss == compute::CPU;
    let compute = if compute == ComputeOn::Auto && begun_on_cpu { ComputeOn::Cpu } else { compute };
    let config = checkpoint.header.config.clone().with(|o| o.compute = compute);
    in_threads(threads, || start(config, Some(checkpoint), paths, clock, progress))
}

/// What a checkpoint says of an encoder in training.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct EncoderHeader {
    #[serde(deserialize_with = "crate::options::stored")]
    config: TrainConfig,
    training_data_sha256: String,
    /// What computed entropies, weights, drawn pixels, views and the loss of the latest steps: "CPU" or "CUDA device NAME".
    #[serde(default)]
    scoring_and_loss: String,
}

impl Header for EncoderHeader {
    const KIND: &'static str = "encoder";
    const FORMAT: u32 = 4;
    const WEIGHTS: &'static str = "encoder";

    fn check(&self) -> Result<(), ConfigError> {
        self.config.check()
    }
}

/// An encoder in training.
struct EncoderTask<'a> {
    header: EncoderHeader,
    images: &'a Path,
    set: TrainingSet,
    encoder: Encoder,
    state: TrainState,
    workspace: Workspace,
    /// PSI of the tiers when it was measured last.
    psi: ByTier,
    tuning: TuneConfig,
    scorer: Option<Scorer>,
    /// Steps, and mean radial errors in mm.
    scores: Vec<(u64, f64)>,
}

impl EncoderTask<'_> {
    /// Whether a policy is estimated during the training.
    fn estimates(config: &TrainConfig) -> bool {
        config.augmentation.policy.is_none() && config.augmentation.estimate_after > 0.0
    }

    fn description(&self, step: u64) -> Description {
        let config = &self.header.config;
        Description {
            input: self.set.input,
            input_policy: Default::default(),
            normalisation: config.model.normalisation,
            strides: STRIDES.to_vec(),
            channels: Channels::Same(config.model.embedding),
            temperature: config.loss.temperature,
            origin: Origin::Trained {
                training_data_sha256: self.set.sha256.clone(),
                training_images: self.set.len(),
                steps: step,
                seed: config.seed,
            },
            backbone: None,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// The encoder's file after so many steps: of the average of its weights, if there is one, with white embeddings, if they are wanted.
    fn exported(&self, step: u64) -> Result<Vec<u8>, TrainError> {
        let config = &self.header.config;
        let mut values = self.state.exported(config.optimiser.ema_decay).to_vec();
        if config.model.whiten {
            whiten(&self.encoder, &mut values, &self.set, config, step)?;
        }
        let bytes = export::onnx(&self.encoder, &values, &self.description(step))?;
        self.joined(bytes)
    }

    /// The encoder's file with the backbone, if one is wanted.
    fn joined(&self, encoder: Vec<u8>) -> Result<Vec<u8>, TrainError> {
        match self.header.config.model.backbone_weight {
            0.0 => Ok(encoder),
            weight => Ok(infomark_models::backbone()?.join(&encoder, "the encoder in training", weight)?),
        }
    }

    /// The encoder after so many steps as its file is read.
    fn readable(&self, step: u64) -> Result<Trained, TrainError> {
        Ok(Trained::from_bytes(&self.exported(step)?, "the encoder in training")?)
    }
}

impl Task for EncoderTask<'_> {
    type Header = EncoderHeader;
    const COLUMNS: Columns = Columns {
        terms: &["loss/stride_2", "loss/stride_4", "loss/stride_8", "loss/stride_16", "loss/stride_32"],
        indicators: &["psi/low", "psi/medium", "psi/high"],
    };

    fn schedule(&self) -> Schedule {
        let TrainConfig { sampling, optimiser, schedule, patience, .. } = &self.header.config;
        Schedule::new(optimiser, schedule, sampling.batch, *patience)
    }

    fn checkpoint(&self) -> (&EncoderHeader, &TrainState) {
        (&self.header, &self.state)
    }

    /// Estimates the policy when its time has come.
    fn prepare(&mut self, step: u64, fraction: f64, reporter: &mut Reporter<'_>) -> Result<(), TrainError> {
        if !Self::estimates(&self.header.config) || fraction < self.header.config.augmentation.estimate_after
        {
            return Ok(());
        }
        let encoder = self.readable(step)?;
        let tuned = Box::new(tune::tune_on(&self.set, self.images, &encoder, &self.tuning, &|_, _| {})?);
        self.header.config.augmentation.policy = Some(tuned.policy());
        reporter.report(Progress::Estimated { step, tuned });
        Ok(())
    }

    fn step(&mut self, step: u64, rate: f64) -> Result<Measured, TrainError> {
        let Self { header, set, encoder, state, workspace, .. } = self;
        let (levels, psi) = workspace.step((encoder, state), set, &header.config, step, rate)?;
        self.psi = psi.unwrap_or(self.psi);
        Ok(Measured { terms: levels.to_vec(), indicators: psi.unwrap_or_default().to_vec() })
    }

    fn terms(&mut self, measured: &Measured) -> LossTerms {
        let levels = std::array::from_fn(|level| measured.terms[level]);
        LossTerms::Encoder { levels, psi: self.psi }
    }

    /// Scores the encoder, unless that was done before the training was interrupted.
    fn saved(&mut self, step: u64, log: &mut Log, reporter: &mut Reporter<'_>) -> Result<(), TrainError> {
        if let Some(scorer) = &self.scorer
            && !log.has_score(step)
        {
            let mre_mm = scorer.mre_mm(&self.readable(step)?)?;
            log.score(step, mre_mm)?;
            self.scores.push((step, mre_mm));
            reporter.report(Progress::Scored { step, mre_mm });
        }
        Ok(())
    }
}

fn start(
    config: TrainConfig,
    resumed: Option<Checkpoint<EncoderHeader>>,
    paths: &Paths,
    clock: &Clock,
    progress: Tell<'_>,
) -> Result<Summary, TrainError> {
    let reporter = &mut Reporter::new(progress);
    let scored =
        paths.score.as_ref().map(|score| ["landmarks.csv", "dataset.toml"].map(|name| score.data.join(name)));
    let inputs: Vec<&Path> = scored.iter().flatten().map(PathBuf::as_path).collect();
    let _lock = prepare(&paths.out, &paths.run, &paths.images, &inputs)?;
    let compute = Compute::open(config.compute, config.sampling.patch)?;
    let (scoring_and_loss, reason) = (compute.name(), compute.reason().map(str::to_owned));
    reporter.report(Progress::Computing { scoring_and_loss: scoring_and_loss.clone(), reason });
    let set = reporter.counting(
        |done, total| Progress::Reading { done, total },
        |counted| TrainingSet::open(&paths.images, &config, None, compute, counted),
    )?;
    let tuning = TuneConfig { seed: config.seed, ..TuneConfig::default() };
    if EncoderTask::estimates(&config) {
        tune::check_images(&set, &paths.images, &tuning)?;
    }
    let (encoder, parameters) = Encoder::new(&config);
    let state = TrainState::new(parameters, config.optimiser.weight_decay);
    let workspace = Workspace::new(&config, (set.input.width(), set.input.height()));
    let scorer = paths.score.as_ref().map(Scorer::open).transpose()?;
    let training_data_sha256 = set.sha256.clone();
    let mut task = EncoderTask {
        header: EncoderHeader { config, training_data_sha256, scoring_and_loss },
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
    let position = if let Some(checkpoint) = resumed {
        if checkpoint.header.training_data_sha256 != task.set.sha256 {
            return Err(checkpoint.refuse(CheckpointError::OtherImages { dir: paths.images.clone() }));
        }
        checkpoint.load(&mut task.state)?;
        checkpoint.position
    } else {
        // Found out now, not after the training.
        let untrained = &task.state.parameters.values;
        let bytes = task.joined(export::onnx(&task.encoder, untrained, &task.description(0))?)?;
        Trained::from_bytes(&bytes, "encoder")
            .map_err(|error| TrainError::Config(ConfigError::Unloadable(Box::new(error))))?;
        let examples = views::examples(&task.set, &task.header.config, EXAMPLES)?;
        reporter.report(Progress::Views(examples));
        Default::default()
    };
    let ended = trainer::train(&mut task, position, &paths.run, clock, reporter)?;
    let bytes = task.exported(ended.position.step)?;
    write_atomically(&paths.out, &bytes)?;
    Ok(Summary {
        steps: ended.position.step,
        seconds: ended.position.seconds,
        loss: ended.loss,
        images: task.set.len(),
        input: task.set.input,
        sha256: sha256(&bytes),
        stopped: ended.stopped,
        stopped_early: ended.stopped_early,
        scoring_and_loss: task.header.scoring_and_loss,
        scores: task.scores,
    })
}

/// Views of each tier that are shown.
const EXAMPLES: usize = 4;
