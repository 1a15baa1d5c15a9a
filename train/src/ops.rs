//! The encoder's layers as differentiable burn operations.
//!
//! burn's modules, autodiff, optimiser and records carry the training; its CPU convolutions and their gradients take most
//! of a step, so the six layers below are [backend extensions](burn::backend::backend_extension) whose CPU
//! implementation is in [`infomark_kernels`]. Images of a batch go to threads; whatever is summed over images is
//! summed in their order, so results don't depend on the number of threads. Tensors of any other device go through burn's
//! own operations ([`generic`]).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor};

mod autodiff;
pub(crate) mod cpu;
mod generic;

/// Layers that the encoder is made of. Tensors are `[batch, channels, height, width]`.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait EncoderOps: Backend {
    /// 3 x 3 convolution, stride 1, zero padding 1; `weight` is `[outputs, inputs, 3, 3]`.
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Group normalisation with scale `gamma` and shift `beta` per channel, then ReLU.
    fn norm_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
    ) -> FloatTensor<Self>;
    /// Maximum over 2 x 2 blocks.
    fn max_pool(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `fine`'s channels, followed by those of `coarse` with every pixel repeated 2 x 2.
    fn join(fine: FloatTensor<Self>, coarse: FloatTensor<Self>) -> FloatTensor<Self>;
    /// 1 x 1 convolution with `weight` `[outputs, inputs]` and `bias`, then each pixel's vector scaled to length one.
    fn embed(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Sum of the products of `x` and the constant `factors`, `[1]`: its gradient by `x` is `factors`.
    fn dot(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl EncoderOps for Flex {
    fn conv3x3(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        cpu::conv3x3(&x, &weight)
    }

    fn norm_relu(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
    ) -> FloatTensor<Self> {
        cpu::norm_relu(&x, &gamma, &beta, groups)
    }

    fn max_pool(x: FloatTensor<Self>) -> FloatTensor<Self> {
        cpu::max_pool(&x)
    }

    fn join(fine: FloatTensor<Self>, coarse: FloatTensor<Self>) -> FloatTensor<Self> {
        cpu::join(&fine, &coarse)
    }

    fn embed(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        cpu::embed(&x, &weight, &bias)
    }

    fn dot(x: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self> {
        cpu::dot(&x, &factors)
    }
}

/// Whether a tensor is where the extensions are.
fn on_cpu(x: &Tensor<4>) -> bool {
    x.device() == Device::flex()
}

/// See [`EncoderOps::conv3x3`].
pub(crate) fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    if !on_cpu(&x) {
        return generic::conv3x3(x, weight);
    }
    Tensor::from_dispatch(<Dispatch as EncoderOps>::conv3x3(x.into_dispatch(), weight.into_dispatch()))
}

/// See [`EncoderOps::norm_relu`].
pub(crate) fn norm_relu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    if !on_cpu(&x) {
        return generic::norm_relu(x, gamma, beta, groups);
    }
    let (gamma, beta) = (gamma.into_dispatch(), beta.into_dispatch());
    Tensor::from_dispatch(<Dispatch as EncoderOps>::norm_relu(x.into_dispatch(), gamma, beta, groups))
}

/// See [`EncoderOps::max_pool`].
pub(crate) fn max_pool(x: Tensor<4>) -> Tensor<4> {
    if !on_cpu(&x) {
        return generic::max_pool(x);
    }
    Tensor::from_dispatch(<Dispatch as EncoderOps>::max_pool(x.into_dispatch()))
}

/// See [`EncoderOps::join`].
pub(crate) fn join(fine: Tensor<4>, coarse: Tensor<4>) -> Tensor<4> {
    if !on_cpu(&fine) {
        return generic::join(fine, coarse);
    }
    Tensor::from_dispatch(<Dispatch as EncoderOps>::join(fine.into_dispatch(), coarse.into_dispatch()))
}

/// See [`EncoderOps::embed`].
pub(crate) fn embed(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    if !on_cpu(&x) {
        return generic::embed(x, weight, bias);
    }
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as EncoderOps>::embed(x.into_dispatch(), weight, bias))
}

/// See [`EncoderOps::dot`].
pub(crate) fn dot(x: Tensor<4>, factors: Tensor<4>) -> Tensor<1> {
    if !on_cpu(&x) {
        return generic::dot(x, factors);
    }
    Tensor::from_dispatch(<Dispatch as EncoderOps>::dot(x.into_dispatch(), factors.into_dispatch()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use burn::tensor::TensorData;

    fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(noise(shape.iter().product(), seed), shape), device)
    }

    fn nudged<const D: usize>(x: &Tensor<D>, at: usize, by: f32) -> Tensor<D> {
        let mut values = crate::encoder::host(x);
        values[at] += by;
        Tensor::from_data(TensorData::new(values, x.dims()), &x.device())
    }

    /// Compares the gradient of `<f(x), noise>` with central differences, at a few places.
    fn check<const D: usize>(x: Tensor<D>, f: impl Fn(Tensor<D>) -> Tensor<4>) {
        let x = x.require_grad();
        let y = f(x.clone());
        let factors = tensor(y.dims(), 99, &y.device());
        let value = |x: Tensor<D>| {
            let y = crate::encoder::host(&f(x));
            y.iter()
                .zip(crate::encoder::host(&factors))
                .map(|(a, b)| f64::from(*a) * f64::from(b))
                .sum::<f64>()
        };
        let grads = dot(y, factors.clone()).backward();
        let grad = x.grad(&grads).map(|g| crate::encoder::host(&g)).unwrap_or_default();
        let len = grad.len();
        assert!(len > 0, "the input has a gradient");
        let step = 1e-3;
        for at in (0..len).step_by(len.div_ceil(12)) {
            let slope =
                (value(nudged(&x, at, step)) - value(nudged(&x, at, -step))) / (2.0 * f64::from(step));
            let found = f64::from(grad[at]);
            assert!(
                (found - slope).abs() < 2e-2 * (1.0 + slope.abs()),
                "element {at}: {found} is not {slope}"
            );
        }
    }

    #[test]
    fn gradients_of_every_layer_equal_central_differences() {
        let d = &Device::flex().autodiff();
        let (x, w) = (tensor([2, 3, 5, 6], 1, d), tensor([4, 3, 3, 3], 2, d));
        check(x.clone(), |x| conv3x3(x, w.clone()));
        check(w.clone(), |w| conv3x3(x.clone(), w));
        let (x, gamma, beta) = (tensor([2, 8, 4, 6], 3, d), tensor([8], 4, d), tensor([8], 5, d));
        check(x.clone(), |x| norm_relu(x, gamma.clone(), beta.clone(), 4));
        check(gamma.clone(), |gamma| norm_relu(x.clone(), gamma, beta.clone(), 4));
        check(beta.clone(), |beta| norm_relu(x.clone(), gamma.clone(), beta, 4));
        check(x.clone(), max_pool);
        let coarse = tensor([2, 3, 2, 3], 6, d);
        check(x.clone(), |x| join(x, coarse.clone()));
        check(coarse, |coarse| join(x.clone(), coarse));
        let (w, b) = (tensor([5, 8], 7, d), tensor([5], 8, d));
        check(x.clone(), |x| embed(x, w.clone(), b.clone()));
        check(w.clone(), |w| embed(x.clone(), w, b.clone()));
        check(b, |b| embed(x.clone(), w.clone(), b));
    }

    #[test]
    fn normalisation_has_mean_zero_and_variance_one_before_scale_shift_and_relu() {
        let d = &Device::flex();
        let x = tensor([1, 4, 9, 7], 1, d) * 3.0 + 5.0;
        // relu(v) - relu(-v) = v
        let (one, zero) = (Tensor::ones([4], d), Tensor::zeros([4], d));
        let up = crate::encoder::host(&norm_relu(x.clone(), one.clone(), zero.clone(), 2));
        let down = crate::encoder::host(&norm_relu(x, one.neg(), zero, 2));
        for group in up.iter().zip(&down).map(|(u, d)| f64::from(u - d)).collect::<Vec<_>>().chunks(2 * 63) {
            let mean = group.iter().sum::<f64>() / group.len() as f64;
            let variance = group.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / group.len() as f64;
            assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-3, "mean {mean}, variance {variance}");
        }
    }
}
