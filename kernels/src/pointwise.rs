//! 1 x 1 convolution with bias: a matrix product over the pixels of an image.

use pulp::{Arch, Simd, WithSimd};

/// Values of neighbouring pixels that are laid together: in the planes, channels are as far apart as those are large, and then they
/// keep each other out of the first-level cache.
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
    debug_assert_eq!(x.len(), inputs * area);
    for (out, &bias) in out.chunks_exact_mut(area).zip(bias) {
        out.fill(bias);
    }
    Arch::new().dispatch(Product { x, weight: |o, i| weight[o * inputs + i], area, inputs, out });
}

/// Gradients of [`forward`]: writes `dx`, adds to `dweight` and `dbias`. `dy` is the gradient of its output.
pub fn backward(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    let (outputs, area) = (dbias.len(), dy.len() / dbias.len());
    let inputs = weight.len() / outputs;
    dx.fill(0.0);
    let turned = |i: usize, o: usize| weight[o * inputs + i];
    Arch::new().dispatch(Product { x: dy, weight: turned, area, inputs: outputs, out: dx });
    for (dbias, dy) in dbias.iter_mut().zip(dy.chunks_exact(area)) {
        *dbias += sum(dy);
    }
    Arch::new().dispatch(WeightGradient { x, dy, area, inputs, out: dweight });
}

/// Sum in eight lanes.
fn sum(values: &[f32]) -> f32 {
    let (lanes, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// Adds `sum over i of weight(o, i) * x[i]` to the planes of `out`.
struct Product<'a, W> {
    x: &'a [f32],
    weight: W,
    area: usize,
    inputs: usize,
    out: &'a mut [f32],
}

impl<W: Fn(usize, usize) -> f32> WithSimd for Product<'_, W> {
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
                *packed =
                    std::array::from_fn(|o| if output(o) < outputs { weight(output(o), i) } else { 0.0 });
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

/// Adds the products of the planes of `dy` and `x` to `out`, `[outputs, inputs]`.
struct WeightGradient<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    area: usize,
    inputs: usize,
    out: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, dy, area, inputs, out } = self;
        // Pixels taken together, so that a block of gradients stays in the first-level cache.
        const STRIP: usize = 1024;
        for start in (0..area).step_by(STRIP) {
            let len = STRIP.min(area - start);
            for (dy, out) in dy.chunks(BLOCK * area).zip(out.chunks_mut(BLOCK * inputs)) {
                for (i, x) in x.chunks_exact(area).enumerate() {
                    let (pixels, rest) = S::as_simd_f32s(&x[start..start + len]);
                    for (dy, out) in dy.chunks_exact(area).zip(out.chunks_exact_mut(inputs)) {
                        let (back, back_rest) = S::as_simd_f32s(&dy[start..start + len]);
                        let mut sum = simd.splat_f32s(0.0);
                        for (&p, &b) in pixels.iter().zip(back) {
                            sum = simd.mul_add_e_f32s(b, p, sum);
                        }
                        let rest: f32 = rest.iter().zip(back_rest).map(|(p, b)| p * b).sum();
                        out[i] += simd.reduce_sum_f32s(sum) + rest;
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
    fn results_and_gradients_equal_the_naive_sums() {
        for (inputs, outputs, area) in [(1, 1, 1), (3, 5, 77), (16, 4, 48), (7, 9, 1100)] {
            let (x, weight) = (noise(inputs * area, 1), noise(outputs * inputs, 2));
            let (bias, dy) = (noise(outputs, 3), noise(outputs * area, 4));
            let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
            let mut out = vec![f32::NAN; outputs * area];
            forward(&x, &weight, &bias, &mut out);
            let expected = |at: usize| {
                let (o, p) = (at / area, at % area);
                let sum: f64 = (0..inputs).map(|i| product(weight[o * inputs + i], x[i * area + p])).sum();
                f64::from(bias[o]) + sum
            };
            close(&out, &(0..outputs * area).map(expected).collect::<Vec<_>>(), 1e-5);

            let (mut dx, mut dweight) = (vec![f32::NAN; inputs * area], vec![1.0; outputs * inputs]);
            let mut dbias = vec![1.0; outputs];
            backward(&x, &weight, &dy, &mut dx, &mut dweight, &mut dbias);
            let by_x = |at: usize| -> f64 {
                let (i, p) = (at / area, at % area);
                (0..outputs).map(|o| product(weight[o * inputs + i], dy[o * area + p])).sum()
            };
            close(&dx, &(0..inputs * area).map(by_x).collect::<Vec<_>>(), 1e-5);
            let by_weight = |at: usize| -> f64 {
                let (o, i) = (at / inputs, at % inputs);
                1.0 + (0..area).map(|p| product(dy[o * area + p], x[i * area + p])).sum::<f64>()
            };
            close(&dweight, &(0..outputs * inputs).map(by_weight).collect::<Vec<_>>(), 1e-4);
            let by_bias = |o: usize| 1.0 + dy[o * area..][..area].iter().map(|d| f64::from(*d)).sum::<f64>();
            close(&dbias, &(0..outputs).map(by_bias).collect::<Vec<_>>(), 1e-4);
        }
    }
}
