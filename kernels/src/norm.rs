//! Group normalisation followed by ReLU (Wu & He, *Group normalization*, ECCV 2018, equations 2 to 6).

use crate::widest;

/// Epsilon, added to the variance.
pub const EPSILON: f32 = 1e-5;

/// Mean and reciprocal standard deviation of a group of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: f32,
    /// Reciprocal of the square root of variance plus [`EPSILON`].
    pub scale: f32,
}

/// Moments of one group. Sums run in `f64` over rows of fixed length.
#[inline(always)]
fn moments_of(group: &[f32]) -> Moments {
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    for part in group.chunks(256) {
        let (mut s, mut q) = ([0.0_f32; 8], [0.0_f32; 8]);
        let (lanes, rest) = part.as_chunks::<8>();
        for v in lanes {
            for k in 0..8 {
                s[k] += v[k];
                q[k] += v[k] * v[k];
            }
        }
        for (k, &v) in rest.iter().enumerate() {
            s[k] += v;
            q[k] += v * v;
        }
        sum += f64::from(s.iter().sum::<f32>());
        squares += f64::from(q.iter().sum::<f32>());
    }
    let n = group.len() as f64;
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0);
    Moments { mean: mean as f32, scale: (1.0 / (variance + f64::from(EPSILON)).sqrt()) as f32 }
}

/// Computes the moments of each group of one image.
pub fn moments(x: &[f32], groups: &mut [Moments]) {
    let size = x.len() / groups.len();
    widest(
        #[inline(always)]
        || {
            for (moments, x) in groups.iter_mut().zip(x.chunks_exact(size)) {
                *moments = moments_of(x);
            }
        },
    );
}

/// `relu(gamma * (x - mean) * scale + beta)` of one image with these [`moments`]; `x` holds `gamma.len()` planes.
pub fn forward(x: &[f32], moments: &[Moments], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
    let (per_group, area) = (gamma.len() / moments.len(), x.len() / gamma.len());
    widest(
        #[inline(always)]
        || {
            let planes = x.chunks_exact(area).zip(out.chunks_exact_mut(area));
            for (c, (x, out)) in planes.enumerate() {
                let (a, b) = line(gamma[c], beta[c], moments[c / per_group]);
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = (x * a + b).max(0.0);
                }
            }
        },
    );
}

/// [`moments`] and [`forward`] in place; `area` is `width x height`, `x` holds `gamma.len() * area`.
pub fn in_place(x: &mut [f32], gamma: &[f32], beta: &[f32], groups: usize, area: usize) {
    let per_group = gamma.len() / groups;
    widest(
        #[inline(always)]
        || {
            for (g, x) in x.chunks_exact_mut(per_group * area).enumerate() {
                let moments = moments_of(x);
                for (c, x) in x.chunks_exact_mut(area).enumerate() {
                    let (a, b) = line(gamma[g * per_group + c], beta[g * per_group + c], moments);
                    for x in x {
                        *x = (*x * a + b).max(0.0);
                    }
                }
            }
        },
    );
}

/// Factor and offset of a value.
#[inline(always)]
fn line(gamma: f32, beta: f32, Moments { mean, scale }: Moments) -> (f32, f32) {
    let a = gamma * scale;
    (a, beta - mean * a)
}

/// Gradients of [`forward`] with the moments as functions of `x`: overwrites `grad`, that of its output, by that of `x`, and adds to
/// `dgamma` and `dbeta`.
pub fn backward(
    x: &[f32],
    moments: &[Moments],
    gamma: &[f32],
    beta: &[f32],
    grad: &mut [f32],
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let (per_group, area) = (gamma.len() / moments.len(), x.len() / gamma.len());
    let size = per_group * area;
    widest(
        #[inline(always)]
        || {
            for (g, (x, grad)) in x.chunks_exact(size).zip(grad.chunks_exact_mut(size)).enumerate() {
                let Moments { mean, scale } = moments[g];
                let channels = g * per_group..(g + 1) * per_group;
                // Sums over the group of the gradient of the normalised value, and of its product with that value.
                let (mut sum, mut product) = (0.0_f64, 0.0_f64);
                for ((c, x), dy) in channels.clone().zip(x.chunks_exact(area)).zip(grad.chunks_exact(area)) {
                    let (a, b) = (gamma[c] * scale, beta[c] - mean * gamma[c] * scale);
                    let (s, p) = masked_sums(x, dy, a, b, mean, scale);
                    dbeta[c] += s as f32;
                    dgamma[c] += p as f32;
                    sum += s * f64::from(gamma[c]);
                    product += p * f64::from(gamma[c]);
                }
                let (sum, product) = ((sum / size as f64) as f32, (product / size as f64) as f32);
                for ((c, x), grad) in channels.zip(x.chunks_exact(area)).zip(grad.chunks_exact_mut(area)) {
                    let (a, b) = (gamma[c] * scale, beta[c] - mean * gamma[c] * scale);
                    for (grad, &x) in grad.iter_mut().zip(x) {
                        let passed = if x * a + b > 0.0 { *grad } else { 0.0 };
                        *grad = passed * a - scale * (sum + (x - mean) * scale * product);
                    }
                }
            }
        },
    );
}

/// Sums of the gradient after the ReLU, and of its product with the normalised value.
#[inline(always)]
fn masked_sums(x: &[f32], dy: &[f32], a: f32, b: f32, mean: f32, scale: f32) -> (f64, f64) {
    let (mut sum, mut product) = (0.0_f64, 0.0_f64);
    for (x, dy) in x.chunks(256).zip(dy.chunks(256)) {
        let (mut s, mut p) = ([0.0_f32; 8], [0.0_f32; 8]);
        let (xs, x_rest) = x.as_chunks::<8>();
        let (ds, d_rest) = dy.as_chunks::<8>();
        for (x, dy) in xs.iter().zip(ds) {
            for k in 0..8 {
                let passed = if x[k] * a + b > 0.0 { dy[k] } else { 0.0 };
                s[k] += passed;
                p[k] += passed * (x[k] - mean);
            }
        }
        for (k, (&x, &dy)) in x_rest.iter().zip(d_rest).enumerate() {
            let passed = if x * a + b > 0.0 { dy } else { 0.0 };
            s[k] += passed;
            p[k] += passed * (x - mean);
        }
        sum += f64::from(s.iter().sum::<f32>());
        product += f64::from(p.iter().sum::<f32>());
    }
    (sum, product * f64::from(scale))
}
