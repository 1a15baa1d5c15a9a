//! The loss over all levels and its gradient by the features.

use infomark_core::{FeatureMap, InfoNce, Negatives, Positive};
use rayon::prelude::*;

use crate::batch::Batch;
use crate::compute::Compute;
use crate::network::{Scratch, ScratchPool};
use crate::{TrainConfig, TrainError, negatives};

/// Losses per level (finest first), and gradients of their sum by the features of images and views.
pub(crate) struct Objective {
    pub(crate) levels: [f32; 5],
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) views: Vec<Vec<f32>>,
}

impl Objective {
    /// Puts the gradients in the place of the features; the losses.
    fn put(self, images: &mut [Level], views: &mut [Level]) -> [f32; 5] {
        let levels = images.iter_mut().chain(views);
        levels.zip(self.images.into_iter().chain(self.views)).for_each(|(level, data)| level.data = data);
        self.levels
    }
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
#[derive(Clone)]
pub(crate) struct Level {
    /// The features, or the gradients by them.
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

    /// The features of each image at all levels, to be read.
    pub(crate) fn items(levels: &[Self]) -> Vec<Vec<&[f32]>> {
        let count = levels.first().map_or(0, Self::count);
        let of_item = |item| {
            levels.iter().map(|level| &level.data[item * level.size()..(item + 1) * level.size()]).collect()
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
        map(&self.data[item * self.size()..(item + 1) * self.size()], self.shape())
    }

    /// Channels, width, height and stride.
    fn shape(&self) -> [usize; 4] {
        [self.channels, self.width, self.height, self.stride]
    }
}

/// The features of one image as a map of that shape.
fn map(
    data: &[f32],
    [channels, width, height, stride]: [usize; 4],
) -> Result<FeatureMap<'_, f32>, TrainError> {
    FeatureMap::new(data, channels, width, height, stride).map_err(TrainError::internal("features"))
}

/// InfoNCE averaged over the pixels of the batch and summed over the levels (method: `L = sum of the levels`). The losses of the levels,
/// finest first; the features become the gradients of their sum by them.
pub(crate) fn objective(
    compute: &Compute,
    images: &mut [Level],
    views: &mut [Level],
    batch: &Batch,
    config: &TrainConfig,
    step: u64,
    scratch: &ScratchPool,
) -> Result<[f32; 5], TrainError> {
    if config.hard_negatives > 0 || config.cross_image_negatives > 0 {
        return Ok(negatives::objective(images, views, &batch.positives, config, step)?.put(images, views));
    }
    let count = batch.positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    match compute {
        Compute::Cpu(_) => on_cpu(images, views, &batch.positives, count, config.views, scratch),
        #[cfg(feature = "cuda")]
        Compute::Cuda(cuda) => Ok(cuda.objective(images, views, &batch.positives, count)?.put(images, views)),
    }
}

/// An image with its views at a time, so that no second copy of all features is needed.
pub(crate) fn on_cpu(
    images: &mut [Level],
    views: &mut [Level],
    positives: &[Vec<Positive<f32>>],
    count: f32,
    of_image: usize,
    scratch: &ScratchPool,
) -> Result<[f32; 5], TrainError> {
    let mut totals = [0.0; 5];
    for ((total, image), view) in totals.iter_mut().zip(images).zip(views) {
        let (image_size, view_size, loss) = (image.size(), view.size(), image.loss);
        let (image_shape, view_shape) = (image.shape(), view.shape());
        let of_images = image.data.par_chunks_mut(image_size);
        let of_views = view.data.par_chunks_mut(view_size * of_image);
        let one = |features: &mut [f32], of_views: &mut [f32], positives: &[Vec<Positive<f32>>]| {
            scratch.with(|Scratch { fine, coarse, back, .. }| {
                let (image_grad, view_grads) = (zeros(fine, features.len()), zeros(coarse, of_views.len()));
                let map = map(features, image_shape)?;
                let scratch = zeros(back, loss.scratch_len(map));
                let mut sum = 0.0;
                let views = of_views.chunks_exact(view_size).zip(view_grads.chunks_exact_mut(view_size));
                for ((view, view_grad), positives) in views.zip(positives) {
                    sum += loss
                        .backward(
                            self::map(view, view_shape)?,
                            map,
                            positives,
                            view_grad,
                            image_grad,
                            scratch,
                        )
                        .map_err(TrainError::internal("loss"))?;
                }
                let mean = |to: &mut [f32], from: &[f32]| {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from / count);
                };
                mean(features, image_grad);
                mean(of_views, view_grads);
                Ok(sum)
            })
        };
        let losses = of_images
            .zip(of_views)
            .zip(positives.par_chunks(of_image))
            .map(|((features, of_views), positives)| one(features, of_views, positives))
            .collect::<Result<Vec<f32>, TrainError>>()?;
        *total = losses.iter().sum::<f32>() / count;
    }
    Ok(totals)
}

/// A buffer of so many zeros.
fn zeros(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.clear();
    buffer.resize(len, 0.0);
    buffer
}
