//! 1 x 1 convolution with bias: a matrix product over the pixels of an image.

use pulp::{Arch, Simd, WithSimd};

/// Values of neighbouring pixels that are copied together: in large planes, channels are so far apart that they
/// evict each other from the L1 cache.
const PIXELS: usize = 8192;
/// Output channels computed together.
const BLOCK: usize = 4;
/// Vectors of pixels computed together.
const VECTORS: usize = 3;

/// `out[o] = bias[o] + sum over inputs of weight[o, i] * x[i]`; planes of `out.len() / bias.len()` pixels, `weight` is
/// `[bias.len(), inputs]`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let area = out.len() / bias.len();
    let inputs = weight.len() / bias.len();
    assert_eq!(x.len(), inputs * area);
    for (out, &bias) in out.chunks_exact_mut(area).zip(bias) {
        out.fill(bias);
    }
    Arch::new().dispatch(Product { x, weight, area, inputs, out });
}

/// Adds `sum over i of weight[o, i] * x[i]` to the planes of `out`.
struct Product<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    area: usize,
    inputs: usize,
    out: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight, area, inputs, out } = self;
        let step = VECTORS * S::F32_LANES;
        let outputs = out.len() / area;
        // By block of outputs and input; outputs that are missing have weights of 0.
        let mut packed = vec![[0.0; BLOCK]; outputs.div_ceil(BLOCK) * inputs];
        for (block, packed) in packed.chunks_exact_mut(inputs).enumerate() {
            for (i, packed) in packed.iter_mut().enumerate() {
                let output = |o| block * BLOCK + o;
                *packed = std::array::from_fn(|o| {
                    if output(o) < outputs { weight[output(o) * inputs + i] } else { 0.0 }
                });
            }
        }
        let whole = area / step * step;
        let longest = step * (PIXELS / (inputs * step)).max(1);
        let mut together = vec![0.0; inputs * longest.min(whole)];
        for start in (0..whole).step_by(longest) {
            let length = longest.min(whole - start);
            let together = &mut together[..inputs * length];
            for (together, x) in together.chunks_exact_mut(length).zip(x.chunks_exact(area)) {
                together.copy_from_slice(&x[start..start + length]);
            }
            for (block, packed) in out.chunks_mut(BLOCK * area).zip(packed.chunks_exact(inputs)) {
                for within in (0..length).step_by(step) {
                    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; BLOCK];
                    for (weights, pixels) in packed.iter().zip(together.chunks_exact(length)) {
                        let (pixels, _) = S::as_simd_f32s(&pixels[within..within + step]);
                        for (sums, &w) in sums.iter_mut().zip(weights) {
                            let w = simd.splat_f32s(w);
                            for (sum, &p) in sums.iter_mut().zip(pixels) {
                                *sum = simd.mul_add_e_f32s(w, p, *sum);
                            }
                        }
                    }
                    let at = start + within;
                    for (row, sums) in block.chunks_exact_mut(area).zip(&sums) {
                        let (target, _) = S::as_mut_simd_f32s(&mut row[at..at + step]);
                        for (target, &sum) in target.iter_mut().zip(sums) {
                            *target = simd.add_f32s(*target, sum);
                        }
                    }
                }
            }
        }
        for at in whole..area {
            for (block, packed) in out.chunks_mut(BLOCK * area).zip(packed.chunks_exact(inputs)) {
                for (o, row) in block.chunks_exact_mut(area).enumerate() {
                    for (i, weights) in packed.iter().enumerate() {
                        row[at] += weights[o] * x[i * area + at];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, noise};

    #[test]
    fn results_equal_the_naive_sums() {
        for (inputs, outputs, area) in [(1, 1, 1), (3, 5, 77), (16, 4, 48), (7, 9, 1100)] {
            let (x, weight) = (noise(inputs * area, 1), noise(outputs * inputs, 2));
            let bias = noise(outputs, 3);
            let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
            let mut out = vec![f32::NAN; outputs * area];
            forward(&x, &weight, &bias, &mut out);
            let expected = |at: usize| {
                let (o, p) = (at / area, at % area);
                let sum: f64 = (0..inputs).map(|i| product(weight[o * inputs + i], x[i * area + p])).sum();
                f64::from(bias[o]) + sum
            };
            close(&out, &(0..outputs * area).map(expected).collect::<Vec<_>>(), 1e-5);
        }
    }
}
