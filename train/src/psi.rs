//! Feature stability against information: the curve of PSI against IIE, and the tiers from its dip
//! (IGU-Aug, sections on indicators and tiers).

use std::path::Path;

use infomark_core::{
    CurveCut, DipRule, Point, Positive, SimilarityBin, SimilarityCurve, Thresholds, Tier,
    positive_similarities,
};
use infomark_infer::{Encoder, Encoding};
use rayon::prelude::*;
use serde::Serialize;

use crate::batch::{self, Batch};
use crate::compute::Compute;
use crate::data::TrainingSet;
use crate::encoder::shuffle;
use crate::level::Level;
use crate::threads::in_threads;
use crate::{ConfigError, TrainConfig, TrainError};

/// Options of the PSI measurement. [`PsiConfig::default`] is the default of `infomark psi`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PsiConfig {
    /// Total number of views; each is compared with its image.
    pub views: usize,
    /// Number of bins of the curve, from 0 to the maximum entropy of a patch.
    pub bins: usize,
    /// Augmentation of the views, as in training. Options of budget, network and optimiser are not used, nor are
    /// `alpha` and `discard`: pixels are drawn uniformly, so that the curve covers all entropies alike. Views have the size of the
    /// model input, so `view_size` is not used either.
    pub training: TrainConfig,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

impl Default for PsiConfig {
    fn default() -> Self {
        Self {
            views: 120,
            bins: 44,
            training: TrainConfig::default().with(|o| o.sampling.pixels = 512),
            threads: 0,
        }
    }
}

/// Bin of the curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PsiBin {
    /// Lower edge in nats.
    pub low: f64,
    /// Upper edge in nats.
    pub high: f64,
    /// Number of pixels in the bin.
    pub pixels: u64,
    /// Mean similarity, -1 to 1, over all strides; `None` for an empty bin.
    pub psi: Option<f64>,
    /// Standard error of the mean, assuming independent pixels.
    pub error: Option<f64>,
    /// Mean similarity at each of the encoder's strides.
    pub strides: Vec<Option<f64>>,
}

/// Result of a PSI measurement: the curve, and the tiers from its dip.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Psi {
    /// Version of infomark.
    pub version: String,
    /// SHA-256 of the encoder.
    pub encoder_sha256: String,
    /// SHA-256 of the images.
    pub images_sha256: String,
    /// Number of images.
    pub images: usize,
    /// Options.
    pub config: PsiConfig,
    /// Strides of the encoder, finest first.
    pub strides: Vec<usize>,
    /// Bins of the curve.
    pub bins: Vec<PsiBin>,
    /// Mean similarity over all pixels.
    pub psi: f64,
    /// Dip of the curve, if any.
    pub dip: Option<Dip>,
    /// Why there is no dip.
    pub no_dip: Option<String>,
    /// Minimum entropies of the medium and of the high tier, by the quantiles of the options: those of a training,
    /// and the alternative without a dip.
    pub quantile_thresholds: [f32; 2],
}

/// Dip of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Dip {
    /// Minimum entropies of the medium and of the high tier, in nats.
    pub thresholds: [f64; 2],
    /// Mean similarity of the low, medium and high tiers.
    pub levels: [f64; 3],
    /// Depth of the dip below the nearer side.
    pub depth: f64,
    /// Standard error of the depth.
    pub error: f64,
}

/// A view's positives: their entropies, and their similarities at each stride.
struct Compared {
    entropies: Vec<f32>,
    strides: Vec<Vec<f32>>,
}

/// Measures PSI over the views of the images in a folder.
///
/// Views are drawn as in training, and encoded like images, at the size of the model input. `progress` receives the
/// batches done and their total.
///
/// # Errors
/// When an option, an image or the encoder is unusable.
pub fn psi(
    images: &Path,
    encoder: &Encoder,
    config: &PsiConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Psi, TrainError> {
    if !(1..=1_000_000).contains(&config.views) {
        return Err(ConfigError::Option { option: "views", needs: "1 to 1,000,000" }.into());
    }
    if !(1..=1000).contains(&config.bins) {
        return Err(ConfigError::Option { option: "bins", needs: "1 to 1,000" }.into());
    }
    in_threads(config.threads, || measure(images, encoder, config, progress))
}

fn measure(
    dir: &Path,
    encoder: &Encoder,
    config: &PsiConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Psi, TrainError> {
    let (input, levels) = (encoder.description().input, encoder.description().strides.len());
    let side = input.width().max(input.height()).max(64);
    config.training.check()?;
    let training = config.training.clone().with(|o| {
        o.sampling.discard = 0.0;
        o.sampling.tier_ratios = None;
        o.sampling.view_size = side.next_multiple_of(32);
        o.model.normalisation = encoder.description().normalisation;
        o.model.input_area = input.width() * input.height();
        o.sampling.views = 1;
    });
    let mut set = TrainingSet::open(dir, &training, Some(input), Compute::Cpu(None), &|_, _| {})?;
    // Tiers as in training; pixels are drawn uniformly.
    set.draw_uniformly();
    let training = training.with(|o| {
        o.sampling.alpha = 0.0;
        o.sampling.least_entropy = None;
    });
    let batches = config.views.div_ceil(training.sampling.batch);
    let most = ((training.sampling.patch * training.sampling.patch).min(256) as f64).ln();
    let mut stores = vec![vec![SimilarityBin::default(); config.bins]; levels + 1];
    let mut curves = Vec::with_capacity(stores.len());
    for bins in &mut stores {
        curves.push(SimilarityCurve::new(bins, 0.0, most.max(0.1))?);
    }
    let (mut sum, mut count) = (0.0, 0usize);
    for step in 0..batches {
        let batch = batch::draw(&set, &training, step as u64)?;
        let last = config.views - step * training.sampling.batch;
        for compared in compare(&batch, encoder, &training, last)? {
            for (i, &entropy) in compared.entropies.iter().enumerate() {
                let mut all = 0.0;
                for (curve, similarities) in curves.iter_mut().zip(&compared.strides) {
                    curve.add(entropy, similarities[i])?;
                    all += similarities[i] / levels as f32;
                }
                curves[levels].add(entropy, all)?;
                sum += f64::from(all);
                count += 1;
            }
        }
        progress(step + 1, batches);
    }
    let all = &curves[levels];
    let cut = Thresholds::<f64>::from_similarity_curve(all, DipRule::default())?;
    let (dip, no_dip) = match cut {
        CurveCut::Dip { thresholds, levels, depth, error } => {
            (Some(Dip { thresholds: [thresholds.medium, thresholds.high], levels, depth, error }), None)
        }
        CurveCut::NoDip { depth, needed } => (
            None,
            Some(format!("the middle lies {depth:.3} below the sides, and {needed:.3} would be a dip")),
        ),
        CurveCut::TooFew { bins, needed } => {
            (None, Some(format!("{bins} bins have enough pixels, and {needed} are needed; draw more views")))
        }
    };
    let bins = all.bins().iter().enumerate().map(|(i, bin)| PsiBin {
        low: all.edge(i),
        high: all.edge(i + 1),
        pixels: bin.count(),
        psi: bin.mean(),
        error: bin.variance().map(|variance| (variance / bin.count() as f64).sqrt()),
        strides: curves[..levels].iter().map(|curve| curve.bins()[i].mean()).collect(),
    });
    Ok(Psi {
        version: env!("CARGO_PKG_VERSION").into(),
        encoder_sha256: encoder.sha256().to_owned(),
        images_sha256: set.sha256.clone(),
        images: set.len(),
        strides: encoder.description().strides.clone(),
        config: PsiConfig { training: training.clone(), ..config.clone() },
        bins: bins.collect(),
        psi: sum / count.max(1) as f64,
        dip,
        no_dip,
        quantile_thresholds: [set.thresholds.medium, set.thresholds.high],
    })
}

/// Encodes and compares the first `most` images of a batch with their views.
fn compare(
    batch: &Batch,
    encoder: &Encoder,
    config: &TrainConfig,
    most: usize,
) -> Result<Vec<Compared>, TrainError> {
    let input = encoder.description().input;
    let (width, height, side) = (input.width(), input.height(), config.sampling.view_size);
    let image = |blocks: &[f32]| {
        let mut pixels = vec![0.0; blocks.len()];
        shuffle(blocks, width, &mut pixels);
        encode(encoder, pixels)
    };
    // The view is square and is cropped to the model input at its centre.
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let view = |blocks: &[f32]| {
        let mut pixels = vec![0.0; blocks.len()];
        shuffle(blocks, side, &mut pixels);
        let rows = pixels.chunks_exact(side).skip(top).take(height);
        encode(encoder, rows.flat_map(|row| &row[left..left + width]).copied().collect())
    };
    let items = batch.images.par_chunks(width * height).zip(batch.views.par_chunks(side * side));
    let items = items.zip(batch.positives.par_iter().zip(&batch.entropies)).take(most);
    let compared = items.map(|((image_blocks, view_blocks), (positives, entropies))| {
        // A constant view has no features.
        let Some(view) = view(view_blocks)? else { return Ok(None) };
        let Some(image) = image(image_blocks)? else { return Ok(None) };
        let moved = positives.iter().zip(entropies).filter_map(|(positive, entropy)| {
            let at = Point { x: positive.view.x - left as f32, y: positive.view.y - top as f32 };
            let inside =
                (0.0..width as f32 - 0.5).contains(&at.x) && (0.0..height as f32 - 0.5).contains(&at.y);
            inside.then_some((Positive { view: at, image: positive.image }, *entropy))
        });
        let (positives, entropies): (Vec<_>, Vec<_>) = moved.unzip();
        let mut strides = Vec::with_capacity(view.levels().len());
        for (from, to) in view.levels().iter().zip(image.levels()) {
            let mut out = vec![0.0; positives.len()];
            positive_similarities(*from, to, &positives, &mut out)?;
            strides.push(out);
        }
        Ok(Some(Compared { entropies, strides }))
    });
    Ok(compared.collect::<Result<Vec<_>, TrainError>>()?.into_iter().flatten().collect())
}

/// The features of a model input; `None` for a constant one.
fn encode(encoder: &Encoder, mut pixels: Vec<f32>) -> Result<Option<Encoding>, TrainError> {
    pixels.iter_mut().for_each(|pixel| *pixel = pixel.clamp(0.0, 1.0));
    if pixels.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(None);
    }
    Ok(Some(encoder.encode_input("view", &pixels)?))
}

/// PSI of the low, medium and high tiers; `None` for a tier without positives.
pub(crate) type ByTier = [Option<f32>; 3];

/// Index of the level of [`by_tier`]: stride 8.
const MIDDLE: usize = 2;

/// Tier, low to high, of each positive of a batch, and the similarity of its features at stride 8.
pub(crate) fn similarities(
    images: &[Level],
    views: &[Level],
    batch: &Batch,
    thresholds: Thresholds<f32>,
    views_of_image: usize,
) -> Result<Vec<(usize, f32)>, TrainError> {
    let (images, views) = (&images[MIDDLE], &views[MIDDLE]);
    let mut all = Vec::new();
    for (k, (positives, entropies)) in batch.positives.iter().zip(&batch.entropies).enumerate() {
        let mut similarities = vec![0.0; positives.len()];
        positive_similarities(views.map(k)?, images.map(k / views_of_image)?, positives, &mut similarities)?;
        for (similarity, entropy) in similarities.iter().zip(entropies) {
            let tier = thresholds.tier(*entropy);
            all.push((Tier::ALL.iter().position(|other| *other == tier).unwrap_or(0), *similarity));
        }
    }
    Ok(all)
}

/// PSI of the tiers: the mean of their positives' similarities.
pub(crate) fn by_tier(similarities: &[(usize, f32)]) -> ByTier {
    let mut sums = [(0.0, 0usize); 3];
    for (tier, similarity) in similarities {
        if let Some((sum, count)) = sums.get_mut(*tier) {
            *sum += f64::from(*similarity);
            *count += 1;
        }
    }
    sums.map(|(sum, count)| (count > 0).then(|| (sum / count as f64) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use infomark_phantom::Phantom;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn tiers_are_those_of_the_training_where_images_have_flat_margins() -> Outcome {
        let dir = tempfile::tempdir()?;
        let phantom = Phantom::new(96, 128)?;
        for i in 0..3 {
            let mut image = phantom.image(1, i);
            // A third of the image is black.
            image.pixels[..96 * 43].fill(0);
            std::fs::write(dir.path().join(format!("{i}.pgm")), image.pgm())?;
        }
        let training = TrainConfig::default().with(|o| {
            o.model.input_area = 96 * 128;
            o.model.channels = [8, 8, 16, 16, 16];
            o.model.embedding = 8;
            o.model.normalisation = infomark_infer::Normalisation::UnitRange;
            o.sampling.view_size = 64;
        });
        let paths = crate::Paths {
            images: dir.path().to_owned(),
            out: dir.path().join("out/encoder.onnx"),
            run: dir.path().join("run"),
            score: None,
        };
        let config = training.clone().with(|o| o.schedule.budget = crate::Budget::Steps(1));
        crate::train(&config, &paths, &mut |_| std::ops::ControlFlow::Continue(()))?;
        let encoder = Encoder::load(&paths.out)?;
        let set = TrainingSet::open(dir.path(), &training, None, Compute::Cpu(None), &|_, _| {})?;
        let config = PsiConfig { views: 4, training, ..PsiConfig::default() };
        let measured = psi(dir.path(), &encoder, &config, &|_, _| {})?;
        assert_eq!(measured.quantile_thresholds, [set.thresholds.medium, set.thresholds.high]);
        assert!(measured.bins[0].pixels > 0, "flat pixels are measured as well: {measured:?}");
        Ok(())
    }
}
