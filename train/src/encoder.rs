//! The encoder: a U-Net whose levels give embeddings at strides 2 to 32.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use infomark_core::Rng;

use crate::{TrainConfig, ops};

/// Channel groups of a normalisation.
pub(crate) const GROUPS: usize = 8;
/// Strides of the embeddings, finest first.
pub(crate) const STRIDES: [usize; 5] = [2, 4, 8, 16, 32];

/// Convolution, group normalisation, ReLU.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) weight: Param<Tensor<4>>,
    pub(crate) gamma: Param<Tensor<1>>,
    pub(crate) beta: Param<Tensor<1>>,
}

impl Layer {
    pub(crate) fn new(inputs: usize, outputs: usize, rng: &mut Rng, device: &Device) -> Self {
        Self {
            // He et al., Delving deep into rectifiers (2015): variance 2 / fan-in
            weight: random([outputs, inputs, 3, 3], (2.0 / (9.0 * inputs as f32)).sqrt(), rng, device),
            gamma: param(Tensor::ones([outputs], device), rng),
            beta: param(Tensor::zeros([outputs], device), rng),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        ops::norm_relu(ops::conv3x3(x, self.weight.val()), self.gamma.val(), self.beta.val(), GROUPS)
    }
}

/// A level's projection to embeddings.
#[derive(Module, Debug)]
pub(crate) struct Head {
    pub(crate) weight: Param<Tensor<2>>,
    pub(crate) bias: Param<Tensor<1>>,
}

impl Head {
    fn new(inputs: usize, outputs: usize, rng: &mut Rng, device: &Device) -> Self {
        Self {
            weight: random([outputs, inputs], (1.0 / inputs as f32).sqrt(), rng, device),
            bias: param(Tensor::zeros([outputs], device), rng),
        }
    }
}

/// U-Net over the image with its 2 x 2 pixels as channels; see [`Encoder::forward`].
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    pub(crate) down: Vec<[Layer; 2]>,
    pub(crate) up: Vec<[Layer; 2]>,
    pub(crate) heads: Vec<Head>,
}

impl Encoder {
    /// Random weights of the encoder that a configuration describes.
    pub(crate) fn new(config: &TrainConfig, device: &Device) -> Self {
        Self::drawn(config, &mut Rng::new(config.seed, crate::stream::WEIGHTS), device)
    }

    fn drawn(config: &TrainConfig, rng: &mut Rng, device: &Device) -> Self {
        let TrainConfig { widths, embedding, .. } = *config;
        let mut inputs = 4;
        let mut down = Vec::new();
        for width in widths {
            down.push([Layer::new(inputs, width, rng, device), Layer::new(width, width, rng, device)]);
            inputs = width;
        }
        let up = (0..4)
            .map(|i| {
                let (fine, coarse) = (widths[i], widths[i + 1]);
                [Layer::new(fine + coarse, fine, rng, device), Layer::new(fine, fine, rng, device)]
            })
            .collect();
        let heads = widths.iter().map(|&width| Head::new(width, embedding, rng, device)).collect();
        Self { down, up, heads }
    }

    /// Embeddings of length one at [`STRIDES`], `[batch, embedding, height / stride, width / stride]` each.
    ///
    /// `x` is the image unshuffled to `[batch, 4, height / 2, width / 2]` (see [`unshuffle`]); height and width are
    /// multiples of 32.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let levels = self.levels(x, 0).into_iter().zip(&self.heads);
        levels.map(|(x, head)| ops::embed(x, head.weight.val(), head.bias.val())).collect()
    }

    /// What the embeddings are made of, from the level `finest` (its place among [`STRIDES`]) on: `[batch, width of the
    /// level, height / stride, width / stride]` each. Finer levels of the way up are not computed.
    pub(crate) fn levels(&self, x: Tensor<4>, finest: usize) -> Vec<Tensor<4>> {
        let mut fine = Vec::with_capacity(5);
        let mut x = x;
        for (level, [a, b]) in self.down.iter().enumerate() {
            if level > 0 {
                x = ops::max_pool(x);
            }
            x = b.forward(a.forward(x));
            fine.push(x.clone());
        }
        fine.pop();
        let mut out = vec![x.clone()];
        for ([a, b], fine) in self.up.iter().zip(fine).skip(finest).rev() {
            x = b.forward(a.forward(ops::join(fine, x)));
            out.push(x.clone());
        }
        out.reverse();
        out
    }
}

/// What is trained: one encoder of images and views alike, or one of each.
#[derive(Module, Debug)]
pub(crate) struct Encoders {
    each: Vec<Encoder>,
}

impl Encoders {
    /// Random weights; the images' encoder has those of [`Encoder::new`].
    pub(crate) fn new(config: &TrainConfig, device: &Device) -> Self {
        let mut each = vec![Encoder::new(config, device)];
        if config.separate_encoders {
            let rng = &mut Rng::new(config.seed, crate::stream::WEIGHTS + 1);
            each.push(Encoder::drawn(config, rng, device));
        }
        Self { each }
    }

    /// The images' encoder, which is exported: images and templates are what it is for.
    pub(crate) fn image(&self) -> &Encoder {
        &self.each[0]
    }

    /// The views' encoder.
    pub(crate) fn view(&self) -> &Encoder {
        &self.each[self.each.len() - 1]
    }
}

/// Pixels of each 2 x 2 block as four channels (in reading order) of an image of half the size.
pub(crate) fn unshuffle(pixels: &[f32], width: usize, out: &mut [f32]) {
    let quarter = pixels.len() / 4;
    for (y, row) in pixels.chunks_exact(width).enumerate() {
        for (x, &value) in row.iter().enumerate() {
            out[((y % 2) * 2 + x % 2) * quarter + (y / 2) * (width / 2) + x / 2] = value;
        }
    }
}

/// The image that [`unshuffle`] made `blocks` of.
pub(crate) fn shuffle(blocks: &[f32], width: usize, out: &mut [f32]) {
    let quarter = blocks.len() / 4;
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = blocks[((y % 2) * 2 + x % 2) * quarter + (y / 2) * (width / 2) + x / 2];
        }
    }
}

pub(crate) fn random<const D: usize>(
    shape: [usize; D],
    deviation: f32,
    rng: &mut Rng,
    device: &Device,
) -> Param<Tensor<D>> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal::<f32>() * deviation).collect();
    param(Tensor::from_data(TensorData::new(values, shape), device), rng)
}

/// A trained tensor. Its name is drawn from the seed, so that a checkpoint fits the encoder of a later process.
pub(crate) fn param<const D: usize>(value: Tensor<D>, rng: &mut Rng) -> Param<Tensor<D>> {
    Param::initialized(ParamId::from(rng.next_u64()), value.require_grad())
}

/// The tensors' values in the order of the module's fields.
pub(crate) fn values<M: Module>(module: &M) -> Vec<Vec<f32>> {
    struct Collect(Vec<Vec<f32>>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(host(&param.val()));
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

/// The module with other values, in the order of [`values`].
pub(crate) fn with_values<M: Module>(module: M, values: &[Vec<f32>]) -> M {
    struct Replace<'a>(std::slice::Iter<'a, Vec<f32>>);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let shape: [usize; D] = tensor.dims();
            let values = self.0.next().cloned().unwrap_or_default();
            let tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device()).require_grad();
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    module.map(&mut Replace(values.iter()))
}

/// A tensor's values, row-major.
pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec::<f32>().unwrap_or_default()
}
