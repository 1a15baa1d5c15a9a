//! What a file says of a pretrained backbone in it.

use serde::{Deserialize, Serialize};

/// A backbone as its file tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackboneDescription {
    /// Name of the network.
    pub name: String,
    /// Where its weights are from.
    pub source: String,
    /// Licence of the weights.
    pub licence: String,
    /// Its features, the finest first.
    pub levels: Vec<BackboneLevel>,
}

/// Features of a backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackboneLevel {
    /// Pixels of the input per cell.
    pub stride: usize,
    /// Length of a feature.
    pub channels: usize,
}

/// A backbone in an encoder's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JoinedBackbone {
    /// The backbone.
    pub network: BackboneDescription,
    /// What its cosine counts beside that of the trained features, which counts 1.
    pub weight: f32,
}
