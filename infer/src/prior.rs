//! Prior by robust alignment: keypoints of the template, drawn by entropy, are matched in the image, and the inliers
//! define a map from template to image that predicts the landmarks.

use infomark_core::{
    AlignOptions, Alignment, Match, Plane, PlaneMut, Point, Rng, Weighting, entropy_map, entropy_scratch_len,
    peak, sample_spaced, sample_spaced_scratch_len, weight_map,
};
use infomark_kernels::widest;

use crate::Encoding;
use crate::lengths::{Lengths, features_at};
use crate::search::{ComparisonError, Search, TOGETHER};

/// Number of keypoints.
const ANCHORS: usize = 200;
/// Minimum distance of two keypoints, in pixels of the model input.
const APART: f32 = 10.0;
/// Side of the patches whose entropy weights the sampling.
const PATCH: usize = 9;
/// Finest stride that is compared: a finer one costs most and changes the result by less than a pixel.
pub(crate) const FINEST: usize = 4;

/// Keypoints of a template, besides its landmarks, with their features.
#[derive(Clone, Debug)]
pub(crate) struct Anchors {
    pub(crate) places: Vec<Point<f32>>,
    /// Features, keypoint by keypoint, level by level.
    pub(crate) features: Vec<f32>,
    /// Channels of the compared levels.
    pub(crate) lengths: Lengths,
}

impl Anchors {
    /// Samples keypoints of an image in proportion to their entropy, deterministically. None for an image without information.
    pub(crate) fn draw(encoding: &Encoding) -> Result<Anchors, ComparisonError> {
        let places = places(encoding)?;
        let maps: Vec<_> = encoding.levels().into_iter().filter(|map| map.stride() >= FINEST).collect();
        let lengths = Lengths::of(&maps);
        let mut features = Vec::with_capacity(places.len() * lengths.total());
        for &place in &places {
            features.extend(features_at(&maps, place)?);
        }
        Ok(Anchors { places, features, lengths })
    }

    /// Matches of the keypoints in an image.
    pub(crate) fn matches(&self, encoding: &Encoding) -> Result<Vec<Match<f32>>, ComparisonError> {
        self.matches_from(encoding, FINEST)
    }

    /// [`matches`](Self::matches) by the features at the stride `finest` and coarser ones; by all where there are none.
    pub(crate) fn matches_from(
        &self,
        encoding: &Encoding,
        finest: usize,
    ) -> Result<Vec<Match<f32>>, ComparisonError> {
        let levels = encoding.levels();
        let count = match levels.iter().filter(|map| map.stride() >= finest.max(FINEST)).count() {
            0 => self.lengths.levels(),
            count => count.min(self.lengths.levels()),
        };
        let maps = levels.get(levels.len().saturating_sub(count)..).unwrap_or_default();
        let Some(finest) = maps.first() else { return Ok(Vec::new()) };
        let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
        let mut search = Search::default();
        let mut matches = Vec::with_capacity(self.places.len());
        let (all, left_out) = (self.lengths.total(), self.lengths.levels() - count);
        if all == 0 {
            return Ok(Vec::new());
        }
        let several = self.features.chunks(TOGETHER * all);
        for (places, features) in self.places.chunks(TOGETHER).zip(several) {
            let features: Vec<Vec<&[f32]>> = features
                .chunks_exact(all)
                .map(|features| self.lengths.split(features).split_off(left_out))
                .collect();
            let features: Vec<&[&[f32]]> = features.iter().map(Vec::as_slice).collect();
            let planes = search.similarities(maps, &features, encoding.temperature())?;
            for (&from, map) in places.iter().zip(planes.chunks_exact(finest.cells())) {
                let plane = Plane::new(map, width, height)?;
                let found = widest(
                    #[inline(always)]
                    || peak(plane, stride),
                );
                matches.extend(found.map(|found| Match { from, to: found.at }));
            }
        }
        Ok(matches)
    }
}

/// Robust alignment from matches; `None` with too few inliers.
pub(crate) fn align(matches: &[Match<f32>]) -> Option<Alignment<'_, f32>> {
    let options = AlignOptions { min_inliers: (matches.len() / 5).max(8), ..AlignOptions::default() };
    Alignment::new(matches, options, &mut Rng::new(0, 1)).ok()
}

/// Fraction of the matches that are inliers of one affine map, 0 to 1. The tolerance is smaller on model inputs of less than 400
/// pixels a side, so that chance inliers do not become more frequent.
pub(crate) fn inlier_fraction(matches: &[Match<f32>], encoding: &Encoding) -> f64 {
    let side = (encoding.fit().input().area() as f32).sqrt();
    let default = AlignOptions::default();
    let options =
        AlignOptions { min_inliers: 3, tolerance: default.tolerance * (side / 400.0).min(1.0), ..default };
    match Alignment::new(matches, options, &mut Rng::new(0, 1)) {
        Ok(alignment) => alignment.inliers() as f64 / matches.len() as f64,
        Err(_) => 0.0,
    }
}

fn places(encoding: &Encoding) -> Result<Vec<Point<f32>>, ComparisonError> {
    let input = encoding.fit().input();
    let (width, height) = (input.width(), input.height());
    let mut entropy = vec![0.0f32; input.area()];
    let mut scratch = vec![0; entropy_scratch_len(PATCH, width, height)];
    let canvas = Plane::new(encoding.canvas(), width, height)?;
    entropy_map(canvas, PATCH, PlaneMut::new(&mut entropy, width, height)?, &mut scratch)?;
    let mut weights = vec![0.0f32; input.area()];
    let weighting = Weighting::Exponential { alpha: 1.0 };
    weight_map(Plane::new(&entropy, width, height)?, weighting, PlaneMut::new(&mut weights, width, height)?)?;
    // Pixels repeated beyond the image's border are excluded.
    let content = encoding.fit().content();
    for (i, weight) in weights.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width);
        let inside = (content.x..content.x + content.width).contains(&x)
            && (content.y..content.y + content.height).contains(&y);
        if !inside {
            *weight = 0.0;
        }
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Ok(Vec::new());
    }
    let mut drawn = vec![(0, 0); ANCHORS];
    let mut scratch = vec![0.0; sample_spaced_scratch_len(width, height)];
    let weights = Plane::new(&weights, width, height)?;
    let count = sample_spaced(weights, APART, &mut Rng::new(0, 0), &mut drawn, &mut scratch)?;
    Ok(drawn[..count].iter().map(|&(x, y)| Point::new(x as f32, y as f32)).collect())
}
