//! Description of a pretrained backbone in a file.

use serde::{Deserialize, Serialize};

/// Description of a backbone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackboneDescription {
    /// Name of the network.
    pub name: String,
    /// Origin of the weights.
    pub source: String,
    /// Licence of the weights.
    pub licence: String,
    /// Levels of features, finest first.
    pub levels: Vec<BackboneLevel>,
}

/// One level of a backbone's features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneLevel {
    /// Stride in pixels of the input.
    pub stride: usize,
    /// Number of channels.
    pub channels: usize,
}

/// A backbone in an encoder's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JoinedBackbone {
    /// The backbone.
    pub network: BackboneDescription,
    /// Weight of its cosine relative to that of the trained features.
    pub weight: f32,
}
