//! Dot products of features with all cells of a level.

use crate::{FeatureMap, Real};

/// Features multiplied with a cell at once.
pub(super) const FEATURES: usize = 4;
/// Cells per tile: the sums of [`FEATURES`] features fit into 256-bit registers.
const CELLS: usize = 16;

/// Elements of the packed features in [`multiply`].
pub(super) fn packed_len(channels: usize, count: usize) -> usize {
    channels * count.next_multiple_of(FEATURES)
}

/// Computes the products of `count` features, times `factor`, with every cell.
///
/// `store` receives the index of a feature, the first of a run of cells and their products; some cells come twice, with the same
/// products. The channels of a product are added in order, from 0, so that it does not depend on which others are computed
/// with it. `packed` holds [`packed_len`] elements.
#[inline(always)]
pub(super) fn multiply<'t, T: Real>(
    level: &FeatureMap<'_, T>,
    features: impl ExactSizeIterator<Item = &'t [T]>,
    factor: T,
    packed: &mut [T],
    mut store: impl FnMut(usize, usize, &[T]),
) {
    let (cells, channels, count) = (level.cells(), level.channels(), features.len());
    // Feature by feature; missing ones stay 0.
    packed.fill(T::zero());
    for (packed, feature) in packed.chunks_exact_mut(channels).zip(features) {
        packed.iter_mut().zip(feature).for_each(|(packed, &value)| *packed = value * factor);
    }
    let step = if cells < CELLS { 1 } else { CELLS };
    for start in (0..cells).step_by(step) {
        // The remainder: the last full tile overlaps cells computed before.
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
