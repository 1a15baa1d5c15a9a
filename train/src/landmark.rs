//! Networks that find landmarks without a template: trained on annotated images, or on what matching found.

mod batch;
mod checkpoint;
mod config;
mod data;
mod export;
mod import;
mod log;
mod loss;
mod net;
mod run;
mod supervised;

pub use config::LandmarkConfig;
pub use run::{LandmarkProgress, LandmarkSummary};
pub use supervised::{LandmarkPaths, resume_landmarks, train_landmarks};
