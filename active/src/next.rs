//! Which image to annotate next.

use infomark_infer::Detection;
use infomark_train::Ranking;

/// Images in the order in which they should be annotated before anything is learnt: each serves best those that the ones before it
/// serve badly.
pub fn annotation_order(ranking: &Ranking) -> Vec<usize> {
    ranking.choose(ranking.images())
}

/// How unsure a detection is: mean over the landmarks of the error bound in pixels of the image, or where there is none
/// of the disagreement between templates and networks in these pixels, by templates alone of
/// [`Confidence::scale`](infomark_infer::Confidence::scale); of a landmark network alone the mean of what its
/// probabilities lack to 1. It orders images, and is no bound. Infinite for an image that is not recognised: a person
/// has to look at it in any case.
pub fn uncertainty(detection: &Detection) -> f64 {
    let mean = |values: Vec<f64>| infomark_core::mean(&values).unwrap_or(0.0);
    match detection {
        Detection::Matched(judgement) if judgement.is_usable() => {
            let each = judgement.landmarks.iter();
            mean(each.map(|one| one.error_bound_px.unwrap_or(one.found.confidence.scale)).collect())
        }
        Detection::Ensemble(seen) if seen.is_usable() => {
            let each = seen.landmarks.iter();
            mean(each.map(|landmark| landmark.error_bound_px.unwrap_or(landmark.disagreement_px)).collect())
        }
        Detection::Checked(location) if location.is_usable() => {
            mean(location.landmarks.iter().map(|landmark| 1.0 - landmark.probability).collect())
        }
        Detection::Located(landmarks) => {
            mean(landmarks.iter().map(|landmark| 1.0 - landmark.probability).collect())
        }
        _ => f64::INFINITY,
    }
}
