//! The layers by burn's own operations, whose gradients burn knows on every device.
//!
//! They run where the network does on a GPU. On the CPU they give the results of the layers that are made for it but for rounding, and are
//! held against those there. Maxima that are equal to the bit are the exception: which of them the gradient goes to is up to the device. In
//! the network they come after a ReLU, and equal zeros pass no gradient on.

use burn::tensor::module::{conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation};
use infomark_kernels::{head, norm};

pub(super) fn conv3x3(x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
    conv2d(x, weight, None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1))
}

pub(super) fn norm_relu(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize) -> Tensor<4> {
    let shape @ [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, groups, channels / groups * height * width]);
    let centred = x.clone() - x.mean_dim(2);
    let deviation = centred.clone().square().mean_dim(2).add_scalar(norm::EPSILON).sqrt();
    let x = (centred / deviation).reshape(shape);
    let of_channel = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
    activation::relu(x * of_channel(gamma) + of_channel(beta))
}

pub(super) fn max_pool(x: Tensor<4>) -> Tensor<4> {
    max_pool2d(x, MaxPoolOptions::new([2, 2]))
}

pub(super) fn join(fine: Tensor<4>, coarse: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = fine.dims();
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([height, width]);
    Tensor::cat(vec![fine, interpolate(coarse, options)], 1)
}

pub(super) fn embed(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<4> {
    let [outputs, inputs] = weight.dims();
    let weight = weight.reshape([outputs, inputs, 1, 1]);
    let y = conv2d(x, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
    let length = y.clone().square().sum_dim(1).add_scalar(head::EPSILON).sqrt();
    y / length
}

pub(super) fn dot(x: Tensor<4>, factors: Tensor<4>) -> Tensor<1> {
    (x * factors).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::host;
    use crate::ops;
    use crate::testing::noise;
    use burn::tensor::{Device, TensorData};

    /// Values and gradients, relative to the largest of the layer's own: both round `f32`, in another order of sums.
    const TOLERANCE: f32 = 2e-5;

    fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(noise(shape.iter().product(), seed), shape), device)
    }

    #[track_caller]
    fn close(what: &str, found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len(), "{what}");
        let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
        assert!(largest > 0.0 && off <= TOLERANCE * largest, "{what}: off by {off} of {largest}");
    }

    /// Both versions of a layer, as functions of one of its inputs, give the same values and gradients by it.
    #[track_caller]
    fn same<const D: usize>(
        what: &str,
        input: &Tensor<D>,
        layer: impl Fn(Tensor<D>) -> Tensor<4>,
        generic: impl Fn(Tensor<D>) -> Tensor<4>,
    ) {
        let passes = |f: &dyn Fn(Tensor<D>) -> Tensor<4>, generic: bool| {
            let x = input.clone().detach().require_grad();
            let y = f(x.clone());
            let factors = tensor(y.dims(), 99, &y.device());
            let values = host(&y.clone().inner());
            let product = if generic { dot(y, factors) } else { ops::dot(y, factors) };
            let value = host(&product.clone().inner());
            let grads = product.backward();
            (values, value, x.grad(&grads).map(|grad| host(&grad)).unwrap_or_default())
        };
        let (expected, found) = (passes(&layer, false), passes(&generic, true));
        close(&format!("values of {what}"), &found.0, &expected.0);
        close(&format!("product of {what}"), &found.1, &expected.1);
        close(&format!("gradient of {what}"), &found.2, &expected.2);
    }

    #[test]
    fn generic_layers_have_the_values_and_gradients_of_the_cpus() {
        let d = &Device::flex().autodiff();
        let (x, w) = (tensor([2, 3, 6, 10], 1, d), tensor([4, 3, 3, 3], 2, d));
        same("conv3x3 by x", &x, |x| ops::conv3x3(x, w.clone()), |x| conv3x3(x, w.clone()));
        same("conv3x3 by weight", &w, |w| ops::conv3x3(x.clone(), w), |w| conv3x3(x.clone(), w));

        // Groups far from zero mean, and one that is hardly anything but the constant that is added to the variance.
        let scale = tensor([1, 16, 1, 1], 9, d) * 1.5 + 1.6;
        let x = tensor([2, 16, 12, 10], 3, d) * scale.clone() + scale;
        let x = x.slice_assign([0..1, 0..2, 0..12, 0..10], tensor([1, 2, 12, 10], 10, d) * 1e-3);
        let (gamma, beta) = (tensor([16], 4, d), tensor([16], 5, d));
        same(
            "norm_relu by x",
            &x,
            |x| ops::norm_relu(x, gamma.clone(), beta.clone(), 8),
            |x| norm_relu(x, gamma.clone(), beta.clone(), 8),
        );
        same(
            "norm_relu by gamma",
            &gamma,
            |gamma| ops::norm_relu(x.clone(), gamma, beta.clone(), 8),
            |gamma| norm_relu(x.clone(), gamma, beta.clone(), 8),
        );
        same(
            "norm_relu by beta",
            &beta,
            |beta| ops::norm_relu(x.clone(), gamma.clone(), beta, 8),
            |beta| norm_relu(x.clone(), gamma.clone(), beta, 8),
        );

        same("max_pool", &x, ops::max_pool, max_pool);
        let (fine, coarse) = (tensor([2, 5, 6, 10], 6, d), tensor([2, 3, 3, 5], 7, d));
        same("join by fine", &fine, |x| ops::join(x, coarse.clone()), |x| join(x, coarse.clone()));
        same("join by coarse", &coarse, |x| ops::join(fine.clone(), x), |x| join(fine.clone(), x));

        let (x, w, b) = (tensor([2, 8, 6, 10], 11, d), tensor([5, 8], 12, d), tensor([5], 13, d));
        same("embed by x", &x, |x| ops::embed(x, w.clone(), b.clone()), |x| embed(x, w.clone(), b.clone()));
        same(
            "embed by weight",
            &w,
            |w| ops::embed(x.clone(), w, b.clone()),
            |w| embed(x.clone(), w, b.clone()),
        );
        same(
            "embed by bias",
            &b,
            |b| ops::embed(x.clone(), w.clone(), b),
            |b| embed(x.clone(), w.clone(), b),
        );
    }
}
