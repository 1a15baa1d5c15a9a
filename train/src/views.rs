//! Examples of training views, for display.

use infomark_core::{Point, Tier};

use crate::batch;
use crate::data::TrainingSet;
use crate::encoder::shuffle;
use crate::{TrainConfig, TrainError};

/// Number of batches searched for views of every tier.
const BATCHES: u64 = 12;

/// View and the image it is compared with, as in the encoder's input.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ViewExample {
    /// Tier of the view's centre pixel, which sets the augmentation intensity.
    pub tier: Tier,
    /// Width and height of the image.
    pub image_size: [usize; 2],
    /// Grey levels of the image, row by row.
    pub image: Vec<u8>,
    /// Side of the view in pixels.
    pub side: usize,
    /// Grey levels of the view, row by row.
    pub view: Vec<u8>,
    /// Corners of the view in the image, in order.
    pub corners: [Point<f32>; 4],
    /// Positives: points in the view and in the image.
    pub positives: Vec<(Point<f32>, Point<f32>)>,
}

/// Up to `count` views of each tier, the first of the training.
pub(crate) fn examples(
    set: &TrainingSet,
    config: &TrainConfig,
    of_each: usize,
) -> Result<Vec<ViewExample>, TrainError> {
    let (width, height, side) = (set.input.width(), set.input.height(), config.sampling.view_size);
    let levels = |blocks: &[f32], width: usize| {
        let mut pixels = vec![0.0; blocks.len()];
        shuffle(blocks, width, &mut pixels);
        pixels.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8).collect::<Vec<u8>>()
    };
    let mut examples: Vec<ViewExample> = Vec::new();
    for step in 0..BATCHES {
        let batch = batch::draw(set, config, step)?;
        for (k, (place, view)) in batch.places.iter().zip(batch.views.chunks_exact(side * side)).enumerate() {
            let have = examples.iter().filter(|example| example.tier == place.tier).count();
            let Some(image) = batch.images.chunks_exact(width * height).nth(k / config.sampling.views) else {
                continue;
            };
            if have < of_each {
                examples.push(ViewExample {
                    tier: place.tier,
                    image_size: [width, height],
                    image: levels(image, width),
                    side,
                    view: levels(view, side),
                    corners: place.corners,
                    positives: batch.positives[k].iter().map(|p| (p.view, p.image)).collect(),
                });
            }
        }
        if examples.len() == of_each * Tier::ALL.len() {
            break;
        }
    }
    Ok(examples)
}
