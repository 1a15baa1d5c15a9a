//! Training images: scanned once, then read and letterboxed whenever a step draws one.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use infomark_core::{Plane, Thresholds, Tier, TierRatios};
use infomark_infer::{Image, InputSize, Letterbox, Normalisation, Rect, read_image, sha256_hashed_files};

use self::scan::Scanned;
pub(crate) use self::scan::input_size;
use crate::compute::Compute;
use crate::epochs::Epochs;
use crate::group::Group;
use crate::{DataError, TrainConfig, TrainError};

mod scan;

/// Bytes of grey levels cached between steps, so that a folder of ordinary size is decoded once. Further images
/// are read again for each step that draws them.
pub(crate) const KEPT_BYTES: usize = 64 << 20;

/// One image in the model input.
pub(crate) struct Sample {
    /// Grey levels, row-major.
    pub(crate) levels: Vec<u8>,
    /// Entropy of the patch around each pixel in nats.
    pub(crate) entropy: Vec<f32>,
    /// Sampling weight of each pixel; 0 where it is never drawn.
    pub(crate) weights: Vec<f32>,
}

/// Data of an image that are kept between steps.
struct Source {
    path: PathBuf,
    /// Fingerprint of its grey levels, to detect changes of the file.
    fingerprint: u64,
    /// Largest entropy of its candidate pixels; `None` without any.
    most: Option<f32>,
    /// The rectangle of the model input that shows it, beyond which the border is repeated.
    content: Rect,
    /// Whether its levels are cached once read.
    kept: bool,
    /// Its cached levels.
    levels: OnceLock<Vec<u8>>,
}

/// All images of a folder, for drawing views. Its memory does not grow with their pixels.
pub(crate) struct TrainingSet {
    pub(crate) input: InputSize,
    pub(crate) thresholds: Thresholds<f32>,
    pub(crate) sha256: String,
    sources: Vec<Source>,
    /// Minimum entropy of drawn pixels.
    least: f32,
    normalisation: Normalisation,
    patch: usize,
    alpha: f32,
    ratios: Option<TierRatios<f32>>,
    /// Device of entropies, weights and drawn pixels.
    pub(crate) compute: Compute,
    /// Order of the images.
    pub(crate) epochs: Epochs,
}

impl TrainingSet {
    /// Reads the folder, letterboxed to a given model input, if any. `progress` receives the images done and their total.
    pub(crate) fn open(
        dir: &Path,
        config: &TrainConfig,
        input: Option<InputSize>,
        compute: Compute,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, TrainError> {
        Self::open_by(&Group::alone(), dir, config, input, compute, progress)
    }

    /// [`open`](Self::open) by all ranks of a group, each of which reads its part of the images; `progress` counts those of this rank.
    ///
    /// # Errors
    /// Those of any rank, on all ranks, and when their folders contain files of other names.
    pub(crate) fn open_by(
        group: &Group<'_>,
        dir: &Path,
        config: &TrainConfig,
        input: Option<InputSize>,
        compute: Compute,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, TrainError> {
        let (paths, input) = scan::list(group, dir, input, config.model.input_area)?;
        let scanned = scan::scan(group, &paths, input, config, &compute, progress)?;
        let area = input.width() * input.height();
        let sha256 = sha256_hashed_files(paths.iter().zip(scanned.iter().map(|scanned| &scanned.sha256)));
        let mut entropies = Vec::with_capacity(scanned.iter().map(|scanned| scanned.some.len()).sum());
        let mut sources = Vec::with_capacity(scanned.len());
        for (place, (path, scanned)) in paths.into_iter().zip(scanned).enumerate() {
            let Scanned { fingerprint, most, content, some, levels, .. } = scanned;
            entropies.extend(some);
            let levels = levels.map_or_else(OnceLock::new, OnceLock::from);
            sources.push(Source { path, fingerprint, most, content, kept: kept(place, area), levels });
        }
        let (thresholds, quantile) = thresholds(&entropies, config)?;
        if let Some(blank) = sources.iter().find(|source| source.most.is_none()) {
            return Err(DataError::Blank { file: blank.path.display().to_string() }.into());
        }
        if let Some(least) = config.sampling.least_entropy
            && let Some(source) = sources.iter().find(|source| source.most.is_some_and(|most| most < least))
        {
            return Err(DataError::BelowThreshold {
                file: source.path.clone(),
                most: source.most.unwrap_or_default(),
                least,
            }
            .into());
        }
        let least = config.sampling.least_entropy.unwrap_or(quantile);
        let ratios =
            config.sampling.tier_ratios.map(|[low, medium, high]| TierRatios::new(low, medium, high));
        let ratios = ratios.transpose()?;
        let (normalisation, patch) = (config.model.normalisation, config.sampling.patch);
        let alpha = alpha(config);
        let epochs = Epochs::new(sources.len());
        Ok(Self {
            input,
            thresholds,
            sha256,
            sources,
            least,
            normalisation,
            patch,
            alpha,
            ratios,
            compute,
            epochs,
        })
    }

    /// Draws pixels uniformly from now on; the tiers stay.
    pub(crate) fn draw_uniformly(&mut self) {
        (self.alpha, self.least, self.ratios) = (0.0, 0.0, None);
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }

    /// The file of an image.
    pub(crate) fn path(&self, image: usize) -> &Path {
        &self.sources[image].path
    }

    /// The rectangle of the model input that shows an image.
    pub(crate) fn content(&self, image: usize) -> Rect {
        self.sources[image].content
    }

    /// An image's grey levels in the model input, read again unless cached.
    pub(crate) fn levels(&self, image: usize) -> Result<Cow<'_, [u8]>, TrainError> {
        let source = &self.sources[image];
        if let Some(levels) = source.levels.get() {
            return Ok(levels.into());
        }
        let levels = source.read_again(self.input, self.normalisation)?;
        Ok(if source.kept { source.levels.get_or_init(|| levels).into() } else { levels.into() })
    }

    /// An image in the model input, read again unless its levels are cached.
    ///
    /// # Errors
    /// [`DataError::Changed`] when its file can no longer be read, or has changed since the folder was opened.
    pub(crate) fn sample(&self, image: usize) -> Result<Sample, TrainError> {
        let source = &self.sources[image];
        let levels = self.levels(image)?.into_owned();
        let mut sample = measure(&self.compute, levels, source.content, self.input, self.patch, self.alpha)?;
        // Drops the pixels of lowest entropy, unless that would leave none.
        if source.most.is_some_and(|most| most >= self.least) {
            for (weight, entropy) in sample.weights.iter_mut().zip(&sample.entropy) {
                if *entropy < self.least {
                    *weight = 0.0;
                }
            }
        }
        if let Some(ratios) = self.ratios {
            share_out(&mut sample, self.thresholds, ratios);
        }
        Ok(sample)
    }
}

/// Scales the weights of each tier to its fraction; tiers without weight keep none.
fn share_out(sample: &mut Sample, thresholds: Thresholds<f32>, ratios: TierRatios<f32>) {
    let place = |entropy: f32| Tier::ALL.iter().position(|t| *t == thresholds.tier(entropy)).unwrap_or(0);
    let mut sums = [0.0; 3];
    for (weight, entropy) in sample.weights.iter().zip(&sample.entropy) {
        sums[place(*entropy)] += f64::from(*weight);
    }
    let shares = Tier::ALL.map(|tier| f64::from(ratios.share(tier)));
    // An image with only tiers of fraction 0 keeps its weights: something has to be drawn from it.
    if sums.iter().zip(shares).all(|(sum, share)| sum * share == 0.0) {
        return;
    }
    for (weight, entropy) in sample.weights.iter_mut().zip(&sample.entropy) {
        let tier = place(*entropy);
        if *weight > 0.0 {
            *weight = (f64::from(*weight) * shares[tier] / sums[tier]) as f32;
        }
    }
}

impl Source {
    fn read_again(&self, input: InputSize, normalisation: Normalisation) -> Result<Vec<u8>, TrainError> {
        let changed =
            |reason: String| TrainError::Data(DataError::Changed { file: self.path.clone(), reason });
        let (levels, _) =
            read(&self.path, input, normalisation).map_err(|error| changed(error.to_string()))?;
        if fingerprint(&levels) != self.fingerprint {
            return Err(changed("it shows something else".into()));
        }
        Ok(levels)
    }
}

pub(crate) fn fingerprint(levels: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    levels.hash(&mut hasher);
    hasher.finish()
}

/// The exponent of the sampling weights; 0 (uniform) with an entropy threshold.
fn alpha(config: &TrainConfig) -> f32 {
    if config.sampling.least_entropy.is_some() { 0.0 } else { config.sampling.alpha }
}

/// Whether the levels of an image are cached: by its index, so that it does not depend on the order of threads.
fn kept(place: usize, area: usize) -> bool {
    (place + 1).saturating_mul(area) <= KEPT_BYTES
}

/// The normalised grey levels of an image in the model input, and its rectangle there.
pub(crate) fn read(
    path: &Path,
    input: InputSize,
    normalisation: Normalisation,
) -> Result<(Vec<u8>, Rect), TrainError> {
    on_canvas(&read_image(path)?, path, input, normalisation)
}

fn on_canvas(
    image: &Image,
    path: &Path,
    input: InputSize,
    normalisation: Normalisation,
) -> Result<(Vec<u8>, Rect), TrainError> {
    let fit = |error| TrainError::Data(DataError::Letterbox { file: path.display().to_string(), error });
    let place = Letterbox::new(image.width(), image.height(), input).map_err(fit)?;
    let canvas = place.apply(image, normalisation).map_err(fit)?;
    Ok((canvas.iter().map(|v| (v * 255.0).round() as u8).collect(), place.content()))
}

/// Entropy and weight of every pixel.
fn measure(
    compute: &Compute,
    levels: Vec<u8>,
    content: Rect,
    input: InputSize,
    patch: usize,
    alpha: f32,
) -> Result<Sample, TrainError> {
    let width = input.width();
    let (entropy, mut weights) = compute.guidance(&levels, width, patch, alpha)?;
    // Pixels repeated beyond the image's border are never drawn.
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

/// Tier thresholds, and the entropy below which pixels are discarded.
fn thresholds(values: &[f32], config: &TrainConfig) -> Result<(Thresholds<f32>, f32), TrainError> {
    if values.is_empty() {
        return Err(DataError::Blank { file: "all images".into() }.into());
    }
    let mut scratch = vec![0.0; values.len()];
    let plane = Plane::new(values, values.len(), 1)?;
    let [medium, high] = config.sampling.tier_quantiles;
    let tiers = Thresholds::from_quantiles(plane, medium, high, &mut scratch)?;
    let least = Thresholds::from_quantiles(plane, config.sampling.discard, 1.0, &mut scratch)?;
    Ok((tiers, least.medium))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infomark_phantom::Phantom;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn open(dir: &Path) -> Result<TrainingSet, Box<dyn std::error::Error>> {
        let phantom = Phantom::new(96, 128)?;
        for i in 0..3 {
            std::fs::write(dir.join(format!("{i}.pgm")), phantom.image(1, i).pgm())?;
        }
        let config = TrainConfig::default().with(|o| o.model.input_area = 96 * 128);
        Ok(TrainingSet::open(dir, &config, None, Compute::Cpu(None), &|_, _| {})?)
    }

    #[test]
    fn an_image_that_is_read_again_is_the_one_that_was_kept() -> Outcome {
        let dir = tempfile::tempdir()?;
        let mut set = open(dir.path())?;
        for image in 0..set.len() {
            assert!(set.sources[image].levels.get().is_some(), "few images are kept");
            let kept = set.sample(image)?;
            set.sources[image].levels = OnceLock::new();
            let again = set.sample(image)?;
            assert_eq!(kept.levels, again.levels);
            assert_eq!(kept.entropy, again.entropy);
            assert_eq!(kept.weights, again.weights);
            let drawn = kept.weights.iter().filter(|w| **w > 0.0).count();
            assert!(drawn > 0 && drawn < kept.weights.len(), "{drawn} pixels are drawn");
        }
        Ok(())
    }

    #[test]
    fn tiers_get_their_shares_and_a_threshold_weighs_all_above_it_alike() -> Outcome {
        let dir = tempfile::tempdir()?;
        open(dir.path())?;
        let small = TrainConfig::default().with(|o| o.model.input_area = 96 * 128);
        let shared = small.clone().with(|o| o.sampling.tier_ratios = Some([1.0, 2.0, 1.0]));
        let set = TrainingSet::open(dir.path(), &shared, None, Compute::Cpu(None), &|_, _| {})?;
        let sample = set.sample(0)?;
        let sum = |tier| -> f64 {
            let all = sample.weights.iter().zip(&sample.entropy);
            all.filter(|(_, h)| set.thresholds.tier(**h) == tier).map(|(w, _)| f64::from(*w)).sum()
        };
        for (tier, share) in Tier::ALL.into_iter().zip([1.0, 2.0, 1.0]) {
            assert!((sum(tier) - share).abs() < 1e-3, "{tier:?}: {}", sum(tier));
        }
        let piecewise = small.with(|o| o.sampling.least_entropy = Some(2.5));
        let sample =
            TrainingSet::open(dir.path(), &piecewise, None, Compute::Cpu(None), &|_, _| {})?.sample(0)?;
        for (weight, entropy) in sample.weights.iter().zip(&sample.entropy) {
            assert!(
                *weight == f32::from(u8::from(*entropy >= 2.5)) || *weight == 0.0,
                "{weight} at {entropy}"
            );
        }
        assert!(sample.weights.contains(&1.0));
        Ok(())
    }

    #[test]
    fn an_image_that_changes_or_vanishes_is_named() -> Outcome {
        let dir = tempfile::tempdir()?;
        let mut set = open(dir.path())?;
        set.sources.iter_mut().for_each(|source| source.levels = OnceLock::new());
        set.sources.iter_mut().for_each(|source| source.kept = false);
        let changed = |path: &Path| {
            matches!(
                set.sample(1),
                Err(TrainError::Data(DataError::Changed { file, .. })) if file == path
            )
        };
        let path = dir.path().join("1.pgm");
        std::fs::copy(dir.path().join("0.pgm"), &path)?;
        assert!(changed(&path));
        std::fs::remove_file(&path)?;
        assert!(changed(&path));
        set.sample(0)?;
        Ok(())
    }
}
