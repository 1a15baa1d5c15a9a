//! Errors of what finds landmarks by itself: a landmark network, or a matcher with its templates.

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{Confidence, DataSet, Image, LandmarkNet, Matcher, Sample, read_image};
use rayon::prelude::*;

use crate::sets::{check_annotated, manifest};
use crate::{EvalError, Run, Score, ScoredImage};

/// Landmarks of an image: where, with which score, and how sure.
type Places = Vec<(Point<f64>, f64, Option<Confidence>)>;

/// Scores a landmark network on every image; the run is called by the network's name.
///
/// It works on the threads of the pool that it is called in; results do not depend on them. `advance` is called once for each image; the
/// work ends when that is an error.
///
/// # Errors
/// [`EvalError::Unknown`] for the first landmark of the data set that the network does not find, [`EvalError::Unannotated`] for the
/// first that has no point in any image, when an image can't be read or the
/// network fails on it, and those of `advance`.
pub fn score_network(
    net: &LandmarkNet,
    data: &DataSet,
    advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
) -> Result<Run, EvalError> {
    let known: Vec<&str> = net.description().landmarks.iter().map(String::as_str).collect();
    let find = |image: &Image| -> Result<Places, EvalError> {
        let located = net.find(image)?;
        Ok(located.iter().map(|located| (located.at, located.probability, None)).collect())
    };
    let images = score((net.name(), &known), &find, data, &[], advance)?;
    Ok(Run { templates: vec![net.name().to_owned()], images })
}

/// Scores a matcher on every image but those left out, which are places in `data`: the images of its templates, say.
///
/// Threads and `advance` are as of [`score_network`].
///
/// # Errors
/// As of [`score_network`].
pub fn score_matcher(
    matcher: &Matcher,
    data: &DataSet,
    leave_out: &[usize],
    advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
) -> Result<Run, EvalError> {
    let find = |image: &Image| -> Result<Places, EvalError> {
        let found = matcher.find(image).map_err(|error| EvalError::Match(Box::new(error)))?;
        Ok(found.iter().map(|found| (found.at, found.score, Some(found.confidence))).collect())
    };
    let images = score(("the matcher", &matcher.landmarks()), &find, data, leave_out, advance)?;
    let templates = matcher.templates().iter().map(|template| template.image().to_owned()).collect();
    Ok(Run { templates, images })
}

/// Scores what finds the landmarks `known` in an image, in that order.
fn score(
    (finder, known): (&str, &[&str]),
    find: &(dyn Fn(&Image) -> Result<Places, EvalError> + Sync),
    data: &DataSet,
    leave_out: &[usize],
    advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
) -> Result<Vec<ScoredImage>, EvalError> {
    let place = |name: &String| {
        known.iter().position(|landmark| landmark == name).ok_or_else(|| EvalError::Unknown {
            manifest: manifest(data),
            landmark: name.clone(),
            finder: finder.to_owned(),
            known: known.iter().map(|&name| name.to_owned()).collect(),
        })
    };
    let order = data.landmarks.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    check_annotated(data)?;
    let one = |(image, sample): (usize, &Sample)| {
        let found = find(&read_image(&sample.path)?)?;
        let score = |(&place, truth): (&usize, &Option<Point<f64>>)| {
            let truth = (*truth)?;
            let &(found, score, confidence) = found.get(place)?;
            let error_mm = radial_error_mm(found, truth, data.spacing);
            Some(Score { found, truth, score, error_mm, confidence })
        };
        let scores = order.iter().zip(&sample.landmarks).map(score).collect();
        advance()?;
        Ok(ScoredImage { image, scores })
    };
    let images = data.images.par_iter().enumerate();
    images.filter(|(image, _)| !leave_out.contains(image)).map(one).collect()
}
