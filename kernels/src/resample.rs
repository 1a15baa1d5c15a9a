//! 2 x 2 max pooling, and upsampling by repetition.

/// 2 x 2 max pooling of `width x height` planes (both even).
pub fn max_pool(x: &[f32], width: usize, out: &mut [f32]) {
    for (rows, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width / 2)) {
        let (upper, lower) = rows.split_at(width);
        for ((u, l), out) in upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0).zip(out) {
            *out = u[0].max(u[1]).max(l[0].max(l[1]));
        }
    }
}

/// Gradient of [`max_pool`]: each goes to the first pixel (in reading order) that is the block's maximum.
pub fn max_pool_backward(x: &[f32], width: usize, dy: &[f32], dx: &mut [f32]) {
    let rows = x.chunks_exact(2 * width).zip(dx.chunks_exact_mut(2 * width));
    for ((x, dx), dy) in rows.zip(dy.chunks_exact(width / 2)) {
        let (upper, lower) = x.split_at(width);
        let (dx_upper, dx_lower) = dx.split_at_mut(width);
        let blocks = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
        let grads = dx_upper.as_chunks_mut::<2>().0.iter_mut().zip(dx_lower.as_chunks_mut::<2>().0);
        for (((u, l), (du, dl)), &dy) in blocks.zip(grads).zip(dy) {
            let top = u[0].max(u[1]).max(l[0].max(l[1]));
            let mut left = dy;
            for (grad, &value) in du.iter_mut().zip(u).chain(dl.iter_mut().zip(l)) {
                *grad = if value == top { std::mem::take(&mut left) } else { 0.0 };
            }
        }
    }
}

/// Nearest-neighbour upsampling by 2 of planes of `width` pixels a row.
pub fn double(x: &[f32], width: usize, out: &mut [f32]) {
    for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(4 * width)) {
        let (upper, lower) = out.split_at_mut(2 * width);
        for (&v, pair) in row.iter().zip(upper.as_chunks_mut::<2>().0) {
            *pair = [v, v];
        }
        lower.copy_from_slice(upper);
    }
}

/// Gradient of [`double`]: the sum over the copies of each pixel.
pub fn double_backward(dy: &[f32], width: usize, dx: &mut [f32]) {
    for (dy, dx) in dy.chunks_exact(4 * width).zip(dx.chunks_exact_mut(width)) {
        let (upper, lower) = dy.split_at(2 * width);
        for ((u, l), dx) in upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0).zip(dx) {
            *dx = (u[0] + u[1]) + (l[0] + l[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_takes_the_maximum_and_returns_its_gradient_once() {
        let x = [1.0, 5.0, 2.0, 2.0, 3.0, 4.0, 2.0, 2.0];
        let mut out = [0.0; 2];
        max_pool(&x, 4, &mut out);
        assert_eq!(out, [5.0, 2.0]);
        let mut dx = [9.0; 8];
        max_pool_backward(&x, 4, &[7.0, 3.0], &mut dx);
        assert_eq!(dx, [0.0, 7.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn doubling_repeats_and_its_gradient_sums() {
        let mut out = [0.0; 8];
        double(&[1.0, 2.0], 2, &mut out);
        assert_eq!(out, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        let mut dx = [0.0; 2];
        double_backward(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2, &mut dx);
        assert_eq!(dx, [14.0, 22.0]);
    }
}
