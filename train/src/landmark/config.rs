//! Options of landmark network training, and their defaults.

use infomark_infer::Normalisation;
use serde::Serialize;

use crate::options::{named_options, option_group};
use crate::{Budget, ConfigError, OptimiserConfig, ScheduleConfig};

/// Options of landmark network training. [`LandmarkConfig::default`] is the default of `infomark train-landmarks`.
///
/// In files, the options of all groups are at the top level, as those of [`TrainConfig`](crate::TrainConfig).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LandmarkConfig {
    /// Seed of the weights, of the choice of images and of all augmentation.
    pub seed: u64,
    /// Batch size: images per step.
    pub batch: usize,
    /// Network and input.
    #[serde(flatten)]
    pub model: LandmarkModelConfig,
    /// Augmentation of images.
    #[serde(flatten)]
    pub augmentation: LandmarkAugmentationConfig,
    /// The loss.
    #[serde(flatten)]
    pub loss: HeatmapLossConfig,
    /// The optimiser.
    #[serde(flatten)]
    pub optimiser: OptimiserConfig,
    /// Budget, warm-up and checkpoints.
    #[serde(flatten)]
    pub schedule: ScheduleConfig,
    /// Learning rate of an encoder's weights, as a factor of [`learning_rate`](OptimiserConfig::learning_rate); randomly initialised
    /// weights have the full rate.
    pub encoder_rate: f64,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

/// Options of the landmark network and its input.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LandmarkModelConfig {
    /// Approximate area of the model input in pixels, without an encoder: its sides follow the images' aspect ratio in multiples of 32.
    pub input_area: usize,
    /// Normalisation of grey values, without an encoder.
    pub normalisation: Normalisation,
    /// Channels of the five stages, multiples of 8, without an encoder.
    pub channels: [usize; 5],
    /// Channels of the hidden layer before the maps, a multiple of 8.
    pub hidden: usize,
    /// Stride of the maps in pixels of the input: 2, 4 or 8.
    pub stride: usize,
}

/// Options of the augmentation of whole images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LandmarkAugmentationConfig {
    /// Largest rotation of an image in degrees.
    pub rotation_deg: f32,
    /// Largest scale of an image; the smallest is its reciprocal.
    pub scale: f32,
    /// Largest shift of an image in pixels of the input, across and down.
    pub shift: f32,
    /// Largest displacement of a control point of the elastic deformation in pixels, up to a fifth of
    /// [`elastic_spacing`](Self::elastic_spacing); 0 disables it.
    pub elastic: f32,
    /// Distance of the control points, in pixels.
    pub elastic_spacing: usize,
    /// Largest change of brightness and contrast, as a factor.
    pub intensity: f32,
    /// Logarithm of the largest gamma exponent.
    pub gamma: f32,
}

/// Options of the loss of heat maps and offsets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeatmapLossConfig {
    /// Standard deviation of a landmark's target heat map, in pixels of the input.
    pub sigma: f32,
    /// Weight of the offsets' loss relative to that of the heat maps.
    pub offset_weight: f32,
}

option_group!(LandmarkConfig { seed, batch, encoder_rate; groups: model: LandmarkModelConfig, augmentation: LandmarkAugmentationConfig, loss: HeatmapLossConfig, optimiser: OptimiserConfig, schedule: ScheduleConfig });
option_group!(LandmarkModelConfig { input_area, normalisation, channels, hidden, stride });
option_group!(LandmarkAugmentationConfig {
    rotation_deg,
    scale,
    shift,
    elastic,
    elastic_spacing,
    intensity,
    gamma
});
option_group!(HeatmapLossConfig { sigma, offset_weight });

named_options!(LandmarkConfig { renamed: [("widths", "channels"), ("average", "ema_decay")], dropped: [] });

impl Default for LandmarkConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            batch: 4,
            model: LandmarkModelConfig {
                input_area: 384 * 480,
                normalisation: Normalisation::LOCAL_CONTRAST,
                channels: [16, 32, 64, 96, 128],
                hidden: 64,
                stride: 4,
            },
            augmentation: LandmarkAugmentationConfig {
                rotation_deg: 10.0,
                scale: 1.1,
                shift: 24.0,
                elastic: 8.0,
                elastic_spacing: 64,
                intensity: 0.3,
                gamma: 0.3,
            },
            loss: HeatmapLossConfig { sigma: 4.0, offset_weight: 0.5 },
            optimiser: OptimiserConfig {
                learning_rate: 2e-3,
                weight_decay: 1e-4,
                gradient_clip: None,
                ema_decay: 0.99,
            },
            schedule: ScheduleConfig { budget: Budget::Minutes(30.0), warm_up: 30, checkpoint_every: 100 },
            encoder_rate: 1.0,
            threads: 0,
        }
    }
}

impl LandmarkConfig {
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
        let groups = crate::network::GROUPS;
        let channels = |c: usize| (1..=1024).contains(&c) && c.is_multiple_of(groups);
        if !self.model.channels.iter().all(|w| channels(*w)) || !channels(self.model.hidden) {
            return wrong("channels and hidden", "multiples of 8, at most 1,024");
        }
        if !(4 * 32 * 32..=1 << 24).contains(&self.model.input_area) {
            return wrong("input_area", "4,096 to 16,777,216 pixels");
        }
        if self.model.normalisation.check().is_err() {
            return wrong("normalisation", "a sigma above 0 up to 1, a gain and a floor above 0");
        }
        if ![2, 4, 8].contains(&self.model.stride) {
            return wrong("stride", "2, 4 or 8");
        }
        if !(1..=256).contains(&self.batch) {
            return wrong("batch", "1 to 256");
        }
        if !(0.0..=180.0).contains(&self.augmentation.rotation_deg) {
            return wrong("rotation_deg", "from 0 to 180");
        }
        if !(1.0..=4.0).contains(&self.augmentation.scale) {
            return wrong("scale", "from 1 to 4");
        }
        if !(0.0..=4096.0).contains(&self.augmentation.shift) {
            return wrong("shift", "from 0 to 4,096");
        }
        if self.augmentation.elastic_spacing == 0 {
            return wrong("elastic_spacing", "at least 1");
        }
        if !(0.0..=self.augmentation.elastic_spacing as f32 / 5.0).contains(&self.augmentation.elastic) {
            return wrong("elastic", "from 0 to a fifth of elastic_spacing");
        }
        if !(0.0..1.0).contains(&self.augmentation.intensity) {
            return wrong("intensity", "from 0 to below 1");
        }
        if !(0.0..=2.0).contains(&self.augmentation.gamma) {
            return wrong("gamma", "from 0 to 2");
        }
        if !(0.5..=64.0).contains(&self.loss.sigma) {
            return wrong("sigma", "from 0.5 to 64");
        }
        if !(0.0..=100.0).contains(&self.loss.offset_weight) {
            return wrong("offset_weight", "from 0 to 100");
        }
        if !(self.optimiser.learning_rate > 0.0 && self.optimiser.learning_rate <= 1.0) {
            return wrong("learning_rate", "a number above 0 up to 1");
        }
        if !(0.0..=10.0).contains(&self.encoder_rate) {
            return wrong("encoder_rate", "from 0 to 10");
        }
        if self.optimiser.gradient_clip.is_some_and(|clip| !(clip > 0.0 && clip.is_finite())) {
            return wrong("gradient_clip", "a finite number above 0");
        }
        if !(0.0..1.0).contains(&self.optimiser.ema_decay)
            || !(0.0..1.0).contains(&self.optimiser.weight_decay)
        {
            return wrong("ema_decay and weight_decay", "from 0 to below 1");
        }
        if self.schedule.checkpoint_every == 0 {
            return wrong("checkpoint_every", "at least 1");
        }
        Ok(())
    }
}
