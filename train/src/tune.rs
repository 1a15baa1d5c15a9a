//! Estimation of the augmentation intensity of each tier: an augmented patch should share as much information with its original as
//! matching patches of two people do (IGU-Aug, "augmentation intensity from InfoMin").

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use infomark_core::{
    Binning, FeatureMap, IntensityRange, KeyPoint, KeyPointRule, Plane, PlaneMut, Rng, SearchRule, Tier,
    ToneSearchScratch, intensity_range, joint_entropy, key_points, key_points_scratch_len,
    mutual_information_scratch_len, peak, sample_feature, similarity, similarity_scratch_len,
    tone_search_scratch_len,
};
use infomark_infer::{Encoder, Encoding, read_image};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::compute::Compute;
use crate::data::{Sample, TrainingSet};
use crate::policy::{Policy, Ranges};
use crate::threads::in_threads;
use crate::{ConfigError, DataError, TrainConfig, TrainError, stream};

/// Options of the estimation of intensities. [`TuneConfig::default`] is the default of `infomark tune`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TuneConfig {
    /// Seed of the choice of images.
    pub seed: u64,
    /// Number of images whose keypoints are matched in others.
    pub sources: usize,
    /// Number of others that each is compared with.
    pub others: usize,
    /// Maximum number of keypoints of an image.
    pub key_points: usize,
    /// Side of the compared patches, in pixels of the model input.
    pub patch: usize,
    /// Quantile of the patches' strengths that becomes the end of a range: 0.5 is the median.
    pub quantile: f64,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self { seed: 0, sources: 8, others: 12, key_points: 64, patch: 64, quantile: 0.5, threads: 0 }
    }
}

/// Estimated intensities of a tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedTier {
    /// The ranges.
    #[serde(flatten)]
    pub ranges: Ranges,
    /// Number of keypoints in this tier.
    pub key_points: usize,
    /// Mean mutual information of their patches with the matches in other images, in nats.
    pub target_nats: f64,
    /// Histogram of this information: element `i` counts patches from `i / 20` to `(i + 1) / 20` nats.
    pub shared: Vec<u32>,
    /// Fraction of the searches that met the target before their limit.
    pub met: f64,
    /// The tier of these ranges, if this one has too few keypoints of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<String>,
}

/// Estimated policy with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// Version of infomark.
    pub version: String,
    /// SHA-256 of the encoder used for matching.
    pub encoder_sha256: String,
    /// SHA-256 of the images.
    pub images_sha256: String,
    /// Minimum entropies of the medium and of the high tier, in nats.
    pub thresholds: [f32; 2],
    /// Options.
    pub config: TuneConfig,
    /// Estimate for pixels of low entropy.
    pub low: TunedTier,
    /// Estimate for pixels of medium entropy.
    pub medium: TunedTier,
    /// Estimate for pixels of high entropy.
    pub high: TunedTier,
}

impl Tuned {
    /// The ranges alone.
    pub fn policy(&self) -> Policy {
        Policy { low: self.low.ranges, medium: self.medium.ranges, high: self.high.ranges }
    }

    /// One range for all tiers: the mean of the estimated ones, regardless of their numbers of keypoints. A baseline for
    /// the benefit of a range per tier.
    pub fn shared_policy(&self) -> Policy {
        let own: Vec<&Ranges> = [&self.low, &self.medium, &self.high]
            .into_iter()
            .filter(|tier| tier.taken_from.is_none())
            .map(|tier| &tier.ranges)
            .collect();
        let mean =
            |end: fn(&Ranges) -> f32| own.iter().map(|r| end(r)).sum::<f32>() / own.len().max(1) as f32;
        let ranges = if own.is_empty() {
            self.high.ranges
        } else {
            Ranges {
                brightness: [mean(|r| r.brightness[0]), mean(|r| r.brightness[1])],
                contrast: [mean(|r| r.contrast[0]), mean(|r| r.contrast[1])],
            }
        };
        Policy { low: ranges, medium: ranges, high: ranges }
    }
}

/// Minimum number of keypoints of a tier for a range.
const FEWEST: usize = 8;
/// Limits of the search: beyond, hardly anything is left of a radiograph.
const LIMITS: [(f32, f32); 2] = [(0.1, 4.0), (0.05, 4.0)];

/// Bins per nat of [`TunedTier::shared`].
const BINS_A_NAT: f64 = 20.0;
/// Number of bins of the joint histogram. With 256, chance would dominate the information of a patch's 4,096 pixels.
const BINS: usize = 32;

fn binning() -> Result<Binning<BINS>, TrainError> {
    Ok(Binning::new(0, 255)?)
}

/// An image that is compared.
struct Used {
    sample: Sample,
    encoding: Encoding,
}

/// The folder, and its images that are compared.
struct Looked<'s> {
    set: &'s TrainingSet,
    used: BTreeMap<usize, Used>,
}

impl Looked<'_> {
    fn image(&self, image: usize) -> Result<&Used, TrainError> {
        self.used.get(&image).ok_or_else(|| TrainError::internal("an image was not read"))
    }

    /// Width and height of every image.
    fn size(&self) -> (usize, usize) {
        (self.set.input.width(), self.set.input.height())
    }
}

/// A source's keypoints.
struct Source {
    image: usize,
    points: Vec<(KeyPoint<f32>, Tier)>,
}

/// Estimates augmentation intensities from the images of a folder, for each tier (method: `mu` is the mean of
/// `I[l_k; l_k^i]` over keypoints `k` and images `i`, and `A = argmin |I[l; A(l)] - mu|`).
///
/// Keypoints are extrema of differences of Gaussians, outside a margin of a tenth of the image; `encoder` matches them in other
/// images. `progress` receives the comparisons done and their total. A tier with few keypoints uses the ranges of
/// the next higher one, or else of the next lower one.
///
/// # Errors
/// When an option or an image is unusable, or no tier has keypoints.
pub fn tune(
    images: &Path,
    encoder: &Encoder,
    config: &TuneConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Tuned, TrainError> {
    check(config)?;
    in_threads(config.threads, || tune_here(images, encoder, config, progress))
}

fn check(config: &TuneConfig) -> Result<(), TrainError> {
    let wrong = |option: &'static str, needs: &'static str| Err(ConfigError::Option { option, needs }.into());
    for (option, value) in
        [("sources", config.sources), ("others", config.others), ("key_points", config.key_points)]
    {
        if !(1..=10_000).contains(&value) {
            return wrong(option, "1 to 10,000");
        }
    }
    if !(8..=512).contains(&config.patch) {
        return wrong("patch", "8 to 512");
    }
    if !(0.0..=1.0).contains(&config.quantile) {
        return wrong("quantile", "from 0 to 1");
    }
    Ok(())
}

fn tune_here(
    dir: &Path,
    encoder: &Encoder,
    config: &TuneConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Tuned, TrainError> {
    let description = encoder.description();
    let options = TrainConfig::default().with(|o| o.model.normalisation = description.normalisation);
    let set = TrainingSet::open(dir, &options, Some(description.input), Compute::Cpu(None), &|_, _| {})?;
    tune_on(&set, dir, encoder, config, progress)
}

/// [`tune`] on images that are already scanned; `dir` is their folder.
pub(crate) fn tune_on(
    set: &TrainingSet,
    dir: &Path,
    encoder: &Encoder,
    config: &TuneConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Tuned, TrainError> {
    let order = shuffled(set.len(), config.seed, stream::TUNING);
    let chosen = &order[..config.sources.min(order.len())];
    // One more, for sources that are among them.
    let others: Vec<usize> = order.iter().rev().take(config.others + 1).copied().collect();
    let needed: BTreeSet<usize> = chosen.iter().chain(&others).copied().collect();
    let used = needed
        .into_par_iter()
        .map(|image| {
            let encoding = encode(encoder, set.path(image))?;
            Ok((image, Used { sample: set.sample(image)?, encoding }))
        })
        .collect::<Result<BTreeMap<_, _>, TrainError>>()?;
    let set = Looked { set, used };
    let source = |&image: &usize| {
        let points = key_points_of(set.set, &set.image(image)?.sample, config)?;
        Ok(Source { image, points })
    };
    let sources = chosen.iter().map(source).collect::<Result<Vec<_>, TrainError>>()?;
    let pairs: Vec<(&Source, usize)> = sources
        .iter()
        .flat_map(|source| {
            let others = others.iter().filter(|&&other| other != source.image).take(config.others);
            others.map(move |&other| (source, other))
        })
        .collect();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let shared = pairs
        .par_iter()
        .map(|&(source, other)| {
            let shared = compare(&set, source, other, config.patch);
            progress(1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed), pairs.len());
            shared
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tiers = [Tier::Low, Tier::Medium, Tier::High];
    let found: Vec<Option<TunedTier>> = tiers
        .into_par_iter()
        .map(|tier| range(&set, &sources, &shared, tier, config))
        .collect::<Result<_, _>>()?;
    let [low, medium, high] =
        fill(found).ok_or_else(|| TrainError::Data(DataError::TooFewKeyPoints { dir: dir.to_owned() }))?;
    Ok(Tuned {
        version: env!("CARGO_PKG_VERSION").into(),
        encoder_sha256: encoder.sha256().to_owned(),
        images_sha256: set.set.sha256.clone(),
        thresholds: [set.set.thresholds.medium, set.set.thresholds.high],
        config: config.clone(),
        low,
        medium,
        high,
    })
}

/// The images in a random order (Fisher and Yates).
pub(crate) fn shuffled(images: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed, stream);
    let mut order: Vec<usize> = (0..images).collect();
    for i in (1..images).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order
}

fn encode(encoder: &Encoder, path: &Path) -> Result<Encoding, TrainError> {
    Ok(encoder.encode(&read_image(path)?)?)
}

/// The keypoints of an image whose patches are inside, with their tiers.
fn key_points_of(
    set: &TrainingSet,
    sample: &Sample,
    config: &TuneConfig,
) -> Result<Vec<(KeyPoint<f32>, Tier)>, TrainError> {
    let (width, height) = (set.input.width(), set.input.height());
    let pixels: Vec<f32> = sample.levels.iter().map(|v| f32::from(*v) / 255.0).collect();
    let plane = Plane::new(&pixels, width, height)?;
    let mut found = vec![KeyPoint::default(); config.key_points];
    let mut scratch = vec![0.0; key_points_scratch_len(width, height)];
    let count = key_points(plane, KeyPointRule::default(), &mut found, &mut scratch)?;
    let half = config.patch / 2;
    let inside =
        |at: usize, size: usize| at.checked_sub(half).is_some_and(|from| from + config.patch <= size);
    let points = found[..count].iter().filter_map(|&point| {
        let (x, y) = pixel(&point);
        (inside(x, width) && inside(y, height))
            .then(|| (point, set.thresholds.tier(sample.entropy[y * width + x])))
    });
    Ok(points.collect())
}

/// Checks before a training that its images suffice for an estimation during it; `dir` is their folder.
pub(crate) fn check_images(set: &TrainingSet, dir: &Path, config: &TuneConfig) -> Result<(), TrainError> {
    let mut counts = [0; 3];
    for &image in shuffled(set.len(), config.seed, stream::TUNING).iter().take(config.sources) {
        for (_, tier) in key_points_of(set, &set.sample(image)?, config)? {
            counts[Tier::ALL.iter().position(|other| *other == tier).unwrap_or(0)] += 1;
        }
    }
    let enough = counts.iter().any(|count| *count >= FEWEST);
    if enough { Ok(()) } else { Err(DataError::TooFewKeyPoints { dir: dir.to_owned() }.into()) }
}

fn pixel(point: &KeyPoint<f32>) -> (usize, usize) {
    (point.at.x.round().max(0.0) as usize, point.at.y.round().max(0.0) as usize)
}

/// The patch around a point; `None` where it extends outside.
fn patch<'s>(set: &'s Looked<'_>, image: usize, point: &KeyPoint<f32>, side: usize) -> Option<Plane<'s, u8>> {
    let (x, y) = pixel(point);
    let (width, height) = set.size();
    let levels = Plane::new(&set.used.get(&image)?.sample.levels, width, height).ok()?;
    levels.crop(x.checked_sub(side / 2)?, y.checked_sub(side / 2)?, side, side).ok()
}

/// Mutual information of the patches of a source with their matches in another image, in the points' order.
fn compare(
    set: &Looked<'_>,
    source: &Source,
    other: usize,
    side: usize,
) -> Result<Vec<Option<f32>>, TrainError> {
    let (from, to) = (set.image(source.image)?.encoding.levels(), set.image(other)?.encoding.levels());
    // The finest level costs most and changes the result by less than a pixel.
    let (from, to) = (&from[from.len().min(2) - 1..], &to[to.len().min(2) - 1..]);
    let finest = to.first().ok_or_else(|| TrainError::internal("the encoder has no levels"))?;
    let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
    let mut map = vec![0.0f32; width * height];
    let mut scratch = vec![0.0f32; similarity_scratch_len(to)];
    let mut counts = vec![0; mutual_information_scratch_len(side, side)];
    let binning = binning()?;
    let mut shared = Vec::with_capacity(source.points.len());
    for (point, _) in &source.points {
        let features = features(from, point)?;
        let features: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        let out = PlaneMut::new(&mut map, width, height)?;
        similarity(to, &features, 1.0, out, &mut scratch)?;
        let map = Plane::new(&map, width, height)?;
        let found = peak(map, stride).map(|peak| KeyPoint { at: peak.at, ..*point });
        let patches = patch(set, source.image, point, side)
            .zip(found.and_then(|found| patch(set, other, &found, side)));
        let information = patches
            .map(|(a, b)| {
                joint_entropy::<f32, u8, BINS>(a, b, [binning; 2], &mut counts)
                    .map(|both| both.mutual_information())
            })
            .transpose();
        shared.push(information?);
    }
    Ok(shared)
}

fn features(levels: &[FeatureMap<'_, f32>], point: &KeyPoint<f32>) -> Result<Vec<Vec<f32>>, TrainError> {
    let feature = |map: &FeatureMap<'_, f32>| {
        let mut feature = vec![0.0; map.channels()];
        sample_feature(*map, point.at, &mut feature)?;
        Ok(feature)
    };
    levels.iter().map(feature).collect()
}

/// The ranges of a tier; `None` with too few keypoints. `shared` holds the comparisons of the sources in order.
fn range(
    set: &Looked<'_>,
    sources: &[Source],
    shared: &[Vec<Option<f32>>],
    tier: Tier,
    config: &TuneConfig,
) -> Result<Option<TunedTier>, TrainError> {
    let per_source = shared.len() / sources.len().max(1);
    let (mut sum, mut count, mut patches, mut counts_of) = (0.0, 0usize, Vec::new(), Vec::new());
    for (source, shared) in sources.iter().zip(shared.chunks(per_source.max(1))) {
        for (i, (point, _)) in source.points.iter().enumerate().filter(|(_, (_, own))| *own == tier) {
            for information in shared.iter().filter_map(|one| one[i]) {
                sum += f64::from(information);
                count += 1;
                let place = (f64::from(information.max(0.0)) * BINS_A_NAT) as usize;
                counts_of.resize(counts_of.len().max(place + 1), 0u32);
                counts_of[place] += 1;
            }
            patches.extend(patch(set, source.image, point, config.patch));
        }
    }
    if patches.len() < FEWEST || count == 0 {
        return Ok(None);
    }
    let target = sum / count as f64;
    let side = config.patch;
    let (pixels, levels, counts) = tone_search_scratch_len(side, side);
    let (mut pixels, mut levels, mut counts) = (vec![0.0; pixels], vec![0; levels], vec![0; counts]);
    let mut scratch = ToneSearchScratch { pixels: &mut pixels, levels: &mut levels, counts: &mut counts };
    let [brightness, contrast] = LIMITS;
    let limits = IntensityRange { brightness, contrast, gamma: (1.0, 1.0) };
    let mut strengths = vec![0.0; patches.len()];
    let (found, met) = intensity_range(
        &patches,
        binning()?,
        limits,
        target as f32,
        config.quantile,
        SearchRule::default(),
        &mut strengths,
        &mut scratch,
    )?;
    let round = |(low, high): (f32, f32)| [(low * 1e3).round() / 1e3, (high * 1e3).round() / 1e3];
    Ok(Some(TunedTier {
        ranges: Ranges { brightness: round(found.brightness), contrast: round(found.contrast) },
        key_points: patches.len(),
        target_nats: (target * 1e4).round() / 1e4,
        shared: counts_of,
        met: met as f64 / (4 * patches.len()) as f64,
        taken_from: None,
    }))
}

/// Fills tiers without ranges from the next higher tier, or else from the next lower one.
fn fill(found: Vec<Option<TunedTier>>) -> Option<[TunedTier; 3]> {
    const NAMES: [&str; 3] = ["low", "medium", "high"];
    let tier = |i: usize| {
        let nearest = (i..3).chain((0..i).rev()).find(|&j| found.get(j).is_some_and(Option::is_some))?;
        let mut tier = found[nearest].clone()?;
        if nearest != i {
            tier.taken_from = Some(NAMES[nearest].into());
        }
        Some(tier)
    };
    Some([tier(0)?, tier(1)?, tier(2)?])
}
