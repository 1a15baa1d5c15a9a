//! Where what surrounds the network is computed: entropies, weights, drawn pixels, and the loss with its gradient.
//!
//! The CPU path is `infomark-core`'s; the CUDA path (feature `cuda`) is `infomark-cuda`'s. Entropies are equal to the bit,
//! weights to 5 units in the last place, losses and gradients as `docs/cuda.md` says. Each path gives the same bits
//! whenever it is given the same input.

#[cfg(feature = "cuda")]
mod cuda;

use infomark_core::{Plane, PlaneMut, Rng, Sampler, Weighting, entropy_map, entropy_scratch_len, weight_map};
use serde::{Deserialize, Serialize};

use crate::{TrainConfig, TrainError};

/// Where entropies, weights, drawn pixels and the loss are computed. The network is not moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeOn {
    /// On a CUDA device where there is one and this was built for it (feature `cuda`), else on the CPU. A run that was begun on the
    /// CPU is resumed there.
    #[default]
    Auto,
    /// On the CPU.
    Cpu,
    /// On the first CUDA device; an error where there is none.
    Cuda,
}

/// The name of the CPU path.
pub(crate) const CPU: &str = "CPU";

/// One of the paths, opened.
pub(crate) enum Compute {
    /// The core, and why no device is used where one was looked for.
    Cpu(Option<String>),
    /// A device.
    #[cfg(feature = "cuda")]
    Cuda(cuda::Cuda),
}

impl Compute {
    /// The path that is wanted, for what the options ask of it.
    ///
    /// # Errors
    /// [`TrainError::Cuda`] when a device is wanted and can't be had.
    pub(crate) fn open(wanted: ComputeOn, config: &TrainConfig) -> Result<Self, TrainError> {
        if wanted == ComputeOn::Cpu {
            return Ok(Self::Cpu(None));
        }
        match Self::device(config) {
            Ok(device) => Ok(device),
            Err(reason) if wanted == ComputeOn::Auto => Ok(Self::Cpu(reason)),
            Err(reason) => Err(TrainError::Cuda {
                reason: reason.unwrap_or_else(|| "this was built without the feature cuda".into()),
            }),
        }
    }

    /// A device, or why not: nothing where this was built without.
    #[cfg(feature = "cuda")]
    fn device(config: &TrainConfig) -> Result<Self, Option<String>> {
        cuda::Cuda::open(config).map(Self::Cuda).map_err(Some)
    }

    #[cfg(not(feature = "cuda"))]
    fn device(_: &TrainConfig) -> Result<Self, Option<String>> {
        Err(None)
    }

    /// "CPU" or "CUDA device NAME".
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Cpu(_) => CPU.into(),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.name(),
        }
    }

    /// Why no device is used where one was looked for.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Cpu(reason) => reason.as_deref(),
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => None,
        }
    }

    /// Entropy and sampling weight of every pixel of an image of that width.
    pub(crate) fn guidance(
        &self,
        levels: &[u8],
        width: usize,
        patch: usize,
        alpha: f32,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        match self {
            Self::Cpu(_) => guidance(levels, width, patch, alpha),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.guidance(levels, width, patch, alpha),
        }
    }

    /// What draws pixels of an image in proportion to their weights, with the random numbers of one stream. `sums` has an element
    /// for each pixel.
    pub(crate) fn pixels<'a>(
        &'a self,
        weights: &[f32],
        width: usize,
        (seed, stream): (u64, u64),
        sums: &'a mut Vec<f64>,
    ) -> Result<Pixels<'a>, TrainError> {
        match self {
            Self::Cpu(_) => {
                sums.resize(weights.len(), 0.0);
                let plane = Plane::new(weights, width, weights.len() / width.max(1));
                let plane = plane.map_err(TrainError::internal("sampler"))?;
                let sampler = Sampler::new(plane, sums).map_err(TrainError::internal("sampler"))?;
                let _ = (seed, stream);
                Ok(Pixels::Sums(sampler))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.pixels(weights, width, seed, stream).map(Pixels::Drawn),
        }
    }
}

/// Draws pixels of one image.
pub(crate) enum Pixels<'a> {
    /// From sums of weights.
    Sums(Sampler<'a>),
    /// As a device has drawn them.
    #[cfg(feature = "cuda")]
    Drawn(cuda::Drawn<'a>),
}

impl Pixels<'_> {
    /// A pixel as `(column, row)`; takes two words of the stream.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Result<(usize, usize), TrainError> {
        match self {
            Self::Sums(sampler) => Ok(sampler.draw(rng)),
            #[cfg(feature = "cuda")]
            Self::Drawn(drawn) => drawn.draw(rng),
        }
    }
}

fn guidance(
    levels: &[u8],
    width: usize,
    patch: usize,
    alpha: f32,
) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
    let height = levels.len() / width.max(1);
    let mut entropy = vec![0.0_f32; levels.len()];
    let mut scratch = vec![0; entropy_scratch_len(patch, width, height)];
    let plane = Plane::new(levels, width, height).map_err(TrainError::internal("entropy"))?;
    let out = PlaneMut::new(&mut entropy, width, height).map_err(TrainError::internal("entropy"))?;
    entropy_map(plane, patch, out, &mut scratch).map_err(TrainError::internal("entropy"))?;
    let mut weights = vec![0.0; levels.len()];
    let plane = Plane::new(&entropy, width, height).map_err(TrainError::internal("weights"))?;
    let out = PlaneMut::new(&mut weights, width, height).map_err(TrainError::internal("weights"))?;
    weight_map(plane, Weighting::Exponential { alpha }, out).map_err(TrainError::internal("weights"))?;
    Ok((entropy, weights))
}
