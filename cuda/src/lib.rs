//! CUDA kernels of information-guided landmark matching.
//!
//! The functions of [`infomark_core`] for batches on a GPU: the same
//! conventions, and the same results, bit for bit where they are sums of integers or single operations.
//!
//! | step | on the device | in the core |
//! | --- | --- | --- |
//! | information of each pixel | [`Device::entropy_map`] | `EntropyMap` |
//! | mutual information of patches | [`Device::mutual_information`] | `mutual_information` |
//! | sampling of pixels | [`Device::weight_map`], [`Device::pixel_sampler`], [`Device::draw_pixels`] | `weight_map`, `Sampler` |
//! | augmented views | [`Device::plan_views`], [`Device::make_views`], [`Device::push_points`] | `TierPolicy`, `Warp`, `IntensityJitter` |
//! | affine and elastic views | [`Device::make_elastic_views`], [`Device::push_elastic_points`] | `Elastic`, `IntensityJitter` |
//! | training loss | [`Device::info_nce`], [`Device::info_nce_backward`] | `InfoNce` |
//! | matching of a landmark | [`Device::similarities`], [`Device::highest`], [`Device::search`] | `similarity`, `peak` |
//!
//! The crate contains the kernels as PTX: building needs neither a GPU nor the CUDA toolkit. Running needs a driver for CUDA
//! 12.4 or later and a device of compute capability 8.0 or later; without them [`Device::open`] fails. Nothing
//! panics, and shapes are checked before a launch.
//!
//! Tolerances of the results, and what is verified without a GPU: `docs/cuda.md` in the repository.
//!
//! # Example
//!
//! ```no_run
//! use infomark_core::{PatchBorder, Weighting};
//! use infomark_cuda::{Device, Images};
//!
//! let device = Device::open()?;
//! let (count, width, height) = (64, 384, 384);
//! let pixels = device.upload(&vec![0u8; count * width * height])?;
//! let images = Images::new(&pixels, count, width, height)?;
//! let entropy = device.entropy_map(images, 9, PatchBorder::Cut)?;
//! let entropy = Images::new(&entropy, count, width, height)?;
//! let weights = device.weight_map(entropy, Weighting::Exponential { alpha: 0.3 })?;
//! let sampler = device.pixel_sampler(Images::new(&weights, count, width, height)?)?;
//! // Four pixels of each image, by seed and stream, as the core draws them.
//! let centres = device.draw_pixels(&sampler, 4, 1, 0, 0)?;
//! assert_eq!(device.download(&centres)?.len(), 4 * count);
//! # Ok::<(), infomark_cuda::CudaError>(())
//! ```
//!
//! # Another framework's stream
//!
//! [`Device::on_stream`] takes a stream of cudarc, as used by candle, and [`Device::on_raw_stream`] any other;
//! [`Buffer::from_cuda`] and [`Device::borrow_raw`] take their memory. Work then runs in order with the framework's, without
//! copies.
//!
//! # Features
//!
//! * `gpu`: no effect for dependents; the tests then run on a real device, and fail without one.

mod buffer;
mod device;
mod driver;
mod elastic;
mod entropy;
mod error;
mod loss;
mod mutual;
mod sample;
mod search;
mod shape;
mod tiles;
mod view;

pub use buffer::{Buffer, Element};
pub use device::Device;
pub use elastic::{ElasticView, ElasticViews};
pub use error::CudaError;
pub use loss::{Gradients, Level, PointPair};
pub use mutual::Patch;
pub use sample::PixelSampler;
pub use search::{SearchLevel, Similarities};
pub use shape::{Feature, Features, Images};
pub use view::{ViewGuide, ViewPlan, ViewPlans, ViewSource};
