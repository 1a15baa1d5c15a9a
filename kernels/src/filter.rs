//! 3 x 3 convolution by the faster algorithm for its size.

use std::sync::OnceLock;

use crate::conv::{self, Packed, Padded};
use crate::planes::Planes;
use crate::winograd::{self, Weights, Workspace};

/// Weights of a 3 x 3 convolution of stride 1 and zero padding 1, without bias. They are packed for an algorithm on its first use.
#[derive(Debug)]
pub struct Filter {
    weight: Vec<f32>,
    outputs: usize,
    inputs: usize,
    direct: OnceLock<Packed>,
    winograd: OnceLock<Weights>,
}

impl Filter {
    /// Weights `[outputs, inputs, 3, 3]` of the forward pass.
    pub fn forward(weight: Vec<f32>, outputs: usize, inputs: usize) -> Self {
        Self { weight, outputs, inputs, direct: OnceLock::new(), winograd: OnceLock::new() }
    }

    /// The transposed weights, rotated by 180 degrees, for the gradient with respect to the input.
    pub fn backward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut turned = Vec::with_capacity(weight.len());
        for i in 0..inputs {
            for kernel in weight.chunks_exact(9).skip(i).step_by(inputs) {
                turned.extend(kernel.iter().rev());
            }
        }
        Self::forward(turned, inputs, outputs)
    }

    /// Convolution: `out[o] = sum over inputs of input[i] * weight[o, i]`; `out` is `outputs x height x width`. See [`prefers_winograd`].
    pub fn convolve(&self, input: &Planes<'_>, workspace: &mut Workspace, out: &mut [f32]) {
        let Self { weight, outputs, inputs, .. } = self;
        let (width, height) = input.size();
        if prefers_winograd(*inputs, *outputs, width, height) {
            let weights = self.winograd.get_or_init(|| Weights::forward(weight, *outputs, *inputs));
            winograd::convolve(input, weights, workspace, out);
        } else {
            let weights = self.direct.get_or_init(|| Packed::forward(weight, *outputs, *inputs));
            conv::convolve(&Padded::from(input), weights, out);
        }
    }
}

/// Whether Winograd filtering is faster than direct summation.
///
/// Its transforms pay off when shared by many channels, with enough tiles to fill vectors: from 32 pairs of channels, 4 tiles and 2048 of
/// both together on. Measured on one core of an AMD EPYC (Zen 3, AVX2) with 1 to 64 channels and 1 x 1 to 200 x 100 pixels; near the
/// threshold, either takes up to 1.3 times as long as the other.
pub fn prefers_winograd(inputs: usize, outputs: usize, width: usize, height: usize) -> bool {
    let (pairs, tiles) = (inputs * outputs, width.div_ceil(4) * height.div_ceil(4));
    width.min(height) >= 4 && pairs >= 32 && tiles >= 4 && pairs * tiles >= 2048
}

/// Gradient with respect to the weights: adds `sum over pixels of grad[o] * input[i]`, shifted by each tap, to `out`,
/// `[outputs, inputs, 3, 3]`; `grad` is `outputs x height x width`.
pub fn weight_gradient(
    input: &Planes<'_>,
    grad: &[f32],
    outputs: usize,
    workspace: &mut Workspace,
    out: &mut [f32],
) {
    let (width, height) = input.size();
    if gradient_prefers_winograd(input.channels, outputs, width, height) {
        winograd::weight_gradient(input, grad, outputs, workspace, out);
    } else {
        let grad = Padded::new(grad, outputs, width, height);
        conv::weight_gradient(&Padded::from(input), &grad, out);
    }
}

/// Whether Winograd filtering is faster for the gradient with respect to the weights: from 16 channels on each side, 4 tiles and
/// 4096 triples of them on. Measured as for [`prefers_winograd`], with 4 to 128 channels and 4 x 4 to 200 x 100 pixels.
fn gradient_prefers_winograd(inputs: usize, outputs: usize, width: usize, height: usize) -> bool {
    let tiles = width.div_ceil(4) * height.div_ceil(4);
    width.min(height) >= 4 && inputs.min(outputs) >= 16 && tiles >= 4 && inputs * outputs * tiles >= 4096
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, naive_convolution, noise};

    #[test]
    fn both_routines_give_the_naive_sum() {
        let mut workspace = Workspace::default();
        for (ci, co, w, h) in [(2, 3, 9, 7), (8, 8, 33, 21), (16, 20, 12, 15)] {
            let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
            let mut out = vec![f32::NAN; co * w * h];
            let filter = Filter::forward(weight.clone(), co, ci);
            filter.convolve(&Planes::new(&input, ci, w, h), &mut workspace, &mut out);
            close(&out, &naive_convolution(&input, &weight, (ci, co, w, h)), 5e-5);
            let mut dx = vec![f32::NAN; ci * w * h];
            let grad = noise(co * w * h, 3);
            let turned = Filter::backward(&weight, co, ci);
            turned.convolve(&Planes::new(&grad, co, w, h), &mut workspace, &mut dx);
            let mut expected = vec![f32::NAN; ci * w * h];
            conv::convolve(&Padded::new(&grad, co, w, h), &Packed::backward(&weight, co, ci), &mut expected);
            close(&dx, &expected.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), 5e-5);
            let (mut dw, mut expected) = (vec![0.0; weight.len()], vec![0.0; weight.len()]);
            weight_gradient(&Planes::new(&input, ci, w, h), &grad, co, &mut workspace, &mut dw);
            let padded = Padded::new(&grad, co, w, h);
            conv::weight_gradient(&Padded::new(&input, ci, w, h), &padded, &mut expected);
            close(&dw, &expected.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), 5e-5);
        }
    }
}
