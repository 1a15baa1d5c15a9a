//! Which images to annotate, told without any label: those whose key points are found best in the others.

use std::sync::Arc;

use crate::prior::{self, Anchors};
use crate::{Encoding, MatchError, TemplateError};

/// An image that may become a template: its key points, which take little memory.
#[derive(Clone, Debug)]
pub struct Candidate {
    image: String,
    model: Arc<str>,
    anchors: Anchors,
}

impl Candidate {
    /// Keeps up to 200 places of an image, drawn by entropy, with their features.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Around`].
    pub fn new(encoding: &Encoding) -> Result<Candidate, TemplateError> {
        let image = encoding.image().to_owned();
        match Anchors::draw(encoding) {
            Ok(anchors) => Ok(Candidate { image, model: encoding.model(), anchors }),
            Err(problem) => Err(TemplateError::Around { image, problem }),
        }
    }

    /// Name of the image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// How well the key points are found in another image: the share of them whose match lies within 5 pixels of the canvas of
    /// where the smooth map through all matches puts it, 0 to 1.
    ///
    /// Of the shares, cosines and residuals that were tried, it ranks templates nearest to their errors.
    ///
    /// # Errors
    ///
    /// [`MatchError::OtherModel`], [`MatchError::Features`].
    pub fn served(&self, encoding: &Encoding) -> Result<f64, MatchError> {
        if self.model != encoding.model() {
            return Err(MatchError::OtherModel {
                template: self.image.clone(),
                image: encoding.image().to_owned(),
            });
        }
        let matches = self
            .anchors
            .matches(encoding)
            .map_err(|reason| MatchError::Features { image: encoding.image().to_owned(), reason })?;
        let Some(alignment) = prior::align(&matches) else { return Ok(0.0) };
        let near = |m: &&infomark_core::Match<f32>| {
            let at = alignment.predict(m.from).at;
            libm::hypotf(at.x - m.to.x, at.y - m.to.y) <= NEAR
        };
        Ok(matches.iter().filter(near).count() as f64 / matches.len().max(1) as f64)
    }
}

/// Distance up to which a match agrees with those around it, in pixels of the canvas.
const NEAR: f32 = 5.0;

/// Chooses `count` candidates, best first, so that every image is served well by at least one of them.
///
/// `served[c][i]` says how well candidate `c` serves image `i`; all rows are equally long, missing values count as 0. The first is
/// the one of the highest mean; each further one raises the mean over the images of what the best of the chosen gives most:
/// greedy facility location, within 63 % of the best choice (Nemhauser, Wolsey, Fisher, 1978). The first of equals is taken.
pub fn choose_templates(served: &[Vec<f64>], count: usize) -> Vec<usize> {
    let images = served.iter().map(Vec::len).max().unwrap_or(0);
    let mut best = vec![0.0_f64; images];
    let mut chosen: Vec<usize> = Vec::new();
    let gain = |row: &[f64], best: &[f64]| -> f64 {
        row.iter().zip(best).map(|(value, best)| value.max(*best) - best).sum()
    };
    while chosen.len() < count.min(served.len()) {
        let free = served.iter().enumerate().filter(|(index, _)| !chosen.contains(index));
        let next =
            free.map(|(index, row)| (index, gain(row, &best))).reduce(|a, b| if b.1 > a.1 { b } else { a });
        let Some((index, _)) = next else { break };
        let row = served.get(index).map(Vec::as_slice).unwrap_or_default();
        best.iter_mut().zip(row).for_each(|(best, value)| *best = best.max(*value));
        chosen.push(index);
    }
    chosen
}
