//! The loss over all levels and its gradient by the features.

use infomark_core::{FeatureMap, InfoNce, Negatives, Positive};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::compute::Compute;
use crate::{TrainConfig, TrainError, negatives};

/// Losses per level (finest first), and gradients of their sum by the features of images and views.
pub(crate) struct Objective {
    pub(crate) levels: [f32; 5],
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) views: Vec<Vec<f32>>,
}

/// What pixels are told from at a stride.
fn info_nce(stride: usize, config: &TrainConfig) -> InfoNce<f32> {
    let (negatives, ignored) = if stride >= config.whole_map_from {
        (Negatives::WholeMap, 0)
    } else {
        (Negatives::Window { radius: config.window }, config.ignored)
    };
    InfoNce { negatives, temperature: config.temperature, ignored }
}

/// Features of a batch at one level, and what they are told from.
pub(crate) struct Level {
    pub(crate) data: Vec<f32>,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) loss: InfoNce<f32>,
}

impl Level {
    /// Room for the features of so many images of that width and height.
    pub(crate) fn new(
        items: usize,
        (width, height): (usize, usize),
        stride: usize,
        config: &TrainConfig,
    ) -> Self {
        let (channels, width, height) = (config.embedding, width / stride, height / stride);
        let data = vec![0.0; items * channels * width * height];
        Self { data, channels, height, width, stride, loss: info_nce(stride, config) }
    }

    /// The features of each image at all levels.
    pub(crate) fn items_mut(levels: &mut [Self]) -> Vec<Vec<&mut [f32]>> {
        let mut items: Vec<Vec<&mut [f32]>> = Vec::new();
        for level in levels {
            let size = level.size();
            for (item, map) in level.data.chunks_exact_mut(size).enumerate() {
                if items.len() == item {
                    items.push(Vec::new());
                }
                items[item].push(map);
            }
        }
        items
    }

    /// What `values` of all images at each level has of each image.
    pub(crate) fn items<'v>(levels: &[Self], values: &'v [Vec<f32>]) -> Vec<Vec<&'v [f32]>> {
        let count = levels.first().map_or(0, Self::count);
        let of_item = |item| {
            let levels = levels.iter().zip(values);
            levels.map(|(level, values)| &values[item * level.size()..(item + 1) * level.size()]).collect()
        };
        (0..count).map(of_item).collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Number of maps.
    pub(crate) fn count(&self) -> usize {
        self.data.len() / self.size().max(1)
    }

    pub(crate) fn map(&self, item: usize) -> Result<FeatureMap<'_, f32>, TrainError> {
        let data = &self.data[item * self.size()..(item + 1) * self.size()];
        FeatureMap::new(data, self.channels, self.width, self.height, self.stride)
            .map_err(TrainError::internal("features"))
    }
}

/// InfoNCE averaged over the pixels of the batch and summed over the levels (method: `L = sum of the levels`).
pub(crate) fn objective(
    compute: &Compute,
    images: &[Level],
    views: &[Level],
    batch: &Batch,
    config: &TrainConfig,
    step: u64,
) -> Result<Objective, TrainError> {
    if config.hard_negatives > 0 || config.cross_image_negatives > 0 {
        return negatives::objective(images, views, &batch.positives, config, step);
    }
    let count = batch.positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    match compute {
        Compute::Cpu(_) => on_cpu(images, views, &batch.positives, count, config.views),
        #[cfg(feature = "cuda")]
        Compute::Cuda(cuda) => cuda.objective(images, views, &batch.positives, count),
    }
}

pub(crate) fn on_cpu(
    images: &[Level],
    views: &[Level],
    positives: &[Vec<Positive<f32>>],
    count: f32,
    of_image: usize,
) -> Result<Objective, TrainError> {
    let mut result = Objective { levels: [0.0; 5], images: Vec::new(), views: Vec::new() };
    for ((total, image), view) in result.levels.iter_mut().zip(images).zip(views) {
        let mut image_grad = vec![0.0; image.data.len()];
        let mut view_grad = vec![0.0; view.data.len()];
        let losses: Vec<f32> = image_grad
            .par_chunks_mut(image.size())
            .zip(view_grad.par_chunks_mut(view.size() * of_image))
            .zip(positives.par_chunks(of_image))
            .enumerate()
            .map(|(item, ((image_grad, view_grads), positives))| {
                let map = image.map(item)?;
                let mut scratch = vec![0.0; image.loss.scratch_len(map)];
                let mut loss = 0.0;
                for (k, (view_grad, positives)) in
                    view_grads.chunks_exact_mut(view.size()).zip(positives).enumerate()
                {
                    let from = view.map(item * of_image + k)?;
                    loss += image
                        .loss
                        .backward(from, map, positives, view_grad, image_grad, &mut scratch)
                        .map_err(TrainError::internal("loss"))?;
                }
                image_grad.iter_mut().chain(view_grads.iter_mut()).for_each(|g| *g /= count);
                Ok(loss)
            })
            .collect::<Result<_, TrainError>>()?;
        *total = losses.iter().sum::<f32>() / count;
        result.images.push(image_grad);
        result.views.push(view_grad);
    }
    Ok(result)
}
