//! The loss over all levels and its gradient by the features.

use burn::tensor::Tensor;
use infomark_core::{FeatureMap, InfoNce, Negatives};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::encoder::STRIDES;
use crate::{TrainConfig, TrainError, negatives};

/// Losses per level (finest first), and gradients of their sum by the features of images and views.
pub(crate) struct Objective {
    pub(crate) levels: [f32; 5],
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) views: Vec<Vec<f32>>,
}

/// What pixels are told from at a stride.
pub(crate) fn info_nce(stride: usize, config: &TrainConfig) -> InfoNce<f32> {
    let (negatives, ignored) = if stride >= config.whole_map_from {
        (Negatives::WholeMap, 0)
    } else {
        (Negatives::Window { radius: config.window }, config.ignored)
    };
    InfoNce { negatives, temperature: config.temperature, ignored }
}

/// Features of a batch at one level, copied from the device.
pub(crate) struct Level {
    pub(crate) data: Vec<f32>,
    channels: usize,
    height: usize,
    width: usize,
}

impl Level {
    pub(crate) fn new(features: &Tensor<4>) -> Result<Self, TrainError> {
        let [_, channels, height, width] = features.dims();
        let data = features.clone().inner().into_data().try_into_vec::<f32>();
        let data = data.map_err(|e| TrainError::internal("features")(format!("{e:?}")))?;
        Ok(Self { data, channels, height, width })
    }

    pub(crate) fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    pub(crate) fn map(&self, item: usize, stride: usize) -> Result<FeatureMap<'_, f32>, TrainError> {
        let data = &self.data[item * self.size()..(item + 1) * self.size()];
        FeatureMap::new(data, self.channels, self.width, self.height, stride)
            .map_err(TrainError::internal("features"))
    }
}

/// InfoNCE averaged over the pixels of the batch and summed over the levels (method: `L = sum of the levels`).
pub(crate) fn objective(
    images: &[Tensor<4>],
    views: &[Tensor<4>],
    batch: &Batch,
    config: &TrainConfig,
    step: u64,
) -> Result<Objective, TrainError> {
    if config.hard_negatives > 0 || config.cross_image_negatives > 0 {
        return negatives::objective(images, views, batch, config, step);
    }
    let mut result = Objective { levels: [0.0; 5], images: Vec::new(), views: Vec::new() };
    let count = batch.positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    for (level, stride) in STRIDES.into_iter().enumerate() {
        let (image, view) = (Level::new(&images[level])?, Level::new(&views[level])?);
        let mut image_grad = vec![0.0; image.data.len()];
        let mut view_grad = vec![0.0; view.data.len()];
        let info_nce = info_nce(stride, config);
        let losses: Vec<f32> = image_grad
            .par_chunks_mut(image.size())
            .zip(view_grad.par_chunks_mut(view.size() * config.views))
            .zip(batch.positives.par_chunks(config.views))
            .enumerate()
            .map(|(item, ((image_grad, view_grads), positives))| {
                let map = image.map(item, stride)?;
                let mut scratch = vec![0.0; info_nce.scratch_len(map)];
                let mut loss = 0.0;
                for (k, (view_grad, positives)) in
                    view_grads.chunks_exact_mut(view.size()).zip(positives).enumerate()
                {
                    let from = view.map(item * config.views + k, stride)?;
                    loss += info_nce
                        .backward(from, map, positives, view_grad, image_grad, &mut scratch)
                        .map_err(TrainError::internal("loss"))?;
                }
                image_grad.iter_mut().chain(view_grads.iter_mut()).for_each(|g| *g /= count);
                Ok(loss)
            })
            .collect::<Result<_, TrainError>>()?;
        result.levels[level] = losses.iter().sum::<f32>() / count;
        result.images.push(image_grad);
        result.views.push(view_grad);
    }
    Ok(result)
}
