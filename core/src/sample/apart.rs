//! Minimum-distance sampling of several pixels.

use super::{SampleError, check_row};
use crate::tree::{Tree, tree_len};
use crate::{Plane, Real, Rng};

/// Elements of scratch that [`sample_spaced`] needs for an image of `width` by `height` pixels;
/// saturates on overflow.
pub const fn sample_spaced_scratch_len(width: usize, height: usize) -> usize {
    tree_len(width.saturating_mul(height))
}

/// Samples pixels without replacement, at least `min_distance` pixels apart, into
/// `out` as `(column, row)`, and returns their number.
///
/// Sequentially, each pixel is drawn exactly in proportion to its weight among the remaining
/// candidates: those of weight above 0 and at least `min_distance` from each pixel drawn before
/// (Euclidean distance of the centres). This is the distribution of rejection sampling from the whole
/// map, without its cost. A distance of at most 1 only prevents drawing a
/// pixel twice. Fewer pixels than `out` has room for are drawn only when no candidate is
/// left; the rest of `out` is unchanged. Each draw consumes two words of the stream.
///
/// `scratch` holds at least [`sample_spaced_scratch_len`]`(width, height)` elements of any content. The
/// cost is one pass over the pixels, and a few steps for each pixel that is drawn or excluded.
///
/// # Errors
/// When a weight is negative or not finite, none is above 0, their sum is infinite, the distance is
/// negative or not finite, or the scratch is too short.
///
/// ```
/// use infomark_core::{Plane, Rng, sample_spaced, sample_spaced_scratch_len};
/// let weights = [1.0f32; 20];
/// let mut scratch = [0.0; sample_spaced_scratch_len(20, 1)];
/// let mut pixels = [(0, 0); 9];
/// let mut rng = Rng::new(1, 0);
/// let count = sample_spaced(Plane::new(&weights, 20, 1)?, 5.0, &mut rng, &mut pixels, &mut scratch)?;
/// assert!((2..=4).contains(&count));
/// assert!(pixels[0].0.abs_diff(pixels[1].0) >= 5);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn sample_spaced<T: Real>(
    weights: Plane<'_, T>,
    min_distance: T,
    rng: &mut Rng,
    out: &mut [(usize, usize)],
    scratch: &mut [f64],
) -> Result<usize, SampleError> {
    let distance = min_distance.as_f64();
    if !(distance.is_finite() && distance >= 0.0) {
        return Err(SampleError::Distance { value: distance });
    }
    if weights.is_empty() {
        return Err(SampleError::Empty);
    }
    for (y, row) in weights.rows().enumerate() {
        check_row(row, y)?;
    }
    let (width, height) = (weights.width(), weights.height());
    let (len, needed) = (scratch.len(), sample_spaced_scratch_len(width, height));
    let Some(nodes) = scratch.get_mut(..needed) else {
        return Err(SampleError::Scratch { len, needed });
    };
    let mut tree = Tree::new(
        nodes,
        width,
        height,
        |a, b| a + b,
        |y, values| {
            for (value, weight) in values.iter_mut().zip(weights.row(y)) {
                *value = weight.as_f64();
            }
        },
    );
    if !tree.root().is_finite() {
        return Err(SampleError::Overflow);
    }
    if tree.root() == 0.0 {
        return Err(SampleError::Empty);
    }
    let mut count = 0;
    for pixel in out {
        if tree.root() == 0.0 {
            break;
        }
        let mut target = rng.uniform::<f64>() * tree.root();
        *pixel = tree.descend(|left, right| {
            // Rounding must not lead to a subtree of weight 0.
            let go_right = right > 0.0 && (target >= left || left == 0.0);
            if go_right {
                target -= left;
            }
            go_right
        });
        tree.clear_around(*pixel, distance);
        count += 1;
    }
    Ok(count)
}
