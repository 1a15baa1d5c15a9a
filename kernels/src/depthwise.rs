//! Depthwise convolution with bias, of any stride (Howard et al., *MobileNets*, 2017).

use crate::widest;

/// Shape of a depthwise convolution of one image.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseShape {
    /// Number of channels.
    pub channels: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// Height of the input in pixels.
    pub height: usize,
    /// Kernel size.
    pub kernel: usize,
    /// Stride in pixels of the input.
    pub stride: usize,
    /// Zero padding on the left and above; the other sides are padded as needed.
    pub padding: usize,
    /// Width and height of the result in pixels.
    pub out: (usize, usize),
}

impl DepthwiseShape {
    /// Indices of the result, of `out`, whose tap `tap` lies inside `size` pixels of the input.
    #[inline(always)]
    fn inside(self, tap: usize, size: usize, out: usize) -> std::ops::Range<usize> {
        // stride * x + tap - padding in 0..size
        let first = self.padding.saturating_sub(tap).div_ceil(self.stride);
        let last = (size + self.padding).saturating_sub(tap).div_ceil(self.stride).min(out);
        first.min(last)..last
    }

    /// Calls `each` with the offsets in input and result and the number of columns, for each row and tap: columns are `stride` pixels
    /// apart in the input and contiguous in the result.
    #[inline(always)]
    fn runs(self, mut each: impl FnMut(usize, usize, usize, usize)) {
        let columns = self.out.0;
        for tap_y in 0..self.kernel {
            for y in self.inside(tap_y, self.height, self.out.1) {
                let row = (y * self.stride + tap_y - self.padding) * self.width;
                for tap_x in 0..self.kernel {
                    let range = self.inside(tap_x, self.width, columns);
                    if !range.is_empty() {
                        let at = row + range.start * self.stride + tap_x - self.padding;
                        each(tap_y * self.kernel + tap_x, at, y * columns + range.start, range.len());
                    }
                }
            }
        }
    }

    fn areas(self) -> (usize, usize) {
        (self.width * self.height, self.out.0 * self.out.1)
    }
}

/// Columns of the result computed together.
const LANES: usize = 16;

/// A zero-padded channel, with the columns of each row reordered for the taps: grouped by their remainder modulo the
/// stride.
struct Padded {
    values: Vec<f32>,
    /// Number of columns per remainder.
    length: usize,
    stride: usize,
}

impl Padded {
    fn new(shape: DepthwiseShape) -> Self {
        let rows = (shape.out.1.max(1) - 1) * shape.stride + shape.kernel;
        // The last columns are computed together with others beyond them.
        let length = shape.out.0.next_multiple_of(LANES) + shape.kernel / shape.stride;
        Self { values: vec![0.0; rows * shape.stride * length], length, stride: shape.stride }
    }

    fn row(&self) -> usize {
        self.stride * self.length
    }

    /// Replaces the channel; the padding stays.
    #[inline(always)]
    fn fill(&mut self, x: &[f32], shape: DepthwiseShape) {
        let (row, length, stride) = (self.row(), self.length, self.stride);
        let rows = self.values.chunks_exact_mut(row).skip(shape.padding);
        for (out, x) in rows.zip(x.chunks_exact(shape.width)) {
            for first in 0..stride.min(x.len()) {
                let (column, phase) = ((first + shape.padding) / stride, (first + shape.padding) % stride);
                let out = &mut out[phase * length + column..(phase + 1) * length];
                if stride == 1 {
                    let len = x.len().min(out.len());
                    out[..len].copy_from_slice(&x[..len]);
                } else {
                    out.iter_mut().zip(x[first..].iter().step_by(stride)).for_each(|(out, x)| *out = *x);
                }
            }
        }
    }

    /// The convolution of one channel by a kernel of size `K` and stride `S`.
    #[inline(always)]
    fn convolve<const K: usize, const S: usize>(
        &self,
        weight: &[f32],
        bias: f32,
        columns: usize,
        out: &mut [f32],
    ) {
        let row = self.row();
        for (y, out) in out.chunks_exact_mut(columns).enumerate() {
            let rows: [&[f32]; K] = std::array::from_fn(|tap| &self.values[(y * S + tap) * row..][..row]);
            for (block, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [bias; LANES];
                for (x, weight) in rows.iter().zip(weight.chunks_exact(K)) {
                    for (tap, &weight) in weight.iter().enumerate() {
                        let at = tap % S * self.length + tap / S + block * LANES;
                        for (sum, x) in sums.iter_mut().zip(&x[at..at + LANES]) {
                            *sum += weight * x;
                        }
                    }
                }
                out.copy_from_slice(&sums[..out.len()]);
            }
        }
    }
}

/// Depthwise convolution: each channel of `x` with its own kernel; `weight` is `[channels, kernel, kernel]`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], shape: DepthwiseShape, out: &mut [f32]) {
    let (area, out_area) = shape.areas();
    let taps = shape.kernel * shape.kernel;
    let mut padded = Padded::new(shape);
    widest(
        #[inline(always)]
        || {
            let planes = x.chunks_exact(area).zip(out.chunks_exact_mut(out_area));
            for ((x, out), (weight, &bias)) in planes.zip(weight.chunks_exact(taps).zip(bias)) {
                padded.fill(x, shape);
                match (shape.kernel, shape.stride) {
                    (3, 1) => padded.convolve::<3, 1>(weight, bias, shape.out.0, out),
                    (3, 2) => padded.convolve::<3, 2>(weight, bias, shape.out.0, out),
                    (5, 1) => padded.convolve::<5, 1>(weight, bias, shape.out.0, out),
                    (5, 2) => padded.convolve::<5, 2>(weight, bias, shape.out.0, out),
                    _ => forward_any(x, weight, bias, shape, out),
                }
            }
        },
    );
}

/// The convolution of one channel by a kernel of any size.
#[inline(always)]
fn forward_any(x: &[f32], weight: &[f32], bias: f32, shape: DepthwiseShape, out: &mut [f32]) {
    out.fill(bias);
    shape.runs(
        #[inline(always)]
        |tap, from, to, len| {
            let (out, w) = (&mut out[to..to + len], weight[tap]);
            let x = x[from..].iter().step_by(shape.stride);
            out.iter_mut().zip(x).for_each(|(out, x)| *out += w * x);
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, noise};

    /// Padding of half the kernel on all sides, as PyTorch's `padding=kernel // 2`.
    fn centred(
        (channels, (width, height), kernel, stride): (usize, (usize, usize), usize, usize),
    ) -> DepthwiseShape {
        let padding = kernel / 2;
        let out = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        DepthwiseShape { channels, width, height, kernel, stride, padding, out: (out(width), out(height)) }
    }

    /// Calls `each` with channel, tap, and offsets in input and result of each product.
    fn products(shape: DepthwiseShape, mut each: impl FnMut(usize, usize, usize, usize)) {
        let (area, out_area) = shape.areas();
        for at in 0..shape.channels * out_area {
            let (channel, x, y) = (at / out_area, at % shape.out.0, at % out_area / shape.out.0);
            for tap in 0..shape.kernel * shape.kernel {
                let sx = (x * shape.stride + tap % shape.kernel).wrapping_sub(shape.padding);
                let sy = (y * shape.stride + tap / shape.kernel).wrapping_sub(shape.padding);
                if sx < shape.width && sy < shape.height {
                    each(channel, tap, channel * area + sy * shape.width + sx, at);
                }
            }
        }
    }

    #[test]
    fn results_equal_the_naive_sums() {
        let shapes = [(1, (1, 1), 3, 1), (2, (7, 4), 3, 1), (3, (9, 6), 5, 2), (2, (20, 3), 3, 2)];
        // Padding of TensorFlow for even sizes at stride 2: less before than after.
        let uneven = DepthwiseShape { padding: 1, out: (4, 3), ..centred((2, (8, 6), 5, 2)) };
        for shape in shapes.map(centred).into_iter().chain([uneven]) {
            let (area, out_area) = shape.areas();
            let taps = shape.kernel * shape.kernel;
            let (x, weight) = (noise(shape.channels * area, 1), noise(shape.channels * taps, 2));
            let bias = noise(shape.channels, 3);
            let plane = |at: usize| at / out_area;
            let mut y: Vec<f64> =
                (0..shape.channels * out_area).map(|at| f64::from(bias[plane(at)])).collect();
            products(shape, |channel, tap, from, to| {
                y[to] += f64::from(weight[channel * taps + tap]) * f64::from(x[from]);
            });
            let mut out = vec![f32::NAN; y.len()];
            forward(&x, &weight, &bias, shape, &mut out);
            close(&out, &y, 1e-5);
        }
    }
}
