//! Landmark networks, trained on annotated images or on pseudo-labels from matching.

mod batch;
mod config;
mod data;
mod export;
mod import;
mod loss;
mod net;
mod pseudo;
mod run;
mod self_train;
mod supervised;

pub use config::{HeatmapLossConfig, LandmarkAugmentationConfig, LandmarkConfig, LandmarkModelConfig};
#[cfg(test)]
pub(crate) use net::Net;
pub use pseudo::{Doubt, LabelCount};
pub use run::LandmarkSummary;
#[cfg(test)]
pub(crate) use self_train::self_train_by;
pub use self_train::{
    SelfTrainConfig, SelfTrainPaths, SelfTrainSummary, TemplateImage, resume_self_train, self_train,
};
pub use supervised::{AnnotatedSet, LandmarkPaths, resume_landmarks, train_landmarks, train_landmarks_on};
#[cfg(test)]
pub(crate) use supervised::{resume_landmarks_by, train_landmarks_by};
