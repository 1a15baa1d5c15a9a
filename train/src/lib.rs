//! Training of encoders by information-guided pixel-wise contrastive learning.
//!
//! [`train`] reads a folder of unlabelled radiographs and writes an encoder: an ONNX file with a description that gives the same anatomical
//! point the same feature in every image (see [`infomark_infer::Description`]). Each step
//! compares images with views of them. The sampling of the compared pixels is guided by the entropy of the patch around them
//! (Quan et al., *IGU-Aug*, IEEE TMI 2025): the higher, the more often.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use infomark_train::{Budget, Paths, TrainConfig, train};
//!
//! let config = TrainConfig::default().with(|o| o.schedule.budget = Budget::Minutes(45.0));
//! let paths = Paths { images: "radiographs".into(), out: "encoder.onnx".into(), run: "encoder.run".into(), score: None };
//! let summary = train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;
//! println!("{} steps, loss {:?}", summary.steps, summary.loss);
//! # Ok::<(), infomark_train::TrainError>(())
//! ```
//!
//! [`GuidedImage`] draws such views for training other networks.
//!
//! The folder of a run contains its checkpoints, `log.csv` with a row per step, and event files for TensorBoard.
//!
//! [`Ranking`] selects images to annotate; the crate `infomark-eval` measures the errors of an encoder on annotated images.
//!
//! [`psi`] measures the stability of an encoder's features under augmentation, against the entropy around them. [`tune`] estimates
//! the augmentation intensity of each tier from the images, by mutual information, for [`AugmentationConfig::policy`].
//!
//! With [`Budget::Steps`] the result is the same bit for bit on any number of threads, and whether or not the run was
//! interrupted and [resumed](resume): the CPU path is deterministic on one computer, and so is the CUDA path on
//! one device with one driver. The two differ by rounding ([`ComputeOn`]).
//!
//! # Features
//!
//! * `cuda`: entropies, weights, drawn pixels, views and the loss with its gradient are computed on a CUDA device, if available;
//!   the network stays on the CPU. Building needs neither a GPU nor the CUDA toolkit. [`Progress::Computing`], [`Summary`] and
//!   the checkpoint report the path.

mod arithmetic;
mod batch;
mod checkpoint;
mod clock;
mod compute;
mod config;
mod data;
mod early_stopping;
mod encoder;
mod epochs;
mod error;
mod exchange;
mod export;
#[cfg(test)]
mod gradient_check;
mod group;
mod guided;
mod landmark;
mod level;
mod log;
#[cfg(test)]
mod minutes;
mod network;
mod objective;
mod optimizer;
mod options;
mod outputs;
mod policy;
mod progress;
mod psi;
mod run;
mod schedule;
mod score;
mod select;
mod state;
mod step;
mod tensorboard;
#[cfg(test)]
mod testing;
mod threads;
mod trainer;
mod tune;
mod views;
mod whiten;
mod wire;

pub use compute::ComputeOn;
pub use config::{
    AugmentationConfig, Budget, LossConfig, ModelConfig, OptimiserConfig, SamplingConfig, ScheduleConfig,
    TrainConfig,
};
pub use error::{
    CheckpointError, ConfigError, DataError, DeviceError, InternalError, OutputError, RunError,
    TemplateSetError, TrainError,
};
pub use exchange::{Alone, Exchange, ExchangeError};
pub use guided::{GuidedImage, GuidedView};
pub use landmark::{
    AnnotatedSet, Doubt, HeatmapLossConfig, LabelCount, LandmarkAugmentationConfig, LandmarkConfig,
    LandmarkModelConfig, LandmarkPaths, LandmarkSummary, SelfTrainConfig, SelfTrainPaths, SelfTrainSummary,
    TemplateImage, resume_landmarks, resume_self_train, self_train, train_landmarks, train_landmarks_on,
};
pub use policy::{Policy, Ranges};
pub use progress::{LossTerms, Progress};
pub use psi::{Dip, Psi, PsiBin, PsiConfig, psi};
pub use run::{Begin, Paths, Summary, give_up, resume, train, train_with};
pub use score::Scoring;
pub use select::{AGAINST, Ranking};
pub use tune::{TuneConfig, Tuned, TunedTier, tune};
pub use views::ViewExample;

/// Streams of random numbers: farther apart than a training can use.
mod stream {
    /// Initial weights of the encoder.
    pub(crate) const WEIGHTS: u64 = 1 << 60;
    /// Order of the images; plus the epoch.
    pub(crate) const ORDER: u64 = 2 << 60;
    /// Views; plus the position in the sequence of images.
    pub(crate) const VIEWS: u64 = 3 << 60;
    /// Choice of the images for estimating intensities.
    pub(crate) const TUNING: u64 = 4 << 60;
    /// Initial weights of a landmark network's last layers.
    pub(crate) const LANDMARK_WEIGHTS: u64 = 8 << 60;
    /// Images of a landmark network's training; plus the position in the sequence of images.
    pub(crate) const LANDMARK_VIEWS: u64 = 9 << 60;
    /// Choice of a subset of the annotated images.
    pub(crate) const SOME_IMAGES: u64 = 10 << 60;
    /// Choice of the templates for scoring.
    pub(crate) const SCORING: u64 = 7 << 60;
}
