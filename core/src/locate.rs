//! Matching of a feature in an image.

mod products;
mod resize;

use crate::augment::{clamped_neighbours, mix};
use crate::feature::cell_centre;
use crate::{FeatureMap, Plane, PlaneMut, Point, Real};
use thiserror::Error;

pub use resize::{add_resized, add_resized_scratch_len};

/// Errors of reading or matching a feature.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LocateError {
    /// There is no level.
    #[error("there are no feature levels to compare")]
    NoLevels,
    /// The template and the image differ in the number of levels.
    #[error("the template has {template} levels, the image {image}: they have to be equal")]
    Levels {
        /// Levels of the template.
        template: usize,
        /// Levels of the image.
        image: usize,
    },
    /// A feature and its map differ in the number of channels.
    #[error("the feature has {feature} channels, its map {map}: they have to be equal")]
    Channels {
        /// Channels of the feature.
        feature: usize,
        /// Channels of the map.
        map: usize,
    },
    /// The temperature is unusable.
    #[error("temperature {temperature}: it has to be finite and above 0")]
    Temperature {
        /// The rejected value.
        temperature: f64,
    },
    /// The point is not finite.
    #[error("the place ({x}, {y}) is not finite")]
    Place {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// The output does not have the size of the finest level.
    #[error("the output has {out_width} x {out_height} cells, the finest level {width} x {height}")]
    Size {
        /// Width of the finest level.
        width: usize,
        /// Height of the finest level.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
    /// The numbers of templates and output maps differ.
    #[error("{outputs} maps for {templates} templates: they have to be equally many")]
    Outputs {
        /// Templates.
        templates: usize,
        /// Maps.
        outputs: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see similarities_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Feature at an input pixel: bilinear interpolation between cells, then scaled to length 1.
///
/// Points beyond the outermost cell centres get the border's features. A feature of length 0
/// is unchanged. `out` has one element per channel.
///
/// # Errors
/// When `out` has the wrong length, or the point is not finite.
pub fn sample_feature<T: Real>(
    map: FeatureMap<'_, T>,
    at: Point<T>,
    out: &mut [T],
) -> Result<(), LocateError> {
    if out.len() != map.channels() {
        return Err(LocateError::Channels { feature: out.len(), map: map.channels() });
    }
    if !at.is_finite() {
        return Err(LocateError::Place { x: at.x.as_f64(), y: at.y.as_f64() });
    }
    let inverse = T::one() / T::from_usize(map.stride());
    let cell = at.resized(inverse, inverse);
    let (left, right, part_x) = clamped_neighbours(cell.x, map.width());
    let (top, bottom, part_y) = clamped_neighbours(cell.y, map.height());
    let (top, bottom) = (top * map.width(), bottom * map.width());
    let mut square = T::zero();
    for (value, plane) in out.iter_mut().zip(map.data().chunks_exact(map.cells())) {
        let above = mix(plane[top + left], plane[top + right], part_x);
        let below = mix(plane[bottom + left], plane[bottom + right], part_x);
        *value = mix(above, below, part_y);
        square += *value * *value;
    }
    let length = Real::sqrt(square);
    if length > T::zero() {
        for value in out {
            *value /= length;
        }
    }
    Ok(())
}

/// Elements of scratch that [`similarity`] needs: those of [`similarities`] for one template.
pub fn similarity_scratch_len<T>(levels: &[FeatureMap<'_, T>]) -> usize {
    similarities_scratch_len(levels, 1)
}

/// Elements of scratch that [`similarities`] needs for `count` templates: for each, the cells of the largest level and two rows
/// of the finest; and the features of a level.
pub fn similarities_scratch_len<T>(levels: &[FeatureMap<'_, T>], count: usize) -> usize {
    let cells = levels.iter().map(FeatureMap::cells).max().unwrap_or(0);
    let channels = levels.iter().map(FeatureMap::channels).max().unwrap_or(0);
    let width = levels.iter().min_by_key(|level| level.stride()).map_or(0, FeatureMap::width);
    count * (cells + 2 * width) + products::packed_len(channels, count)
}

/// Similarity map of a template's feature over an image, on the grid of the finest level.
///
/// For each level, the dot product of the template's feature with every cell, divided by the
/// temperature, is resized bilinearly to the grid of the level with the smallest stride (the first
/// one of several), cell centre to cell centre, with a replicated border; the levels are added. With
/// features of length 1 the products are cosines, so that a value times `temperature` over the
/// number of levels is their mean, at most 1. Nothing is normalised here.
///
/// `template` holds one feature for each level, in the same order. `scratch` holds at least
/// [`similarity_scratch_len`] elements.
///
/// Source: the search of CC2D (Yao et al., MICCAI 2021), which multiplies clamped cosines resized
/// by nearest neighbour; here they are added, as their losses are, and resized bilinearly.
///
/// # Errors
/// When levels, channels or sizes do not fit, there is no level, or the temperature is not finite
/// and above 0.
#[inline(always)]
pub fn similarity<T: Real>(
    levels: &[FeatureMap<'_, T>],
    template: &[&[T]],
    temperature: T,
    out: PlaneMut<'_, T>,
    scratch: &mut [T],
) -> Result<(), LocateError> {
    similarities(levels, &[template], temperature, &mut [out], scratch)
}

/// Similarity maps of several templates: the values of [`similarity`], bit for bit, in less time, since each part of the
/// image's features is read once for all of them. Batches of eight are enough.
///
/// `templates` and `outs` have the same length; `scratch` holds at least [`similarities_scratch_len`] elements.
///
/// # Errors
/// As [`similarity`], or when the numbers of templates and maps differ.
#[inline(always)]
pub fn similarities<T: Real>(
    levels: &[FeatureMap<'_, T>],
    templates: &[&[&[T]]],
    temperature: T,
    outs: &mut [PlaneMut<'_, T>],
    scratch: &mut [T],
) -> Result<(), LocateError> {
    let count = templates.len();
    if outs.len() != count {
        return Err(LocateError::Outputs { templates: count, outputs: outs.len() });
    }
    let mut finest = 0;
    for (template, out) in templates.iter().zip(outs.iter()) {
        finest = check(levels, template, temperature, out)?;
    }
    let needed = similarities_scratch_len(levels, count);
    if scratch.len() < needed {
        return Err(LocateError::Scratch { len: scratch.len(), needed });
    }
    let Some(width) = outs.first().map(PlaneMut::width) else { return Ok(()) };
    let inverse = T::one() / temperature;
    let (rows, scratch) = scratch.split_at_mut(2 * width * count);
    let contiguous = outs.iter().all(|out| out.as_plane().stride() == width);
    for (index, level) in levels.iter().enumerate() {
        let (packed, products) = scratch.split_at_mut(products::packed_len(level.channels(), count));
        let features = templates.iter().map(|template| template[index]);
        if index == 0 && level.stride() == finest && contiguous {
            // Same size as the outputs: no resizing, no addition.
            products::multiply(level, features, inverse, packed, |i, start, values| {
                outs[i].raw_mut()[start..start + values.len()].copy_from_slice(values);
            });
            continue;
        }
        if index == 0 {
            outs.iter_mut().for_each(|out| out.fill(T::zero()));
        }
        let cells = level.cells();
        let products = &mut products[..cells * count];
        products::multiply(level, features, inverse, packed, |i, start, values| {
            products[i * cells + start..][..values.len()].copy_from_slice(values);
        });
        resize::add_all(level, products, finest, outs, rows);
    }
    Ok(())
}

/// Checks everything but the scratch; returns the smallest stride.
fn check<T: Real>(
    levels: &[FeatureMap<'_, T>],
    template: &[&[T]],
    temperature: T,
    out: &PlaneMut<'_, T>,
) -> Result<usize, LocateError> {
    let Some(finest) = levels.iter().min_by_key(|level| level.stride()) else {
        return Err(LocateError::NoLevels);
    };
    if template.len() != levels.len() {
        return Err(LocateError::Levels { template: template.len(), image: levels.len() });
    }
    for (feature, level) in template.iter().zip(levels) {
        if feature.len() != level.channels() {
            return Err(LocateError::Channels { feature: feature.len(), map: level.channels() });
        }
    }
    if !(temperature.is_finite() && temperature > T::zero()) {
        return Err(LocateError::Temperature { temperature: temperature.as_f64() });
    }
    if (out.width(), out.height()) != (finest.width(), finest.height()) {
        return Err(LocateError::Size {
            width: finest.width(),
            height: finest.height(),
            out_width: out.width(),
            out_height: out.height(),
        });
    }
    Ok(finest.stride())
}

/// Peak of a similarity map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak<T> {
    /// Position in input pixels.
    pub at: Point<T>,
    /// The value of the highest cell.
    pub value: T,
}

/// Highest cell of a map of stride `stride`, refined by a parabola through it and its
/// neighbours, in each direction separately.
///
/// Of equal cells, the first in reading order counts; NaN is ignored. The refinement moves by at
/// most half a cell, and not at all along a direction in which a neighbour is missing or not
/// finite. `None` when the map is empty or all NaN.
#[inline(always)]
pub fn peak<T: Real>(map: Plane<'_, T>, stride: usize) -> Option<Peak<T>> {
    let (x, y, value) = highest_cell(map)?;
    let beside = |x: Option<usize>, y: Option<usize>| x.zip(y).and_then(|(x, y)| map.get(x, y));
    let shift_x = vertex(beside(x.checked_sub(1), Some(y)), value, beside(x.checked_add(1), Some(y)));
    let shift_y = vertex(beside(Some(x), y.checked_sub(1)), value, beside(Some(x), y.checked_add(1)));
    let at = cell_centre(T::from_usize(x) + shift_x, T::from_usize(y) + shift_y, stride);
    Some(Peak { at, value })
}

/// Highest cell of a map of stride `stride`, refined by a soft-argmax over the cells around it.
///
/// Cells whose centres lie within `radius` input pixels of the highest one's count, each with the weight
/// `exp((value - highest) / temperature)`; for a radius below one stride, or a temperature towards 0, the result is the centre of
/// the highest cell. Of equal cells the first in reading order is the highest; cells that are not finite have no weight.
/// `None` when the map is empty or all NaN, the temperature is not finite and above 0, or the radius is NaN.
///
/// Source: the soft-argmax of Finn et al., *Deep spatial autoencoders* (ICRA 2016), here in a window.
pub fn soft_peak<T: Real>(map: Plane<'_, T>, stride: usize, radius: T, temperature: T) -> Option<Peak<T>> {
    if radius.is_nan() || !(temperature.is_finite() && temperature > T::zero()) {
        return None;
    }
    let (x, y, value) = highest_cell(map)?;
    let (mut sum, mut sum_x, mut sum_y) = (T::zero(), T::zero(), T::zero());
    let cells = radius / T::from_usize(stride);
    for (row, cells_of_row) in map.rows().enumerate() {
        let dy = T::from_usize(row) - T::from_usize(y);
        if dy.abs() > cells {
            continue;
        }
        for (column, &other) in cells_of_row.iter().enumerate() {
            let dx = T::from_usize(column) - T::from_usize(x);
            if dx * dx + dy * dy <= cells * cells && other.is_finite() {
                let weight = ((other - value) / temperature).exp();
                sum += weight;
                sum_x += weight * dx;
                sum_y += weight * dy;
            }
        }
    }
    let mean = |part: T| if sum > T::zero() { part / sum } else { T::zero() };
    let at = cell_centre(T::from_usize(x) + mean(sum_x), T::from_usize(y) + mean(sum_y), stride);
    Some(Peak { at, value })
}

/// Column, row and value of the first of the highest cells; NaN is ignored.
#[inline(always)]
fn highest_cell<T: Real>(map: Plane<'_, T>) -> Option<(usize, usize, T)> {
    let mut best: Option<(usize, usize, T)> = None;
    for (y, row) in map.rows().enumerate() {
        // Most rows contain nothing higher; a test without the position is faster.
        if best.is_some_and(|(_, _, highest)| !any_above(row, highest)) {
            continue;
        }
        for (x, &value) in row.iter().enumerate() {
            let higher = best.is_none_or(|(_, _, highest)| value > highest);
            if higher && !value.is_nan() {
                best = Some((x, y, value));
            }
        }
    }
    best
}

/// Whether any value of a row is above `value`.
#[inline(always)]
fn any_above<T: Real>(row: &[T], value: T) -> bool {
    let (parts, rest) = row.as_chunks::<16>();
    let any = |part: &[T]| part.iter().fold(false, |any, &v| any | (v > value));
    parts.iter().any(|part| any(part)) || any(rest)
}

/// Position of the maximum of the parabola through values at -1, 0 and 1; the middle value is the highest.
fn vertex<T: Real>(before: Option<T>, middle: T, after: Option<T>) -> T {
    let (Some(before), Some(after)) = (before, after) else {
        return T::zero();
    };
    let half = T::from_f64(0.5);
    let bend = (middle - before) + (middle - after);
    let shift = half * (after - before) / bend;
    if bend > T::zero() && shift.is_finite() { shift.max(-half).min(half) } else { T::zero() }
}

/// Second peak of a map of stride `stride`: the highest value of the cells whose centres lie farther than `radius` input
/// pixels from a point.
///
/// NaN is ignored. `None` when no such cell is left, or a number is not finite.
#[inline(always)]
pub fn highest_beyond<T: Real>(map: Plane<'_, T>, stride: usize, at: Point<T>, radius: T) -> Option<T> {
    if !at.is_finite() || radius.is_nan() {
        return None;
    }
    let mut highest: Option<T> = None;
    for (y, row) in map.rows().enumerate() {
        // Most rows contain nothing higher; a test without the position is faster.
        if highest.is_some_and(|highest| !any_above(row, highest)) {
            continue;
        }
        for (x, &value) in row.iter().enumerate() {
            let centre = cell_centre(T::from_usize(x), T::from_usize(y), stride);
            let (dx, dy) = (centre.x - at.x, centre.y - at.y);
            let beyond = dx * dx + dy * dy > radius * radius;
            if beyond && !value.is_nan() && highest.is_none_or(|highest| value > highest) {
                highest = Some(value);
            }
        }
    }
    highest
}
