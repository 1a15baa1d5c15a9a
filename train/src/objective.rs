//! The loss over all levels and its gradient by the features.

use burn::tensor::Tensor;
use infomark_core::{FeatureMap, InfoNce, Negatives};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::encoder::STRIDES;
use crate::{TrainConfig, TrainError};

/// Strides from which every cell of the map is a negative.
const WHOLE_MAP_FROM: usize = 16;

/// Losses per level (finest first), and gradients of their sum by the features of images and views.
pub(crate) struct Objective {
    pub(crate) levels: [f32; 5],
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) views: Vec<Vec<f32>>,
}

/// Features of a batch at one level, copied from the device.
struct Level {
    data: Vec<f32>,
    channels: usize,
    height: usize,
    width: usize,
}

impl Level {
    fn new(features: &Tensor<4>) -> Result<Self, TrainError> {
        let [_, channels, height, width] = features.dims();
        let data = features.clone().inner().into_data().try_into_vec::<f32>();
        let data = data.map_err(|e| TrainError::internal("features")(format!("{e:?}")))?;
        Ok(Self { data, channels, height, width })
    }

    fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    fn map(&self, item: usize, stride: usize) -> Result<FeatureMap<'_, f32>, TrainError> {
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
) -> Result<Objective, TrainError> {
    let mut result = Objective { levels: [0.0; 5], images: Vec::new(), views: Vec::new() };
    let count = batch.positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    for (level, stride) in STRIDES.into_iter().enumerate() {
        let (image, view) = (Level::new(&images[level])?, Level::new(&views[level])?);
        let mut image_grad = vec![0.0; image.data.len()];
        let mut view_grad = vec![0.0; view.data.len()];
        let (negatives, ignored) = if stride >= WHOLE_MAP_FROM {
            (Negatives::WholeMap, 0)
        } else {
            (Negatives::Window { radius: config.window }, config.ignored)
        };
        let info_nce = InfoNce { negatives, temperature: config.temperature, ignored };
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
