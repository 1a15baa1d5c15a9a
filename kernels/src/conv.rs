//! 3 x 3 convolution, stride 1, zero padding 1, no bias: direct summation.
//!
//! The inputs are copied into planes with zero borders ([`Padded`]), so the inner loops hold a block of
//! `BLOCK` output channels by up to three vectors of pixels in registers, without border tests.

use pulp::{Arch, Simd, WithSimd};

use crate::planes::{Planes, Source};

/// Output channels computed together. Channel counts are rounded up to it with zero weights.
const BLOCK: usize = 4;
/// Maximum number of vectors of pixels computed together.
const VECTORS: usize = 3;
/// Zeros beside a padded row: one on the left, and room for the widest vector to overrun the end.
const SLACK: usize = 18;

/// Zero-padded planes: one row above and below, one column on the left and at least one on the right. Rows of the channels
/// are interleaved, so that the inputs of a result row are contiguous.
#[derive(Clone, Debug)]
pub struct Padded {
    data: Vec<f32>,
    channels: usize,
    width: usize,
    height: usize,
    pitch: usize,
}

impl Padded {
    /// Pads `channels x height x width` pixels.
    pub fn new(image: &[f32], channels: usize, width: usize, height: usize) -> Self {
        Self::from_rows(channels, width, height, |channel, y, row| {
            let start = (channel * height + y) * width;
            row.copy_from_slice(&image[start..start + width]);
        })
    }

    /// Pads a skip connection: the channels of `fine`, `kept` of them of `width x height` pixels (both even), then the `added` ones of `coarse`,
    /// upsampled 2 x 2 by repetition.
    pub fn joined(
        fine: &[f32],
        kept: usize,
        coarse: &[f32],
        added: usize,
        width: usize,
        height: usize,
    ) -> Self {
        let half = width / 2;
        Self::from_rows(kept + added, width, height, |channel, y, row| {
            if channel < kept {
                let start = (channel * height + y) * width;
                row.copy_from_slice(&fine[start..start + width]);
            } else {
                let start = ((channel - kept) * (height / 2) + y / 2) * half;
                for (pair, &v) in row.as_chunks_mut().0.iter_mut().zip(&coarse[start..start + half]) {
                    *pair = [v, v];
                }
            }
        })
    }

    /// Pads the 2 x 2 blocks of an image of twice the size, as four channels in reading order.
    pub fn blocks(image: &[f32], width: usize, height: usize) -> Self {
        Self::from_rows(4, width, height, |channel, y, row| {
            let start = (2 * y + channel / 2) * 2 * width;
            let pairs = image[start..start + 2 * width].as_chunks::<2>().0;
            for (value, pair) in row.iter_mut().zip(pairs) {
                *value = pair[channel % 2];
            }
        })
    }

    /// `fill` receives channel and row, in order, and the row to fill.
    fn from_rows(
        channels: usize,
        width: usize,
        height: usize,
        mut fill: impl FnMut(usize, usize, &mut [f32]),
    ) -> Self {
        let pitch = width + SLACK;
        let mut data = Vec::with_capacity(channels * (height + 2) * pitch);
        data.resize(channels * pitch, 0.0);
        for y in 0..height {
            for channel in 0..channels {
                // The zeros just written are still in the L1 cache.
                let start = data.len() + 1;
                data.resize(data.len() + pitch, 0.0);
                fill(channel, y, &mut data[start..start + width]);
            }
        }
        data.resize(data.len() + channels * pitch, 0.0);
        Self { data, channels, width, height, pitch }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Padded row `y` of a channel, and the data after it.
    fn row_on(&self, channel: usize, y: usize) -> &[f32] {
        &self.data[(y * self.channels + channel) * self.pitch..]
    }

    /// Padded row `y` of a channel.
    fn row(&self, channel: usize, y: usize) -> &[f32] {
        &self.row_on(channel, y)[..self.pitch]
    }
}

impl From<&Planes<'_>> for Padded {
    fn from(planes: &Planes<'_>) -> Self {
        let &Planes { source, channels, width, height } = planes;
        match source {
            Source::Plain(image) => Self::new(image, channels, width, height),
            Source::Joined { fine, kept, coarse } => {
                Self::joined(fine, kept, coarse, channels - kept, width, height)
            }
            Source::Blocks(image) => Self::blocks(image, width, height),
        }
    }
}

/// Weights in the kernel's layout: by block of output channels, input channel, tap; `BLOCK` values each.
#[derive(Clone, Debug)]
pub struct Packed {
    data: Vec<[f32; BLOCK]>,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// Packs the weights `[outputs, inputs, 3, 3]` of the forward pass.
    pub fn forward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::pack(outputs, inputs, |o, i, tap| weight[(o * inputs + i) * 9 + tap])
    }

    /// Packs the transposed weights, rotated by 180 degrees, for the gradient with respect to the input.
    pub fn backward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
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

/// The weights `[outputs, 1, 6, 6]` of a convolution of stride 2 and padding 2 on an image that equals a 3 x 3 convolution with
/// `weight`, `[outputs, 4, 3, 3]`, on its [blocks](Padded::blocks).
pub fn on_image(weight: &[f32]) -> Vec<f32> {
    let mut wide = vec![0.0; weight.len()];
    for (wide, weight) in wide.chunks_exact_mut(36).zip(weight.chunks_exact(36)) {
        for (i, &value) in weight.iter().enumerate() {
            wide[place_on_image(i)] = value;
        }
    }
    wide
}

/// Inverse of [`on_image`]: the weights `[outputs, 4, 3, 3]` of `wide`.
pub fn on_blocks(wide: &[f32]) -> Vec<f32> {
    let mut weight = vec![0.0; wide.len()];
    for (weight, wide) in weight.chunks_exact_mut(36).zip(wide.chunks_exact(36)) {
        for (i, value) in weight.iter_mut().enumerate() {
            *value = wide[place_on_image(i)];
        }
    }
    weight
}

/// Index in `[6, 6]` of the weight `i` of `[4, 3, 3]`.
fn place_on_image(i: usize) -> usize {
    let (channel, tap) = (i / 9, i % 9);
    (2 * (tap / 3) + channel / 2) * 6 + 2 * (tap % 3) + channel % 2
}

/// Convolution: `out[o] = sum over inputs of input[i] * weight[o, i]`; `out` is `outputs x height x width`.
pub fn convolve(input: &Padded, weights: &Packed, out: &mut [f32]) {
    assert_eq!(input.channels, weights.inputs);
    assert_eq!(out.len(), weights.outputs * input.width * input.height);
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
        // On the heap, so that the loop is not unrolled, which would exhaust the registers.
        let offsets: Vec<usize> =
            (0..9).map(|tap| (tap / 3) * input.channels * input.pitch + tap % 3).collect();
        for y in 0..input.height {
            let mut x = 0;
            while x < input.width {
                let vectors = (input.width - x).div_ceil(lanes).min(VECTORS);
                // Twice the channels for a single vector, to hide the latency of additions. More than twelve sums
                // no longer fit into registers.
                let together = if vectors == 1 { 2 } else { 1 };
                for (i, weight) in weights.data.chunks(together * taps).enumerate() {
                    let place = Place { first: i * together * BLOCK, outputs: weights.outputs, x, y };
                    let out = &mut *out;
                    match (vectors, weight.split_at(taps)) {
                        (1, (a, [])) => segment::<S, 1, 1>(simd, input, &offsets, [a], out, place),
                        (1, (a, b)) => segment::<S, 1, 2>(simd, input, &offsets, [a, b], out, place),
                        (2, (a, _)) => segment::<S, 2, 1>(simd, input, &offsets, [a], out, place),
                        (_, (a, _)) => segment::<S, 3, 1>(simd, input, &offsets, [a], out, place),
                    }
                }
                x += vectors * lanes;
            }
        }
    }
}

/// Position of a segment in the result: first channel of a number, column and row.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    outputs: usize,
    x: usize,
    y: usize,
}

/// Computes `V` vectors of pixels of `B` `BLOCK`s of output channels.
#[inline(always)]
fn segment<S: Simd, const V: usize, const B: usize>(
    simd: S,
    input: &Padded,
    offsets: &[usize],
    weights: [&[[f32; BLOCK]]; B],
    out: &mut [f32],
    at: Place,
) {
    let lanes = S::F32_LANES;
    let taps = offsets.len();
    let mut sums = [[[simd.splat_f32s(0.0); V]; BLOCK]; B];
    for channel in 0..input.channels {
        let pixels = &input.row_on(channel, at.y)[at.x..];
        let weights = weights.map(|weights| &weights[channel * taps..(channel + 1) * taps]);
        for (tap, &offset) in offsets.iter().enumerate() {
            let (pixels, _) = S::as_simd_f32s(&pixels[offset..offset + V * lanes]);
            let pixels: [S::f32s; V] = std::array::from_fn(|v| pixels[v]);
            for (sums, weights) in sums.iter_mut().zip(&weights) {
                for (sums, &w) in sums.iter_mut().zip(&weights[tap]) {
                    let w = simd.splat_f32s(w);
                    for (sum, &p) in sums.iter_mut().zip(&pixels) {
                        *sum = simd.mul_add_e_f32s(w, p, *sum);
                    }
                }
            }
        }
    }
    let keep = (input.width - at.x).min(V * lanes);
    for (o, sums) in sums.as_flattened().iter().enumerate().take(at.outputs - at.first.min(at.outputs)) {
        let start = ((at.first + o) * input.height + at.y) * input.width + at.x;
        let target = &mut out[start..start + keep];
        let (whole, rest) = S::as_mut_simd_f32s(target);
        let full = whole.len();
        whole.copy_from_slice(&sums[..full]);
        if !rest.is_empty() {
            simd.partial_store_f32s(rest, sums[full]);
        }
    }
}

/// Gradient with respect to the weights: adds `sum over pixels of grad[o] * input[i]`, shifted by each tap, to `out`, `[outputs, inputs, 3, 3]`.
pub fn weight_gradient(input: &Padded, grad: &Padded, out: &mut [f32]) {
    assert_eq!(out.len(), input.channels * grad.channels * 9);
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
        // Number of rows processed together, so that a block of gradients stays in the L1 cache.
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

/// The three taps of a kernel row, for `O` output channels and one input channel, over a strip of rows.
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
        let source = input.row(i, y + dy);
        let shifted: [&[S::f32s]; 3] = std::array::from_fn(|dx| S::as_simd_f32s(&source[dx..dx + padded]).0);
        let grads: [&[S::f32s]; O] =
            std::array::from_fn(|o| S::as_simd_f32s(&grad.row(first + o, y + 1)[1..=padded]).0);
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
    use crate::testing::{close, naive_convolution as naive, noise};

    const SHAPES: [(usize, usize, usize, usize); 7] = [
        (1, 1, 1, 1),
        (3, 5, 7, 4),
        (4, 16, 24, 3),
        (2, 6, 29, 5),
        (5, 4, 50, 2),
        (8, 8, 13, 9),
        (2, 11, 35, 2),
    ];

    #[test]
    fn convolution_equals_the_naive_sum() {
        for shape @ (ci, co, w, h) in SHAPES {
            let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
            let mut out = vec![f32::NAN; co * w * h];
            convolve(&Padded::new(&input, ci, w, h), &Packed::forward(&weight, co, ci), &mut out);
            close(&out, &naive(&input, &weight, shape), 1e-4);
        }
    }

    #[test]
    fn joined_planes_and_blocks_are_those_of_the_image_that_is_meant() {
        let (fine, coarse) = (noise(2 * 6 * 4, 1), noise(3 * 3 * 2, 2));
        let mut joined = fine.clone();
        for c in 0..3 {
            joined.extend((0..24).map(|i| coarse[c * 6 + (i / 6 / 2) * 3 + (i % 6) / 2]));
        }
        assert_eq!(Padded::joined(&fine, 2, &coarse, 3, 6, 4).data, Padded::new(&joined, 5, 6, 4).data);
        let image = noise(10 * 4, 3);
        let blocks: Vec<f32> = (0..4)
            .flat_map(|c| (0..10).map(move |i| (c, i)))
            .map(|(c, i)| image[(2 * (i / 5) + c / 2) * 10 + 2 * (i % 5) + c % 2])
            .collect();
        assert_eq!(Padded::blocks(&image, 5, 2).data, Padded::new(&blocks, 4, 5, 2).data);
    }

    #[test]
    fn a_convolution_of_blocks_is_a_wider_one_of_the_image() {
        let (w, h) = (10, 8);
        let (image, weight) = (noise(w * h, 4), noise(2 * 36, 5));
        let wide = on_image(&weight);
        assert_eq!(on_blocks(&wide), weight);
        let mut out = vec![f32::NAN; 2 * w * h / 4];
        convolve(&Padded::blocks(&image, w / 2, h / 2), &Packed::forward(&weight, 2, 4), &mut out);
        let at = |x: usize, y: usize| {
            // Two pixels of padding on each side.
            let inside = (2..w + 2).contains(&x) && (2..h + 2).contains(&y);
            if inside { f64::from(image[(y - 2) * w + x - 2]) } else { 0.0 }
        };
        let expected: Vec<f64> = (0..out.len())
            .map(|i| {
                let (o, x, y) = (i / (w * h / 4), i % (w / 2), i / (w / 2) % (h / 2));
                let taps = wide[o * 36..(o + 1) * 36].iter().enumerate();
                taps.map(|(k, &v)| f64::from(v) * at(2 * x + k % 6, 2 * y + k / 6)).sum()
            })
            .collect();
        close(&out, &expected, 1e-4);
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
