//! 3 x 3 convolution, stride 1, zero padding 1, no bias.
//!
//! The inputs are copied once into planes with a border of zeros ([`Padded`]); the inner loops then hold a block of
//! [`BLOCK`] output channels by up to three vectors of pixels in registers and never test for a border.

use pulp::{Arch, Simd, WithSimd};

/// Output channels computed together. Channel counts are rounded up to it with zero weights.
const BLOCK: usize = 4;
/// Vectors of pixels computed together.
const VECTORS: usize = 3;
/// Zeros beside a padded row: one to the left, and room for the widest vector to run over the end.
const SLACK: usize = 18;

/// Planes with one row of zeros above and below and one column to the left and at least one to the right.
pub(crate) struct Padded {
    data: Vec<f32>,
    channels: usize,
    width: usize,
    height: usize,
    pitch: usize,
}

impl Padded {
    pub(crate) fn new(image: &[f32], channels: usize, width: usize, height: usize) -> Self {
        let pitch = width + SLACK;
        let mut data = vec![0.0; channels * (height + 2) * pitch];
        for (plane, source) in
            data.chunks_exact_mut((height + 2) * pitch).zip(image.chunks_exact(width * height))
        {
            let rows = plane.chunks_exact_mut(pitch).skip(1);
            for (row, from) in rows.zip(source.chunks_exact(width)) {
                row[1..=width].copy_from_slice(from);
            }
        }
        Self { data, channels, width, height, pitch }
    }

    /// The `rows` rows of a channel from padded row `y` on.
    fn rows(&self, channel: usize, y: usize, rows: usize) -> &[f32] {
        let start = (channel * (self.height + 2) + y) * self.pitch;
        &self.data[start..start + rows * self.pitch]
    }
}

/// Weights as the kernel reads them: by block of output channels, input channel, tap; [`BLOCK`] values each.
pub(crate) struct Packed {
    data: Vec<[f32; BLOCK]>,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// Weights `[outputs, inputs, 3, 3]` of the forward pass.
    pub(crate) fn forward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::pack(outputs, inputs, |o, i, tap| weight[(o * inputs + i) * 9 + tap])
    }

    /// The same weights, transposed and turned by 180 degrees: they carry a gradient from the output to the input.
    pub(crate) fn backward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::pack(inputs, outputs, |i, o, tap| weight[(o * inputs + i) * 9 + 8 - tap])
    }

    fn pack(outputs: usize, inputs: usize, at: impl Fn(usize, usize, usize) -> f32) -> Self {
        let mut data = Vec::with_capacity(outputs.div_ceil(BLOCK) * inputs * 9);
        for block in (0..outputs).step_by(BLOCK) {
            for input in 0..inputs {
                for tap in 0..9 {
                    data.push(std::array::from_fn(|o| {
                        if block + o < outputs { at(block + o, input, tap) } else { 0.0 }
                    }));
                }
            }
        }
        Self { data, inputs, outputs }
    }
}

/// `out[o] = sum over inputs of input[i] * weight[o, i]`; `out` is `outputs x height x width`.
pub(crate) fn convolve(input: &Padded, weights: &Packed, out: &mut [f32]) {
    debug_assert_eq!(input.channels, weights.inputs);
    debug_assert_eq!(out.len(), weights.outputs * input.width * input.height);
    Arch::new().dispatch(Convolve { input, weights, out });
}

struct Convolve<'a> {
    input: &'a Padded,
    weights: &'a Packed,
    out: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, weights, out } = self;
        let lanes = S::F32_LANES;
        let taps = weights.inputs * 9;
        // A list on the heap, so that the loop over it stays a loop: unrolled, it runs out of registers.
        let offsets: Vec<usize> = (0..9).map(|tap| (tap / 3) * input.pitch + tap % 3).collect();
        for y in 0..input.height {
            let mut x = 0;
            while x < input.width {
                let vectors = (input.width - x).div_ceil(lanes).min(VECTORS);
                for (block, weight) in weights.data.chunks_exact(taps).enumerate() {
                    let out = &mut *out;
                    match vectors {
                        1 => segment::<S, 1>(
                            simd,
                            input,
                            &offsets,
                            weight,
                            out,
                            weights.outputs,
                            block * BLOCK,
                            x,
                            y,
                        ),
                        2 => segment::<S, 2>(
                            simd,
                            input,
                            &offsets,
                            weight,
                            out,
                            weights.outputs,
                            block * BLOCK,
                            x,
                            y,
                        ),
                        _ => segment::<S, 3>(
                            simd,
                            input,
                            &offsets,
                            weight,
                            out,
                            weights.outputs,
                            block * BLOCK,
                            x,
                            y,
                        ),
                    }
                }
                x += vectors * lanes;
            }
        }
    }
}

/// `V` vectors of pixels of [`BLOCK`] output channels, from `(x, y)` on.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn segment<S: Simd, const V: usize>(
    simd: S,
    input: &Padded,
    offsets: &[usize],
    weight: &[[f32; BLOCK]],
    out: &mut [f32],
    outputs: usize,
    first: usize,
    x: usize,
    y: usize,
) {
    let lanes = S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; BLOCK];
    for (channel, weight) in weight.chunks_exact(offsets.len()).enumerate() {
        let pixels = &input.rows(channel, y, 3)[x..];
        for (&offset, weight) in offsets.iter().zip(weight) {
            let (pixels, _) = S::as_simd_f32s(&pixels[offset..offset + V * lanes]);
            let pixels: [S::f32s; V] = std::array::from_fn(|v| pixels[v]);
            for (sums, &w) in sums.iter_mut().zip(weight) {
                let w = simd.splat_f32s(w);
                for (sum, &p) in sums.iter_mut().zip(&pixels) {
                    *sum = simd.mul_add_e_f32s(w, p, *sum);
                }
            }
        }
    }
    let keep = (input.width - x).min(V * lanes);
    for (o, sums) in sums.iter().enumerate().take(outputs - first.min(outputs)) {
        let start = ((first + o) * input.height + y) * input.width + x;
        let target = &mut out[start..start + keep];
        let (whole, rest) = S::as_mut_simd_f32s(target);
        let full = whole.len();
        whole.copy_from_slice(&sums[..full]);
        if !rest.is_empty() {
            simd.partial_store_f32s(rest, sums[full]);
        }
    }
}

/// Adds `sum over pixels of grad[o] * input[i]`, shifted by each tap, to `out`, `[outputs, inputs, 3, 3]`.
pub(crate) fn weight_gradient(input: &Padded, grad: &Padded, out: &mut [f32]) {
    debug_assert_eq!(out.len(), input.channels * grad.channels * 9);
    Arch::new().dispatch(WeightGradient { input, grad, out });
}

struct WeightGradient<'a> {
    input: &'a Padded,
    grad: &'a Padded,
    out: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, grad, out } = self;
        // Rows taken together, so that a block of gradients stays in the first-level cache.
        let strip = (4096 / (BLOCK * grad.width)).clamp(1, grad.height);
        let mut y = 0;
        while y < grad.height {
            let rows = strip.min(grad.height - y);
            for first in (0..grad.channels).step_by(BLOCK) {
                for i in 0..input.channels {
                    for dy in 0..3 {
                        match grad.channels - first {
                            1 => taps::<S, 1>(simd, input, grad, out, first, i, dy, y, rows),
                            2 => taps::<S, 2>(simd, input, grad, out, first, i, dy, y, rows),
                            3 => taps::<S, 3>(simd, input, grad, out, first, i, dy, y, rows),
                            _ => taps::<S, 4>(simd, input, grad, out, first, i, dy, y, rows),
                        }
                    }
                }
            }
            y += rows;
        }
    }
}

/// The three taps of one row of the kernel, for `O` output channels and one input channel, over some rows of pixels.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn taps<S: Simd, const O: usize>(
    simd: S,
    input: &Padded,
    grad: &Padded,
    out: &mut [f32],
    first: usize,
    i: usize,
    dy: usize,
    y: usize,
    rows: usize,
) {
    let lanes = S::F32_LANES;
    let padded = grad.width.div_ceil(lanes) * lanes;
    let mut sums = [[simd.splat_f32s(0.0); 3]; O];
    for y in y..y + rows {
        let source = input.rows(i, y + dy, 1);
        let shifted: [&[S::f32s]; 3] = std::array::from_fn(|dx| S::as_simd_f32s(&source[dx..dx + padded]).0);
        let grads: [&[S::f32s]; O] =
            std::array::from_fn(|o| S::as_simd_f32s(&grad.rows(first + o, y + 1, 1)[1..=padded]).0);
        for v in 0..padded / lanes {
            let pixels: [S::f32s; 3] = std::array::from_fn(|dx| shifted[dx][v]);
            for (sums, grads) in sums.iter_mut().zip(&grads) {
                for (sum, &p) in sums.iter_mut().zip(&pixels) {
                    *sum = simd.mul_add_e_f32s(grads[v], p, *sum);
                }
            }
        }
    }
    for (o, sums) in sums.iter().enumerate() {
        let start = ((first + o) * input.channels + i) * 9 + dy * 3;
        for (target, &sum) in out[start..start + 3].iter_mut().zip(sums) {
            *target += simd.reduce_sum_f32s(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests_support::{close, noise};

    fn naive(input: &[f32], weight: &[f32], (ci, co, w, h): (usize, usize, usize, usize)) -> Vec<f64> {
        let mut out = vec![0.0; co * w * h];
        for o in 0..co {
            for y in 0..h {
                for x in 0..w {
                    let mut sum = 0.0;
                    for i in 0..ci {
                        for tap in 0..9 {
                            let (sx, sy) = ((x + tap % 3).wrapping_sub(1), (y + tap / 3).wrapping_sub(1));
                            if sx < w && sy < h {
                                sum +=
                                    f64::from(input[(i * h + sy) * w + sx] * weight[(o * ci + i) * 9 + tap]);
                            }
                        }
                    }
                    out[(o * h + y) * w + x] = sum;
                }
            }
        }
        out
    }

    const SHAPES: [(usize, usize, usize, usize); 6] =
        [(1, 1, 1, 1), (3, 5, 7, 4), (4, 16, 24, 3), (2, 6, 29, 5), (5, 4, 50, 2), (8, 8, 13, 9)];

    #[test]
    fn convolution_equals_the_naive_sum() {
        for shape @ (ci, co, w, h) in SHAPES {
            let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
            let mut out = vec![f32::NAN; co * w * h];
            convolve(&Padded::new(&input, ci, w, h), &Packed::forward(&weight, co, ci), &mut out);
            close(&out, &naive(&input, &weight, shape), 1e-4);
        }
    }

    /// Both gradients are linear in the output's: `<conv(x, w), g> = <x, dx> = <w, dw>`, tested one unit at a time.
    #[test]
    fn gradients_are_the_transposes_of_the_convolution() {
        for shape @ (ci, co, w, h) in SHAPES {
            let (input, weight, grad) = (noise(ci * w * h, 3), noise(co * ci * 9, 4), noise(co * w * h, 5));
            let padded = Padded::new(&grad, co, w, h);
            let mut dx = vec![f32::NAN; ci * w * h];
            convolve(&padded, &Packed::backward(&weight, co, ci), &mut dx);
            let mut dw = vec![0.0; co * ci * 9];
            weight_gradient(&Padded::new(&input, ci, w, h), &padded, &mut dw);
            let along = |out: &[f64]| out.iter().zip(&grad).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
            let unit = |n: usize, k: usize| (0..n).map(|i| f32::from(i == k)).collect::<Vec<_>>();
            for k in (0..dx.len()).step_by(dx.len().div_ceil(9)) {
                close(&dx[k..=k], &[along(&naive(&unit(dx.len(), k), &weight, shape))], 1e-4);
            }
            for k in (0..dw.len()).step_by(dw.len().div_ceil(9)) {
                close(&dw[k..=k], &[along(&naive(&input, &unit(dw.len(), k), shape))], 1e-4);
            }
        }
    }
}
