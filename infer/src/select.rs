//! Selection of the images to annotate, without labels: those whose keypoints match the other images best.

use std::sync::Arc;

use crate::prior::{self, Anchors};
use crate::{Encoding, MatchError, TemplateError};

/// Candidate template: keypoints of an image with their features.
#[derive(Clone, Debug)]
pub struct Candidate {
    image: String,
    model: Arc<str>,
    anchors: Anchors,
}

impl Candidate {
    /// Samples up to 200 keypoints of an image by entropy, with their features.
    ///
    /// # Errors
    /// [`TemplateError::Around`].
    pub fn new(encoding: &Encoding) -> Result<Candidate, TemplateError> {
        let image = encoding.image().to_owned();
        match Anchors::draw(encoding) {
            Ok(anchors) => Ok(Candidate { image, model: encoding.model(), anchors }),
            Err(source) => Err(TemplateError::Around { image, source }),
        }
    }

    /// Name of the image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Fraction of the keypoints whose match in another image is within 5 pixels of the model input of the robust alignment
    /// through all matches, 0 to 1.
    ///
    /// Of the fractions, cosines and residuals that were tried, it is the best predictor of a template's errors.
    ///
    /// # Errors
    /// [`MatchError::OtherModel`], [`MatchError::Features`].
    pub fn inlier_fraction(&self, encoding: &Encoding) -> Result<f64, MatchError> {
        if self.model != encoding.model() {
            return Err(MatchError::OtherModel {
                template: self.image.clone(),
                image: encoding.image().to_owned(),
            });
        }
        let matches = self
            .anchors
            .matches(encoding)
            .map_err(|source| MatchError::Features { image: encoding.image().to_owned(), source })?;
        let Some(alignment) = prior::align(&matches) else { return Ok(0.0) };
        let near = |m: &&infomark_core::Match<f32>| {
            let at = alignment.predict(m.from).at;
            libm::hypotf(at.x - m.to.x, at.y - m.to.y) <= NEAR
        };
        Ok(matches.iter().filter(near).count() as f64 / matches.len().max(1) as f64)
    }
}

/// Inlier threshold, in pixels of the model input.
const NEAR: f32 = 5.0;

/// Selects `count` templates, best first, by greedy facility location.
///
/// `inlier_fractions[c][i]` is that of candidate `c` in image `i`; all rows have the same length, missing values count as 0. The first
/// template has the highest mean; each further one raises the mean over the images of the best selected candidate's fraction
/// most, which reaches at least 63 % of the optimum (Nemhauser, Wolsey, Fisher, 1978). The first of equals is taken.
pub fn choose_templates(inlier_fractions: &[Vec<f64>], count: usize) -> Vec<usize> {
    let images = inlier_fractions.iter().map(Vec::len).max().unwrap_or(0);
    let mut best = vec![0.0_f64; images];
    let mut chosen: Vec<usize> = Vec::new();
    let gain = |row: &[f64], best: &[f64]| -> f64 {
        row.iter().zip(best).map(|(value, best)| value.max(*best) - best).sum()
    };
    while chosen.len() < count.min(inlier_fractions.len()) {
        let free = inlier_fractions.iter().enumerate().filter(|(index, _)| !chosen.contains(index));
        let next =
            free.map(|(index, row)| (index, gain(row, &best))).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((index, _)) = next else { break };
        let row = inlier_fractions.get(index).map(Vec::as_slice).unwrap_or_default();
        best.iter_mut().zip(row).for_each(|(best, value)| *best = best.max(*value));
        chosen.push(index);
    }
    chosen
}
