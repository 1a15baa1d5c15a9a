//! Which image to annotate next.

use infomark_infer::EnsembleDetection;
use infomark_train::Ranking;

/// Images in the order in which they should be annotated before anything is learnt: each serves best those that the ones before it
/// serve badly.
pub fn annotation_order(ranking: &Ranking) -> Vec<usize> {
    ranking.choose(ranking.images())
}

/// How unsure a detection is: mean over the landmarks of the error bound, or where there is none of the disagreement between templates and
/// networks, in pixels of the image. Infinite for an image that is not recognised: a person has to look at it in any case.
pub fn uncertainty(detection: &EnsembleDetection) -> f64 {
    if !detection.is_usable() {
        return f64::INFINITY;
    }
    let each = detection.landmarks.iter();
    let each = each.map(|landmark| landmark.error_bound_px.unwrap_or(landmark.disagreement_px));
    infomark_core::mean(&each.collect::<Vec<_>>()).unwrap_or(0.0)
}
