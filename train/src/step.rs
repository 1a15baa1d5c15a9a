//! One step of an encoder's training: forward, loss, backward, optimiser, average.

use rayon::prelude::*;

use crate::batch::{self, Batch};
use crate::data::TrainingSet;
use crate::encoder::{Encoder, STRIDES};
use crate::level::Level;
use crate::network::{Pass, ScratchPool, add_gradients};
use crate::objective::objective;
use crate::state::{TrainState, Update, check_finite};
use crate::{OptimiserConfig, TrainConfig, TrainError, psi};

/// Steps between measurements of the positives' similarity.
const PSI_EVERY: u64 = 10;

/// What steps compute in, kept from one to the next.
pub(crate) struct Workspace {
    /// Of the images, then of the views.
    passes: Vec<Pass>,
    scratch: ScratchPool,
    images: Vec<Level>,
    views: Vec<Level>,
    gradient: Vec<f32>,
}

/// An image or view on its way through the encoder.
struct Item<'a> {
    blocks: &'a [f32],
    /// Half its width and half its height.
    size: (usize, usize),
}

impl Workspace {
    /// Room for the batches of a training whose input has that width and height.
    pub(crate) fn new(config: &TrainConfig, (width, height): (usize, usize)) -> Self {
        let levels = |items: usize, width: usize, height: usize| {
            STRIDES.map(|stride| Level::new(items, (width, height), stride, config)).into()
        };
        let views = config.sampling.batch * config.sampling.views;
        Self {
            passes: (0..config.sampling.batch + views).map(|_| Pass::default()).collect(),
            scratch: ScratchPool::default(),
            images: levels(config.sampling.batch, width, height),
            views: levels(views, config.sampling.view_size, config.sampling.view_size),
            gradient: Vec::new(),
        }
    }

    /// One step of the optimiser; the losses of the levels and, now and then, PSI of the tiers.
    pub(crate) fn step(
        &mut self,
        (encoder, state): (&Encoder, &mut TrainState),
        set: &TrainingSet,
        config: &TrainConfig,
        step: u64,
        rate: f64,
    ) -> Result<([f32; 5], Option<psi::ByTier>), TrainError> {
        let batch = batch::draw(set, config, step)?;
        let values = &state.parameters.values;
        let (levels, measured) = self.differentiate((encoder, values), set, config, &batch, step)?;
        let OptimiserConfig { gradient_clip, ema_decay, .. } = config.optimiser;
        let all = 0..state.parameters.len();
        state.update(&mut self.gradient, &[(all, rate)], Update { gradient_clip, ema_decay }, step)?;
        Ok((levels, measured))
    }

    /// Computes the loss of a batch, and its gradient by all weights.
    fn differentiate(
        &mut self,
        (encoder, values): (&Encoder, &[f32]),
        set: &TrainingSet,
        config: &TrainConfig,
        batch: &Batch,
        step: u64,
    ) -> Result<([f32; 5], Option<psi::ByTier>), TrainError> {
        let Self { passes, scratch, images, views, gradient } = self;
        let weights = &encoder.weights(values);
        let (width, height, side) =
            (set.input.width() / 2, set.input.height() / 2, config.sampling.view_size / 2);
        let image = |blocks| Item { blocks, size: (width, height) };
        let view = |blocks| Item { blocks, size: (side, side) };
        let items: Vec<Item<'_>> = batch
            .images
            .chunks_exact(4 * width * height)
            .map(image)
            .chain(batch.views.chunks_exact(4 * side * side).map(view))
            .collect();

        let out = Level::items_mut(images).into_iter().chain(Level::items_mut(views)).collect::<Vec<_>>();
        let forward = items.par_iter().zip(passes.par_iter_mut()).zip(out);
        forward.for_each(|((item, pass), mut out)| {
            scratch.with(|scratch| {
                encoder.forward(weights, item.blocks, item.size, pass, scratch, &mut out);
            });
        });

        for features in Level::items(images).into_iter().chain(Level::items(views)).flatten() {
            check_finite(features, step)?;
        }
        let measured = step
            .is_multiple_of(PSI_EVERY)
            .then(|| psi::by_tier(images, views, batch, set.thresholds, config.sampling.views))
            .transpose()?;
        let levels =
            objective(&set.compute, images, views, (&batch.positives, config.sampling.views), scratch)?;

        let back: Vec<Vec<&[f32]>> = Level::items(images).into_iter().chain(Level::items(views)).collect();
        let backward = items.par_iter().zip(passes.par_iter_mut()).zip(&back);
        backward.for_each(|((item, pass), back)| {
            pass.clear_gradient(values.len());
            scratch.with(|scratch| {
                encoder.backward(weights, item.blocks, item.size, pass, scratch, back);
            });
        });
        gradient.clear();
        gradient.resize(values.len(), 0.0);
        let (of_images, of_views) = passes.split_at(config.sampling.batch);
        add_gradients(gradient, of_images);
        add_gradients(gradient, of_views);
        Ok((levels, measured))
    }
}
