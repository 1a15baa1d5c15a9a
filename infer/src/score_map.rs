//! How well each landmark of a template fits each place of an image, before a place is chosen.

use std::cell::RefCell;

use infomark_core::{Alignment, Match, Point, similarities_scratch_len};

use crate::compare::{TOGETHER, similarities};
use crate::{Encoding, MatchOptions, Template, prior};

/// What the finest stride counts in a landmark's own map, where each other one counts 1: it decides within the place that all of
/// them found (`docs/results.md`).
const OF_FINEST: f32 = 1.5;

/// What a map of a landmark's own feature times the temperature is divided by to give the mean cosine over so many strides.
pub(crate) fn counted(levels: usize) -> f32 {
    levels as f32 - 1.0 + OF_FINEST
}

/// A template laid on an image.
pub(crate) struct Laid<'a> {
    template: &'a Template,
    encoding: &'a Encoding,
    options: MatchOptions,
    alignment: Option<Alignment<'a, f32>>,
    /// Maps of the own features of the landmarks that were asked for last and of those beside them, as they cost less together: the
    /// first one's place among the landmarks divided by [`TOGETHER`], and the maps one after the other.
    held: RefCell<Option<(usize, Vec<f32>)>>,
}

/// Values on the grid of the finest stride, for one landmark of one template.
pub(crate) struct ScoreMap {
    /// Cosines of the landmark's own feature over the temperature, added over the strides, the finest times [`OF_FINEST`].
    pub(crate) own: Vec<f32>,
    /// With the votes of what lies around it and the logarithm of the prior, as far as they have a say.
    pub(crate) all: Vec<f32>,
}

impl ScoreMap {
    /// Adds another map of the same grid.
    pub(crate) fn add(&mut self, other: &ScoreMap) {
        for (ours, theirs) in [(&mut self.own, &other.own), (&mut self.all, &other.all)] {
            ours.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Multiplies all values; by 1 it changes no bit.
    pub(crate) fn scale(&mut self, factor: f32) {
        self.own.iter_mut().chain(&mut self.all).for_each(|value| *value *= factor);
    }
}

/// Where the template's anchors seem to be in the image; none where the prior has no say.
pub(crate) fn anchor_matches(
    template: &Template,
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Match<f32>>, String> {
    if options.prior { template.anchors().matches(encoding) } else { Ok(Vec::new()) }
}

impl<'a> Laid<'a> {
    /// `matches` are those of [`anchor_matches`].
    pub(crate) fn new(
        template: &'a Template,
        encoding: &'a Encoding,
        matches: &'a [Match<f32>],
        options: MatchOptions,
    ) -> Self {
        Self { template, encoding, options, alignment: prior::align(matches), held: RefCell::new(None) }
    }

    pub(crate) fn template(&self) -> &'a Template {
        self.template
    }

    pub(crate) fn encoding(&self) -> &'a Encoding {
        self.encoding
    }

    /// How the template lies on the image, where enough of it agrees and the prior has a say.
    pub(crate) fn alignment(&self) -> Option<&Alignment<'a, f32>> {
        self.alignment.as_ref()
    }

    /// Standard deviation of the prior in pixels of the canvas.
    pub(crate) fn prior_sigma(&self) -> f32 {
        self.options.prior_sigma
    }

    /// The map of the template's landmark `index`; an error when there is none, or the features do not fit.
    pub(crate) fn score_map(&self, index: usize) -> Result<ScoreMap, String> {
        let (template, encoding) = (self.template, self.encoding);
        let levels = encoding.levels();
        let finest = levels.first().ok_or("no levels")?;
        let (width, stride) = (finest.width(), finest.stride());
        let place = *template.places().get(index).ok_or("no such landmark")?;
        let own = self.own(index)?;
        let mut all = own.clone();
        if self.options.neighbours {
            template.neighbours().vote(index, place, encoding, self.alignment.as_ref(), &mut all)?;
        }
        if let Some(alignment) = &self.alignment {
            favour(&mut all, width, stride, alignment.predict(place).at, self.prior_sigma());
        }
        Ok(ScoreMap { own, all })
    }

    /// The map of a landmark's own feature, the finest stride counted [`OF_FINEST`] times.
    fn own(&self, index: usize) -> Result<Vec<f32>, String> {
        let levels = self.encoding.levels();
        let cells = levels.first().ok_or("no levels")?.cells();
        let (group, place) = (index / TOGETHER, index % TOGETHER);
        let mut held = self.held.borrow_mut();
        let held = match held.take().filter(|(of, _)| *of == group) {
            Some(known) => held.insert(known),
            None => held.insert((group, self.owns(group, cells)?)),
        };
        held.1
            .chunks_exact(cells)
            .nth(place)
            .map(<[f32]>::to_vec)
            .ok_or_else(|| "no such landmark".to_owned())
    }

    fn owns(&self, group: usize, cells: usize) -> Result<Vec<f32>, String> {
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
        let mut maps = vec![0.0; weighted.len() * cells];
        let mut scratch = vec![0.0; similarities_scratch_len(&levels, weighted.len())];
        similarities(&levels, &weighted, self.encoding.temperature(), &mut maps, &mut scratch)?;
        Ok(maps)
    }
}

/// Adds the logarithm of a Gaussian around where a landmark is expected to a map of similarities over the temperature.
pub(crate) fn favour(map: &mut [f32], width: usize, stride: usize, expected: Point<f32>, sigma: f32) {
    let factor = -0.5 / (sigma * sigma);
    let centre = |cell: usize| (cell as f32 + 0.5) * stride as f32 - 0.5;
    for (y, row) in map.chunks_exact_mut(width).enumerate() {
        let dy = centre(y) - expected.y;
        for (x, value) in row.iter_mut().enumerate() {
            let dx = centre(x) - expected.x;
            *value += factor * (dx * dx + dy * dy);
        }
    }
}
