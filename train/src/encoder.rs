//! Encoder: a U-Net with embeddings at strides 2 to 32.

use infomark_core::Rng;

use crate::network::{Head, Parameters, Pass, STAGES, Scratch, UNet, Weights};
use crate::{ModelConfig, TrainConfig, stream};

/// Strides of the embeddings, finest first.
pub(crate) const STRIDES: [usize; STAGES] = [2, 4, 8, 16, 32];

/// U-Net over the image with its 2 x 2 blocks as channels, and a head per level.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) unet: UNet,
    /// Heads, finest first.
    pub(crate) heads: Vec<Head>,
}

impl Encoder {
    /// The encoder of a configuration, with random weights.
    pub(crate) fn new(config: &TrainConfig) -> (Self, Parameters) {
        let ModelConfig { channels, embedding, .. } = config.model;
        let mut parameters = Parameters::default();
        let rng = &mut Rng::new(config.seed, stream::WEIGHTS);
        let unet = UNet::new("", channels, 0, (&mut parameters, rng));
        let head = |(level, &width): (usize, &usize)| {
            Head::new(&format!("head.{level}"), [width, embedding], (&mut parameters, rng))
        };
        let heads = channels.iter().enumerate().map(head).collect();
        (Self { unet, heads }, parameters)
    }

    /// The weights in the layout of the layers.
    pub(crate) fn weights<'a>(&self, values: &'a [f32]) -> Weights<'a> {
        Weights::new(values, self.unet.convolutions())
    }

    /// Computes the embeddings of length 1 at [`STRIDES`] of one image, `[embedding, height / stride, width / stride]` each, into `out`.
    ///
    /// `image` is [unshuffled](unshuffle) to four planes of `size`: half its width and half its height, which are multiples of 32.
    pub(crate) fn forward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        size: (usize, usize),
        pass: &mut Pass,
        scratch: &mut Scratch,
        out: &mut [&mut [f32]],
    ) {
        pass.prepare(self.unet.len());
        self.unet.forward(weights, image, size, &mut pass.kept, scratch, |level, features| {
            self.heads[level].forward(weights, features, out[level]);
        });
    }

    /// Adds the gradient with respect to the weights to that of the pass, given those of the embeddings, finest first.
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        size: (usize, usize),
        pass: &mut Pass,
        scratch: &mut Scratch,
        embeddings: &[&[f32]],
    ) {
        let Pass { kept, gradient } = pass;
        scratch.levels.resize_with(STAGES, Vec::new);
        for (level, (head, back)) in self.heads.iter().zip(embeddings).enumerate() {
            let features = self.unet.features(weights, kept, level, &mut scratch.fine);
            head.backward(weights, features, back, gradient, &mut scratch.levels[level]);
        }
        self.unet.backward(weights, image, size, kept, gradient, scratch);
    }

    /// The embeddings of [`forward`](Self::forward).
    pub(crate) fn embeddings(
        &self,
        weights: &Weights<'_>,
        image: &[f32],
        (width, height): (usize, usize),
    ) -> Vec<Vec<f32>> {
        let cells = |level: usize| (width >> level) * (height >> level);
        let heads = self.heads.iter().enumerate();
        let mut levels: Vec<Vec<f32>> =
            heads.map(|(level, head)| vec![0.0; head.outputs * cells(level)]).collect();
        let mut out: Vec<&mut [f32]> = levels.iter_mut().map(Vec::as_mut_slice).collect();
        let (pass, scratch) = (&mut Pass::default(), &mut Scratch::default());
        self.forward(weights, image, (width, height), pass, scratch, &mut out);
        levels
    }
}

/// Space to depth: the pixels of each 2 x 2 block as four channels (in reading order) of an image of half the size.
pub(crate) fn unshuffle(pixels: &[f32], width: usize, out: &mut [f32]) {
    let quarter = pixels.len() / 4;
    for (y, row) in pixels.chunks_exact(width).enumerate() {
        for (x, &value) in row.iter().enumerate() {
            out[((y % 2) * 2 + x % 2) * quarter + (y / 2) * (width / 2) + x / 2] = value;
        }
    }
}

/// Inverse of [`unshuffle`].
pub(crate) fn shuffle(blocks: &[f32], width: usize, out: &mut [f32]) {
    let quarter = blocks.len() / 4;
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = blocks[((y % 2) * 2 + x % 2) * quarter + (y / 2) * (width / 2) + x / 2];
        }
    }
}
