//! Resizing of similarity maps to the grid of another level.

use super::LocateError;
use crate::augment::{clamped_neighbours, mix};
use crate::{FeatureMap, PlaneMut, Point, Real};

/// Widest grid whose column positions within a level are known to be exact.
const EXACT: usize = 1 << 16;

/// Elements of scratch that [`add_resized`] needs: two rows of the output.
pub const fn add_resized_scratch_len(out_width: usize) -> usize {
    out_width.saturating_mul(2)
}

/// Adds a map of one channel, resized bilinearly to the stride `out_stride`, to a plane: cell centre to cell
/// centre, with a replicated border.
///
/// `scratch` holds at least [`add_resized_scratch_len`] elements. NaN spreads to the cells interpolated from it.
///
/// # Errors
/// When the map has more than one channel, or the scratch is too short.
#[inline(always)]
pub fn add_resized<T: Real>(
    map: FeatureMap<'_, T>,
    out: PlaneMut<'_, T>,
    out_stride: usize,
    scratch: &mut [T],
) -> Result<(), LocateError> {
    if map.channels() != 1 {
        return Err(LocateError::Channels { feature: 1, map: map.channels() });
    }
    let (needed, len) = (add_resized_scratch_len(out.width()), scratch.len());
    if len < needed {
        return Err(LocateError::Scratch { len, needed });
    }
    add_all(&map, map.data(), out_stride, &mut [out], &mut scratch[..needed]);
    Ok(())
}

/// Adds a level's values to grids of stride `finest`: `values` holds a map per element of `outs`, `rows` two rows of each.
#[inline(always)]
pub(super) fn add_all<T: Real>(
    level: &FeatureMap<'_, T>,
    values: &[T],
    finest: usize,
    outs: &mut [PlaneMut<'_, T>],
    rows: &mut [T],
) {
    let Some((out_width, out_height)) = outs.first().map(|out| (out.width(), out.height())) else { return };
    if out_width == 0 {
        return;
    }
    let (width, cells) = (level.width(), level.cells());
    if level.stride() == finest && (width, level.height()) == (out_width, out_height) {
        for (out, values) in outs.iter_mut().zip(values.chunks_exact(cells)) {
            for (y, row) in values.chunks_exact(width).enumerate() {
                for (sum, &value) in out.row_mut(y).iter_mut().zip(row) {
                    *sum += value;
                }
            }
        }
        return;
    }
    let scale = T::from_usize(finest) / T::from_usize(level.stride());
    let ratio = whole_ratio(level, finest, out_width);
    let widen = |y: usize, wide: &mut [T]| {
        let maps = values.chunks_exact(cells).map(|values| &values[y * width..][..width]);
        let maps = maps.zip(wide.chunks_exact_mut(out_width));
        match ratio {
            2 => maps.for_each(|(row, wide)| enlarge::<T, 2>(row, wide)),
            4 => maps.for_each(|(row, wide)| enlarge::<T, 4>(row, wide)),
            8 => maps.for_each(|(row, wide)| enlarge::<T, 8>(row, wide)),
            16 => maps.for_each(|(row, wide)| enlarge::<T, 16>(row, wide)),
            _ => maps.for_each(|(row, wide)| resize(row, wide, scale)),
        }
    };
    // The level's rows above and below, in the width of `outs`; most serve several output rows.
    let (mut above, mut below) = rows.split_at_mut(rows.len() / 2);
    let mut held = None;
    for y in 0..out_height {
        let at = Point::new(T::zero(), T::from_usize(y)).resized(scale, scale);
        let (top, bottom, part) = clamped_neighbours(at.y, level.height());
        if held != Some((top, bottom)) {
            if held.is_some_and(|(_, bottom)| bottom == top) {
                core::mem::swap(&mut above, &mut below);
            } else {
                widen(top, above);
            }
            widen(bottom, below);
            held = Some((top, bottom));
        }
        let rows = above.chunks_exact(out_width).zip(below.chunks_exact(out_width));
        for (out, (above, below)) in outs.iter_mut().zip(rows) {
            for ((sum, &above), &below) in out.row_mut(y).iter_mut().zip(above).zip(below) {
                *sum += mix(above, below, part);
            }
        }
    }
}

/// Output columns per cell of the level, where that is an integer and the level covers the output exactly; else 0.
fn whole_ratio<T>(level: &FeatureMap<'_, T>, finest: usize, out_width: usize) -> usize {
    let ratio = level.stride().checked_div(finest).unwrap_or(0);
    let covered = ratio * finest == level.stride() && level.width().checked_mul(ratio) == Some(out_width);
    if covered && out_width <= EXACT { ratio } else { 0 }
}

/// Resizes a row: `scale` cells of the row per cell of `wide`.
#[inline(always)]
fn resize<T: Real>(row: &[T], wide: &mut [T], scale: T) {
    for (x, value) in wide.iter_mut().enumerate() {
        let at = Point::new(T::from_usize(x), T::zero()).resized(scale, scale);
        let (left, right, part) = clamped_neighbours(at.x, row.len());
        *value = mix(row[left], row[right], part);
    }
}

/// [`resize`] to `R` times the width, `R` a power of two: the same bits, as all positions are exact.
#[inline(always)]
fn enlarge<T: Real, const R: usize>(row: &[T], wide: &mut [T]) {
    let (Some(&first), Some(&last)) = (row.first(), row.last()) else { return };
    let half = R / 2;
    let len = wide.len();
    let (border, inner) = wide.split_at_mut(half.min(len));
    // Left of the first cell centre the position is clamped to that centre; the next cell has weight 0.
    border.fill(mix(first, row.get(1).copied().unwrap_or(last), T::zero()));
    let parts: [T; R] = core::array::from_fn(|i| T::from_f64((i as f64 + 0.5) / R as f64));
    let (inner, _) = inner.as_chunks_mut::<R>();
    for (wide, pair) in inner.iter_mut().zip(row.array_windows::<2>()) {
        *wide = parts.map(|part| mix(pair[0], pair[1], part));
    }
    let (_, border) = wide.split_at_mut(len - half.min(len));
    border.fill(mix(last, last, T::zero()));
}
