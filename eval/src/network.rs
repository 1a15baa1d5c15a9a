//! Errors of a landmark network, which needs no template.

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{DataSet, LandmarkNet, Located, Sample, read_image};
use rayon::prelude::*;

use crate::sets::manifest;
use crate::{EvalError, Run, Score, ScoredImage};

/// Scores a landmark network on every image; the run is called by the network's name.
///
/// It works on the threads of the pool that it is called in; results do not depend on them. `advance` is called once for each image; the
/// work ends when that is an error.
///
/// # Errors
/// [`EvalError::Unknown`] for the first landmark of the data set that the network does not find, when an image can't be read or the
/// network fails on it, and those of `advance`.
pub fn score_network(
    net: &LandmarkNet,
    data: &DataSet,
    advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
) -> Result<Run, EvalError> {
    let known = &net.description().landmarks;
    let place = |name: &String| {
        known.iter().position(|landmark| landmark == name).ok_or_else(|| EvalError::Unknown {
            manifest: manifest(data),
            landmark: name.clone(),
            network: net.name().to_owned(),
            known: known.clone(),
        })
    };
    let order = data.landmarks.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let one = |(image, sample): (usize, &Sample)| {
        let found = net.find(&read_image(&sample.path)?)?;
        let score = |(&place, &truth): (&usize, &Point<f64>)| {
            let &Located { at, probability, .. } = found.get(place)?;
            let error_mm = radial_error_mm(at, truth, data.spacing);
            Some(Score { found: at, truth, score: probability, error_mm, confidence: None })
        };
        let scores = order.iter().zip(&sample.landmarks).filter_map(score).collect();
        advance()?;
        Ok(ScoredImage { image, scores })
    };
    let images = data.images.par_iter().enumerate().map(one).collect::<Result<Vec<_>, EvalError>>()?;
    Ok(Run { templates: vec![net.name().to_owned()], images })
}
