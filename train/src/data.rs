//! The training images: read once, laid on the encoder's canvas, their entropy maps computed once.

use std::path::{Path, PathBuf};

use infomark_core::{Plane, PlaneMut, Thresholds, Weighting, entropy_map, entropy_scratch_len, weight_map};
use infomark_infer::{Fit, InputSize, list_images, read_image, read_image_size, sha256_files};
use rayon::prelude::*;

use crate::{TrainConfig, TrainError};

/// Fewest images that views of one can be told from those of another by.
const FEWEST: usize = 2;

/// One image on the canvas.
pub(crate) struct Sample {
    /// Grey levels, row-major.
    pub(crate) levels: Vec<u8>,
    /// Patch entropy of each pixel in nats.
    pub(crate) entropy: Vec<f32>,
    /// Sampling weight of each pixel; 0 where it is never drawn.
    pub(crate) weights: Vec<f32>,
}

/// All images of a folder, ready for drawing views.
pub(crate) struct TrainingSet {
    pub(crate) input: InputSize,
    pub(crate) samples: Vec<Sample>,
    pub(crate) thresholds: Thresholds<f32>,
    pub(crate) sha256: String,
}

impl TrainingSet {
    /// Reads the folder. `progress` is told how many images of how many are done.
    pub(crate) fn open(
        dir: &Path,
        config: &TrainConfig,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, TrainError> {
        Self::open_on(dir, config, None, progress)
    }

    /// The same on a given canvas.
    pub(crate) fn open_on(
        dir: &Path,
        config: &TrainConfig,
        input: Option<InputSize>,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, TrainError> {
        let paths = list_images(dir)?;
        if paths.len() < FEWEST {
            return Err(TrainError::TooFew { dir: dir.to_owned(), found: paths.len(), needed: FEWEST });
        }
        let sha256 = sha256_files(&paths).map_err(TrainError::file(dir, "can't read the images"))?;
        let input = input.map_or_else(|| input_size(&paths, config), Ok)?;
        let done = std::sync::atomic::AtomicUsize::new(0);
        let mut samples = paths
            .par_iter()
            .map(|path| {
                let sample = read(path, input, config)?;
                progress(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), paths.len());
                Ok(sample)
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let (thresholds, least) = thresholds(&samples, config)?;
        for (sample, path) in samples.iter_mut().zip(&paths) {
            weigh(sample, least);
            if sample.weights.iter().all(|w| *w == 0.0) {
                return Err(TrainError::Blank { file: path.display().to_string() });
            }
        }
        Ok(Self { input, samples, thresholds, sha256 })
    }
}

/// Sides in multiples of 32, of about the wanted area, shaped like the median image.
fn input_size(paths: &[PathBuf], config: &TrainConfig) -> Result<InputSize, TrainError> {
    let mut shapes = Vec::with_capacity(paths.len());
    for path in paths {
        let (width, height) = read_image_size(path)?;
        shapes.push(width as f64 / height.max(1) as f64);
    }
    shapes.sort_by(f64::total_cmp);
    let shape = shapes[shapes.len() / 2].clamp(0.25, 4.0);
    let side = |length: f64| ((length / 32.0).round() as usize).max(2) * 32;
    let area = config.input_area as f64;
    InputSize::new(side((area * shape).sqrt()), side((area / shape).sqrt()))
        .map_err(|error| TrainError::Fit { file: "the encoder's input".into(), error })
}

fn read(path: &Path, input: InputSize, config: &TrainConfig) -> Result<Sample, TrainError> {
    let image = read_image(path)?;
    let fit = |error| TrainError::Fit { file: path.display().to_string(), error };
    let place = Fit::new(image.width(), image.height(), input).map_err(fit)?;
    let canvas = place.apply(&image).map_err(fit)?;
    let levels: Vec<u8> = canvas.iter().map(|v| (v * 255.0).round() as u8).collect();
    let (width, height) = (input.width(), input.height());
    let mut entropy = vec![0.0_f32; levels.len()];
    let mut scratch = vec![0; entropy_scratch_len(config.patch, width, height)];
    let internal = || TrainError::internal("entropy");
    let plane = Plane::new(&levels, width, height).map_err(|e| internal()(e.to_string()))?;
    let out = PlaneMut::new(&mut entropy, width, height).map_err(|e| internal()(e.to_string()))?;
    entropy_map(plane, config.patch, out, &mut scratch).map_err(|e| internal()(e.to_string()))?;
    let mut weights = vec![0.0; levels.len()];
    let plane = Plane::new(&entropy, width, height).map_err(|e| internal()(e.to_string()))?;
    let out = PlaneMut::new(&mut weights, width, height).map_err(|e| internal()(e.to_string()))?;
    weight_map(plane, Weighting::Exponential { alpha: config.alpha }, out)
        .map_err(|e| internal()(e.to_string()))?;
    // What the canvas repeats beyond the image's border is never drawn.
    let content = place.content();
    for (y, row) in weights.chunks_exact_mut(width).enumerate() {
        for (x, weight) in row.iter_mut().enumerate() {
            let inside = (content.x..content.x + content.width).contains(&x)
                && (content.y..content.y + content.height).contains(&y);
            if !inside {
                *weight = 0.0;
            }
        }
    }
    Ok(Sample { levels, entropy, weights })
}

/// Tier thresholds, and the entropy below which pixels are discarded, from the entropies of all images.
fn thresholds(samples: &[Sample], config: &TrainConfig) -> Result<(Thresholds<f32>, f32), TrainError> {
    // A quantile needs no more than every some-th pixel.
    let total: usize = samples.iter().map(|s| s.entropy.len()).sum();
    let step = (total / 2_000_000).max(1) | 1;
    let values: Vec<f32> = samples
        .iter()
        .flat_map(|s| s.entropy.iter().zip(&s.weights).step_by(step))
        .filter(|(_, weight)| **weight > 0.0)
        .map(|(entropy, _)| *entropy)
        .collect();
    if values.is_empty() {
        return Err(TrainError::Blank { file: "all images".into() });
    }
    let mut scratch = vec![0.0; values.len()];
    let plane =
        Plane::new(&values, values.len(), 1).map_err(|e| TrainError::internal("tiers")(e.to_string()))?;
    let [medium, high] = config.tier_quantiles;
    let internal = |e: infomark_core::TierError| TrainError::internal("tiers")(e.to_string());
    let tiers = Thresholds::from_quantiles(plane, medium, high, &mut scratch).map_err(internal)?;
    let least = Thresholds::from_quantiles(plane, config.discard, 1.0, &mut scratch).map_err(internal)?;
    Ok((tiers, least.medium))
}

/// Drops the pixels below `least`, unless that would leave none.
fn weigh(sample: &mut Sample, least: f32) {
    let kept = |s: &Sample| s.entropy.iter().zip(&s.weights).any(|(h, w)| *h >= least && *w > 0.0);
    if kept(sample) {
        for (weight, entropy) in sample.weights.iter_mut().zip(&sample.entropy) {
            if *entropy < least {
                *weight = 0.0;
            }
        }
    }
}
