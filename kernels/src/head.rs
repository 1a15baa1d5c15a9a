//! Embedding head of a level: 1 x 1 convolution with bias, then normalisation of each pixel's vector to length 1.

use pulp::{Arch, Simd, WithSimd};

use crate::widest;

/// Epsilon, added to the squared length.
pub const EPSILON: f32 = 1e-8;
/// Pixels processed together in the backward pass.
const TILE: usize = 64;
/// Pixels processed together in the forward pass: long runs, as channels are far apart in memory.
const RUN: usize = 256;
/// Outputs computed together.
const BLOCK: usize = 4;

/// Shape of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadShape {
    /// Number of input channels.
    pub inputs: usize,
    /// Number of output channels, the length of an embedding.
    pub outputs: usize,
    /// Number of pixels.
    pub area: usize,
}

/// `y = W x + b` for up to [`TILE`] pixels from `start` on; `y` is `outputs x TILE`.
#[inline(always)]
fn project(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    shape: HeadShape,
    start: usize,
    len: usize,
    y: &mut [[f32; TILE]],
) {
    for ((y, weight), &b) in y.iter_mut().zip(weight.chunks_exact(shape.inputs)).zip(bias) {
        *y = [b; TILE];
        for (i, &w) in weight.iter().enumerate() {
            let from = i * shape.area + start;
            for (y, &x) in y.iter_mut().zip(&x[from..from + len]) {
                *y += w * x;
            }
        }
    }
}

/// Reciprocal length of each pixel's vector.
#[inline(always)]
fn reciprocal_lengths<const N: usize>(y: &[[f32; N]]) -> [f32; N] {
    let mut squares = [EPSILON; N];
    for y in y {
        for (s, &v) in squares.iter_mut().zip(y) {
            *s += v * v;
        }
    }
    squares.map(|s| 1.0 / s.sqrt())
}

/// Computes the embeddings of one image: `out` is `outputs x area`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], shape: HeadShape, out: &mut [f32]) {
    Arch::new().dispatch(Forward { x, weight, bias, shape, out });
}

/// Normalises each pixel's vector of `x` to length `length`; planes of `area` pixels.
pub fn normalise(x: &[f32], area: usize, length: f32, out: &mut [f32]) {
    widest(
        #[inline(always)]
        || {
            let mut scale = vec![EPSILON; area];
            for x in x.chunks_exact(area) {
                scale.iter_mut().zip(x).for_each(|(sum, v)| *sum += v * v);
            }
            scale.iter_mut().for_each(|v| *v = length / v.sqrt());
            for (out, x) in out.chunks_exact_mut(area).zip(x.chunks_exact(area)) {
                for ((out, x), scale) in out.iter_mut().zip(x).zip(&scale) {
                    *out = x * scale;
                }
            }
        },
    );
}

struct Forward<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    shape: HeadShape,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, bias, shape, out } = self;
        let mut pixels = vec![[0.0; RUN]; shape.inputs];
        let mut y = vec![[0.0; RUN]; shape.outputs];
        for start in (0..shape.area).step_by(RUN) {
            let len = RUN.min(shape.area - start);
            for (i, pixels) in pixels.iter_mut().enumerate() {
                let from = i * shape.area + start;
                pixels[..len].copy_from_slice(&x[from..from + len]);
            }
            let outputs = weight.chunks(BLOCK * shape.inputs).zip(bias.chunks(BLOCK));
            for ((weight, bias), y) in outputs.zip(y.chunks_mut(BLOCK)) {
                project_block(simd, &pixels, weight, bias, y);
            }
            let scale = reciprocal_lengths(&y);
            for (o, y) in y.iter().enumerate() {
                let at = o * shape.area + start;
                for ((out, &y), &s) in out[at..at + len].iter_mut().zip(y).zip(&scale) {
                    *out = y * s;
                }
            }
        }
    }
}

/// `y = W x + b` for a run of pixels and up to [`BLOCK`] outputs.
#[inline(always)]
fn project_block<S: Simd>(
    simd: S,
    pixels: &[[f32; RUN]],
    weight: &[f32],
    bias: &[f32],
    y: &mut [[f32; RUN]],
) {
    const VECTORS: usize = 2;
    let (inputs, last) = (pixels.len(), bias.len() - 1);
    // A partial block computes its last output repeatedly.
    let mut rows = [weight; BLOCK];
    for (o, row) in rows.iter_mut().enumerate() {
        *row = &weight[o.min(last) * inputs..][..inputs];
    }
    let step = VECTORS * S::F32_LANES;
    for at in (0..RUN).step_by(step) {
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; BLOCK];
        for (o, sums) in sums.iter_mut().enumerate() {
            *sums = [simd.splat_f32s(bias[o.min(last)]); VECTORS];
        }
        for (i, pixels) in pixels.iter().enumerate() {
            let (pixels, _) = S::as_simd_f32s(&pixels[at..at + step]);
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let w = simd.splat_f32s(row[i]);
                for (sum, &x) in sums.iter_mut().zip(pixels) {
                    *sum = simd.mul_add_e_f32s(w, x, *sum);
                }
            }
        }
        for (y, sums) in y.iter_mut().zip(&sums) {
            S::as_mut_simd_f32s(&mut y[at..at + step]).0.copy_from_slice(sums);
        }
    }
}

/// Gradients of [`forward`]: writes `dx`, adds to `dweight` and `dbias`. `dz` is the gradient of the embeddings.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    shape: HeadShape,
    dz: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    widest(
        #[inline(always)]
        || {
            let mut y = vec![[0.0; TILE]; shape.outputs];
            let mut dy = vec![[0.0; TILE]; shape.outputs];
            for start in (0..shape.area).step_by(TILE) {
                let len = TILE.min(shape.area - start);
                project(x, weight, bias, shape, start, len, &mut y);
                let scale = reciprocal_lengths(&y);
                // dy = (dz - z (z . dz)) / |y| with z = y / |y|
                let mut along = [0.0; TILE];
                for (o, (y, dy)) in y.iter().zip(dy.iter_mut()).enumerate() {
                    let at = o * shape.area + start;
                    dy[len..].fill(0.0);
                    dy[..len].copy_from_slice(&dz[at..at + len]);
                    for ((a, &y), &d) in along.iter_mut().zip(y).zip(&*dy) {
                        *a += y * d;
                    }
                }
                for (y, dy) in y.iter().zip(dy.iter_mut()) {
                    for (((dy, &y), &a), &s) in dy.iter_mut().zip(y).zip(&along).zip(&scale) {
                        *dy = (*dy - y * a * s * s) * s;
                    }
                }
                for (dbias, dy) in dbias.iter_mut().zip(&dy) {
                    *dbias += dy.iter().sum::<f32>();
                }
                for i in 0..shape.inputs {
                    let at = i * shape.area + start;
                    let mut pixels = [0.0; TILE];
                    pixels[..len].copy_from_slice(&x[at..at + len]);
                    let mut back = [0.0; TILE];
                    for (o, dy) in dy.iter().enumerate() {
                        let w = weight[o * shape.inputs + i];
                        let mut sums = [0.0_f32; 8];
                        let blocks = back
                            .as_chunks_mut::<8>()
                            .0
                            .iter_mut()
                            .zip(dy.as_chunks::<8>().0)
                            .zip(pixels.as_chunks::<8>().0);
                        for ((back, dy), pixels) in blocks {
                            for k in 0..8 {
                                back[k] += w * dy[k];
                                sums[k] += dy[k] * pixels[k];
                            }
                        }
                        dweight[o * shape.inputs + i] += sums.iter().sum::<f32>();
                    }
                    dx[at..at + len].copy_from_slice(&back[..len]);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, noise};

    #[test]
    fn embeddings_are_the_scaled_projections() {
        for shape in [(1, 1, 1), (3, 5, 7), (16, 32, 130), (7, 10, 64)] {
            let (inputs, outputs, area) = shape;
            let (x, weight, bias) = (noise(inputs * area, 1), noise(outputs * inputs, 2), noise(outputs, 3));
            let mut out = vec![f32::NAN; outputs * area];
            forward(&x, &weight, &bias, HeadShape { inputs, outputs, area }, &mut out);
            let mut expected = vec![0.0; out.len()];
            for pixel in 0..area {
                let project = |o: usize| {
                    let product =
                        |i: usize| f64::from(weight[o * inputs + i]) * f64::from(x[i * area + pixel]);
                    f64::from(bias[o]) + (0..inputs).map(product).sum::<f64>()
                };
                let y: Vec<f64> = (0..outputs).map(project).collect();
                let length = (y.iter().map(|v| v * v).sum::<f64>() + f64::from(EPSILON)).sqrt();
                for (o, y) in y.iter().enumerate() {
                    expected[o * area + pixel] = y / length;
                }
            }
            close(&out, &expected, 1e-5);
        }
    }
}
