//! Scoring of a landmark network, or of a matcher with its templates.

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{Confidence, DataSet, Image, LandmarkNet, Matcher, Sample, read_image};
use rayon::prelude::*;

use crate::sets::{check_annotated, manifest};
use crate::{EvalError, Run, Score, ScoredImage};

/// Landmarks of an image: position, score and confidence.
type Places = Vec<(Point<f64>, f64, Option<Confidence>)>;

/// Scores a landmark network on every image; the run has the network's name.
///
/// It uses the threads of the current pool, on which the results do not depend. `advance` is called once per image; its
/// error aborts the work.
///
/// # Errors
/// [`EvalError::Unknown`] for the first landmark of the data set that the network does not have, [`EvalError::Unannotated`] for the
/// first without a point in any image, when an image cannot be read or the
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

/// Scores a matcher on every image except the excluded ones, given as indices in `data`, e.g. the images of its templates.
///
/// Threads and `advance` are as in [`score_network`].
///
/// # Errors
/// As [`score_network`].
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

/// Scores a function that finds the landmarks `known` in an image, in that order.
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
