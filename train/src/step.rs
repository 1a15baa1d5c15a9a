//! Training step of an encoder: forward, loss, backward, optimiser, average.

use rayon::prelude::*;

use crate::batch::{self, Batch};
use crate::data::TrainingSet;
use crate::encoder::{Encoder, STRIDES};
use crate::group::Group;
use crate::level::Level;
use crate::network::{Pass, ScratchPool, Weights, add_gradients, add_in_order};
use crate::objective::{self, objective};
use crate::state::{TrainState, Update, check_finite};
use crate::wire::{Reader, put_f32s, put_u64};
use crate::{OptimiserConfig, TrainConfig, TrainError, psi};

/// Interval of PSI measurements, in steps.
const PSI_EVERY: u64 = 10;

/// Buffers of steps, reused. Each rank of a group works on its part of a batch's images.
pub(crate) struct Workspace {
    /// Passes of this rank's images, then of their views.
    passes: Vec<Pass>,
    scratch: ScratchPool,
    images: Vec<Level>,
    views: Vec<Level>,
    gradient: Vec<f32>,
}

/// A rank's results, besides the gradient with respect to the weights.
struct Own {
    /// Losses of each image at the levels, as sums.
    losses: [Vec<f32>; 5],
    /// Tier and similarity of each positive, if measured.
    similarities: Option<Vec<(usize, f32)>>,
}

/// An image or view in the encoder.
struct Item<'a> {
    blocks: &'a [f32],
    /// Half its width and half its height.
    size: (usize, usize),
}

impl Workspace {
    /// Allocates the buffers of a rank's part of a batch, for a model input of this size.
    pub(crate) fn new(config: &TrainConfig, (width, height): (usize, usize), group: &Group<'_>) -> Self {
        let levels = |items: usize, width: usize, height: usize| {
            STRIDES.map(|stride| Level::new(items, (width, height), stride, config)).into()
        };
        let images = group.share(config.sampling.batch).len();
        let views = images * config.sampling.views;
        Self {
            passes: (0..images + views).map(|_| Pass::default()).collect(),
            scratch: ScratchPool::default(),
            images: levels(images, width, height),
            views: levels(views, config.sampling.view_size, config.sampling.view_size),
            gradient: Vec::new(),
        }
    }

    /// One optimiser step; returns the losses of the levels and, at intervals, PSI of the tiers.
    ///
    /// # Errors
    /// Those of any rank, on all ranks.
    pub(crate) fn step(
        &mut self,
        (encoder, state): (&Encoder, &mut TrainState),
        (set, group): (&TrainingSet, &Group<'_>),
        config: &TrainConfig,
        step: u64,
        rate: f64,
    ) -> Result<([f32; 5], Option<psi::ByTier>), TrainError> {
        let slots = group.share(config.sampling.batch);
        let weights = &encoder.weights(&state.parameters.values);
        let drawn = batch::draw_slots(set, config, step, slots);
        let forward = drawn.and_then(|batch| {
            self.forward((encoder, weights), set, config, &batch, step)?;
            Ok(batch)
        });
        let (batch, count) = positives(group, forward)?;
        let own = self.losses(set, config, &batch, count, step);
        let own = own.inspect(|_| {
            self.backward((encoder, weights), set, config, &batch, state.parameters.len());
        });
        let (levels, measured) = self.summed(group, config, own, count, state.parameters.len())?;
        let OptimiserConfig { gradient_clip, ema_decay, .. } = config.optimiser;
        let all = 0..state.parameters.len();
        state.update(&mut self.gradient, &[(all, rate)], Update { gradient_clip, ema_decay }, step)?;
        Ok((levels, measured))
    }

    /// Computes the features of this rank's images and views.
    fn forward(
        &mut self,
        (encoder, weights): (&Encoder, &Weights<'_>),
        set: &TrainingSet,
        config: &TrainConfig,
        batch: &Batch,
        step: u64,
    ) -> Result<(), TrainError> {
        let Self { passes, scratch, images, views, .. } = self;
        let items = items(batch, set, config);
        let out = Level::items_mut(images).into_iter().chain(Level::items_mut(views)).collect::<Vec<_>>();
        let forward = items.par_iter().zip(passes.par_iter_mut()).zip(out);
        forward.for_each(|((item, pass), mut out)| {
            scratch.with(|scratch| {
                encoder.forward(weights, item.blocks, item.size, pass, scratch, &mut out);
            });
        });
        let mut features = Level::items(images).into_iter().chain(Level::items(views)).flatten();
        features.try_for_each(|features| check_finite(features, step))
    }

    /// Computes the loss of this rank's images, of a batch with `count` positives, and overwrites the features by their gradients.
    fn losses(
        &mut self,
        set: &TrainingSet,
        config: &TrainConfig,
        batch: &Batch,
        count: f32,
        step: u64,
    ) -> Result<Own, TrainError> {
        let Self { scratch, images, views, .. } = self;
        let of_image = config.sampling.views;
        let similarities = step
            .is_multiple_of(PSI_EVERY)
            .then(|| psi::similarities(images, views, batch, set.thresholds, of_image))
            .transpose()?;
        let losses = objective(&set.compute, images, views, (&batch.positives, of_image), count, scratch)?;
        Ok(Own { losses, similarities })
    }

    /// Computes the gradient with respect to the weights of each of this rank's images and views.
    fn backward(
        &mut self,
        (encoder, weights): (&Encoder, &Weights<'_>),
        set: &TrainingSet,
        config: &TrainConfig,
        batch: &Batch,
        len: usize,
    ) {
        let Self { passes, scratch, images, views, .. } = self;
        let back: Vec<Vec<&[f32]>> = Level::items(images).into_iter().chain(Level::items(views)).collect();
        let items = items(batch, set, config);
        let backward = items.par_iter().zip(passes.par_iter_mut()).zip(&back);
        backward.for_each(|((item, pass), back)| {
            pass.clear_gradient(len);
            scratch.with(|scratch| {
                encoder.backward(weights, item.blocks, item.size, pass, scratch, back);
            });
        });
    }

    /// Sums over the images of the batch, in order: the gradient, the losses of the levels and PSI.
    ///
    /// Each rank sums a slice of the gradient, which it receives for every image and view, so that the order of the sum is the same for
    /// any number of ranks.
    fn summed(
        &mut self,
        group: &Group<'_>,
        config: &TrainConfig,
        own: Result<Own, TrainError>,
        count: f32,
        len: usize,
    ) -> Result<([f32; 5], Option<psi::ByTier>), TrainError> {
        let Self { passes, gradient, .. } = self;
        let (batch, of_image) = (config.sampling.batch, config.sampling.views);
        gradient.clear();
        gradient.resize(len, 0.0);
        if group.is_alone() {
            let Own { losses, similarities } = own?;
            let (of_images, of_views) = passes.split_at(batch);
            add_gradients(gradient, of_images);
            add_gradients(gradient, of_views);
            return Ok((objective::total(&losses, count), similarities.as_deref().map(psi::by_tier)));
        }
        let mut kept = None;
        let parts = own.map(|own| {
            let slice = |rank: usize| {
                let range = group.share_of(rank, len);
                let mut bytes = Vec::with_capacity(4 * passes.len() * range.len());
                passes.iter().for_each(|pass| put_f32s(&mut bytes, &pass.gradient[range.clone()]));
                bytes
            };
            let parts: Vec<Vec<u8>> = (0..group.size()).into_par_iter().map(slice).collect();
            kept = Some(own);
            parts
        });
        let parts = group.swap(parts)?;
        let own = kept.ok_or_else(|| TrainError::internal("a rank has no losses"));
        let own = own.and_then(|own| {
            let slice = group.share_of(group.rank(), len);
            let sum = &mut gradient[slice];
            sum_slices(sum, &parts, |rank| group.share_of(rank, batch).len(), of_image)?;
            let mut bytes = Vec::new();
            put_f32s(&mut bytes, sum);
            own.put(&mut bytes);
            Ok(bytes)
        });
        drop(parts);
        let (_, all) = group.gather(own, Vec::clone)?;
        let mut losses: [Vec<f32>; 5] = Default::default();
        let mut similarities: Option<Vec<(usize, f32)>> = None;
        for (rank, bytes) in all.iter().enumerate() {
            let mut reader = Reader(bytes);
            let slice = group.share_of(rank, len);
            gradient[slice.clone()].copy_from_slice(&reader.f32s(slice.len())?);
            let other = Own::take(&mut reader, group.share_of(rank, batch).len())?;
            losses.iter_mut().zip(other.losses).for_each(|(all, more)| all.extend(more));
            if let Some(more) = other.similarities {
                similarities.get_or_insert_default().extend(more);
            }
        }
        Ok((objective::total(&losses, count), similarities.as_deref().map(psi::by_tier)))
    }
}

impl Own {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.losses.iter().for_each(|losses| put_f32s(bytes, losses));
        // Not measured differs from measured without positives.
        put_u64(bytes, self.similarities.as_ref().map_or(0, |similarities| 1 + similarities.len() as u64));
        for (tier, similarity) in self.similarities.iter().flatten() {
            bytes.push(*tier as u8);
            put_f32s(bytes, &[*similarity]);
        }
    }

    /// Decodes a rank's results for its images.
    fn take(reader: &mut Reader<'_>, images: usize) -> Result<Self, TrainError> {
        let mut losses: [Vec<f32>; 5] = Default::default();
        for losses in &mut losses {
            *losses = reader.f32s(images)?;
        }
        let Some(count) = reader.u64()?.checked_sub(1) else {
            return Ok(Self { losses, similarities: None });
        };
        let mut similarities = Vec::new();
        for _ in 0..count {
            let tier = reader.bytes(1)?.first().copied().unwrap_or_default();
            similarities.extend(reader.f32s(1)?.into_iter().map(|similarity| (tier.into(), similarity)));
        }
        Ok(Self { losses, similarities: Some(similarities) })
    }
}

/// This rank's images, then their views.
fn items<'b>(batch: &'b Batch, set: &TrainingSet, config: &TrainConfig) -> Vec<Item<'b>> {
    let (width, height, side) =
        (set.input.width() / 2, set.input.height() / 2, config.sampling.view_size / 2);
    let image = |blocks| Item { blocks, size: (width, height) };
    let view = |blocks| Item { blocks, size: (side, side) };
    let images = batch.images.chunks_exact(4 * width * height).map(image);
    images.chain(batch.views.chunks_exact(4 * side * side).map(view)).collect()
}

/// This rank's part of a batch, and the number of positives of the whole batch, at least 1.
fn positives(group: &Group<'_>, own: Result<Batch, TrainError>) -> Result<(Batch, f32), TrainError> {
    let count = |batch: &Batch| batch.positives.iter().map(Vec::len).sum::<usize>() as u64;
    let (batch, all) = group.gather(own, |batch| count(batch).to_le_bytes().to_vec())?;
    let mut total = 0;
    for bytes in &all {
        total += Reader(bytes).u64()?;
    }
    Ok((batch, total.max(1) as f32))
}

/// Adds a slice of the gradients of a batch's images, then of their views, each in order. `parts` has the slices of each rank,
/// for its images and then for their views.
fn sum_slices(
    sum: &mut [f32],
    parts: &[Vec<u8>],
    images_of: impl Fn(usize) -> usize,
    views_of_image: usize,
) -> Result<(), TrainError> {
    let (mut images, mut views) = (Vec::new(), Vec::new());
    for (rank, bytes) in parts.iter().enumerate() {
        let (of_rank, mut reader) = (images_of(rank), Reader(bytes));
        for item in 0..of_rank * (1 + views_of_image) {
            let slice = reader.f32s(sum.len())?;
            if item < of_rank { images.push(slice) } else { views.push(slice) }
        }
    }
    for slices in [images, views] {
        let slices: Vec<&[f32]> = slices.iter().map(Vec::as_slice).collect();
        add_in_order(sum, &slices);
    }
    Ok(())
}
