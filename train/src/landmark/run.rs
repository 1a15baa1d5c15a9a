//! Training of a landmark network.

use std::ops::Range;
use std::path::PathBuf;

use infomark_infer::{
    InputSize, LabelSource, LandmarkDescription, LandmarkNet, ModelError, Normalisation, sha256,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::LandmarkConfig;
use super::data::{Labelled, LandmarkSet, labels_sha256};
use super::import::Start;
use super::loss::{Shape, loss};
use super::net::Net;
use super::{batch, export};
use crate::checkpoint::{Checkpoint, Header, Position};
use crate::clock::Clock;
use crate::group::Group;
use crate::log::Columns;
use crate::network::{Pass, ScratchPool, add_gradients};
use crate::progress::{LossTerms, Progress, Reporter};
use crate::schedule::Schedule;
use crate::state::{TrainState, Update};
use crate::trainer::{self, Measured, Task};
use crate::{CheckpointError, ConfigError, OptimiserConfig, TrainError};

/// Result of training a landmark network.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LandmarkSummary {
    /// Total number of steps.
    pub steps: u64,
    /// Total training time in seconds, including resumed runs.
    pub seconds: f64,
    /// Mean loss of the last 50 steps of this process; `None` without any.
    pub loss: Option<f32>,
    /// Number of training images.
    pub images: usize,
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// Size of the model input.
    pub input: InputSize,
    /// SHA-256 of the encoder that initialised it.
    pub encoder_sha256: Option<String>,
    /// SHA-256 of the network's file.
    pub sha256: String,
    /// Whether the caller stopped it before the end of the budget; the network is written all the same.
    pub stopped: bool,
}

/// Training job: data, source of labels, and output.
pub(crate) struct Job<'a> {
    pub(crate) names: &'a [String],
    pub(crate) images: &'a [Labelled],
    pub(crate) source: LabelSource,
    /// Folder of checkpoints and log.
    pub(crate) run: PathBuf,
    /// Number of images chosen from the folder, unless all.
    pub(crate) chosen: Option<usize>,
}

/// Starting point of a training.
pub(crate) enum From {
    /// Random weights, and the model input.
    Random(Box<LandmarkConfig>, InputSize),
    /// The weights of an encoder.
    Encoder(Box<LandmarkConfig>, Box<Start>),
    /// A checkpoint.
    Checkpoint(Box<Checkpoint<LandmarkHeader>>),
}

impl From {
    fn canvas(&self) -> (InputSize, Normalisation) {
        match self {
            Self::Random(config, input) => (*input, config.model.normalisation),
            Self::Encoder(_, start) => (start.input, start.normalisation),
            Self::Checkpoint(checkpoint) => (checkpoint.header.input, checkpoint.header.normalisation),
        }
    }
}

/// Header of a landmark network's checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LandmarkHeader {
    #[serde(deserialize_with = "crate::options::stored")]
    pub(crate) config: LandmarkConfig,
    input: InputSize,
    normalisation: Normalisation,
    /// SHA-256 of the encoder that initialised it.
    encoder_sha256: Option<String>,
    landmarks: Vec<String>,
    labels_sha256: String,
    training_data_sha256: String,
    /// Number of images chosen from the folder, unless all.
    pub(crate) images: Option<usize>,
}

impl Header for LandmarkHeader {
    const KIND: &'static str = "landmarks";
    const FORMAT: u32 = 2;
    const WEIGHTS: &'static str = "network";

    fn check(&self) -> Result<(), ConfigError> {
        self.config.check()
    }
}

/// A landmark network in training.
struct LandmarkTask<'a> {
    header: LandmarkHeader,
    source: &'a LabelSource,
    set: LandmarkSet,
    net: Net,
    state: TrainState,
    passes: Vec<Pass>,
    scratch: ScratchPool,
    gradient: Vec<f32>,
}

impl<'a> LandmarkTask<'a> {
    /// A task with random weights.
    fn new(header: LandmarkHeader, source: &'a LabelSource, set: LandmarkSet) -> Self {
        let (net, parameters) = Net::new(&header.config, header.landmarks.len());
        let state = TrainState::new(parameters, header.config.optimiser.weight_decay);
        let (passes, scratch, gradient) = (Vec::new(), ScratchPool::default(), Vec::new());
        Self { header, source, set, net, state, passes, scratch, gradient }
    }

    fn description(&self, steps: u64) -> LandmarkDescription {
        let header = &self.header;
        LandmarkDescription {
            input: header.input,
            input_policy: Default::default(),
            normalisation: header.normalisation,
            stride: header.config.model.stride,
            landmarks: header.landmarks.clone(),
            encoder_sha256: header.encoder_sha256.clone(),
            labels: self.source.clone(),
            labels_sha256: header.labels_sha256.clone(),
            training_data_sha256: header.training_data_sha256.clone(),
            training_images: self.set.len(),
            steps,
            seed: header.config.seed,
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// The learning rates of the encoder's weights and of the others.
    fn rates(&self, rate: f64) -> [(Range<usize>, f64); 2] {
        let factor = if self.header.encoder_sha256.is_some() { self.header.config.encoder_rate } else { 1.0 };
        let (body, all) = (self.net.body_len, self.state.parameters.len());
        [(0..body, rate * factor), (body..all, rate)]
    }
}

impl Task for LandmarkTask<'_> {
    type Header = LandmarkHeader;
    const COLUMNS: Columns = Columns { terms: &["loss/heat", "loss/offset"], indicators: &[] };

    fn schedule(&self) -> Schedule {
        let LandmarkConfig { batch, optimiser, schedule, .. } = &self.header.config;
        Schedule::new(optimiser, schedule, *batch, 0)
    }

    fn checkpoint(&self) -> (&LandmarkHeader, &TrainState) {
        (&self.header, &self.state)
    }

    fn step(&mut self, step: u64, rate: f64) -> Result<Measured, TrainError> {
        let rates = self.rates(rate);
        let Self { header, set, net, state, passes, scratch, gradient, .. } = self;
        let config = &header.config;
        let batch = batch::draw(set, config, step)?;
        let size = (set.input.width() / 2, set.input.height() / 2);
        let images: Vec<&[f32]> = batch.images.chunks_exact(4 * size.0 * size.1).collect();
        passes.resize_with(images.len(), Pass::default);
        let weights = net.weights(&state.parameters.values);
        let (width, height) = net.map_size(size);
        let shape = Shape { landmarks: header.landmarks.len(), width, height };
        let mut maps = vec![0.0; images.len() * shape.len()];
        let items = images.par_iter().zip(passes.par_iter_mut()).zip(maps.par_chunks_mut(shape.len()));
        items.for_each(|((image, pass), maps)| {
            scratch.with(|scratch| net.forward(&weights, image, size, pass, scratch, maps));
        });
        let loss = loss(&maps, &batch.targets, shape, config);
        let items = images.par_iter().zip(passes.par_iter_mut()).zip(loss.gradient.par_chunks(shape.len()));
        items.for_each(|((image, pass), back)| {
            scratch.with(|scratch| net.backward(&weights, image, size, pass, scratch, back));
        });
        gradient.clear();
        gradient.resize(state.parameters.len(), 0.0);
        add_gradients(gradient, passes);
        let OptimiserConfig { gradient_clip, ema_decay, .. } = config.optimiser;
        state.update(gradient, &rates, Update { gradient_clip, ema_decay }, step)?;
        Ok(Measured { terms: vec![loss.heat, loss.offset], indicators: Vec::new() })
    }

    fn terms(&mut self, measured: &Measured) -> LossTerms {
        LossTerms::Landmarks { heat: measured.terms[0], offset: measured.terms[1] }
    }
}

/// Trains, and returns the bytes of the network's file. Minutes of the budget are measured by the clock.
pub(crate) fn fit(
    job: &Job<'_>,
    from: From,
    clock: &Clock,
    reporter: &mut Reporter<'_>,
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    let (input, normalisation) = from.canvas();
    let set = reporter.counting(
        |done, total| Progress::Reading { done, total },
        |counted| LandmarkSet::open(job.images, (input, normalisation), counted),
    )?;
    let labels_sha256 = labels_sha256(job.names, job.images);
    let (config, start) = match from {
        From::Random(config, _) => (config, None),
        From::Encoder(config, start) => (config, Some(start)),
        From::Checkpoint(checkpoint) => {
            let header = &checkpoint.header;
            let wrong = |input| Err(checkpoint.refuse(CheckpointError::OtherData { input }));
            if header.training_data_sha256 != set.sha256 {
                return wrong("images");
            }
            if header.landmarks != job.names || header.labels_sha256 != labels_sha256 {
                return wrong("landmarks");
            }
            let mut task = LandmarkTask::new(header.clone(), &job.source, set);
            checkpoint.load(&mut task.state)?;
            return finish(task, checkpoint.position, job, clock, reporter);
        }
    };
    let channels = start.as_ref().map_or(config.model.channels, |start| start.channels);
    let header = LandmarkHeader {
        config: (*config).with(|o| o.model.channels = channels),
        input,
        normalisation,
        encoder_sha256: start.as_ref().map(|start| start.sha256.clone()),
        landmarks: job.names.to_vec(),
        labels_sha256,
        training_data_sha256: set.sha256.clone(),
        images: job.chosen,
    };
    let mut task = LandmarkTask::new(header, &job.source, set);
    if let Some(start) = &start {
        let LandmarkTask { net, state, .. } = &mut task;
        state.parameters.values[..net.body_len].copy_from_slice(&start.values(net.body.finest));
        state.average.clone_from(&state.parameters.values);
    }
    // Fails now rather than after the training.
    let described = task.description(0);
    let unloadable = |error| TrainError::Config(ConfigError::Unloadable(Box::new(error)));
    let name = "landmark network";
    described.check().map_err(|source| unloadable(ModelError::Description { name: name.into(), source }))?;
    let bytes = export::onnx(&task.net, &task.state.parameters.values, &described)?;
    LandmarkNet::from_bytes(&bytes, name).map_err(unloadable)?;
    finish(task, Default::default(), job, clock, reporter)
}

/// Trains from a position to the end.
fn finish(
    mut task: LandmarkTask<'_>,
    position: Position,
    job: &Job<'_>,
    clock: &Clock,
    reporter: &mut Reporter<'_>,
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    let ended = trainer::train(&mut task, position, (&job.run, &Group::alone()), clock, reporter)?;
    let values = task.state.exported(task.header.config.optimiser.ema_decay);
    let bytes = export::onnx(&task.net, values, &task.description(ended.position.step))?;
    let summary = LandmarkSummary {
        steps: ended.position.step,
        seconds: ended.position.seconds,
        loss: ended.loss,
        images: task.set.len(),
        landmarks: task.header.landmarks,
        input: task.header.input,
        encoder_sha256: task.header.encoder_sha256,
        sha256: sha256(&bytes),
        stopped: ended.stopped,
    };
    Ok((bytes, summary))
}
