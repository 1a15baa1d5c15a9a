//! Score maps of a template's landmarks over an image.

use std::cell::{RefCell, RefMut};

use infomark_core::{Alignment, LocateError, Match, Point};
use infomark_kernels::widest;

use crate::neighbours::Votes;
use crate::search::{ComparisonError, Maps, Search, TOGETHER};
use crate::{Encoding, MatchOptions, Template, prior};

/// Weight of the finest stride in a landmark's own map, relative to 1 for the others: it refines the position found by
/// all of them (`docs/studies.md`).
const OF_FINEST: f32 = 1.5;

/// Divisor of a landmark's own map times the temperature that gives the mean cosine over the strides.
pub(crate) fn counted(levels: usize) -> f32 {
    levels as f32 - 1.0 + OF_FINEST
}

/// A template registered to an image.
pub(crate) struct Registered<'a> {
    template: &'a Template,
    encoding: &'a Encoding,
    options: MatchOptions,
    alignment: Option<Alignment<'a, f32>>,
    /// Own maps of the last landmark requested and of those next to it, which are cheaper together.
    held: RefCell<Held>,
    memory: &'a RefCell<SearchMemory>,
}

/// Own maps of [`TOGETHER`] landmarks.
#[derive(Debug, Default)]
struct Held {
    /// Index of the first landmark divided by [`TOGETHER`]; `None` before the first search.
    group: Option<usize>,
    maps: Maps,
}

/// Scratch of searches, shared by templates.
#[derive(Debug, Default)]
pub(crate) struct SearchMemory {
    search: Search,
    votes: Votes,
}

/// Score map of one landmark of one template, on the grid of the finest stride.
#[derive(Clone)]
pub(crate) struct ScoreMap {
    /// Cosines of the landmark's own feature over the temperature, summed over the strides, the finest times [`OF_FINEST`].
    pub(crate) own: Vec<f32>,
    /// Own values plus those of the ring and the logarithm of the prior, if on.
    pub(crate) all: Vec<f32>,
}

impl ScoreMap {
    /// Adds another map of the same grid.
    pub(crate) fn add(&mut self, other: &ScoreMap) {
        for (ours, theirs) in [(&mut self.own, &other.own), (&mut self.all, &other.all)] {
            ours.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Multiplies all values; a factor of 1 changes no bit.
    pub(crate) fn scale(&mut self, factor: f32) {
        self.own.iter_mut().chain(&mut self.all).for_each(|value| *value *= factor);
    }
}

/// Matches of the template's keypoints in the image; `None` without the prior.
pub(crate) fn anchor_matches(
    template: &Template,
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Match<f32>>, ComparisonError> {
    if options.prior { template.anchors().matches(encoding) } else { Ok(Vec::new()) }
}

impl<'a> Registered<'a> {
    /// Registers a template to an image; `matches` are those of [`anchor_matches`].
    pub(crate) fn new(
        template: &'a Template,
        encoding: &'a Encoding,
        matches: &'a [Match<f32>],
        options: MatchOptions,
        memory: &'a RefCell<SearchMemory>,
    ) -> Self {
        Self {
            template,
            encoding,
            options,
            alignment: prior::align(matches),
            held: RefCell::default(),
            memory,
        }
    }

    pub(crate) fn template(&self) -> &'a Template {
        self.template
    }

    /// Alignment of the template with the image, if there are enough inliers and the prior is on.
    pub(crate) fn alignment(&self) -> Option<&Alignment<'a, f32>> {
        self.alignment.as_ref()
    }

    /// Scratch of searches for the landmarks.
    pub(crate) fn search(&self) -> RefMut<'_, Search> {
        RefMut::map(self.memory.borrow_mut(), |memory| &mut memory.search)
    }

    /// Standard deviation of the prior in pixels of the model input.
    fn prior_sigma(&self) -> f32 {
        self.options.prior_sigma
    }

    /// The score map of landmark `index`; an error when it does not exist, or the features do not match.
    pub(crate) fn score_map(&self, index: usize) -> Result<ScoreMap, ComparisonError> {
        let (template, encoding) = (self.template, self.encoding);
        let levels = encoding.levels();
        let finest = levels.first().ok_or(LocateError::NoLevels)?;
        let (width, stride) = (finest.width(), finest.stride());
        let place = *template.places().get(index).ok_or(ComparisonError::NoLandmark)?;
        let own = self.own(index)?;
        let mut all = own.clone();
        if self.options.neighbours {
            let votes = &mut self.memory.borrow_mut().votes;
            template.neighbours().vote(index, place, encoding, self.alignment.as_ref(), votes, &mut all)?;
        }
        if let Some(alignment) = &self.alignment {
            favour(&mut all, width, stride, alignment.predict(place).at, self.prior_sigma());
        }
        Ok(ScoreMap { own, all })
    }

    /// The map of a landmark's own feature, the finest stride times [`OF_FINEST`].
    fn own(&self, index: usize) -> Result<Vec<f32>, ComparisonError> {
        let (group, place) = (index / TOGETHER, index % TOGETHER);
        let held = &mut *self.held.borrow_mut();
        if held.group != Some(group) {
            held.group = None;
            let mut search = self.search();
            self.search_group(group, &mut search)?;
            search.swap_maps(&mut held.maps);
            held.group = Some(group);
        }
        held.maps.map(place).map(<[f32]>::to_vec).ok_or(ComparisonError::NoLandmark)
    }

    /// Computes the maps of a group of landmarks.
    fn search_group(&self, group: usize, search: &mut Search) -> Result<(), ComparisonError> {
        let levels = self.encoding.levels();
        let features: Vec<Vec<&[f32]>> = self
            .template
            .features()
            .skip(group * TOGETHER)
            .take(TOGETHER)
            .map(|(_, features)| features)
            .collect();
        let finest = features.iter().map(|features| features.first().copied().unwrap_or_default());
        let finest: Vec<Vec<f32>> =
            finest.map(|values| values.iter().map(|v| OF_FINEST * v).collect()).collect();
        let weighted = features.iter().zip(&finest).map(|(features, finest)| {
            let coarser = features.iter().skip(1).copied();
            std::iter::once(finest.as_slice()).chain(coarser).collect::<Vec<&[f32]>>()
        });
        let weighted: Vec<Vec<&[f32]>> = weighted.collect();
        let weighted: Vec<&[&[f32]]> = weighted.iter().map(Vec::as_slice).collect();
        search.similarities(&levels, &weighted, self.encoding.temperature())?;
        Ok(())
    }
}

/// Adds the log-prior, a Gaussian around the predicted position, to a map of similarities over the temperature.
fn favour(map: &mut [f32], width: usize, stride: usize, expected: Point<f32>, sigma: f32) {
    let factor = -0.5 / (sigma * sigma);
    let centre = |cell: usize| (cell as f32 + 0.5) * stride as f32 - 0.5;
    let squares: Vec<f32> = (0..width).map(|x| (centre(x) - expected.x) * (centre(x) - expected.x)).collect();
    widest(
        #[inline(always)]
        || {
            for (y, row) in map.chunks_exact_mut(width).enumerate() {
                let dy = centre(y) - expected.y;
                for (value, &square) in row.iter_mut().zip(&squares) {
                    *value += factor * (square + dy * dy);
                }
            }
        },
    );
}
