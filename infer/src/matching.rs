//! Matching of template landmarks in images.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use infomark_core::{LocateError, Plane, Point, peak, soft_peak};

use crate::confidence::{self, Confidence};
use crate::distinct::{self, Pair};
use crate::fit::{cells, onto};
use crate::score_map::{Registered, ScoreMap, anchor_matches, counted};
use crate::search::ComparisonError;
use crate::{Encoder, Encoding, Image, MatchError, MatchOptions, SubPixel, Template};

/// Matched landmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Name of the landmark.
    pub name: String,
    /// Position in pixels of the original image; always within the image.
    pub at: Point<f64>,
    /// Mean cosine over the strides between the features of template and image at this position, the finest with weight
    /// 1.5, -1 to 1.
    ///
    /// It ranks positions; it is not a probability of being right.
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

/// [`match_image`] for an encoded image: one encoding serves any number of templates.
///
/// For each landmark the cosines over the temperature are summed over the strides, those of the ring around it and the
/// logarithm of the prior are added, and the highest position that shows the image (not the repeated edge around it)
/// is refined by [`MatchOptions::sub_pixel`]. Where two landmarks that are apart in the template coincide,
/// the one that loses less score moves to its next best peak.
///
/// # Errors
/// [`MatchError`], except `Model`.
pub fn match_encoding(
    template: &Template,
    encoding: &Encoding,
    options: MatchOptions,
) -> Result<Vec<Found>, MatchError> {
    match_templates(&[template], encoding, options)
}

/// [`match_encoding`] with several templates: each landmark is matched with all that have it.
///
/// Their score maps, each with its ring and prior, are averaged, with
/// the cube of the score of each template alone as weight: a product of experts (Hinton, 2002), in which a look-alike has
/// to match all of them. The landmarks are in the order of the first
/// template, then those added by the second, and so on.
///
/// # Errors
/// [`MatchError`], except `Model`.
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

/// Finds the landmarks of the templates, and passes on each with its score map.
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
    let names = union(templates);
    let having = |places: &[(usize, usize)]| -> Vec<(&Registered<'_>, usize)> {
        places.iter().filter_map(|&(template, index)| Some((laid.get(template)?, index))).collect()
    };
    let map_of = |places: &[(usize, usize)]| {
        let having = having(places);
        let maps = having.iter().map(|(laid, index)| laid.score_map(*index));
        fuse(maps.collect::<Result<_, _>>()?, encoding)
    };
    // A score map, and one in which the positions of other landmarks are excluded.
    let one = |(name, places): &(&str, Vec<(usize, usize)>), map: ScoreMap, left: Option<ScoreMap>| {
        let (at, score) = highest(left.as_ref().unwrap_or(&map), encoding, options.sub_pixel)?;
        let confidence = confidence::of(&having(places), encoding, &map, (at, score))?;
        let found = Found { name: (*name).to_owned(), at, score, confidence };
        Ok::<_, ComparisonError>((at, with_map(found, left.unwrap_or(map))?))
    };
    let each = names.iter().map(|named| one(named, map_of(&named.1)?, None));
    let (mut found, mut all): (Vec<Point<f64>>, Vec<T>) =
        each.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let moved = tell_apart(&names, templates, &mut found, encoding, options.sub_pixel, &map_of)?;
    for (landmark, left) in moved {
        if let Some((named, place)) = names.get(landmark).zip(all.get_mut(landmark)) {
            *place = one(named, map_of(&named.1)?, Some(left))?.1;
        }
    }
    Ok(all)
}

/// Moves landmarks that coincide although they are apart in the templates; returns those that moved, with their remaining score maps.
fn tell_apart(
    names: &[(&str, Vec<(usize, usize)>)],
    templates: &[&Template],
    found: &mut [Point<f64>],
    encoding: &Encoding,
    sub_pixel: SubPixel,
    map_of: &impl Fn(&[(usize, usize)]) -> Result<ScoreMap, ComparisonError>,
) -> Result<BTreeMap<usize, ScoreMap>, ComparisonError> {
    let levels = encoding.levels();
    let finest = levels.first().ok_or(LocateError::NoLevels)?;
    let grid = (finest.width(), finest.stride());
    let places = templates.iter().enumerate().map(|(template, of)| -> distinct::Places {
        let place = |(_, places): &(&str, Vec<(usize, usize)>)| {
            let (_, index) = places.iter().find(|(other, _)| *other == template)?;
            of.places().get(*index).copied()
        };
        names.iter().map(place).collect()
    });
    let places: Vec<distinct::Places> = places.collect();
    let mut maps: BTreeMap<usize, ScoreMap> = BTreeMap::new();
    let mut moved = BTreeSet::new();
    // A map loses cells each time, so this ends; a few passes suffice for a hand.
    for _ in 0..names.len() {
        let on_canvas: Vec<Point<f32>> = found.iter().map(|&at| encoding.fit().push(at).cast()).collect();
        let Some(Pair { landmarks: [a, b], radius }) = distinct::nearest_pair(&on_canvas, &places) else {
            break;
        };
        // The landmark that loses the least score at its next best peak.
        let mut least: Option<(f32, usize, ScoreMap)> = None;
        for (own, other) in [(a, b), (b, a)] {
            let (Some((_, having)), Some(&taken)) = (names.get(own), on_canvas.get(other)) else { continue };
            let map = match maps.entry(own) {
                Entry::Occupied(map) => map.into_mut(),
                Entry::Vacant(none) => none.insert(map_of(having)?),
            };
            let mut left = map.clone();
            distinct::take(&mut left.all, grid, taken, radius);
            let loss = most(map, encoding)? - most(&left, encoding)?;
            if least.as_ref().is_none_or(|(other, ..)| loss < *other) {
                least = Some((loss, own, left));
            }
        }
        let Some((_, own, left)) = least else { break };
        if let Some(place) = found.get_mut(own) {
            *place = highest(&left, encoding, sub_pixel)?.0;
        }
        maps.insert(own, left);
        moved.insert(own);
    }
    maps.retain(|landmark, _| moved.contains(landmark));
    Ok(maps)
}

/// The highest value of a map among the cells that show the image.
fn most(map: &ScoreMap, encoding: &Encoding) -> Result<f32, ComparisonError> {
    let levels = encoding.levels();
    let finest = levels.first().ok_or(LocateError::NoLevels)?;
    let shown = cells(encoding.fit().content(), finest.stride());
    let rows = map.all.chunks_exact(finest.width()).skip(shown.y).take(shown.height);
    let values = rows.flat_map(|row| row.iter().skip(shown.x).take(shown.width));
    Ok(values.copied().fold(f32::NEG_INFINITY, f32::max))
}

/// All names in the order of their first template, with each template that has it and its index there.
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

/// The mean of the score maps of one landmark, weighted by the cube of the score of each template alone.
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

/// Minimum score in the weight of a template.
const LEAST_SCORE: f64 = 0.01;

/// The highest position of a map in pixels of the original image, and the mean cosine of the landmark's own feature there.
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
    // A score is the mean of the cosines that were summed over the temperature.
    let mean = encoding.temperature() / counted(levels.len());
    let at = Point::new(
        f64::from(peak.at.x) + (shown.x * stride) as f64,
        f64::from(peak.at.y) + (shown.y * stride) as f64,
    );
    let score = f64::from(cosine * mean).clamp(-1.0, 1.0);
    Ok((onto(encoding.fit(), encoding.fit().pull(at)), score))
}
