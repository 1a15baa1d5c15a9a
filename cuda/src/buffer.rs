//! Device memory.

use crate::driver::{self, Memory};
use crate::{CudaError, Device};
use cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use half::bf16;

mod sealed {
    pub trait Sealed {}
}

/// Element type of a [`Buffer`]; sealed.
pub trait Element: sealed::Sealed + DeviceRepr + ValidAsZeroBits + Copy + Send + Sync + 'static {}

macro_rules! elements {
    ($($type:ty),+ $(,)?) => {
        $(
            impl sealed::Sealed for $type {}
            impl Element for $type {}
        )+
    };
}

elements!(
    u8,
    u32,
    i32,
    u64,
    f32,
    f64,
    bf16,
    crate::view::ViewPlan,
    crate::elastic::ElasticPlan,
    crate::loss::PointPair,
    crate::search::Found,
    crate::mutual::PatchPair,
);

/// Buffer in device memory, freed on drop. It may be empty.
#[derive(Debug)]
pub struct Buffer<T> {
    memory: Memory<T>,
    len: usize,
}

impl<T> Buffer<T> {
    /// Wraps memory of cudarc; no copy.
    pub fn from_cuda(slice: CudaSlice<T>) -> Self {
        let len = slice.len();
        Self { memory: Memory::owned(slice), len }
    }

    /// The memory as a cudarc slice, at least one element long.
    pub fn as_cuda(&self) -> &CudaSlice<T> {
        self.memory.slice()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn memory(&self) -> &Memory<T> {
        &self.memory
    }

    pub(crate) fn memory_mut(&mut self) -> &mut Memory<T> {
        &mut self.memory
    }

    pub(crate) fn with_memory(memory: Memory<T>, len: usize) -> Self {
        Self { memory, len }
    }
}

impl Device {
    /// Copies a slice to the device.
    ///
    /// # Errors
    /// When the device is out of memory, or the driver reports an error.
    pub fn upload<T: Element>(&self, data: &[T]) -> Result<Buffer<T>, CudaError> {
        const OPERATION: &str = "copy to the device";
        let mut buffer = self.allocate(data.len(), OPERATION)?;
        if !data.is_empty() {
            let copied = self.stream().memcpy_htod(data, buffer.memory.slice_mut());
            copied.map_err(|e| driver::error(OPERATION, 0, e))?;
        }
        Ok(buffer)
    }

    /// A buffer of zeros.
    ///
    /// # Errors
    /// When the device is out of memory, or the driver reports an error.
    pub fn zeros<T: Element>(&self, len: usize) -> Result<Buffer<T>, CudaError> {
        const OPERATION: &str = "zeros on the device";
        let mut buffer = self.allocate(len, OPERATION)?;
        let zeroed = self.stream().memset_zeros(buffer.memory.slice_mut());
        zeroed.map_err(|e| driver::error(OPERATION, 0, e))?;
        Ok(buffer)
    }

    /// Copies a buffer to the host, after all work launched before.
    ///
    /// # Errors
    /// When the buffer belongs to another device, or the driver reports an error; also that of a kernel launched before.
    pub fn download<T: Element>(&self, buffer: &Buffer<T>) -> Result<Vec<T>, CudaError> {
        const OPERATION: &str = "copy from the device";
        if buffer.memory.slice().context() != self.stream().context() {
            return Err(CudaError::OtherDevice { operation: OPERATION });
        }
        let copied = self.stream().clone_dtoh(buffer.memory.slice());
        let mut data = copied.map_err(|e| driver::error(OPERATION, 0, e))?;
        self.finish(OPERATION)?;
        data.truncate(buffer.len);
        Ok(data)
    }

    /// An uninitialised buffer.
    pub(crate) fn allocate<T: Element>(
        &self,
        len: usize,
        operation: &'static str,
    ) -> Result<Buffer<T>, CudaError> {
        Ok(Buffer { memory: Memory::allocate(self.stream(), len, operation)?, len })
    }
}
