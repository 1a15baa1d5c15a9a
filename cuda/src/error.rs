//! What can go wrong.

use infomark_core::{AugmentError, EntropyError, SampleError};
use thiserror::Error;

/// Why an operation on a device failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CudaError {
    /// There is no driver.
    #[error("there is no CUDA driver (libcuda): install NVIDIA's driver for the device")]
    NoDriver,
    /// The driver does not know the kernels' language.
    #[error("the CUDA driver is of version {found}, the kernels need {needed}: update it")]
    OldDriver {
        /// Its version: 1000 times the major one and 10 times the minor one.
        found: i32,
        /// The least version that will do.
        needed: i32,
    },
    /// There is no such device, or it can't be used.
    #[error("CUDA device {ordinal} can't be used: {reason}")]
    NoDevice {
        /// Its number.
        ordinal: usize,
        /// What the driver says.
        reason: String,
    },
    /// The device is too old.
    #[error("the device has compute capability {major}.{minor}, the kernels need 8.0")]
    Capability {
        /// Major compute capability.
        major: i32,
        /// Minor compute capability.
        minor: i32,
    },
    /// The device's memory is full.
    #[error("{operation}: {bytes} bytes more do not fit into the device's memory")]
    OutOfMemory {
        /// What was being done.
        operation: &'static str,
        /// Bytes that were asked for; 0 where the driver does not say.
        bytes: usize,
    },
    /// A buffer has another length than its shape.
    #[error("{operation}: {name} has {len} elements, {shape} needs {needed}")]
    Length {
        /// What was being done.
        operation: &'static str,
        /// Which buffer.
        name: &'static str,
        /// Elements that it has.
        len: usize,
        /// Elements that it needs.
        needed: usize,
        /// Its shape, in words.
        shape: String,
    },
    /// Shapes do not fit each other, or are beyond what a kernel does.
    #[error("{operation}: {reason}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// What does not fit, with the shapes.
        reason: String,
    },
    /// A parameter is not usable.
    #[error("{operation}: {name} {value}: it has to be {condition}")]
    Parameter {
        /// What was being done.
        operation: &'static str,
        /// Which parameter.
        name: &'static str,
        /// The refused value.
        value: f64,
        /// The condition, in words.
        condition: &'static str,
    },
    /// A value on the device is negative, NaN or infinite where it may not be.
    #[error(
        "{operation}: the value at column {x}, row {y} of image {image} is not a finite number of at least 0"
    )]
    Value {
        /// What was being done.
        operation: &'static str,
        /// Which image of the batch.
        image: usize,
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
    },
    /// A buffer lies on another device, or in another context of it.
    #[error("{operation}: a buffer belongs to another device")]
    OtherDevice {
        /// What was being done.
        operation: &'static str,
    },
    /// Parameters of an entropy map that are not usable.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Weights that can't be sampled.
    #[error("pixel sampler: image {image}: {source}")]
    Sample {
        /// Which image of the batch.
        image: usize,
        /// Why not.
        source: SampleError,
    },
    /// Parameters of a view that are not usable.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The driver reports an error.
    #[error("{operation}: the driver says {code}: {reason}")]
    Driver {
        /// What was being done; an error of a kernel may show only later.
        operation: &'static str,
        /// The driver's number.
        code: u32,
        /// What it means.
        reason: String,
    },
}

impl CudaError {
    pub(crate) fn shape(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Shape { operation, reason: reason.into() }
    }
}
