//! Features of a batch at one level.

use infomark_core::{FeatureMap, InfoNce, Negatives};

use crate::{TrainConfig, TrainError};

/// The loss at a stride.
fn info_nce(stride: usize, config: &TrainConfig) -> InfoNce<f32> {
    let (negatives, exclusion_radius) = if stride >= config.loss.dense_negatives_min_stride {
        (Negatives::WholeMap, 0)
    } else {
        (Negatives::Window { radius: config.loss.window }, config.loss.exclusion_radius)
    };
    InfoNce { negatives, temperature: config.loss.temperature, exclusion_radius }
}

/// Features of a batch at one level, with their loss.
#[derive(Clone)]
pub(crate) struct Level {
    /// The features, or their gradients.
    pub(crate) data: Vec<f32>,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: usize,
    pub(crate) loss: InfoNce<f32>,
}

impl Level {
    /// Allocates the features of a batch of images of this size.
    pub(crate) fn new(
        items: usize,
        (width, height): (usize, usize),
        stride: usize,
        config: &TrainConfig,
    ) -> Self {
        let (channels, width, height) = (config.model.embedding, width / stride, height / stride);
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

    /// The features of each image at all levels, for reading.
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
    pub(crate) fn shape(&self) -> [usize; 4] {
        [self.channels, self.width, self.height, self.stride]
    }
}

/// The features of one image as a map of this shape.
pub(crate) fn map(
    data: &[f32],
    [channels, width, height, stride]: [usize; 4],
) -> Result<FeatureMap<'_, f32>, TrainError> {
    Ok(FeatureMap::new(data, channels, width, height, stride)?)
}
