//! The CUDA path.

mod draw;

use infomark_core::{PatchBorder, Positive, Weighting};
use infomark_cuda::{CudaError, Device, Features, Gradients, Images, Level as LossLevel, PointPair};

pub(crate) use draw::{Canvas, Drawn, Placed};

use crate::level::Level;
use crate::{DeviceError, TrainError};

/// Maximum side of a patch for the kernels' entropy.
const MOST_PATCH: usize = 64;

/// The first device.
pub(crate) struct Cuda {
    device: Device,
}

impl From<CudaError> for TrainError {
    fn from(error: CudaError) -> Self {
        Self::Run(crate::RunError::Cuda(error.into()))
    }
}

impl Cuda {
    /// Opens the device, or returns why it is unavailable.
    pub(crate) fn open(patch: usize) -> Result<Self, DeviceError> {
        let device = Device::open()?;
        if patch > MOST_PATCH {
            return Err(DeviceError::Patch { patch, most: MOST_PATCH });
        }
        Ok(Self { device })
    }

    pub(crate) fn name(&self) -> String {
        format!("CUDA device {}", self.device.name().unwrap_or_else(|_| "without a name".into()))
    }

    pub(crate) fn guidance(
        &self,
        levels: &[u8],
        width: usize,
        patch: usize,
        alpha: f32,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        let height = levels.len() / width.max(1);
        let image = self.device.upload(levels)?;
        let entropy =
            self.device.entropy_map(Images::new(&image, 1, width, height)?, patch, PatchBorder::Cut)?;
        let map = Images::new(&entropy, 1, width, height)?;
        let weights = self.device.weight_map(map, Weighting::Exponential { alpha })?;
        Ok((self.device.download(&entropy)?, self.device.download(&weights)?))
    }

    pub(crate) fn pixels(
        &self,
        weights: &[f32],
        width: usize,
        seed: u64,
        stream: u64,
    ) -> Result<Drawn<'_>, TrainError> {
        let weights = self.device.upload(weights)?;
        let sampler =
            self.device.pixel_sampler(Images::new(&weights, 1, width, weights.len() / width.max(1))?)?;
        Ok(Drawn::new(&self.device, sampler, width, (seed, stream)))
    }

    /// An image of grey levels, for making views.
    pub(crate) fn canvas(
        &self,
        levels: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Canvas<'_>, TrainError> {
        Canvas::new(&self.device, levels, width, height)
    }

    /// The sum of each level's loss over all positives; overwrites the features by their gradients, divided by `count`.
    pub(crate) fn objective(
        &self,
        images: &mut [Level],
        views: &mut [Level],
        positives: &[Vec<Positive<f32>>],
        count: f32,
    ) -> Result<[f32; 5], TrainError> {
        let device = &self.device;
        // All views are padded to the same number of pairs.
        let most = positives.iter().map(Vec::len).max().unwrap_or(0);
        let mut pairs = Vec::with_capacity(positives.len() * most);
        for positives in positives {
            pairs.extend(positives.iter().copied().map(PointPair::from));
            pairs.resize(pairs.len() + most - positives.len(), PointPair::NONE);
        }
        let pairs = device.upload(&pairs)?;
        let upload =
            |levels: &[Level]| levels.iter().map(|l| device.upload(&l.data)).collect::<Result<Vec<_>, _>>();
        let zeros = |levels: &[Level]| {
            levels.iter().map(|l| device.zeros(l.data.len())).collect::<Result<Vec<_>, _>>()
        };
        let (image_data, view_data) = (upload(images)?, upload(views)?);
        let (mut image_grads, mut view_grads) = (zeros(images)?, zeros(views)?);
        let mut levels = Vec::with_capacity(images.len());
        for ((image, image_data), (view, view_data)) in
            images.iter().zip(&image_data).zip(views.iter().zip(&view_data))
        {
            let features = |level: &Level, data| {
                Features::new(data, level.count(), level.channels, level.width, level.height, level.stride)
            };
            levels.push(LossLevel {
                views: features(view, view_data)?,
                images: features(image, image_data)?,
                loss: image.loss,
            });
        }
        let mut gradients: Vec<Gradients<'_>> = image_grads
            .iter_mut()
            .zip(&mut view_grads)
            .map(|(images, views)| Gradients { views, images })
            .collect();
        let losses = device.info_nce_backward(&levels, &pairs, &mut gradients, 1.0 / count)?;
        let mut sums = [0.0; 5];
        for (sum, loss) in sums.iter_mut().zip(device.download(&losses)?) {
            *sum = loss;
        }
        let gradients = image_grads.iter().chain(&view_grads);
        for (level, gradient) in images.iter_mut().chain(views).zip(gradients) {
            level.data = device.download(gradient)?;
        }
        Ok(sums)
    }
}
