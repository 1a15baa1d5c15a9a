//! The network: an encoder's stages, a layer, and the maps.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use infomark_core::Rng;

use super::LandmarkConfig;
use crate::encoder::{Encoder, Layer, STRIDES, param, random};
use crate::{TrainConfig, ops, stream};

/// Deviation of the first weights of the maps: all cells are nearly as likely at first.
const MAPS_DEVIATION: f32 = 0.01;

/// What comes after the stages.
#[derive(Module, Debug)]
pub(crate) struct Maps {
    pub(crate) hidden: Layer,
    /// 3 x 3 weights of the maps: heat of each landmark, then x and y of each landmark's offset.
    pub(crate) maps: Param<Tensor<4>>,
}

/// A landmark network.
#[derive(Module, Debug)]
pub(crate) struct Net {
    /// The stages; its own heads are not there.
    pub(crate) body: Encoder,
    pub(crate) head: Maps,
}

impl Net {
    /// Random weights.
    pub(crate) fn new(config: &LandmarkConfig, landmarks: usize, device: &Device) -> Self {
        let LandmarkConfig { widths, hidden, seed, .. } = *config;
        let encoder = TrainConfig { widths, seed, ..TrainConfig::default() };
        let mut body = Encoder::new(&encoder, device);
        body.heads.clear();
        let rng = &mut Rng::new(seed, stream::LANDMARK_WEIGHTS);
        let head = Maps {
            hidden: Layer::new(widths[level(config)], hidden, rng, device),
            maps: param(random_maps(landmarks, hidden, rng, device), rng),
        };
        Self { body, head }
    }

    /// Heat and offsets, `[batch, 3 * landmarks, height / stride, width / stride]`, of unshuffled images (see
    /// [`unshuffle`](crate::encoder::unshuffle)).
    pub(crate) fn forward(&self, x: Tensor<4>, level: usize) -> Tensor<4> {
        let finest = self.body.levels(x, level).swap_remove(0);
        ops::conv3x3(self.head.hidden.forward(finest), self.head.maps.val())
    }
}

fn random_maps(landmarks: usize, hidden: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
    random([3 * landmarks, hidden, 3, 3], MAPS_DEVIATION, rng, device).val()
}

/// The place of the maps' stride among the encoder's.
pub(crate) fn level(config: &LandmarkConfig) -> usize {
    STRIDES.iter().position(|stride| *stride == config.stride).unwrap_or(0)
}
