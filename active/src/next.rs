//! Choice of the image to annotate next.

use infomark_infer::Detection;
use infomark_train::Ranking;

/// Order of annotation before anything is learnt: each image is the best template for those that the previous ones
/// match badly.
pub fn annotation_order(ranking: &Ranking) -> Vec<usize> {
    ranking.choose(ranking.images())
}

/// Uncertainty of a detection: mean over the landmarks of the error bound in pixels of the image; without bounds,
/// of the disagreement between templates and networks in these pixels; by templates alone, of
/// [`Confidence::scale`](infomark_infer::Confidence::scale); by a landmark network alone, of 1 minus the
/// probability. It ranks images and is not a bound. Infinite for an image that is not recognised, or
/// was found in another orientation and not reoriented: a person has to review it in any case.
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
