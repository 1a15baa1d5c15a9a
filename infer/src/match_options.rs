//! Options of matching, and why an image could not be searched.

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::search::ComparisonError;

/// Options of landmark matching. [`MatchOptions::default`] is what `infomark match` uses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchOptions {
    /// Whether places around a landmark vote for it: eight places on a ring are looked for as well, and each adds its
    /// similarities where the landmark would be.
    pub neighbours: bool,
    /// Whether the rest of the image gives a prior: 200 other places of the template are matched too, and the smooth map that
    /// most of them agree on says where each landmark should be. With too few inliers, there is no prior.
    pub prior: bool,
    /// How far a landmark may be from where it is expected, as the standard deviation of a Gaussian, in pixels of the
    /// encoder's canvas; at least 1.
    pub prior_sigma: f32,
    /// Sub-pixel refinement of the peaks at the finest stride.
    pub sub_pixel: SubPixel,
}

/// Sub-pixel refinement of the highest cell of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SubPixel {
    /// Its centre.
    Cell,
    /// Where a parabola through it and its neighbours is highest, in each direction on its own: at most half a cell away.
    Parabola,
    /// The mean place of what lies within [`SOFT_RADIUS`](Self::SOFT_RADIUS), weighted by `exp((value - highest) /` [`SOFT_TEMPERATURE`](Self::SOFT_TEMPERATURE)`)`,
    /// of the logarithms that the place was chosen by.
    #[default]
    SoftArgmax,
}

impl SubPixel {
    /// Radius of [`SoftArgmax`](Self::SoftArgmax), in pixels of the encoder's canvas.
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
    /// Checks the options, as everything that takes them does.
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

    /// The options with what does not matter at its default: options that are equal then find the same.
    pub(crate) fn effective(self) -> MatchOptions {
        match self.prior {
            true => self,
            false => MatchOptions { prior_sigma: MatchOptions::default().prior_sigma, ..self },
        }
    }
}

/// Why an image could not be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The encoder failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Nothing to look for.
    #[error("there is no template to match; give at least one")]
    NoTemplates,
    /// A template comes from another encoder than the one it is to be used with.
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
    /// The features do not fit each other.
    #[error("{image}: its features cannot be compared with the template's ({source}); encode both again")]
    Features {
        /// Name of the image searched.
        image: String,
        /// What does not fit.
        source: ComparisonError,
    },
    /// A prior that is narrower than a pixel, or no number.
    #[error("prior_sigma {prior_sigma}: give at least 1 pixel")]
    PriorSigma {
        /// [`MatchOptions::prior_sigma`].
        prior_sigma: f32,
    },
    /// A threshold in mm for an image whose pixels have no size.
    #[error(
        "{image}: nothing states the size of its pixels, which abstain_above_mm needs; give it, or use abstain_below_score"
    )]
    NoSpacing {
        /// Name of the image.
        image: String,
    },
}
