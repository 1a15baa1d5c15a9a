//! Dot products of features with every cell of a level.

use crate::{FeatureMap, Real};

/// Features whose products with a cell are summed together.
pub(super) const FEATURES: usize = 4;
/// Cells of a tile: its sums, those of [`FEATURES`] features, fit the registers of 256 bits.
const CELLS: usize = 16;

/// Elements that the scaled features take in [`multiply`].
pub(super) fn packed_len(channels: usize, count: usize) -> usize {
    channels * count.next_multiple_of(FEATURES)
}

/// The products of `count` features, times `factor`, with that of every cell.
///
/// `store` is given the index of a feature, the first of some cells and the products with them; some cells come twice, with the same
/// products. The channels of a product are added in their order, from 0, so that it does not depend on which others are computed beside
/// it. `packed` holds [`packed_len`] elements.
#[inline(always)]
pub(super) fn multiply<'t, T: Real>(
    level: &FeatureMap<'_, T>,
    features: impl ExactSizeIterator<Item = &'t [T]>,
    factor: T,
    packed: &mut [T],
    mut store: impl FnMut(usize, usize, &[T]),
) {
    let (cells, channels, count) = (level.cells(), level.channels(), features.len());
    // Feature by feature; those that are missing stay 0.
    packed.fill(T::zero());
    for (packed, feature) in packed.chunks_exact_mut(channels).zip(features) {
        packed.iter_mut().zip(feature).for_each(|(packed, &value)| *packed = value * factor);
    }
    let step = if cells < CELLS { 1 } else { CELLS };
    for start in (0..cells).step_by(step) {
        // What is left over is computed with cells before it once more.
        let start = start.min(cells - step);
        for (i, block) in packed.chunks_exact(FEATURES * channels).enumerate() {
            let first = i * FEATURES;
            let mut keep = |i: usize, values: &[T]| {
                if first + i < count {
                    store(first + i, start, values);
                }
            };
            match (step, count - first) {
                (1, _) => tile::<T, FEATURES, 1>(level, start, block, &mut keep),
                (_, 1) => tile::<T, 1, CELLS>(level, start, block, &mut keep),
                (_, 2) => tile::<T, 2, CELLS>(level, start, block, &mut keep),
                _ => tile::<T, FEATURES, CELLS>(level, start, block, &mut keep),
            }
        }
    }
}

/// The products of `F` features with `C` cells from `start` on.
#[inline(always)]
fn tile<T: Real, const F: usize, const C: usize>(
    level: &FeatureMap<'_, T>,
    start: usize,
    block: &[T],
    store: &mut impl FnMut(usize, &[T]),
) {
    let mut sums = [[T::zero(); C]; F];
    let channels = level.channels();
    let features: [&[T]; F] = core::array::from_fn(|i| &block[i * channels..][..channels]);
    for (channel, plane) in level.data().chunks_exact(level.cells()).enumerate().take(channels) {
        let Some(values) = plane[start..].first_chunk::<C>() else { return };
        for (sums, feature) in sums.iter_mut().zip(features) {
            let factor = feature[channel];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += factor * value;
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        store(i, sums);
    }
}
