//! Options and errors of matching.

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::search::ComparisonError;

/// Options of landmark matching. [`MatchOptions::default`] is the default of `infomark match`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchOptions {
    /// Whether points around a landmark vote for it: eight points on a ring are matched as well, and each adds its
    /// similarities at the landmark's position.
    pub neighbours: bool,
    /// Whether a prior by robust alignment is used: 200 keypoints of the template are matched, too, and the smooth map through
    /// the inliers predicts each landmark. With too few inliers, there is no prior.
    pub prior: bool,
    /// Standard deviation of the Gaussian prior around the predicted position, in pixels of the
    /// model input; at least 1.
    pub prior_sigma: f32,
    /// Sub-pixel refinement of the peaks at the finest stride.
    pub sub_pixel: SubPixel,
}

/// Sub-pixel refinement of the highest cell of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SubPixel {
    /// The centre of the cell.
    Cell,
    /// A parabola through the cell and its neighbours, in each direction separately: at most half a cell away.
    Parabola,
    /// Soft-argmax over the cells within [`SOFT_RADIUS`](Self::SOFT_RADIUS), weighted by
    /// `exp((value - highest) /` [`SOFT_TEMPERATURE`](Self::SOFT_TEMPERATURE)`)` of the score map.
    #[default]
    SoftArgmax,
}

impl SubPixel {
    /// Radius of [`SoftArgmax`](Self::SoftArgmax), in pixels of the model input.
    pub const SOFT_RADIUS: f32 = 6.0;
    /// Temperature of [`SoftArgmax`](Self::SoftArgmax).
    pub const SOFT_TEMPERATURE: f32 = 1.0;
}

impl Default for MatchOptions {
    fn default() -> Self {
        Self { neighbours: true, prior: true, prior_sigma: 12.0, sub_pixel: SubPixel::default() }
    }
}

impl MatchOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// [`MatchError::PriorSigma`] unless `prior_sigma` is finite and at least 1.
    pub fn check(&self) -> Result<(), MatchError> {
        let prior_sigma = self.prior_sigma;
        match prior_sigma >= 1.0 && prior_sigma.is_finite() {
            true => Ok(()),
            false => Err(MatchError::PriorSigma { prior_sigma }),
        }
    }

    /// The options with ineffective ones at their default, so that equal options give equal results.
    pub(crate) fn effective(self) -> MatchOptions {
        match self.prior {
            true => self,
            false => MatchOptions { prior_sigma: MatchOptions::default().prior_sigma, ..self },
        }
    }
}

/// Why an image could not be matched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The encoder failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No templates.
    #[error("there is no template to match; give at least one")]
    NoTemplates,
    /// A template of another encoder.
    #[error(
        "template {template} was not made by {encoder}; make it again with this encoder, or use the one that made it"
    )]
    TemplateOfOther {
        /// Name of the template's image.
        template: String,
        /// Name of the encoder.
        encoder: String,
    },
    /// Template and image come from different encoders.
    #[error(
        "template {template} and image {image} were encoded by different models; encode both with the same file"
    )]
    OtherModel {
        /// Name of the template's image.
        template: String,
        /// Name of the image searched.
        image: String,
    },
    /// The features of template and image cannot be compared.
    #[error("{image}: its features cannot be compared with the template's ({source}); encode both again")]
    Features {
        /// Name of the image searched.
        image: String,
        /// The mismatch.
        source: ComparisonError,
    },
    /// A prior narrower than a pixel, or not a number.
    #[error("prior_sigma {prior_sigma}: give at least 1 pixel")]
    PriorSigma {
        /// [`MatchOptions::prior_sigma`].
        prior_sigma: f32,
    },
    /// A threshold in mm for an image of unknown pixel size.
    #[error(
        "{image}: nothing states the size of its pixels, which abstain_above_mm needs; give it, or use abstain_below_score"
    )]
    NoSpacing {
        /// Name of the image.
        image: String,
    },
}
