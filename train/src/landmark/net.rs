//! Landmark network: an encoder's stages, a hidden layer, and the maps.

use infomark_core::Rng;
use infomark_kernels::planes::Planes;

use super::{LandmarkConfig, LandmarkModelConfig};
use crate::encoder::STRIDES;
use crate::network::{Convolution, Layer, Parameters, Pass, Scratch, UNet, Weights};
use crate::stream;

/// Standard deviation of the initial weights of the maps: small, for nearly uniform heat maps.
const MAPS_DEVIATION: f32 = 0.01;

/// A landmark network.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    /// The stages of an encoder up to the maps' level.
    pub(crate) body: UNet,
    pub(crate) hidden: Layer,
    /// Heat map of each landmark, then x and y of each landmark's offset.
    pub(crate) maps: Convolution,
    /// Number of the stages' weights, which come first.
    pub(crate) body_len: usize,
}

impl Net {
    /// A network for `landmarks` landmarks, with random weights.
    pub(crate) fn new(config: &LandmarkConfig, landmarks: usize) -> (Self, Parameters) {
        let LandmarkModelConfig { channels, hidden, .. } = config.model;
        let (mut parameters, level) = (Parameters::default(), level(config));
        let rng = &mut Rng::new(config.seed, stream::WEIGHTS);
        let body = UNet::new("", channels, level, (&mut parameters, rng));
        let body_len = parameters.len();
        let rng = &mut Rng::new(config.seed, stream::LANDMARK_WEIGHTS);
        let sizes = [channels[level], hidden];
        let hidden = Layer::new("hidden", body.len(), sizes, (&mut parameters, rng));
        let sizes = [sizes[1], 3 * landmarks];
        let maps = Convolution::new("maps", body.len() + 1, sizes, MAPS_DEVIATION, (&mut parameters, rng));
        (Self { body, hidden, maps, body_len }, parameters)
    }

    /// The weights in the layout of the layers.
    pub(crate) fn weights<'a>(&self, values: &'a [f32]) -> Weights<'a> {
        Weights::new(values, self.body.convolutions().chain([&self.hidden.convolution, &self.maps]))
    }

    /// Computes heat maps and offsets of one image, `[3 * landmarks, height / stride, width / stride]`, into `out`.
    ///
    /// `image` is [unshuffled](crate::encoder::unshuffle) to four planes of `size`.
    pub(crate) fn forward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        size: (usize, usize),
        pass: &mut Pass,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        pass.prepare(self.body.len() + 1);
        let (stages, hidden) = pass.kept.split_at_mut(self.body.len());
        self.body.forward(weights, image, size, stages, scratch, |_, _| {});
        let (width, height) = self.map_size(size);
        let Scratch { workspace, fine, .. } = scratch;
        let features = self.body.features(weights, stages, 0, fine);
        let features = Planes::new(features, self.hidden.convolution.inputs, width, height);
        self.hidden.forward(weights, &features, workspace, &mut hidden[0]);
        let features = self.hidden.output(weights, &hidden[0], fine);
        let features = Planes::new(features, self.maps.inputs, width, height);
        self.maps.forward(weights, &features, workspace, out);
    }

    /// Computes the pass's gradient with respect to the weights, given that of the maps.
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        size: (usize, usize),
        pass: &mut Pass,
        scratch: &mut Scratch,
        maps: &[f32],
    ) {
        pass.clear_gradient(weights.values.len());
        let Pass { kept, gradient } = pass;
        let (stages, hidden) = kept.split_at(self.body.len());
        let (width, height) = self.map_size(size);
        let Scratch { workspace, fine, back, levels, .. } = scratch;
        // Coarser levels have no maps: their gradients come from the finer ones.
        levels.resize_with(self.body.up.len() + 1, Vec::new);
        levels.iter_mut().for_each(Vec::clear);
        let features = self.hidden.output(weights, &hidden[0], fine);
        let features = Planes::new(features, self.maps.inputs, width, height);
        self.maps.backward(weights, &features, maps, gradient, workspace, Some(back));
        let features = self.body.features(weights, stages, 0, fine);
        let features = Planes::new(features, self.hidden.convolution.inputs, width, height);
        let own = &mut levels[0];
        self.hidden.backward(weights, &features, &hidden[0], back, gradient, workspace, Some(own));
        self.body.backward(weights, image, size, stages, gradient, scratch);
    }

    /// Width and height of the maps of an image.
    pub(crate) fn map_size(&self, (width, height): (usize, usize)) -> (usize, usize) {
        (width >> self.body.finest, height >> self.body.finest)
    }
}

/// Index of the maps' stride among the encoder's.
pub(crate) fn level(config: &LandmarkConfig) -> usize {
    STRIDES.iter().position(|stride| *stride == config.model.stride).unwrap_or(0)
}
