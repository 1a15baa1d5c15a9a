//! Voting by points on a ring around a landmark.
//!
//! The match of a single feature is a few pixels off, and sometimes at a look-alike. Errors of features some distance apart are
//! partly independent, so their combination is more precise: a generalised Hough transform (Ballard, 1981) with a similarity
//! map per vote.

use infomark_core::{Alignment, FeatureMap, PlaneMut, Point, add_resized, add_resized_scratch_len};
use infomark_kernels::widest;

use crate::Encoding;
use crate::lengths::{Lengths, features_at};
use crate::search::{ComparisonError, Search, at_least};

/// Radius of the ring in pixels of the model input.
const RADIUS: f32 = 16.0;
/// Number of points on the ring.
const COUNT: usize = 8;
/// Weight of a vote relative to the landmark's own feature.
const WEIGHT: f32 = 0.5;
/// Finest stride that votes: a finer one costs most and adds least.
pub(crate) const FINEST: usize = 4;

/// The points around each landmark, with their features.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// Points of each landmark.
    pub(crate) places: Vec<Vec<Neighbour>>,
    /// Channels of the levels that vote.
    pub(crate) lengths: Lengths,
}

#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    /// Offset from the landmark, in pixels of the model input.
    pub(crate) offset: Point<f32>,
    /// Features, level by level.
    pub(crate) features: Vec<f32>,
}

fn maps(encoding: &Encoding) -> Vec<FeatureMap<'_, f32>> {
    encoding.levels().into_iter().filter(|map| map.stride() >= FINEST).collect()
}

impl Neighbours {
    /// The ring points of the landmarks at `places`, as far as they are in the image.
    pub(crate) fn around(places: &[Point<f32>], encoding: &Encoding) -> Result<Neighbours, ComparisonError> {
        let maps = maps(encoding);
        let content = encoding.fit().content();
        let shown = |at: Point<f32>| {
            let inside =
                |v: f32, start: usize, length: usize| (start as f32..(start + length) as f32).contains(&v);
            inside(at.x, content.x, content.width) && inside(at.y, content.y, content.height)
        };
        let of = |&place: &Point<f32>| {
            let mut neighbours = Vec::new();
            for i in 0..COUNT {
                let angle = core::f32::consts::TAU * i as f32 / COUNT as f32;
                let offset = Point::new(RADIUS * libm::cosf(angle), RADIUS * libm::sinf(angle));
                let at = Point::new(place.x + offset.x, place.y + offset.y);
                if !shown(at) {
                    continue;
                }
                neighbours.push(Neighbour { offset, features: features_at(&maps, at)? });
            }
            Ok(neighbours)
        };
        let places = places.iter().map(of).collect::<Result<_, ComparisonError>>()?;
        Ok(Neighbours { places, lengths: Lengths::of(&maps) })
    }

    /// Adds the votes of a landmark's ring to its similarity map on the image's finest level.
    ///
    /// `place` is the landmark in the template; an alignment, if known, transforms the offsets.
    pub(crate) fn vote(
        &self,
        landmark: usize,
        place: Point<f32>,
        encoding: &Encoding,
        alignment: Option<&Alignment<'_, f32>>,
        votes: &mut Votes,
        out: &mut [f32],
    ) -> Result<(), ComparisonError> {
        let maps = maps(encoding);
        let levels = encoding.levels();
        let (Some(coarse), Some(fine)) = (maps.first(), levels.first()) else { return Ok(()) };
        let Some(neighbours) = self.places.get(landmark) else { return Ok(()) };
        let (size, stride) = ((coarse.width(), coarse.height()), coarse.stride() as f32);
        let features: Vec<Vec<&[f32]>> =
            neighbours.iter().map(|neighbour| self.lengths.split(&neighbour.features)).collect();
        let features: Vec<&[&[f32]]> = features.iter().map(Vec::as_slice).collect();
        let Votes { search, sum, rows } = votes;
        let planes = search.similarities(&maps, &features, encoding.temperature())?;
        let laid = laid(place, alignment);
        let sum = at_least(sum, coarse.cells());
        sum.fill(0.0);
        for (neighbour, map) in neighbours.iter().zip(planes.chunks_exact(coarse.cells())) {
            let offset = laid(neighbour.offset);
            add_moved(map, sum, size, (offset.x / stride, offset.y / stride));
        }
        let sum = FeatureMap::new(sum, 1, size.0, size.1, coarse.stride())?;
        let out = PlaneMut::new(out, fine.width(), fine.height())?;
        let rows = at_least(rows, add_resized_scratch_len(fine.width()));
        widest(
            #[inline(always)]
            || add_resized(sum, out, fine.stride(), rows),
        )?;
        Ok(())
    }
}

/// Scratch of [`Neighbours::vote`], reused.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    search: Search,
    /// The votes of all points, on the cells of the finest level that votes.
    sum: Vec<f32>,
    /// Two rows of the image's finest level.
    rows: Vec<f32>,
}

/// Maps offsets from a landmark's `place` in the template to the image: by the alignment, or unchanged without one.
pub(crate) fn laid<'a>(
    place: Point<f32>,
    alignment: Option<&'a Alignment<'_, f32>>,
) -> impl Fn(Point<f32>) -> Point<f32> + 'a {
    let known = alignment.map(|alignment| (alignment, alignment.predict(place).at));
    move |offset| {
        known.map_or(offset, |(alignment, from)| {
            let to = alignment.predict(Point::new(place.x + offset.x, place.y + offset.y)).at;
            Point::new(to.x - from.x, to.y - from.y)
        })
    }
}

/// Adds [`WEIGHT`] times `map`, shifted by `by` cells: bilinear, with a replicated border.
fn add_moved(map: &[f32], out: &mut [f32], (width, height): (usize, usize), by: (f32, f32)) {
    let place = |cell: usize, by: f32, size: usize| {
        let at = (cell as f32 + by).clamp(0.0, size as f32 - 1.0);
        let first = at.floor() as usize;
        (first, (first + 1).min(size - 1), at - at.floor())
    };
    let columns: Vec<_> = (0..width).map(|x| place(x, by.0, width)).collect();
    let parts: Vec<f32> = columns.iter().map(|&(.., part)| part).collect();
    // From `start` on, `len` columns lie between adjacent source columns: those are read as slices, the others one by one.
    let follows = |pair: &[(usize, usize, f32)]| pair[1].0 == pair[0].0 + 1;
    let start = columns.windows(2).position(follows).unwrap_or(width);
    let begin = columns.get(start).map_or(0, |&(left, ..)| left);
    let consecutive =
        |&(i, &(left, right, _)): &(usize, &(usize, usize, f32))| left == begin + i && right == left + 1;
    let len = columns[start..].iter().enumerate().take_while(consecutive).count();
    let apart = || (0..start).chain(start + len..width);
    widest(
        #[inline(always)]
        || {
            for (y, row) in out.chunks_exact_mut(width).enumerate() {
                let (top, bottom, v) = place(y, by.1, height);
                let (above, below) = (&map[top * width..][..width], &map[bottom * width..][..width]);
                let mixed = |[a, b]: [f32; 2], [c, d]: [f32; 2], u: f32| {
                    let (first, second) = (a + u * (b - a), c + u * (d - c));
                    WEIGHT * (first + v * (second - first))
                };
                for x in apart() {
                    let (left, right, u) = columns[x];
                    row[x] += mixed([above[left], above[right]], [below[left], below[right]], u);
                }
                if len == 0 {
                    continue;
                }
                let (above, below) = (&above[begin..=begin + len], &below[begin..=begin + len]);
                let values = above.iter().zip(&above[1..]).zip(below.iter().zip(&below[1..]));
                let places = row[start..start + len].iter_mut().zip(&parts[start..]);
                for ((out, &u), ((&a, &b), (&c, &d))) in places.zip(values) {
                    *out += mixed([a, b], [c, d], u);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_maps_are_linear_between_cells_to_the_bit() {
        for (width, height) in [(1, 1), (2, 3), (13, 5), (40, 2)] {
            let map: Vec<f32> = (0..width * height).map(|i| (i as f32 * 1.7).sin()).collect();
            for by in [0.0, 0.25, -0.75, 3.7, -1e-9, 0.999_999_9, -4.3, 12.0, 1e3, -1e3] {
                let (across, down) = (by, -0.6 * by);
                let mut moved = vec![0.5; map.len()];
                add_moved(&map, &mut moved, (width, height), (across, down));
                let place = |cell: usize, by: f32, size: usize| {
                    let at = (cell as f32 + by).clamp(0.0, (size - 1) as f32);
                    (at as usize, (at as usize + 1).min(size - 1), at - at.floor())
                };
                for (i, value) in moved.into_iter().enumerate() {
                    let (left, right, u) = place(i % width, across, width);
                    let (top, bottom, v) = place(i / width, down, height);
                    let row = |y: usize| {
                        let (first, second) = (map[y * width + left], map[y * width + right]);
                        first + u * (second - first)
                    };
                    let expected = 0.5 + WEIGHT * (row(top) + v * (row(bottom) - row(top)));
                    assert_eq!(value, expected, "cell {i} of {width} x {height}, moved by {by}");
                }
            }
        }
    }
}
