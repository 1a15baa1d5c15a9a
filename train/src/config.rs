//! Options of encoder training, and their defaults.

use infomark_core::TierRatios;
use infomark_infer::Normalisation;
use serde::{Deserialize, Serialize};

use crate::options::{named_options, option_group};
use crate::{ComputeOn, ConfigError, Policy};

/// Training budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Optimiser steps: the same bits every time, on any number of threads.
    Steps(u64),
    /// Minutes of wall time, including resumed ones: the learning rate follows the clock, so the result depends on the
    /// machine's speed.
    Minutes(f64),
}

impl Budget {
    pub(crate) fn check(self) -> Result<(), ConfigError> {
        let wrong = |option: &'static str, needs: &'static str| Err(ConfigError::Option { option, needs });
        match self {
            Self::Steps(0) => wrong("steps", "at least 1"),
            Self::Minutes(m) if !(m > 0.0 && m.is_finite()) => wrong("minutes", "a number above 0"),
            _ => Ok(()),
        }
    }
}

/// Options of encoder training. [`TrainConfig::default`] is the default of `infomark train`.
///
/// In files, the options of all groups are at the top level: `alpha = 0.3`, not `sampling.alpha`. Unknown names
/// are rejected.
///
/// ```
/// let config = infomark_train::TrainConfig::default().with(|options| options.sampling.alpha = 0.5);
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrainConfig {
    /// Seed of the weights and of all views.
    pub seed: u64,
    /// Network and input.
    #[serde(flatten)]
    pub model: ModelConfig,
    /// Sampling of images, views and pixels.
    #[serde(flatten)]
    pub sampling: SamplingConfig,
    /// Augmentation of views.
    #[serde(flatten)]
    pub augmentation: AugmentationConfig,
    /// The loss.
    #[serde(flatten)]
    pub loss: LossConfig,
    /// The optimiser.
    #[serde(flatten)]
    pub optimiser: OptimiserConfig,
    /// Budget, warm-up and checkpoints.
    #[serde(flatten)]
    pub schedule: ScheduleConfig,
    /// Early stopping: number of steps without a decrease of the loss averaged over 50 steps; 0 disables it.
    pub patience: u64,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
    /// Device of entropies, weights, drawn pixels, views and the loss.
    #[serde(skip)]
    pub compute: ComputeOn,
}

/// Options of the encoder's network and input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Approximate area of the model input in pixels: its sides follow the images' aspect ratio in multiples of 32.
    pub input_area: usize,
    /// Normalisation of grey values; stored in the encoder's file for matching.
    pub normalisation: Normalisation,
    /// Channels of the five stages (strides 2 to 32), multiples of 8.
    pub channels: [usize; 5],
    /// Number of channels of the embeddings.
    pub embedding: usize,
    /// Whether the exported embeddings are whitened over the training images, so that a cosine weights all directions
    /// equally.
    pub whiten: bool,
    /// Weight of the cosine of a pretrained backbone's features, relative to 1 for the trained ones; the backbone is
    /// that of the bundled encoders, and is joined on export. 0 joins none.
    pub backbone_weight: f32,
}

impl ModelConfig {
    /// Default weight of a backbone: chosen on training images (`docs/studies.md`).
    pub const BACKBONE_WEIGHT: f32 = 3.0;
}

/// Options of the sampling of images, views and pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SamplingConfig {
    /// Batch size: images per step.
    pub batch: usize,
    /// Number of views per image.
    pub views: usize,
    /// Side of a view in pixels of the input, a multiple of 32.
    pub view_size: usize,
    /// Number of pixels drawn from each view.
    pub pixels: usize,
    /// Side of the patch whose entropy guides the sampling, in pixels.
    pub patch: usize,
    /// Exponent of the entropy in the sampling weight (method: `rho = H^alpha`).
    pub alpha: f32,
    /// Fraction of the pixels, those of lowest entropy, that are never drawn.
    pub discard: f64,
    /// Entropy threshold in nats: pixels at or above it are drawn uniformly, others never (method: `rho = [H >= d]`); replaces
    /// [`alpha`](Self::alpha) and [`discard`](Self::discard).
    pub least_entropy: Option<f32>,
    /// Fractions of the drawn pixels in the low, medium and high tier; only their ratios matter. Without them the weights
    /// decide.
    pub tier_ratios: Option<[f32; 3]>,
    /// Fractions of the pixels below the medium and below the high tier.
    pub tier_quantiles: [f64; 2],
}

/// Options of the augmentation of views.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AugmentationConfig {
    /// Largest change of brightness and contrast, as a factor, for pixels of low, medium and high entropy. Where tiers
    /// differ, a view has the intensity jitter of its centre's tier, and only its pixels of that tier are compared.
    pub intensity: [f32; 3],
    /// Ranges of brightness and contrast for each tier, such as those of [`tune`](crate::tune); they replace
    /// [`intensity`](Self::intensity).
    pub policy: Option<Policy>,
    /// Fraction of the budget after which the policy is estimated from the training images with the current encoder
    /// (by [`tune`](crate::tune)), unless one is given; 0 never estimates it.
    pub estimate_after: f64,
    /// Logarithm of the largest gamma exponent.
    pub gamma: f32,
    /// Largest change of brightness and contrast, as a factor, of the whole image that views are compared with.
    pub image_intensity: f32,
    /// Largest rotation of a view in degrees.
    pub rotation_deg: f32,
    /// Largest scale of a view; the smallest is its reciprocal.
    pub scale: f32,
    /// Largest ratio of the scales along two perpendicular axes of a view; 1 keeps the aspect ratio.
    pub stretch: f32,
    /// Largest displacement of a control point of a view's elastic deformation, in pixels of the view, up to a fifth of
    /// [`elastic_spacing`](Self::elastic_spacing); 0 disables it.
    pub elastic: f32,
    /// Distance of the control points, in pixels.
    pub elastic_spacing: usize,
}

/// Options of the InfoNCE loss.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LossConfig {
    /// Temperature: divisor of the cosines.
    pub temperature: f32,
    /// Minimum stride with all cells of the map as negatives; finer levels use a window.
    pub dense_negatives_min_stride: usize,
    /// Radius of the window of negatives around the true cell, in cells.
    pub window: usize,
    /// Radius, in columns and rows, around the true cell within which cells are not negatives in levels with a window:
    /// they show nearly the same.
    pub exclusion_radius: usize,
}

/// Options of the optimiser (AdamW) and of the moving average of the weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OptimiserConfig {
    /// Maximum learning rate, after the warm-up.
    pub learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f32,
    /// Maximum norm of the gradient of all weights together, to which larger ones are scaled; `None` disables clipping.
    pub gradient_clip: Option<f32>,
    /// Decay of the exponential moving average of the weights, which is exported; 0 exports the last weights.
    pub ema_decay: f32,
}

/// Options of the budget, the learning rate's warm-up and the checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScheduleConfig {
    /// Training budget.
    pub budget: Budget,
    /// Number of steps of linear warm-up.
    pub warm_up: u64,
    /// Interval of checkpoints, in steps.
    pub checkpoint_every: u64,
}

option_group!(TrainConfig { seed, patience; groups: model: ModelConfig, sampling: SamplingConfig, augmentation: AugmentationConfig, loss: LossConfig, optimiser: OptimiserConfig, schedule: ScheduleConfig });
option_group!(ModelConfig { input_area, normalisation, channels, embedding, whiten, backbone_weight });
option_group!(SamplingConfig {
    batch,
    views,
    view_size,
    pixels,
    patch,
    alpha,
    discard,
    least_entropy,
    tier_ratios,
    tier_quantiles
});
option_group!(AugmentationConfig {
    intensity,
    policy,
    estimate_after,
    gamma,
    image_intensity,
    rotation_deg,
    scale,
    stretch,
    elastic,
    elastic_spacing
});
option_group!(LossConfig { temperature, dense_negatives_min_stride, window, exclusion_radius });
option_group!(OptimiserConfig { learning_rate, weight_decay, gradient_clip, ema_decay });
option_group!(ScheduleConfig { budget, warm_up, checkpoint_every });

named_options!(TrainConfig {
    renamed: [
        ("widths", "channels"),
        ("average", "ema_decay"),
        ("ignored", "exclusion_radius"),
        ("whole_map_from", "dense_negatives_min_stride"),
    ],
    dropped: [
        ("separate_encoders", Some("false")),
        ("hard_negatives", Some("0")),
        ("cross_image_negatives", Some("0")),
        ("context", Some("0")),
        ("partner_views", Some("0")),
        ("partner_every", None),
        ("partner_from", None),
        ("partner_spread", None),
        ("partner_stride", None),
    ]
});

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            model: ModelConfig {
                input_area: 384 * 480,
                normalisation: Normalisation::LOCAL_CONTRAST,
                channels: [16, 32, 64, 96, 128],
                embedding: 32,
                whiten: true,
                backbone_weight: ModelConfig::BACKBONE_WEIGHT,
            },
            sampling: SamplingConfig {
                batch: 4,
                views: 2,
                view_size: 224,
                pixels: 96,
                patch: 9,
                alpha: 0.3,
                discard: 0.1,
                least_entropy: None,
                tier_ratios: None,
                tier_quantiles: [1.0 / 3.0, 2.0 / 3.0],
            },
            augmentation: AugmentationConfig {
                intensity: [0.5, 0.5, 0.5],
                policy: None,
                estimate_after: 0.0,
                gamma: 0.3,
                image_intensity: 0.1,
                rotation_deg: 20.0,
                scale: 1.25,
                stretch: 1.0,
                elastic: 0.0,
                elastic_spacing: 56,
            },
            loss: LossConfig {
                temperature: 0.1,
                dense_negatives_min_stride: 16,
                window: 9,
                exclusion_radius: 0,
            },
            optimiser: OptimiserConfig {
                learning_rate: 4e-3,
                weight_decay: 1e-4,
                gradient_clip: None,
                ema_decay: 0.998,
            },
            schedule: ScheduleConfig { budget: Budget::Minutes(45.0), warm_up: 50, checkpoint_every: 100 },
            patience: 0,
            threads: 0,
            compute: ComputeOn::Auto,
        }
    }
}

impl TrainConfig {
    /// Returns the options with a change applied.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Rejects invalid options, with the option's name.
    ///
    /// # Errors
    /// [`ConfigError::Option`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |option: &'static str, needs: &'static str| Err(ConfigError::Option { option, needs });
        self.schedule.budget.check()?;
        if self.model.channels.iter().any(|w| *w == 0 || !w.is_multiple_of(crate::network::GROUPS)) {
            return wrong("channels", "multiples of 8 above 0");
        }
        if self.sampling.view_size < 64 || !self.sampling.view_size.is_multiple_of(32) {
            return wrong("view_size", "a multiple of 32, at least 64");
        }
        if self.model.input_area < 4 * 32 * 32 || self.model.input_area > 1 << 24 {
            return wrong("input_area", "4,096 to 16,777,216 pixels");
        }
        // Limits far beyond useful values, but below those that would exhaust any machine's memory.
        for (option, value, most, needs) in [
            (
                "channels",
                self.model.channels.iter().copied().max().unwrap_or(0),
                1024,
                "channels of at most 1,024",
            ),
            ("view_size", self.sampling.view_size, 2048, "at most 2,048"),
            ("embedding", self.model.embedding, 1024, "1 to 1,024"),
            ("batch", self.sampling.batch, 256, "1 to 256"),
            ("views", self.sampling.views, 64, "1 to 64"),
            ("pixels", self.sampling.pixels, 1 << 16, "1 to 65,536"),
            ("patch", self.sampling.patch, 128, "1 to 128"),
            ("window", self.loss.window, 1 << 12, "1 to 4,096"),
        ] {
            if !(1..=most).contains(&value) {
                return wrong(option, needs);
            }
        }
        if self.model.normalisation.check().is_err() {
            return wrong("normalisation", "a sigma above 0 up to 1, a gain and a floor above 0");
        }
        if !(0.0..=100.0).contains(&self.model.backbone_weight) {
            return wrong("backbone_weight", "0 to 100");
        }
        if self.loss.exclusion_radius >= self.loss.window {
            return wrong("exclusion_radius", "less than the window");
        }
        if self.schedule.checkpoint_every == 0 {
            return wrong("checkpoint_every", "at least 1");
        }
        let [low, high] = self.sampling.tier_quantiles;
        if !(0.0..=high).contains(&low) || high > 1.0 {
            return wrong("tier_quantiles", "two ordered numbers from 0 to 1");
        }
        if !(0.0..1.0).contains(&self.sampling.discard) {
            return wrong("discard", "from 0 to below 1");
        }
        if self.sampling.least_entropy.is_some_and(|d| !(d >= 0.0 && d.is_finite())) {
            return wrong("least_entropy", "a finite number of nats, at least 0");
        }
        if let Some([low, medium, high]) = self.sampling.tier_ratios
            && TierRatios::new(low, medium, high).is_err()
        {
            return wrong("tier_ratios", "three finite numbers, at least 0, one of them above");
        }
        if !(0.0..1.0).contains(&self.augmentation.estimate_after) {
            return wrong("estimate_after", "from 0 to below 1");
        }
        if self
            .augmentation
            .intensity
            .iter()
            .chain([&self.augmentation.image_intensity])
            .any(|a| !(0.0..1.0).contains(a))
        {
            return wrong("intensity", "from 0 to below 1");
        }
        if let Some(policy) = &self.augmentation.policy {
            policy.tiers(self.augmentation.gamma).map_err(|_| ConfigError::Option {
                option: "policy",
                needs: "ranges of brightness and contrast that are finite, at least 0 and in order",
            })?;
        }
        if !(0.0..=16.0).contains(&self.sampling.alpha) {
            return wrong("alpha", "from 0 to 16");
        }
        if !(self.augmentation.scale >= 1.0 && self.augmentation.scale <= 4.0) {
            return wrong("scale", "from 1 to 4");
        }
        if !(self.augmentation.stretch >= 1.0 && self.augmentation.stretch <= 4.0) {
            return wrong("stretch", "from 1 to 4");
        }
        if self.augmentation.elastic_spacing == 0 {
            return wrong("elastic_spacing", "at least 1");
        }
        if !(0.0..=self.augmentation.elastic_spacing as f32 / 5.0).contains(&self.augmentation.elastic) {
            return wrong("elastic", "from 0 to a fifth of elastic_spacing");
        }
        if !(0.0..=2.0).contains(&self.augmentation.gamma) {
            return wrong("gamma", "from 0 to 2");
        }
        if !(0.0..=180.0).contains(&self.augmentation.rotation_deg) {
            return wrong("rotation_deg", "from 0 to 180");
        }
        if !(1e-3..=1e3).contains(&self.loss.temperature) {
            return wrong("temperature", "from 0.001 to 1,000");
        }
        if !(self.optimiser.learning_rate > 0.0 && self.optimiser.learning_rate <= 1.0) {
            return wrong("learning_rate", "a number above 0 up to 1");
        }
        if self.optimiser.gradient_clip.is_some_and(|clip| !(clip > 0.0 && clip.is_finite())) {
            return wrong("gradient_clip", "a finite number above 0");
        }
        if !(0.0..1.0).contains(&self.optimiser.ema_decay)
            || !(0.0..1.0).contains(&self.optimiser.weight_decay)
        {
            return wrong("ema_decay and weight_decay", "from 0 to below 1");
        }
        Ok(())
    }
}
