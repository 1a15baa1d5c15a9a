//! A level's embedding: 1 x 1 convolution with bias, then each pixel's vector scaled to length one.

use crate::widest;

/// Added to the squared length.
pub const EPSILON: f32 = 1e-8;
/// Pixels handled together.
const TILE: usize = 64;

/// Sizes of a head.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Channels in.
    pub inputs: usize,
    /// Channels out, the length of an embedding.
    pub outputs: usize,
    /// Pixels.
    pub area: usize,
}

/// `y = W x + b` for the pixels from `start`, a [`TILE`] at most; `y` is `outputs x TILE`.
#[inline(always)]
fn project(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    shape: Shape,
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
fn reciprocal_lengths(y: &[[f32; TILE]]) -> [f32; TILE] {
    let mut squares = [EPSILON; TILE];
    for y in y {
        for (s, &v) in squares.iter_mut().zip(y) {
            *s += v * v;
        }
    }
    squares.map(|s| 1.0 / s.sqrt())
}

/// Embeddings of one image: `out` is `outputs x area`.
pub fn forward(x: &[f32], weight: &[f32], bias: &[f32], shape: Shape, out: &mut [f32]) {
    widest(
        #[inline(always)]
        || {
            let mut y = vec![[0.0; TILE]; shape.outputs];
            for start in (0..shape.area).step_by(TILE) {
                let len = TILE.min(shape.area - start);
                project(x, weight, bias, shape, start, len, &mut y);
                let scale = reciprocal_lengths(&y);
                for (o, y) in y.iter().enumerate() {
                    let at = o * shape.area + start;
                    for ((out, &y), &s) in out[at..at + len].iter_mut().zip(y).zip(&scale) {
                        *out = y * s;
                    }
                }
            }
        },
    );
}

/// Gradients of [`forward`]: writes `dx`, adds to `dweight` and `dbias`. `dz` is the gradient of the embeddings.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    shape: Shape,
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
