//! What lies around a landmark: places on a ring whose own similarities vote for it.
//!
//! A single feature is matched a few pixels off, and now and then to a look-alike. Errors of features some way apart are in
//! part independent, so that together they are nearer: a generalised Hough transform (Ballard, 1981) with a similarity
//! map for each vote.

use infomark_core::{Alignment, FeatureMap, Point, similarities_scratch_len};

use crate::Encoding;
use crate::compare::similarities;
use crate::lengths::{Lengths, features_at};

/// Radius of the ring in pixels of the canvas.
const RADIUS: f32 = 16.0;
/// Places on it.
const COUNT: usize = 8;
/// Weight of each vote against the landmark's own feature.
const WEIGHT: f32 = 0.5;
/// Finest stride that votes: a finer one costs most and adds least.
pub(crate) const FINEST: usize = 4;

/// The places around each landmark, and their features.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// Landmark by landmark.
    pub(crate) places: Vec<Vec<Neighbour>>,
    /// Of the levels that vote.
    pub(crate) lengths: Lengths,
}

#[derive(Clone, Debug)]
pub(crate) struct Neighbour {
    /// From the landmark, in pixels of the canvas.
    pub(crate) offset: Point<f32>,
    /// Level by level.
    pub(crate) features: Vec<f32>,
}

fn maps(encoding: &Encoding) -> Vec<FeatureMap<'_, f32>> {
    encoding.levels().into_iter().filter(|map| map.stride() >= FINEST).collect()
}

impl Neighbours {
    /// Those of the landmarks at `places` that the image shows.
    pub(crate) fn around(places: &[Point<f32>], encoding: &Encoding) -> Result<Neighbours, String> {
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
        let places = places.iter().map(of).collect::<Result<_, String>>()?;
        Ok(Neighbours { places, lengths: Lengths::of(&maps) })
    }

    /// Adds the votes of a landmark's neighbours to its map of similarities, which lies on the image's finest level.
    ///
    /// `place` is the landmark in the template; where an alignment is known, it says how offsets turn and stretch.
    pub(crate) fn vote(
        &self,
        landmark: usize,
        place: Point<f32>,
        encoding: &Encoding,
        alignment: Option<&Alignment<'_, f32>>,
        out: &mut [f32],
    ) -> Result<(), String> {
        let maps = maps(encoding);
        let levels = encoding.levels();
        let (Some(coarse), Some(fine)) = (maps.first(), levels.first()) else { return Ok(()) };
        let Some(neighbours) = self.places.get(landmark) else { return Ok(()) };
        let (width, height, stride) = (coarse.width(), coarse.height(), coarse.stride() as f32);
        let mut planes = vec![0.0; neighbours.len() * coarse.cells()];
        let mut scratch = vec![0.0; similarities_scratch_len(&maps, neighbours.len())];
        let features: Vec<Vec<&[f32]>> =
            neighbours.iter().map(|neighbour| self.lengths.split(&neighbour.features)).collect();
        let features: Vec<&[&[f32]]> = features.iter().map(Vec::as_slice).collect();
        similarities(&maps, &features, encoding.temperature(), &mut planes, &mut scratch)?;
        let laid = laid(place, alignment);
        let mut votes = vec![0.0; coarse.cells()];
        for (neighbour, map) in neighbours.iter().zip(planes.chunks_exact(coarse.cells())) {
            let offset = laid(neighbour.offset);
            add_moved(map, &mut votes, (width, height), (offset.x / stride, offset.y / stride));
        }
        add_resized(&votes, coarse, out, fine);
        Ok(())
    }
}

/// How offsets from a landmark's `place` in the template lie on the image: as they are, where no alignment says how they turn and stretch.
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

/// Adds [`WEIGHT`] times what lies `by` cells further in `map`, linear between cells, the border continued.
fn add_moved(map: &[f32], out: &mut [f32], (width, height): (usize, usize), by: (f32, f32)) {
    let last = |size: usize| size as f32 - 1.0;
    let columns: Vec<_> = (0..width)
        .map(|x| {
            let at = (x as f32 + by.0).clamp(0.0, last(width));
            let left = at.floor() as usize;
            (left, (left + 1).min(width - 1), at - at.floor())
        })
        .collect();
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let at = (y as f32 + by.1).clamp(0.0, last(height));
        let (top, v) = (at.floor() as usize, at - at.floor());
        let bottom = (top + 1).min(height - 1);
        let (above, below) = (&map[top * width..][..width], &map[bottom * width..][..width]);
        for (out, &(left, right, u)) in row.iter_mut().zip(&columns) {
            let first = above[left] + u * (above[right] - above[left]);
            let second = below[left] + u * (below[right] - below[left]);
            *out += WEIGHT * (first + v * (second - first));
        }
    }
}

/// Adds a map on the cells of one level to one on those of another, cell centre to cell centre.
fn add_resized(map: &[f32], from: &FeatureMap<'_, f32>, out: &mut [f32], to: &FeatureMap<'_, f32>) {
    let scale = to.stride() as f32 / from.stride() as f32;
    let place = |cell: usize, size: usize| {
        let at = ((cell as f32 + 0.5) * scale - 0.5).clamp(0.0, size as f32 - 1.0);
        let first = at.floor() as usize;
        (first, (first + 1).min(size - 1), at - at.floor())
    };
    let columns: Vec<_> = (0..to.width()).map(|x| place(x, from.width())).collect();
    for (y, row) in out.chunks_exact_mut(to.width()).enumerate() {
        let (top, bottom, v) = place(y, from.height());
        let above = &map[top * from.width()..][..from.width()];
        let below = &map[bottom * from.width()..][..from.width()];
        for (out, &(left, right, u)) in row.iter_mut().zip(&columns) {
            let first = above[left] + u * (above[right] - above[left]);
            let second = below[left] + u * (below[right] - below[left]);
            *out += first + v * (second - first);
        }
    }
}
