//! The loss over all levels and its gradient by the features.

use burn::tensor::Tensor;
use infomark_core::{FeatureMap, InfoNce, Negatives, Positive};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::compute::Compute;
use crate::encoder::STRIDES;
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

/// Features of a batch at one level, copied from where the network runs, and what they are told from.
pub(crate) struct Level {
    pub(crate) data: Vec<f32>,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) loss: InfoNce<f32>,
}

impl Level {
    fn new(features: &Tensor<4>, stride: usize, config: &TrainConfig) -> Result<Self, TrainError> {
        let [_, channels, height, width] = features.dims();
        let data = features.clone().inner().into_data().try_into_vec::<f32>();
        let data = data.map_err(|e| TrainError::internal("features")(format!("{e:?}")))?;
        let loss = info_nce(stride, config);
        Ok(Self { data, channels, height, width, stride, loss })
    }

    pub(crate) fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Number of maps.
    pub(crate) fn items(&self) -> usize {
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
    images: &[Tensor<4>],
    views: &[Tensor<4>],
    batch: &Batch,
    config: &TrainConfig,
    step: u64,
) -> Result<Objective, TrainError> {
    let levels = |features: &[Tensor<4>]| {
        let levels = features.iter().zip(STRIDES).map(|(map, stride)| Level::new(map, stride, config));
        levels.collect::<Result<Vec<_>, _>>()
    };
    let (images, views) = (levels(images)?, levels(views)?);
    if config.hard_negatives > 0 || config.cross_image_negatives > 0 {
        return negatives::objective(&images, &views, &batch.positives, config, step);
    }
    let count = batch.positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    match compute {
        Compute::Cpu(_) => on_cpu(&images, &views, &batch.positives, count, config.views),
        #[cfg(feature = "cuda")]
        Compute::Cuda(cuda) => cuda.objective(&images, &views, &batch.positives, count),
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
