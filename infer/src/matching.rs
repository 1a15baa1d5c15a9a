//! A template's landmarks in other images.

use std::cell::RefCell;
use std::collections::HashMap;

use infomark_core::{LocateError, Plane, Point, peak, soft_peak};

use crate::confidence::{self, Confidence};
use crate::fit::{cells, onto};
use crate::score_map::{Registered, ScoreMap, anchor_matches, counted};
use crate::search::ComparisonError;
use crate::{Encoder, Encoding, Image, MatchError, MatchOptions, SubPixel, Template};

/// A matched landmark.
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
    /// Its confidence measures.
    pub confidence: Confidence,
}

/// Finds the template's landmarks in an image, in the template's order.
///
/// # Errors
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
    let memory = RefCell::default();
    let laid: Vec<_> = each
        .map(|(template, matches)| Registered::new(template, encoding, matches, options, &memory))
        .collect();
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
