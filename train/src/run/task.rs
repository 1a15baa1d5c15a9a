//! Training task of an encoder.

use std::path::Path;

use infomark_infer::{Channels, Description, Encoder as Trained, Origin};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Header;
use crate::data::TrainingSet;
use crate::encoder::{Encoder, STRIDES};
use crate::group::Group;
use crate::log::{Columns, Log};
use crate::progress::{LossTerms, Progress, Reporter};
use crate::psi::ByTier;
use crate::schedule::Schedule;
use crate::score::Scorer;
use crate::state::TrainState;
use crate::step::Workspace;
use crate::trainer::{Measured, Task};
use crate::tune::{self, TuneConfig, Tuned};
use crate::whiten::whiten;
use crate::{ConfigError, TrainConfig, TrainError, export};

/// Header of an encoder's checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EncoderHeader {
    #[serde(deserialize_with = "crate::options::stored")]
    pub(super) config: TrainConfig,
    pub(super) training_data_sha256: String,
    /// Device of entropies, weights, drawn pixels, views and the loss of the latest steps: "CPU" or "CUDA device NAME".
    #[serde(default)]
    pub(super) scoring_and_loss: String,
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
pub(super) struct EncoderTask<'a> {
    pub(super) header: EncoderHeader,
    pub(super) group: &'a Group<'a>,
    pub(super) images: &'a Path,
    pub(super) set: TrainingSet,
    pub(super) encoder: Encoder,
    pub(super) state: TrainState,
    pub(super) workspace: Workspace,
    /// The latest PSI of the tiers.
    pub(super) psi: ByTier,
    pub(super) tuning: TuneConfig,
    pub(super) scorer: Option<Scorer>,
    /// Scores: steps, and mean radial errors in mm.
    pub(super) scores: Vec<(u64, f64)>,
}

impl EncoderTask<'_> {
    /// Whether a policy is estimated during the training.
    pub(super) fn estimates(config: &TrainConfig) -> bool {
        config.augmentation.policy.is_none() && config.augmentation.estimate_after > 0.0
    }

    pub(super) fn description(&self, step: u64) -> Description {
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

    /// The encoder's file after `step` steps: of the average of its weights, if any, with whitened embeddings, if requested.
    pub(super) fn exported(&self, step: u64) -> Result<Vec<u8>, TrainError> {
        let config = &self.header.config;
        let mut values = self.state.exported(config.optimiser.ema_decay).to_vec();
        if config.model.whiten {
            whiten(&self.encoder, &mut values, &self.set, config, step)?;
        }
        let bytes = export::onnx(&self.encoder, &values, &self.description(step))?;
        self.joined(bytes)
    }

    /// The encoder's file with the backbone, if requested.
    pub(super) fn joined(&self, encoder: Vec<u8>) -> Result<Vec<u8>, TrainError> {
        match self.header.config.model.backbone_weight {
            0.0 => Ok(encoder),
            weight => Ok(infomark_models::backbone()?.join(&encoder, "the encoder in training", weight)?),
        }
    }

    /// The encoder after `step` steps, loaded from its file.
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

    /// Estimates the policy at its time.
    fn prepare(&mut self, step: u64, fraction: f64, reporter: &mut Reporter<'_>) -> Result<(), TrainError> {
        if !Self::estimates(&self.header.config) || fraction < self.header.config.augmentation.estimate_after
        {
            return Ok(());
        }
        let mut own = None;
        let told = self.group.broadcast(|| {
            let encoder = self.readable(step)?;
            let tuned = tune::tune_on(&self.set, self.images, &encoder, &self.tuning, &|_, _| {})?;
            let tuned = own.insert(tuned);
            let alone = self.group.is_alone();
            if alone { Ok(Vec::new()) } else { serde_json::to_vec(tuned).map_err(TrainError::internal) }
        })?;
        let tuned: Box<Tuned> = match own {
            Some(tuned) => Box::new(tuned),
            None => serde_json::from_slice(&told).map_err(TrainError::internal)?,
        };
        self.header.config.augmentation.policy = Some(tuned.policy());
        reporter.report(Progress::Estimated { step, tuned });
        Ok(())
    }

    fn step(&mut self, step: u64, rate: f64) -> Result<Measured, TrainError> {
        let Self { header, group, set, encoder, state, workspace, .. } = self;
        let (levels, psi) = workspace.step((encoder, state), (set, group), &header.config, step, rate)?;
        self.psi = psi.unwrap_or(self.psi);
        Ok(Measured { terms: levels.to_vec(), indicators: psi.unwrap_or_default().to_vec() })
    }

    fn terms(&mut self, measured: &Measured) -> LossTerms {
        let levels = std::array::from_fn(|level| measured.terms[level]);
        LossTerms::Encoder { levels, psi: self.psi }
    }

    /// Scores the encoder, unless that was done before an interruption.
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
