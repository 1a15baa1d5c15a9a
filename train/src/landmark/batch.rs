//! Batches of a training step: augmented images with their landmarks.

use infomark_core::{
    Affine, AugmentError, Border, Elastic, IntensityJitter, Interpolation, Plane, PlaneMut, Point, Rng, View,
    elastic_controls_len,
};
use rayon::prelude::*;

use super::LandmarkConfig;
use super::data::{LandmarkSet, unshuffled};
use super::loss::Target;
use crate::batch::range;
use crate::{TrainError, stream};

/// Images in the network's layout, with their landmarks.
pub(crate) struct Batch {
    /// Images, `batch x 4 x height / 2 x width / 2`.
    pub(crate) images: Vec<f32>,
    pub(crate) targets: Vec<Vec<Option<Target>>>,
}

/// Draws the batch of a step, which depends only on the seed and the step.
pub(crate) fn draw(set: &LandmarkSet, config: &LandmarkConfig, step: u64) -> Result<Batch, TrainError> {
    let first = step * config.batch as u64;
    let positions = first..first + config.batch as u64;
    let items: Vec<(Vec<f32>, Vec<Option<Target>>)> = set
        .epochs
        .images_at(config.seed, positions)
        .into_par_iter()
        .enumerate()
        .map(|(slot, image)| {
            let position = first + slot as u64;
            let rng = &mut Rng::new(config.seed, stream::LANDMARK_VIEWS + position);
            draw_item(set, image, config, rng)
        })
        .collect::<Result<_, _>>()?;
    let (images, targets): (Vec<_>, Vec<_>) = items.into_iter().unzip();
    Ok(Batch { images: images.concat(), targets })
}

fn draw_item(
    set: &LandmarkSet,
    image: usize,
    config: &LandmarkConfig,
    rng: &mut Rng,
) -> Result<(Vec<f32>, Vec<Option<Target>>), TrainError> {
    let (width, height) = (set.input.width(), set.input.height());
    let (pixels, targets) = set.image(image)?;
    let mut controls =
        vec![Point::default(); elastic_controls_len(width, height, config.augmentation.elastic_spacing)];
    let field = deform((width, height), config, rng, &mut controls)?;
    let source = Plane::new(&pixels, width, height)?;
    let mut out = vec![0.0; pixels.len()];
    let mut target = PlaneMut::new(&mut out, width, height)?;
    // As the model input is padded beyond an image.
    field.resample(source, target.reborrow(), Interpolation::Bilinear, Border::Clamp)?;
    let tone: IntensityJitter<f32> =
        range(config.augmentation.intensity, config.augmentation.gamma)?.draw(rng);
    tone.apply_in_place(target)?;
    let moved = |target: &Target| Some(Target { at: field.push(target.at)?, ..*target });
    let targets = targets.iter().map(|target| target.as_ref().and_then(moved)).collect();
    Ok((unshuffled(&out, width), targets))
}

/// The augmentation of the whole model input: rotated and scaled about its centre, shifted, and deformed.
fn deform<'c>(
    (width, height): (usize, usize),
    config: &LandmarkConfig,
    rng: &mut Rng,
    controls: &'c mut [Point<f32>],
) -> Result<Elastic<'c, f32>, AugmentError> {
    let mut up_to = |largest: f32| rng.uniform_in(-largest, largest);
    let rotation = up_to(config.augmentation.rotation_deg).to_radians();
    let scale = up_to(config.augmentation.scale.ln()).exp();
    let centre = |size: usize, moved: f32| 0.5 * (size as f32 - 1.0) + moved;
    let at = Point::new(
        centre(width, up_to(config.augmentation.shift)),
        centre(height, up_to(config.augmentation.shift)),
    );
    let turned = Affine::rotation(rotation)?.then(&Affine::scaling(scale, scale)?)?;
    let view = View::around(at, &turned, width, height)?;
    Elastic::draw(view, config.augmentation.elastic_spacing, config.augmentation.elastic, rng, controls)
}
