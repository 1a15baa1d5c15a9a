//! Guided views of one image, for training other networks.

use infomark_core::{
    IntensityJitter, Plane, Point, Positive, Rng, Sampler, Thresholds, Tier, TierPolicy, elastic_controls_len,
};
use infomark_infer::Image;

use crate::batch::Source;
use crate::compute::{Canvas, Compute, Pixels};
use crate::{DataError, TrainConfig, TrainError};

/// Image with the guidance of its views: entropy around each pixel, tier, and sampling weight.
///
/// ```
/// use infomark_core::Rng;
/// use infomark_infer::Image;
/// use infomark_train::{GuidedImage, TrainConfig};
///
/// let pixels = (0..128 * 128).map(|i| ((i * i) % 251) as f32 / 250.0).collect();
/// let image = Image::new("pattern", 128, 128, pixels)?;
/// let config = TrainConfig::default().with(|o| { o.sampling.view_size = 64; o.sampling.pixels = 10; });
/// let guided = GuidedImage::new(&image, &config, None)?;
/// let views = guided.views(&config.tier_policy()?, &config, 2, &mut Rng::new(0, 0))?;
/// assert_eq!((views.len(), views[0].pixels.len()), (2, 64 * 64));
/// // The same point of the anatomy, in the view and in the image.
/// let infomark_core::Positive { view, image } = views[0].positives[0];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct GuidedImage {
    width: usize,
    height: usize,
    pixels: Vec<f32>,
    entropy: Vec<f32>,
    weights: Vec<f32>,
    thresholds: Thresholds<f32>,
}

/// View with its positives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuidedView {
    /// Side in pixels.
    pub side: usize,
    /// Pixels in `[0, 1]`, row by row; 0 outside the image.
    pub pixels: Vec<f32>,
    /// Tier of its centre pixel, which sets the augmentation intensity.
    pub tier: Tier,
    /// Its intensity jitter.
    pub tone: IntensityJitter<f32>,
    /// Its corners in the image, in order.
    pub corners: [Point<f32>; 4],
    /// Positives, drawn from the image; fewer than requested where few are visible. Where the policy's
    /// tiers differ, all are of the view's tier.
    pub positives: Vec<Positive<f32>>,
    /// Entropy around each positive, in nats.
    pub entropies: Vec<f32>,
}

impl GuidedImage {
    /// Computes the guidance of an image, without letterboxing (from its [kept pixels](Image::kept_size), to which points refer). Used options of
    /// `config`: `patch`, `alpha`, `discard`, `least_entropy` and `tier_quantiles`. Tier thresholds that are not given are those quantiles of the image's own
    /// pixels, and so is the entropy of discarded ones.
    ///
    /// # Errors
    /// When an option is unusable, or no pixel may be drawn.
    pub fn new(
        image: &Image,
        config: &TrainConfig,
        thresholds: Option<Thresholds<f32>>,
    ) -> Result<Self, TrainError> {
        config.check()?;
        // Smaller for an image of block averages.
        let (width, height) = image.kept_size();
        // Uniform above an entropy threshold.
        let alpha = if config.sampling.least_entropy.is_some() { 0.0 } else { config.sampling.alpha };
        let (entropy, mut weights) =
            Compute::Cpu(None).guidance(&image.to_levels(), width, config.sampling.patch, alpha)?;
        let plane = Plane::new(&entropy, width, height)?;
        let mut scratch = vec![0.0; entropy.len()];
        let mut quantiles = |low, high| Thresholds::from_quantiles(plane, low, high, &mut scratch);
        let [medium, high] = config.sampling.tier_quantiles;
        let thresholds = thresholds.map_or_else(|| quantiles(medium, high), Ok)?;
        let least = match config.sampling.least_entropy {
            Some(least) => least,
            None => quantiles(config.sampling.discard, 1.0)?.medium,
        };
        for (weight, &h) in weights.iter_mut().zip(&entropy) {
            if h < least {
                *weight = 0.0;
            }
        }
        if !weights.iter().any(|weight| *weight > 0.0) {
            return Err(match config.sampling.least_entropy {
                None => TrainError::Data(DataError::Blank { file: image.name().to_owned() }),
                Some(least) => TrainError::Data(DataError::BelowThreshold {
                    file: image.name().into(),
                    most: entropy.iter().copied().fold(0.0, f32::max),
                    least,
                }),
            });
        }
        Ok(Self { width, height, pixels: image.pixels().to_vec(), entropy, weights, thresholds })
    }

    /// Width of the image in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height of the image in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Entropy around each pixel in nats, row by row.
    pub fn entropy(&self) -> &[f32] {
        &self.entropy
    }

    /// Sampling weight of each pixel, row by row.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The entropy thresholds of the tiers.
    pub fn thresholds(&self) -> Thresholds<f32> {
        self.thresholds
    }

    /// Draws `count` views as in training: around pixels by weight, rotated, scaled, stretched and deformed, with the intensity jitter
    /// of `policy` for the tier of their centre. Used options of `config`: `view_size`, `pixels`, `rotation_deg`,
    /// `scale`, `stretch`, `elastic` and `elastic_spacing`.
    ///
    /// # Errors
    /// When an option is unusable.
    pub fn views(
        &self,
        policy: &TierPolicy<f32>,
        config: &TrainConfig,
        count: usize,
        rng: &mut Rng,
    ) -> Result<Vec<GuidedView>, TrainError> {
        config.check()?;
        let TierPolicy { low, medium, high } = *policy;
        TierPolicy::new(low, medium, high)?;
        let mut sums = vec![0.0; self.weights.len()];
        let weights = Plane::new(&self.weights, self.width, self.height)?;
        let sampler = Pixels::Sums(Sampler::new(weights, &mut sums)?);
        let canvas = Canvas::here(self.pixels.as_slice().into(), self.width, self.height);
        let source = Source {
            canvas: &canvas,
            entropy: &self.entropy,
            thresholds: self.thresholds,
            sampler: &sampler,
        };
        let side = config.sampling.view_size;
        let mut controls =
            vec![Point::default(); elastic_controls_len(side, side, config.augmentation.elastic_spacing)];
        let mut one = |_| {
            let mut pixels = vec![0.0; side * side];
            let drawn = source.draw(policy, config, rng, &mut controls, &mut pixels)?;
            Ok(GuidedView {
                side,
                pixels,
                tier: drawn.place.tier,
                tone: drawn.tone,
                corners: drawn.place.corners,
                entropies: drawn.positives.iter().map(|p| source.entropy_at(p)).collect(),
                positives: drawn.positives,
            })
        };
        (0..count).map(&mut one).collect()
    }
}
