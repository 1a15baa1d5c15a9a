//! The training loop of a landmark network.

use std::ops::ControlFlow;
use std::path::PathBuf;

use infomark_infer::{InputSize, LabelSource, LandmarkDescription, LandmarkNet, ModelError};
use rayon::prelude::*;

use super::checkpoint::{self, Position, State};
use super::data::{Labelled, LandmarkSet, labels_sha256};
use super::import::Start;
use super::log::{Log, Row};
use super::loss::{Loss, Shape, loss};
use super::net::Net;
use super::{LabelCount, LandmarkConfig};
use super::{batch, export};
use crate::clock::{Clock, Stopwatch, images_per_second};
use crate::network::{Pass, ScratchPool, add_gradients};
use crate::optimizer::{AdamW, clip};
use crate::schedule::{blend, fraction, schedule};
use crate::step::check_finite;
use crate::{Budget, CheckpointError, TrainError};

/// What the training of a landmark network tells while it runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LandmarkProgress {
    /// Images read.
    Reading {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Images whose landmarks were looked for, in self-training.
    Labelling {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// The labels of a round, before its network is trained.
    Labels {
        /// The round, from 0.
        round: usize,
        /// Rounds in all.
        rounds: usize,
        /// Which are learnt.
        labels: Vec<LabelCount>,
    },
    /// A step was made.
    Step {
        /// Steps done.
        step: u64,
        /// Part of the budget that is used, 0 to 1.
        fraction: f64,
        /// Divergence of the heat from what it should be, in nats.
        heat: f32,
        /// Loss of the offsets, weighted.
        offset: f32,
        /// Images a second, since the start or resumption.
        images_per_second: f64,
        /// Seconds left, about.
        seconds_left: f64,
    },
}

/// What the training of a landmark network came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LandmarkSummary {
    /// Steps done in all.
    pub steps: u64,
    /// Seconds of training in all, resumed ones included.
    pub seconds: f64,
    /// Mean loss of the last 50 steps of this process; none where it made none.
    pub loss: Option<f32>,
    /// Training images.
    pub images: usize,
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// The network's input.
    pub input: InputSize,
    /// SHA-256 of the encoder that it started from.
    pub encoder_sha256: Option<String>,
    /// Hash of the network's file.
    pub sha256: String,
    /// Whether the caller stopped it before the budget was used; the network is written all the same.
    pub stopped: bool,
}

/// A training: what is learnt, from what, and where it is kept.
pub(crate) struct Job<'a> {
    pub(crate) names: &'a [String],
    pub(crate) images: &'a [Labelled],
    pub(crate) source: LabelSource,
    /// Folder of checkpoints and log.
    pub(crate) run: PathBuf,
    /// How many of the folder's images, where not all.
    pub(crate) chosen: Option<usize>,
}

/// From where a training goes.
pub(crate) enum From {
    /// The weights of an encoder, or random ones on a canvas.
    Fresh(Box<LandmarkConfig>, Result<Box<Start>, InputSize>),
    /// A checkpoint.
    Checkpoint(Box<Position>),
}

/// Called as the training goes on, and may stop it.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(LandmarkProgress) -> ControlFlow<()> + Send);

/// Trains, and gives the bytes of the network's file. The minutes of the budget are the clock's.
pub(crate) fn fit(
    job: &Job<'_>,
    from: From,
    clock: &Clock,
    tell: Tell<'_>,
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    let (resumed, start) = match from {
        From::Fresh(config, start) => (None, Some((config, start))),
        From::Checkpoint(position) => (Some(*position), None),
    };
    let (input, normalisation) = match (&resumed, &start) {
        (Some(position), _) => (position.input, position.normalisation),
        (_, Some((_, Ok(start)))) => (start.input, start.normalisation),
        (_, Some((config, Err(input)))) => (*input, config.normalisation),
        (None, None) => return Err(TrainError::internal("training")("nothing to start from")),
    };
    let set = {
        let told = std::sync::Mutex::new(&mut *tell);
        LandmarkSet::open(job.images, (input, normalisation), &|done, total| {
            if let Ok(mut told) = told.lock() {
                // Stopping is honoured at the first step.
                let _ = told(LandmarkProgress::Reading { done, total });
            }
        })?
    };
    let labels = labels_sha256(job.names, job.images);
    let fresh = |config: &LandmarkConfig| {
        let (net, parameters) = Net::new(config, job.names.len());
        let optimizer = AdamW::new(config.weight_decay, parameters.len());
        State { net, average: parameters.values.clone(), parameters, optimizer }
    };
    let (mut state, mut position) = match (resumed, start) {
        (Some(position), _) => {
            check(&position, job, &labels, &set.sha256)?;
            let mut state = fresh(&position.config);
            checkpoint::load(&job.run, &mut state)?;
            (state, position)
        }
        (None, Some((mut config, start))) => {
            if let Ok(start) = &start {
                config.widths = start.widths;
            }
            let mut state = fresh(&config);
            if let Ok(start) = &start {
                let State { net, parameters, average, .. } = &mut state;
                parameters.values[..net.body_len].copy_from_slice(&start.values(net.body.finest));
                average.clone_from(&parameters.values);
            }
            let position = Position {
                config: *config,
                input,
                normalisation,
                encoder_sha256: start.ok().map(|start| start.sha256),
                landmarks: job.names.to_vec(),
                labels_sha256: labels,
                training_data_sha256: set.sha256.clone(),
                images: job.chosen,
                step: 0,
                seconds: 0.0,
            };
            // Found out now, not after the training.
            let described = description(&position, job.source.clone(), set.len());
            let unloadable = |error| TrainError::Unloadable(Box::new(error));
            described.check().map_err(|source| {
                unloadable(ModelError::Description { name: "landmark network".into(), source })
            })?;
            let bytes = export::onnx(&state.net, &state.parameters.values, &described)?;
            LandmarkNet::from_bytes(&bytes, "landmark network").map_err(unloadable)?;
            (state, position)
        }
        (None, None) => return Err(TrainError::internal("training")("nothing to start from")),
    };
    let (loss, stopped) = train(&mut state, &mut position, &set, job, clock, tell)?;
    let average = position.config.average > 0.0;
    let values = if average { &state.average } else { &state.parameters.values };
    let bytes = export::onnx(&state.net, values, &description(&position, job.source.clone(), set.len()))?;
    let summary = LandmarkSummary {
        steps: position.step,
        seconds: position.seconds,
        loss,
        images: set.len(),
        landmarks: position.landmarks,
        input: position.input,
        encoder_sha256: position.encoder_sha256,
        sha256: infomark_infer::sha256(&bytes),
        stopped,
    };
    Ok((bytes, summary))
}

/// Refuses a checkpoint of other images or landmarks.
fn check(position: &Position, job: &Job<'_>, labels: &str, images: &str) -> Result<(), TrainError> {
    let wrong = |input| TrainError::Checkpoint {
        path: job.run.clone(),
        problem: CheckpointError::OtherData { input },
    };
    if position.training_data_sha256 != images {
        return Err(wrong("images"));
    }
    if position.landmarks != job.names || position.labels_sha256 != labels {
        return Err(wrong("landmarks"));
    }
    Ok(())
}

fn description(position: &Position, labels: LabelSource, images: usize) -> LandmarkDescription {
    LandmarkDescription {
        input: position.input,
        input_policy: Default::default(),
        normalisation: position.normalisation,
        stride: position.config.stride,
        landmarks: position.landmarks.clone(),
        encoder_sha256: position.encoder_sha256.clone(),
        labels,
        labels_sha256: position.labels_sha256.clone(),
        training_data_sha256: position.training_data_sha256.clone(),
        training_images: images,
        steps: position.step,
        seed: position.config.seed,
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Steps until the budget is used or the caller stops; the mean loss of the last ones, and whether it was stopped.
fn train(
    state: &mut State,
    position: &mut Position,
    set: &LandmarkSet,
    job: &Job<'_>,
    clock: &Clock,
    tell: Tell<'_>,
) -> Result<(Option<f32>, bool), TrainError> {
    let config = position.config.clone();
    let mut log = Log::open(&job.run, position.step)?;
    let watch = Stopwatch::start(clock);
    let (first, before) = (position.step, position.seconds);
    let mut recent = Vec::new();
    let mut stopped = false;
    let mut workspace = Workspace::default();
    while fraction(config.budget, position.step, position.seconds) < 1.0 && !stopped {
        let step = position.step;
        let rate = schedule(config.warm_up, step, fraction(config.budget, step, position.seconds));
        let body = if position.encoder_sha256.is_some() { config.encoder_rate } else { 1.0 };
        let rate = config.learning_rate * rate;
        let Loss { heat, offset, .. } =
            workspace.step(state, set, (&config, job.names.len()), step, (rate * body, rate))?;
        if !(heat + offset).is_finite() {
            return Err(TrainError::Diverged { step });
        }
        let took = before + watch.seconds() - position.seconds;
        position.step += 1;
        position.seconds += took;
        let speed = images_per_second(config.batch, took);
        log.row(&Row { step: position.step, seconds: position.seconds, rate, heat, offset, speed })?;
        recent.push(heat + offset);
        let done = fraction(config.budget, position.step, position.seconds);
        let took = (position.seconds - before) / (position.step - first) as f64;
        let told = tell(LandmarkProgress::Step {
            step: position.step,
            fraction: done,
            heat,
            offset,
            images_per_second: images_per_second(config.batch, took),
            seconds_left: match config.budget {
                Budget::Steps(all) => all.saturating_sub(position.step) as f64 * took,
                Budget::Minutes(all) => (all * 60.0 - position.seconds).max(0.0),
            },
        });
        stopped = told.is_break() && done < 1.0;
        if stopped || done >= 1.0 || position.step.is_multiple_of(config.checkpoint_every) {
            checkpoint::save(&job.run, position, state)?;
        }
    }
    let recent = &recent[recent.len().saturating_sub(50)..];
    Ok(((!recent.is_empty()).then(|| recent.iter().sum::<f32>() / recent.len() as f32), stopped))
}

/// What steps compute in, kept from one to the next.
#[derive(Default)]
struct Workspace {
    passes: Vec<Pass>,
    scratch: ScratchPool,
    gradient: Vec<f32>,
}

impl Workspace {
    /// One step of the optimiser, with a learning rate for the encoder's weights and one for the others.
    fn step(
        &mut self,
        state: &mut State,
        set: &LandmarkSet,
        (config, landmarks): (&LandmarkConfig, usize),
        step: u64,
        (body, head): (f64, f64),
    ) -> Result<Loss, TrainError> {
        let Self { passes, scratch, gradient } = self;
        let State { net, parameters, average, optimizer } = state;
        let batch = batch::draw(set, config, step)?;
        let size = (set.input.width() / 2, set.input.height() / 2);
        let images: Vec<&[f32]> = batch.images.chunks_exact(4 * size.0 * size.1).collect();
        passes.resize_with(images.len(), Pass::default);
        let weights = net.weights(&parameters.values);
        let (width, height) = net.map_size(size);
        let shape = Shape { landmarks, width, height };
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
        gradient.resize(parameters.len(), 0.0);
        add_gradients(gradient, passes);
        if let Some(limit) = config.gradient_clip {
            clip(gradient, limit);
        }
        let rates = [(0..net.body_len, body), (net.body_len..parameters.len(), head)];
        optimizer.step(&mut parameters.values, gradient, &rates);
        check_finite(&parameters.values, step)?;
        blend(average, &parameters.values, config.average, step);
        Ok(loss)
    }
}
