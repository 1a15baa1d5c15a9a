//! A template's landmarks in other images.

use crate::search::ComparisonError;
use std::collections::HashMap;

use infomark_core::{LocateError, Plane, Point, peak, soft_peak};

use serde::{Deserialize, Serialize};

use crate::confidence::{self, Confidence};
use crate::fit::{cells, onto};
use crate::score_map::{Registered, ScoreMap, anchor_matches, counted};
use crate::{Encoder, Encoding, Image, ModelError, Template};

/// Where a landmark was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Name of the landmark.
    pub name: String,
    /// Where it is, in pixels of the image as it was given; always on the image.
    pub at: Point<f64>,
    /// Mean cosine over the strides between the features of template and image there, the finest counted one and a half
    /// times, -1 to 1.
    ///
    /// It ranks places; it is no probability of being right.
    pub score: f64,
    /// What tells how sure that is.
    pub confidence: Confidence,
}

/// Why an image could not be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The encoder failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Nothing to look for.
    #[error("there is no template to match; give at least one")]
    NoTemplates,
    /// A template comes from another encoder than the one it is to be used with.
    #[error(
        "template {template} was not made by {encoder}; make it again with this encoder, or use the one that made it"
    )]
    TemplateOfOther {
        /// Name of the template's image.
        template: String,
        /// Name of the encoder.
        encoder: String,
    },
    /// Template and image come from different encoders.
    #[error(
        "template {template} and image {image} were encoded by different models; encode both with the same file"
    )]
    OtherModel {
        /// Name of the template's image.
        template: String,
        /// Name of the image searched.
        image: String,
    },
    /// The features do not fit each other.
    #[error("{image}: its features cannot be compared with the template's ({source}); encode both again")]
    Features {
        /// Name of the image searched.
        image: String,
        /// What does not fit.
        source: ComparisonError,
    },
    /// A prior that is narrower than a pixel, or no number.
    #[error("prior_sigma {prior_sigma}: give at least 1 pixel")]
    PriorSigma {
        /// [`MatchOptions::prior_sigma`].
        prior_sigma: f32,
    },
    /// A threshold in mm for an image whose pixels have no size.
    #[error(
        "{image}: nothing states the size of its pixels, which abstain_above_mm needs; give it, or use abstain_below_score"
    )]
    NoSpacing {
        /// Name of the image.
        image: String,
    },
}

/// How landmarks are looked for. [`MatchOptions::default`] is what `infomark match` uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchOptions {
    /// Whether places around a landmark vote for it: eight places on a ring are looked for as well, and each adds its
    /// similarities where the landmark would be.
    pub neighbours: bool,
    /// Whether the rest of the image gives a prior: 200 other places of the template are matched too, and the smooth map that
    /// most of them agree on says where each landmark should be. With too few inliers, there is no prior.
    pub prior: bool,
    /// How far a landmark may be from where it is expected, as the standard deviation of a Gaussian, in pixels of the
    /// encoder's canvas; at least 1.
    pub prior_sigma: f32,
    /// Sub-pixel refinement of the peaks at the finest stride.
    pub sub_pixel: SubPixel,
}

/// How the highest cell of a map becomes a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SubPixel {
    /// Its centre.
    Cell,
    /// Where a parabola through it and its neighbours is highest, in each direction on its own: at most half a cell away.
    Parabola,
    /// The mean place of what lies within [`SOFT_RADIUS`](Self::SOFT_RADIUS), weighted by `exp((value - highest) /` [`SOFT_TEMPERATURE`](Self::SOFT_TEMPERATURE)`)`,
    /// of the logarithms that the place was chosen by.
    #[default]
    SoftArgmax,
}

impl SubPixel {
    /// Radius of [`SoftArgmax`](Self::SoftArgmax), in pixels of the encoder's canvas.
    pub const SOFT_RADIUS: f32 = 6.0;
    /// Temperature of [`SoftArgmax`](Self::SoftArgmax).
    pub const SOFT_TEMPERATURE: f32 = 1.0;
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { neighbours: true, prior: true, prior_sigma: 12.0, sub_pixel: SubPixel::default() }
    }
}

impl MatchOptions {
    /// Checks the options, as everything that takes them does.
    ///
    /// # Errors
    ///
    /// [`MatchError::PriorSigma`] unless `prior_sigma` is finite and at least 1.
    pub fn check(&self) -> Result<(), MatchError> {
        let prior_sigma = self.prior_sigma;
        match prior_sigma >= 1.0 && prior_sigma.is_finite() {
            true => Ok(()),
            false => Err(MatchError::PriorSigma { prior_sigma }),
        }
    }

    /// The options with what does not matter at its default: options that are equal then find the same.
    pub(crate) fn effective(self) -> MatchOptions {
        match self.prior {
            true => self,
            false => MatchOptions { prior_sigma: MatchOptions::default().prior_sigma, ..self },
        }
    }
}

/// Finds the template's landmarks in an image, in the template's order.
///
/// # Errors
///
/// [`MatchError`].
pub fn match_image(
    encoder: &Encoder,
    template: &Template,
    image: &Image,
    options: MatchOptions,
) -> Result<Vec<Found>, MatchError> {
    match_encoding(template, &encoder.encode(image)?, options)
}

/// [`match_image`] for an image that is encoded already: one encoding serves any number of templates.
///
/// For each landmark the cosines over the temperature are added over the strides, those of what lies around it and the
/// logarithm of the prior are added to that, and the highest place that shows the image, not the repeated edge around it,
/// is refined as [`MatchOptions::sub_pixel`] says.
///
/// # Errors
///
/// [`MatchError`], but `Model`.
pub fn match_encoding(
    template: &Template,
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Found>, MatchError> {
    match_templates(&[template], encoding, options)
}

/// [`match_encoding`] with several templates: each landmark is looked for with all that have it.
///
/// Their maps, each with what lies around the landmark and with its prior, are averaged before the highest place is taken, with
/// the cube of the score that each alone would give as weight: a product of experts (Hinton, 2002), in which a look-alike has
/// to convince all of them. The landmarks come in the order of the first
/// template, then what the second adds, and so on.
///
/// # Errors
///
/// [`MatchError`], but `Model`.
pub fn match_templates(
    templates: &[&Template],
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Found>, MatchError> {
    options.check()?;
    if templates.is_empty() {
        return Err(MatchError::NoTemplates);
    }
    templates.iter().try_for_each(|template| template.check_maker(encoding))?;
    search(templates, encoding, options)
        .map_err(|source| MatchError::Features { image: encoding.image().to_owned(), source })
}

fn search(
    templates: &[&Template],
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Found>, ComparisonError> {
    search_maps(templates, encoding, options, |found, _| Ok(found))
}

/// Finds the landmarks of the templates, and passes each with the map that it was found in.
pub(crate) fn search_maps<T>(
    templates: &[&Template],
    encoding: &Encoding,
    options: MatchOptions,
    with_map: impl Fn(Found, ScoreMap) -> Result<T, ComparisonError>,
) -> Result<Vec<T>, ComparisonError> {
    templates.iter().try_for_each(|template| template.check(encoding))?;
    let matches = templates.iter().map(|template| anchor_matches(template, encoding, options));
    let matches = matches.collect::<Result<Vec<_>, _>>()?;
    let each = templates.iter().zip(&matches);
    let laid: Vec<_> =
        each.map(|(template, matches)| Registered::new(template, encoding, matches, options)).collect();
    let one = |(name, having): (&str, Vec<(usize, usize)>)| {
        let having = having.into_iter().filter_map(|(template, index)| Some((laid.get(template)?, index)));
        let having: Vec<(&Registered<'_>, usize)> = having.collect();
        let maps = having.iter().map(|(laid, index)| laid.score_map(*index));
        let map = fuse(maps.collect::<Result<_, _>>()?, encoding)?;
        let (at, score) = highest(&map, encoding, options.sub_pixel)?;
        let confidence = confidence::of(&having, encoding, &map, (at, score))?;
        with_map(Found { name: name.to_owned(), at, score, confidence }, map)
    };
    union(templates).into_iter().map(one).collect()
}

/// All names in the order of their first template, with each template that has it and its place there.
pub(crate) fn union<'t>(templates: &[&'t Template]) -> Vec<(&'t str, Vec<(usize, usize)>)> {
    let mut places = HashMap::new();
    let mut all: Vec<(&str, Vec<(usize, usize)>)> = Vec::new();
    for (template, names) in templates.iter().map(|template| template.landmarks()).enumerate() {
        for (index, name) in names.iter().enumerate() {
            let place = *places.entry(name.as_str()).or_insert(all.len());
            match all.get_mut(place) {
                Some((_, having)) => having.push((template, index)),
                None => all.push((name, vec![(template, index)])),
            }
        }
    }
    all
}

/// The mean of the maps of one landmark, each weighted by the cube of what its template alone is sure of.
fn fuse(maps: Vec<ScoreMap>, encoding: &Encoding) -> Result<ScoreMap, ComparisonError> {
    let weight = |map: &ScoreMap| {
        Ok::<_, ComparisonError>(
            highest(map, encoding, SubPixel::default())?.1.max(LEAST_SCORE).powi(3) as f32
        )
    };
    let weights = if maps.len() > 1 { maps.iter().map(weight).collect::<Result<_, _>>()? } else { vec![1.0] };
    let total: f32 = weights.iter().sum();
    let weighted = maps.into_iter().zip(weights).map(|(mut map, weight)| {
        map.scale(weight / total);
        map
    });
    let add = |mut sum: ScoreMap, map| {
        sum.add(&map);
        sum
    };
    weighted.reduce(add).ok_or(ComparisonError::NoTemplate)
}

/// Least score that a template is weighted by.
const LEAST_SCORE: f64 = 0.01;

/// The highest place of a map in pixels of the image as it was given, and the mean cosine of the landmark's own feature there.
pub(crate) fn highest(
    map: &ScoreMap,
    encoding: &Encoding,
    sub_pixel: SubPixel,
) -> Result<(Point<f64>, f64), ComparisonError> {
    let levels = encoding.levels();
    let finest = levels.first().ok_or(LocateError::NoLevels)?;
    let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
    let shown = cells(encoding.fit().content(), stride);
    let refined = |map| match sub_pixel {
        SubPixel::Cell => soft_peak(map, stride, 0.0, 1.0),
        SubPixel::Parabola => peak(map, stride),
        SubPixel::SoftArgmax => soft_peak(map, stride, SubPixel::SOFT_RADIUS, SubPixel::SOFT_TEMPERATURE),
    };
    let peak = Plane::new(&map.all, width, height)
        .and_then(|map| map.crop(shown.x, shown.y, shown.width, shown.height))
        .map(refined)?
        .ok_or(ComparisonError::NotANumber)?;
    // Of the landmark's own feature, without ring and prior.
    let cell = |at: f32, start: usize, size: usize| {
        (((at + 0.5) / stride as f32).floor().max(0.0) as usize).min(size - 1) + start
    };
    let cosine =
        map.own[cell(peak.at.y, shown.y, shown.height) * width + cell(peak.at.x, shown.x, shown.width)];
    // A score is the mean of the cosines that were added over the temperature.
    let mean = encoding.temperature() / counted(levels.len());
    let at = Point::new(
        f64::from(peak.at.x) + (shown.x * stride) as f64,
        f64::from(peak.at.y) + (shown.y * stride) as f64,
    );
    let score = f64::from(cosine * mean).clamp(-1.0, 1.0);
    Ok((onto(encoding.fit(), encoding.fit().pull(at)), score))
}
