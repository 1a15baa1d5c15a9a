//! Errors of device operations.

use infomark_core::{AugmentError, EntropyError, SampleError};
use thiserror::Error;

/// Why an operation on a device failed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CudaError {
    /// No driver.
    #[error("there is no CUDA driver (libcuda): install NVIDIA's driver for the device")]
    NoDriver,
    /// The driver is too old for the kernels' PTX.
    #[error("the CUDA driver is of version {found}, the kernels need {needed}: update it")]
    OldDriver {
        /// Version of the driver: 1000 times the major plus 10 times the minor one.
        found: i32,
        /// Minimum version.
        needed: i32,
    },
    /// The device does not exist, or is unusable.
    #[error("CUDA device {ordinal} can't be used: {reason}")]
    NoDevice {
        /// Ordinal of the device.
        ordinal: usize,
        /// The driver's message.
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
    /// The device is out of memory.
    #[error("{operation}: {bytes} bytes more do not fit into the device's memory")]
    OutOfMemory {
        /// The operation.
        operation: &'static str,
        /// Bytes requested; 0 if unknown.
        bytes: usize,
    },
    /// A buffer's length does not match its shape.
    #[error("{operation}: {name} has {len} elements, {shape} needs {needed}")]
    Length {
        /// The operation.
        operation: &'static str,
        /// Name of the buffer.
        name: &'static str,
        /// Number of elements.
        len: usize,
        /// Elements needed.
        needed: usize,
        /// The shape, in words.
        shape: String,
    },
    /// Shapes do not match, or exceed a kernel's limits.
    #[error("{operation}: {reason}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The mismatch, with the shapes.
        reason: String,
    },
    /// A parameter is unusable.
    #[error("{operation}: {name} {value}: it has to be {condition}")]
    Parameter {
        /// The operation.
        operation: &'static str,
        /// Name of the parameter.
        name: &'static str,
        /// The rejected value.
        value: f64,
        /// The condition, in words.
        condition: &'static str,
    },
    /// A value on the device is negative, NaN or infinite.
    #[error(
        "{operation}: the value at column {x}, row {y} of image {image} is not a finite number of at least 0"
    )]
    Value {
        /// The operation.
        operation: &'static str,
        /// Index of the image in the batch.
        image: usize,
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
    },
    /// A buffer belongs to another device, or to another context of it.
    #[error("{operation}: a buffer belongs to another device")]
    OtherDevice {
        /// The operation.
        operation: &'static str,
    },
    /// Unusable parameters of an entropy map.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Weights that cannot be sampled.
    #[error("pixel sampler: image {image}: {source}")]
    Sample {
        /// Index of the image in the batch.
        image: usize,
        /// The reason.
        source: SampleError,
    },
    /// Unusable parameters of a view.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// An error of the driver.
    #[error("{operation}: the driver says {code}: {reason}")]
    Driver {
        /// The operation; an error of a kernel may be reported by a later one.
        operation: &'static str,
        /// Error code of the driver.
        code: u32,
        /// Its description.
        reason: String,
    },
}

impl CudaError {
    pub(crate) fn shape(operation: &'static str, reason: impl Into<String>) -> Self {
        Self::Shape { operation, reason: reason.into() }
    }
}
