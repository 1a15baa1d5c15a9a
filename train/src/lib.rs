//! Training of encoders by information-guided pixel-wise contrastive learning.
//!
//! [`train`] reads a folder of unlabelled radiographs and writes an encoder: an ONNX file that gives the same anatomical
//! point the same feature in every image, and that tells what it is (see [`infomark_infer::Description`]). Each step
//! compares images with views of them. Which pixels are compared is guided by the entropy of the patch around them
//! (Quan et al., *IGU-Aug*, IEEE TMI 2025): more information, more often.
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
//! [`GuidedImage`] draws such views for the training of other networks.
//!
//! The folder of a run holds its checkpoints, `log.csv` with a row a step, and event files for TensorBoard.
//!
//! [`Ranking`] tells which images to annotate; the crate `infomark-eval` measures the errors of an encoder on annotated images.
//!
//! [`psi`] measures how well an encoder keeps its features in views, against the entropy around them. [`tune`] estimates
//! from the images how strongly the views of each tier may differ, by mutual information; a training takes the result as its [`AugmentationConfig::policy`].
//!
//! With [`Budget::Steps`] the result is the same to the bit on any number of threads, and whether or not the run was
//! interrupted and [resumed](resume): the same computer's CPU path always gives the same bits, and so does the CUDA path on
//! one device with one driver. The two differ from each other by rounding ([`ComputeOn`]).
//!
//! # Features
//!
//! * `cuda`: entropies, weights, drawn pixels, views and the loss with its gradient are computed on a CUDA device, where there is one;
//!   the network stays on the CPU. Building needs neither a GPU nor CUDA's toolkit. [`Progress::Computing`], [`Summary`] and
//!   the checkpoint say which path ran.

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

/// Streams of the random numbers: apart by more than a training can use.
mod stream {
    /// Initial weights of the encoder.
    pub(crate) const WEIGHTS: u64 = 1 << 60;
    /// Order of the images; plus the epoch.
    pub(crate) const ORDER: u64 = 2 << 60;
    /// Views; plus the position in the sequence of images.
    pub(crate) const VIEWS: u64 = 3 << 60;
    /// Choice of the images that intensities are estimated on.
    pub(crate) const TUNING: u64 = 4 << 60;
    /// First weights of a landmark network's last layers.
    pub(crate) const LANDMARK_WEIGHTS: u64 = 8 << 60;
    /// Images of a landmark network's training; plus the position in the sequence of images.
    pub(crate) const LANDMARK_VIEWS: u64 = 9 << 60;
    /// Choice of some of the annotated images.
    pub(crate) const SOME_IMAGES: u64 = 10 << 60;
    /// Choice of the templates that a training is scored with.
    pub(crate) const SCORING: u64 = 7 << 60;
}
