//! Batches of a training step: images, views of them, and positives.

use std::ops::Range;

use infomark_core::{
    Affine, AugmentError, Elastic, IntensityJitter, IntensityRange, Point, Positive, Rng, Thresholds, Tier,
    TierPolicy, View, elastic_controls_len,
};
use rayon::prelude::*;

use crate::compute::{Canvas, Pixels, Placed};
use crate::data::{Sample, TrainingSet};
use crate::encoder::unshuffle;
use crate::{AugmentationConfig, TrainConfig, TrainError, stream};

/// Fraction of each side, along the border, without centres of views.
const MARGIN: f64 = 0.1;

/// Images and their views, before the encoder's unshuffling.
pub(crate) struct Batch {
    /// Images, `batch x 4 x height / 2 x width / 2`.
    pub(crate) images: Vec<f32>,
    /// Views, `batch * views x 4 x view / 2 x view / 2`; those of an image are consecutive.
    pub(crate) views: Vec<f32>,
    /// Positives of each view.
    pub(crate) positives: Vec<Vec<Positive<f32>>>,
    /// Entropy of each positive in nats.
    pub(crate) entropies: Vec<Vec<f32>>,
    /// Location of each view.
    pub(crate) places: Vec<Place>,
}

/// Location of a view.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Tier of its centre pixel, which sets the augmentation intensity.
    pub(crate) tier: Tier,
    /// Its corners in the image, in order.
    pub(crate) corners: [Point<f32>; 4],
}

/// One image of a batch.
struct Item {
    image: Vec<f32>,
    views: Vec<f32>,
    positives: Vec<Vec<Positive<f32>>>,
    entropies: Vec<Vec<f32>>,
    places: Vec<Place>,
}

/// Draws the batch of a step, which depends only on the seed and the step.
pub(crate) fn draw(set: &TrainingSet, config: &TrainConfig, step: u64) -> Result<Batch, TrainError> {
    draw_slots(set, config, step, 0..config.sampling.batch)
}

/// Draws some of the images of a step's batch, with their views.
pub(crate) fn draw_slots(
    set: &TrainingSet,
    config: &TrainConfig,
    step: u64,
    slots: Range<usize>,
) -> Result<Batch, TrainError> {
    let position = |slot: usize| step * config.sampling.batch as u64 + slot as u64;
    let images = set.epochs.images_at(config.seed, slots.clone().map(position));
    let items: Vec<Item> = images
        .into_par_iter()
        .zip(slots)
        .map(|(image, slot)| draw_item(set, &set.sample(image)?, config, stream::VIEWS + position(slot)))
        .collect::<Result<_, _>>()?;
    let mut batch = Batch {
        images: Vec::new(),
        views: Vec::new(),
        positives: Vec::new(),
        entropies: Vec::new(),
        places: Vec::new(),
    };
    for item in items {
        batch.images.extend(item.image);
        batch.views.extend(item.views);
        batch.positives.extend(item.positives);
        batch.entropies.extend(item.entropies);
        batch.places.extend(item.places);
    }
    Ok(batch)
}

fn draw_item(
    set: &TrainingSet,
    sample: &Sample,
    config: &TrainConfig,
    stream: u64,
) -> Result<Item, TrainError> {
    let rng = &mut Rng::new(config.seed, stream);
    let (width, height) = (set.input.width(), set.input.height());
    let canvas = set.compute.canvas(&sample.levels, width, height)?;
    let mut sums = Vec::new();
    let sampler = set.compute.pixels(&sample.weights, width, (config.seed, stream), &mut sums)?;
    let policy = config.tier_policy()?;
    let side = config.sampling.view_size;
    let area = side * side;
    let mut views = vec![0.0; config.sampling.views * area];
    let mut positives = Vec::with_capacity(config.sampling.views);
    let (mut entropies, mut places) = (Vec::new(), Vec::new());
    let mut view = vec![0.0; area];
    let mut controls =
        vec![Point::default(); elastic_controls_len(side, side, config.augmentation.elastic_spacing)];
    let source =
        Source { canvas: &canvas, entropy: &sample.entropy, thresholds: set.thresholds, sampler: &sampler };
    for out in views.chunks_exact_mut(area) {
        let drawn = source.draw(&policy, config, rng, &mut controls, &mut view)?;
        unshuffle(&view, side, out);
        entropies.push(drawn.positives.iter().map(|p| source.entropy_at(p)).collect());
        positives.push(drawn.positives);
        places.push(drawn.place);
    }
    let tone: IntensityJitter<f32> =
        range(config.augmentation.image_intensity, config.augmentation.gamma)?.draw(rng);
    let toned = canvas.toned(tone)?;
    let mut image = vec![0.0; toned.len()];
    unshuffle(&toned, width, &mut image);
    Ok(Item { image, views, positives, entropies, places })
}

/// Image that views are drawn from.
pub(crate) struct Source<'a> {
    pub(crate) canvas: &'a Canvas<'a>,
    /// Patch entropy of each pixel in nats.
    pub(crate) entropy: &'a [f32],
    pub(crate) thresholds: Thresholds<f32>,
    pub(crate) sampler: &'a Pixels<'a>,
}

/// A view with its positives.
pub(crate) struct Drawn {
    pub(crate) place: Place,
    pub(crate) tone: IntensityJitter<f32>,
    pub(crate) positives: Vec<Positive<f32>>,
}

impl Source<'_> {
    /// Draws a view around a pixel into `view`, which has `view_size` rows and columns, with positives.
    pub(crate) fn draw(
        &self,
        policy: &TierPolicy<f32>,
        config: &TrainConfig,
        rng: &mut Rng,
        controls: &mut [Point<f32>],
        view: &mut [f32],
    ) -> Result<Drawn, TrainError> {
        let (width, height, side) = (self.canvas.width(), self.canvas.height(), config.sampling.view_size);
        let alike = policy.low == policy.medium && policy.medium == policy.high;
        let centre = centre(self.sampler, width, height, rng)?;
        let tier = self.tier(centre);
        let tone = policy.range(tier).draw(rng);
        let at = Point { x: centre.0 as f32, y: centre.1 as f32 };
        let field = deform(at, config, rng, controls)?;
        let mut placed = self.canvas.place(field, tone)?;
        placed.fill(view)?;
        // The intensity jitter of a tier applies to pixels of that tier only.
        let serves = |x: usize, y: usize| alike || self.tier((x, y)) == tier;
        let positives = draw_positives(self.sampler, &mut placed, config.sampling.pixels, serves, rng)?;
        let far = (side - 1) as f32;
        let corners = [(0.0, 0.0), (far, 0.0), (far, far), (0.0, far)];
        let place = Place { tier, corners: corners.map(|(x, y)| field.pull(Point { x, y })) };
        Ok(Drawn { place, tone, positives })
    }

    /// The entropy at a positive, which lies on a whole pixel of the image.
    pub(crate) fn entropy_at(&self, positive: &Positive<f32>) -> f32 {
        self.entropy[positive.image.y as usize * self.canvas.width() + positive.image.x as usize]
    }

    fn tier(&self, (x, y): (usize, usize)) -> Tier {
        self.thresholds.tier(self.entropy[y * self.canvas.width() + x])
    }
}

/// The geometry of a view around a pixel: rotated, scaled, stretched along a random axis, and deformed.
fn deform<'c>(
    at: Point<f32>,
    config: &TrainConfig,
    rng: &mut Rng,
    controls: &'c mut [Point<f32>],
) -> Result<Elastic<'c, f32>, AugmentError> {
    let mut up_to = |largest: f32| rng.uniform_in(-largest, largest);
    let rotation = up_to(config.augmentation.rotation_deg).to_radians();
    let scale = up_to(config.augmentation.scale.ln()).exp();
    let stretch = (0.5 * up_to(config.augmentation.stretch.ln())).exp();
    let axis = up_to(std::f32::consts::PI);
    // Rotates the axis to x, stretches, and rotates back.
    let stretched = Affine::rotation(axis)?
        .then(&Affine::scaling(scale * stretch, scale / stretch)?)?
        .then(&Affine::rotation(rotation - axis)?)?;
    let view = View::around(at, &stretched, config.sampling.view_size, config.sampling.view_size)?;
    Elastic::draw(view, config.augmentation.elastic_spacing, config.augmentation.elastic, rng, controls)
}

/// A pixel drawn by weight, away from the border if a few tries find one.
fn centre(
    sampler: &Pixels<'_>,
    width: usize,
    height: usize,
    rng: &mut Rng,
) -> Result<(usize, usize), TrainError> {
    let inside =
        |v: usize, size: usize| (MARGIN * size as f64..=(1.0 - MARGIN) * size as f64).contains(&(v as f64));
    let mut at = sampler.draw(rng)?;
    for _ in 0..32 {
        if inside(at.0, width) && inside(at.1, height) {
            break;
        }
        at = sampler.draw(rng)?;
    }
    Ok(at)
}

/// Draws pixels of the image by weight, and keeps those that the view shows and that pass `serves`.
fn draw_positives(
    sampler: &Pixels<'_>,
    placed: &mut Placed<'_>,
    count: usize,
    serves: impl Fn(usize, usize) -> bool,
    rng: &mut Rng,
) -> Result<Vec<Positive<f32>>, TrainError> {
    let mut positives = Vec::with_capacity(count);
    // A view shows at least a tenth of the image, usually a quarter; a third of that is of one tier.
    for _ in 0..count * 120 {
        if let Some(positive) = placed.draw(sampler, rng, &serves)? {
            positives.push(positive);
            if positives.len() == count {
                break;
            }
        }
    }
    Ok(positives)
}

pub(crate) fn range(change: f32, gamma: f32) -> Result<IntensityRange<f32>, TrainError> {
    let factor = (1.0 - change, 1.0 + change);
    Ok(IntensityRange::new(factor, factor, ((-gamma).exp(), gamma.exp()))?)
}

impl TrainConfig {
    /// Ranges of the intensity jitter of each tier: [`policy`](AugmentationConfig::policy) or
    /// [`intensity`](AugmentationConfig::intensity), with [`gamma`](AugmentationConfig::gamma).
    ///
    /// # Errors
    /// When a range is unusable, which [`check`](Self::check) also rejects.
    pub fn tier_policy(&self) -> Result<TierPolicy<f32>, TrainError> {
        let AugmentationConfig { policy, intensity, gamma, .. } = &self.augmentation;
        if let Some(policy) = policy {
            return Ok(policy.tiers(*gamma)?);
        }
        let [low, medium, high] = *intensity;
        Ok(TierPolicy {
            low: range(low, *gamma)?,
            medium: range(medium, *gamma)?,
            high: range(high, *gamma)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use crate::{Policy, Ranges};
    use infomark_phantom::Phantom;

    #[test]
    fn where_tiers_differ_in_tone_a_view_serves_pixels_of_its_tier_alone()
    -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let phantom = Phantom::new(96, 128)?;
        for i in 0..3 {
            std::fs::write(dir.path().join(format!("{i}.pgm")), phantom.image(1, i).pgm())?;
        }
        let ranges =
            |change: f32| Ranges { brightness: [1.0 - change, 1.0 + change], contrast: [1.0, 1.0 + change] };
        let policy = Policy { low: ranges(0.8), medium: ranges(0.4), high: ranges(0.1) };
        let alike = TrainConfig::default().with(|o| {
            o.model.input_area = 96 * 128;
            o.sampling.view_size = 64;
            o.sampling.pixels = 40;
        });
        let differ = alike.clone().with(|o| o.augmentation.policy = Some(policy));
        let set = TrainingSet::open(dir.path(), &alike, None, Compute::Cpu(None), &|_, _| {})?;
        let (mut strange, mut pixels) = ([0, 0], [0, 0]);
        for step in 0..6 {
            for (place, config) in [&alike, &differ].into_iter().enumerate() {
                let batch = draw(&set, config, step)?;
                for (view, entropies) in batch.places.iter().zip(&batch.entropies) {
                    pixels[place] += entropies.len();
                    strange[place] +=
                        entropies.iter().filter(|h| set.thresholds.tier(**h) != view.tier).count();
                }
            }
        }
        assert!(strange[0] > 0, "with one tone, pixels of all tiers are compared");
        assert_eq!(strange[1], 0);
        assert!(pixels[1] > pixels[0] / 2, "{pixels:?}");
        Ok(())
    }
}
