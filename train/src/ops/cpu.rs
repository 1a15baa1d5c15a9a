//! The layers over batches: one image a task, sums over images in their order.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;
use rayon::prelude::*;

use infomark_kernels::conv::{Packed, Padded, convolve, weight_gradient};
use infomark_kernels::{head, norm, resample};

/// A tensor's values, row-major.
fn values(tensor: &FlexTensor) -> std::borrow::Cow<'_, [f32]> {
    match tensor.as_slice::<f32>() {
        Some(slice) => slice.into(),
        None => tensor.to_contiguous().as_slice::<f32>().unwrap_or_default().to_vec().into(),
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.shape().dims()
}

/// Element-wise sum of the images' contributions, in the images' order.
fn total(parts: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut sum = vec![0.0; len];
    for part in &parts {
        for (s, p) in sum.iter_mut().zip(part) {
            *s += p;
        }
    }
    sum
}

pub(super) fn conv3x3(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let ([batch, inputs, height, width], [outputs, ..]) = (dims::<4>(x), dims::<4>(weight));
    let packed = Packed::forward(&values(weight), outputs, inputs);
    let area = height * width;
    let mut out = vec![0.0; batch * outputs * area];
    out.par_chunks_mut(outputs * area).zip(values(x).par_chunks(inputs * area)).for_each(|(out, x)| {
        convolve(&Padded::new(x, inputs, width, height), &packed, out);
    });
    tensor(out, [batch, outputs, height, width])
}

/// Gradients of the input (when it is wanted) and of the weight.
pub(super) fn conv3x3_backward(
    x: &FlexTensor,
    weight: &FlexTensor,
    grad: &FlexTensor,
    input_too: bool,
) -> (Option<FlexTensor>, FlexTensor) {
    let ([batch, inputs, height, width], [outputs, ..]) = (dims::<4>(x), dims::<4>(weight));
    let area = height * width;
    let packed = Packed::backward(&values(weight), outputs, inputs);
    let mut dx = vec![0.0; if input_too { batch * inputs * area } else { 0 }];
    let (x, grad) = (values(x), values(grad));
    let images = x.par_chunks(inputs * area).zip(grad.par_chunks(outputs * area));
    let one = |x: &[f32], grad: &[f32], dx: Option<&mut [f32]>| {
        let grad = Padded::new(grad, outputs, width, height);
        if let Some(dx) = dx {
            convolve(&grad, &packed, dx);
        }
        let mut dw = vec![0.0; outputs * inputs * 9];
        weight_gradient(&Padded::new(x, inputs, width, height), &grad, &mut dw);
        dw
    };
    let parts: Vec<_> = if input_too {
        images.zip(dx.par_chunks_mut(inputs * area)).map(|((x, grad), dx)| one(x, grad, Some(dx))).collect()
    } else {
        images.map(|(x, grad)| one(x, grad, None)).collect()
    };
    let dw = tensor(total(parts, outputs * inputs * 9), [outputs, inputs, 3, 3]);
    (input_too.then(|| tensor(dx, [batch, inputs, height, width])), dw)
}

pub(super) fn norm_relu(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, groups: usize) -> FlexTensor {
    let shape @ [_, channels, height, width] = dims::<4>(x);
    let (gamma, beta, area) = (values(gamma), values(beta), height * width);
    let mut out = vec![0.0; shape.iter().product()];
    out.par_chunks_mut(channels * area)
        .zip(values(x).par_chunks(channels * area))
        .for_each(|(out, x)| norm::forward(x, &gamma, &beta, groups, area, out));
    tensor(out, shape)
}

/// Gradients of input, scale and shift.
pub(super) fn norm_relu_backward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    groups: usize,
    grad: &FlexTensor,
) -> [FlexTensor; 3] {
    let shape @ [_, channels, height, width] = dims::<4>(x);
    let (gamma, beta, area) = (values(gamma), values(beta), height * width);
    let mut dx = vec![0.0; shape.iter().product()];
    let (x, grad) = (values(x), values(grad));
    let size = channels * area;
    let parts: Vec<_> = dx
        .par_chunks_mut(size)
        .zip(x.par_chunks(size).zip(grad.par_chunks(size)))
        .map(|(dx, (x, grad))| {
            let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
            norm::backward(x, &gamma, &beta, groups, area, grad, dx, &mut dgamma, &mut dbeta);
            (dgamma, dbeta)
        })
        .collect();
    let (dgamma, dbeta) = parts.into_iter().unzip();
    [
        tensor(dx, shape),
        tensor(total(dgamma, channels), [channels]),
        tensor(total(dbeta, channels), [channels]),
    ]
}

pub(super) fn max_pool(x: &FlexTensor) -> FlexTensor {
    let [batch, channels, height, width] = dims::<4>(x);
    let mut out = vec![0.0; batch * channels * (height / 2) * (width / 2)];
    out.par_chunks_mut((height / 2) * (width / 2))
        .zip(values(x).par_chunks(height * width))
        .for_each(|(out, x)| resample::max_pool(x, width, out));
    tensor(out, [batch, channels, height / 2, width / 2])
}

pub(super) fn max_pool_backward(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let shape @ [_, _, height, width] = dims::<4>(x);
    let mut dx = vec![0.0; shape.iter().product()];
    dx.par_chunks_mut(height * width)
        .zip(values(x).par_chunks(height * width).zip(values(grad).par_chunks((height / 2) * (width / 2))))
        .for_each(|(dx, (x, grad))| resample::max_pool_backward(x, width, grad, dx));
    tensor(dx, shape)
}

pub(super) fn join(fine: &FlexTensor, coarse: &FlexTensor) -> FlexTensor {
    let ([batch, kept, height, width], [_, added, ..]) = (dims::<4>(fine), dims::<4>(coarse));
    let area = height * width;
    let mut out = vec![0.0; batch * (kept + added) * area];
    out.par_chunks_mut((kept + added) * area)
        .zip(values(fine).par_chunks(kept * area).zip(values(coarse).par_chunks(added * area / 4)))
        .for_each(|(out, (fine, coarse))| {
            let (first, second) = out.split_at_mut(kept * area);
            first.copy_from_slice(fine);
            resample::double(coarse, width / 2, second);
        });
    tensor(out, [batch, kept + added, height, width])
}

/// Gradients of the fine features (`kept` channels) and of the coarse ones.
pub(super) fn join_backward(grad: &FlexTensor, kept: usize) -> [FlexTensor; 2] {
    let [batch, channels, height, width] = dims::<4>(grad);
    let (area, added) = (height * width, channels - kept);
    let mut fine = vec![0.0; batch * kept * area];
    let mut coarse = vec![0.0; batch * added * area / 4];
    fine.par_chunks_mut(kept * area)
        .zip(coarse.par_chunks_mut(added * area / 4).zip(values(grad).par_chunks(channels * area)))
        .for_each(|(fine, (coarse, grad))| {
            let (first, second) = grad.split_at(kept * area);
            fine.copy_from_slice(first);
            resample::double_backward(second, width / 2, coarse);
        });
    [tensor(fine, [batch, kept, height, width]), tensor(coarse, [batch, added, height / 2, width / 2])]
}

pub(super) fn embed(x: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let ([batch, inputs, height, width], [outputs, _]) = (dims::<4>(x), dims::<2>(weight));
    let shape = head::Shape { inputs, outputs, area: height * width };
    let (weight, bias) = (values(weight), values(bias));
    let mut out = vec![0.0; batch * outputs * shape.area];
    out.par_chunks_mut(outputs * shape.area)
        .zip(values(x).par_chunks(inputs * shape.area))
        .for_each(|(out, x)| head::forward(x, &weight, &bias, shape, out));
    tensor(out, [batch, outputs, height, width])
}

/// Gradients of input, weight and bias.
pub(super) fn embed_backward(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: &FlexTensor,
    grad: &FlexTensor,
) -> [FlexTensor; 3] {
    let (full @ [_, inputs, height, width], [outputs, _]) = (dims::<4>(x), dims::<2>(weight));
    let shape = head::Shape { inputs, outputs, area: height * width };
    let (weight, bias) = (values(weight), values(bias));
    let mut dx = vec![0.0; full.iter().product()];
    let (x, grad) = (values(x), values(grad));
    let parts: Vec<_> = dx
        .par_chunks_mut(inputs * shape.area)
        .zip(x.par_chunks(inputs * shape.area).zip(grad.par_chunks(outputs * shape.area)))
        .map(|(dx, (x, grad))| {
            let (mut dweight, mut dbias) = (vec![0.0; outputs * inputs], vec![0.0; outputs]);
            head::backward(x, &weight, &bias, shape, grad, dx, &mut dweight, &mut dbias);
            (dweight, dbias)
        })
        .collect();
    let (dweight, dbias) = parts.into_iter().unzip();
    [
        tensor(dx, full),
        tensor(total(dweight, outputs * inputs), [outputs, inputs]),
        tensor(total(dbias, outputs), [outputs]),
    ]
}

pub(super) fn dot(x: &FlexTensor, factors: &FlexTensor) -> FlexTensor {
    let parts: Vec<f64> = values(x)
        .par_chunks(1 << 16)
        .zip(values(factors).par_chunks(1 << 16))
        .map(|(x, factors)| x.iter().zip(factors).map(|(a, b)| f64::from(a * b)).sum())
        .collect();
    tensor(vec![parts.iter().sum::<f64>() as f32], [1])
}

/// Gradient of [`dot`] by `x`, given that of its result.
pub(super) fn dot_backward(factors: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    match values(grad).first() {
        Some(1.0) => factors.clone(),
        upstream => {
            let upstream = upstream.copied().unwrap_or(0.0);
            tensor(values(factors).iter().map(|f| f * upstream).collect(), dims::<4>(factors))
        }
    }
}
