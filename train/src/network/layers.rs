//! Layers: a 3 x 3 convolution, alone or with normalisation and ReLU, and the embedding head.

use std::ops::Range;

use infomark_core::Rng;
use infomark_kernels::filter::{Filter, weight_gradient};
use infomark_kernels::head;
use infomark_kernels::norm::{self, Moments};
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::Workspace;

use super::{GROUPS, Parameters, sized};

/// 3 x 3 convolution, stride 1, zero padding 1, without bias; its weights are `[outputs, inputs, 3, 3]`.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weight: Range<usize>,
    /// Index among the network's convolutions.
    place: usize,
}

impl Convolution {
    /// A convolution with normally distributed weights.
    pub(crate) fn new(
        name: &str,
        place: usize,
        [inputs, outputs]: [usize; 2],
        deviation: f32,
        (parameters, rng): (&mut Parameters, &mut Rng),
    ) -> Self {
        let weight = parameters.normal(format!("{name}.weight"), &[outputs, inputs, 3, 3], deviation, rng);
        Self { inputs, outputs, weight, place }
    }

    /// Computes `outputs` planes of the input's size.
    pub(crate) fn forward(
        &self,
        weights: &Weights<'_>,
        input: &Planes<'_>,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) {
        weights.filters[self.place][0].convolve(input, workspace, out);
    }

    /// Adds the gradient with respect to the weights to `gradient`, and writes that with respect to the input if requested. `back` is the
    /// gradient of the output.
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        input: &Planes<'_>,
        back: &[f32],
        gradient: &mut [f32],
        workspace: &mut Workspace,
        wanted: Option<&mut Vec<f32>>,
    ) {
        let (width, height) = input.size();
        if let Some(out) = wanted {
            let back = Planes::new(back, self.outputs, width, height);
            let out = sized(out, self.inputs * width * height);
            weights.filters[self.place][1].convolve(&back, workspace, out);
        }
        weight_gradient(input, back, self.outputs, workspace, &mut gradient[self.weight.clone()]);
    }
}

/// The network's weights during a step, those of convolutions also in the kernels' layout.
pub(crate) struct Weights<'a> {
    pub(crate) values: &'a [f32],
    /// Filters of each convolution: for the forward pass and for the gradient with respect to the input.
    filters: Vec<[Filter; 2]>,
}

impl<'a> Weights<'a> {
    /// The weights of a network with these convolutions, in order.
    pub(crate) fn new<'c>(values: &'a [f32], convolutions: impl Iterator<Item = &'c Convolution>) -> Self {
        let filters = convolutions.map(|convolution| {
            let Convolution { inputs, outputs, weight, .. } = convolution;
            let weight = &values[weight.clone()];
            [Filter::forward(weight.to_vec(), *outputs, *inputs), Filter::backward(weight, *outputs, *inputs)]
        });
        Self { values, filters: filters.collect() }
    }
}

/// Activations that a [`Layer`] keeps for its backward pass.
#[derive(Default)]
pub(crate) struct Kept {
    /// Result of the convolution.
    convolved: Vec<f32>,
    moments: [Moments; GROUPS],
}

/// Convolution, group normalisation, ReLU.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) convolution: Convolution,
    /// Scale of each channel.
    pub(crate) gamma: Range<usize>,
    /// Shift of each channel; follows the scale.
    pub(crate) beta: Range<usize>,
}

impl Layer {
    /// A layer with initial weights (He et al., *Delving deep into rectifiers*, ICCV 2015: variance 2 / fan-in).
    pub(crate) fn new(
        name: &str,
        place: usize,
        [inputs, outputs]: [usize; 2],
        (parameters, rng): (&mut Parameters, &mut Rng),
    ) -> Self {
        let deviation = (2.0 / (9.0 * inputs as f32)).sqrt();
        let convolution = Convolution::new(name, place, [inputs, outputs], deviation, (parameters, rng));
        let gamma = parameters.constant(format!("{name}.gamma"), outputs, 1.0, rng);
        let beta = parameters.constant(format!("{name}.beta"), outputs, 0.0, rng);
        Self { convolution, gamma, beta }
    }

    /// Number of output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.convolution.outputs
    }

    /// Computes the activations to keep; [`output`](Self::output) computes the result from them.
    pub(crate) fn forward(
        &self,
        weights: &Weights<'_>,
        input: &Planes<'_>,
        workspace: &mut Workspace,
        kept: &mut Kept,
    ) {
        let (width, height) = input.size();
        let out = sized(&mut kept.convolved, self.outputs() * width * height);
        self.convolution.forward(weights, input, workspace, out);
        norm::moments(&kept.convolved, &mut kept.moments);
    }

    /// The layer's result.
    pub(crate) fn output<'o>(&self, weights: &Weights<'_>, kept: &Kept, out: &'o mut Vec<f32>) -> &'o [f32] {
        let out = sized(out, kept.convolved.len());
        let (gamma, beta) = (&weights.values[self.gamma.clone()], &weights.values[self.beta.clone()]);
        norm::forward(&kept.convolved, &kept.moments, gamma, beta, out);
        out
    }

    /// Adds the gradient with respect to the layer's weights to `gradient`, and writes that with respect to the input if requested. `back` is
    /// the gradient of the result, and is overwritten.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        input: &Planes<'_>,
        kept: &Kept,
        back: &mut [f32],
        gradient: &mut [f32],
        workspace: &mut Workspace,
        wanted: Option<&mut Vec<f32>>,
    ) {
        let (gamma, beta) = (&weights.values[self.gamma.clone()], &weights.values[self.beta.clone()]);
        let (dgamma, dbeta) = gradient[self.gamma.start..self.beta.end].split_at_mut(self.gamma.len());
        norm::backward(&kept.convolved, &kept.moments, gamma, beta, back, dgamma, dbeta);
        self.convolution.backward(weights, input, back, gradient, workspace, wanted);
    }
}

/// Embedding head of a level: 1 x 1 convolution with bias, then normalisation of each pixel's vector to length 1.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Weights, `[outputs, inputs]`.
    pub(crate) weight: Range<usize>,
    /// Bias, after the weights.
    pub(crate) bias: Range<usize>,
}

impl Head {
    /// A head with weights of variance 1 / fan-in.
    pub(crate) fn new(
        name: &str,
        [inputs, outputs]: [usize; 2],
        (parameters, rng): (&mut Parameters, &mut Rng),
    ) -> Self {
        let deviation = (1.0 / inputs as f32).sqrt();
        let weight = parameters.normal(format!("{name}.weight"), &[outputs, inputs], deviation, rng);
        let bias = parameters.constant(format!("{name}.bias"), outputs, 0.0, rng);
        Self { inputs, outputs, weight, bias }
    }

    fn shape(&self, x: &[f32]) -> head::HeadShape {
        head::HeadShape { inputs: self.inputs, outputs: self.outputs, area: x.len() / self.inputs }
    }

    /// Computes the embeddings of the features `x`.
    pub(crate) fn forward(&self, weights: &Weights<'_>, x: &[f32], out: &mut [f32]) {
        let (weight, bias) = (&weights.values[self.weight.clone()], &weights.values[self.bias.clone()]);
        head::forward(x, weight, bias, self.shape(x), out);
    }

    /// Adds the gradient with respect to the head's weights to `gradient`, and writes that with respect to `x`. `back` is that of the embeddings.
    pub(crate) fn backward(
        &self,
        weights: &Weights<'_>,
        x: &[f32],
        back: &[f32],
        gradient: &mut [f32],
        out: &mut Vec<f32>,
    ) {
        let (weight, bias) = (&weights.values[self.weight.clone()], &weights.values[self.bias.clone()]);
        let (dweight, dbias) = gradient[self.weight.start..self.bias.end].split_at_mut(self.weight.len());
        head::backward(x, weight, bias, self.shape(x), back, sized(out, x.len()), dweight, dbias);
    }
}
