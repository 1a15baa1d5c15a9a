//! All unsafe code: driver, memory, launches.
#![allow(unsafe_code)] // What a device does is beyond the compiler's sight.

use crate::{CudaError, Device, Element};
use cudarc::driver::sys::CUresult;
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, CudaView, DevicePtr, DevicePtrMut, DeviceRepr,
    DriverError, LaunchArgs, LaunchConfig, PushKernelArg, SyncOnDrop,
};
use std::ffi::c_int;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// Possible names of the driver's library.
const NAMES: [&str; 3] = ["libcuda.so", "libcuda.so.1", "nvcuda.dll"];

/// The CUDA version of the driver; `None` without a driver.
///
/// cudarc loads the driver on first use and panics without one, so this is called first.
pub(crate) fn version() -> Option<i32> {
    // SAFETY: the driver's library, which cudarc is about to load too.
    let library = NAMES.into_iter().find_map(|name| unsafe { libloading::Library::new(name) }.ok())?;
    let mut version = 0;
    // SAFETY: the function has this type since the first version of the driver, and needs no initialisation.
    let code = unsafe {
        let get =
            library.get::<unsafe extern "system" fn(*mut c_int) -> c_int>(b"cuDriverGetVersion").ok()?;
        get(&mut version)
    };
    (code == 0).then_some(version)
}

/// Converts a driver error.
pub(crate) fn error(operation: &'static str, bytes: usize, error: DriverError) -> CudaError {
    if error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        return CudaError::OutOfMemory { operation, bytes };
    }
    CudaError::Driver { operation, code: error.0 as u32, reason: reason(error) }
}

/// The driver's description of an error.
pub(crate) fn reason(error: DriverError) -> String {
    match error.error_string() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => format!("{:?}", error.0),
    }
}

/// Device memory; freed on drop, unless it is borrowed.
#[derive(Debug)]
pub(crate) struct Memory<T> {
    slice: ManuallyDrop<CudaSlice<T>>,
    borrowed: bool,
}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: the slice is not used again.
        let slice = unsafe { ManuallyDrop::take(&mut self.slice) };
        if self.borrowed {
            slice.leak();
        }
    }
}

impl<T> Memory<T> {
    pub(crate) fn owned(slice: CudaSlice<T>) -> Self {
        Self { slice: ManuallyDrop::new(slice), borrowed: false }
    }

    /// # Safety
    /// `address` is that of `len` elements in the stream's context, which stay valid as long as this.
    pub(crate) unsafe fn borrow(
        stream: &Arc<CudaStream>,
        address: u64,
        len: usize,
    ) -> Result<Self, CudaError> {
        // cudarc creates two events, and panics on failure.
        for _ in 0..2 {
            stream.context().new_event(None).map_err(|e| error("borrow memory", 0, e))?;
        }
        // SAFETY: as above; `leak` returns the memory without freeing it.
        let slice = unsafe { stream.upgrade_device_ptr(address, len) };
        Ok(Self { slice: ManuallyDrop::new(slice), borrowed: true })
    }

    pub(crate) fn slice(&self) -> &CudaSlice<T> {
        &self.slice
    }

    pub(crate) fn slice_mut(&mut self) -> &mut CudaSlice<T> {
        &mut self.slice
    }
}

impl<T: Element> Memory<T> {
    /// Uninitialised memory for at least one element, for kernels that overwrite all of it.
    pub(crate) fn allocate(
        stream: &Arc<CudaStream>,
        len: usize,
        operation: &'static str,
    ) -> Result<Self, CudaError> {
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
        let bytes = bytes.ok_or(CudaError::OutOfMemory { operation, bytes: usize::MAX })?;
        // SAFETY: elements are numbers, for which every bit pattern is valid; the first reader on the device is
        // ordered after the writer by the stream.
        let slice = unsafe { stream.alloc(len.max(1)) }.map_err(|e| error(operation, bytes, e))?;
        Ok(Self::owned(slice))
    }
}

/// A borrowed stream.
///
/// # Safety
/// As [`Device::on_raw_stream`].
pub(crate) unsafe fn borrow_stream(
    context: &Arc<CudaContext>,
    stream: *mut std::ffi::c_void,
) -> Arc<CudaStream> {
    // SAFETY: guaranteed by the caller.
    unsafe { context.wrap_borrowed_stream(stream.cast()) }
}

macro_rules! parameters {
    ($($type:ty),+ $(,)?) => {
        $(
            // SAFETY: `repr(C)` throughout, of numbers and addresses, with the layout of the kernels; a launch compares the
            // sizes with the PTX.
            unsafe impl DeviceRepr for $type {}
        )+
    };
}

parameters!(
    crate::shape::Extent,
    crate::view::Guide,
    crate::view::ViewPlan,
    crate::elastic::ElasticPlan,
    crate::elastic::ControlGrid,
    crate::loss::PointPair,
    crate::loss::Levels,
    crate::search::Pyramid,
    crate::search::Found,
    crate::mutual::PatchPair,
);

macro_rules! zero_is_valid {
    ($($type:ty),+ $(,)?) => {
        $(
            // SAFETY: it consists of numbers.
            unsafe impl cudarc::driver::ValidAsZeroBits for $type {}
        )+
    };
}

zero_is_valid!(
    crate::view::ViewPlan,
    crate::elastic::ElasticPlan,
    crate::loss::PointPair,
    crate::search::Found,
    crate::mutual::PatchPair,
);

/// A kernel and the sizes of its parameters.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) function: CudaFunction,
    pub(crate) sizes: Vec<usize>,
}

/// Number of blocks and threads of a launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) blocks: usize,
    pub(crate) threads: u32,
    pub(crate) shared_bytes: usize,
}

impl Grid {
    pub(crate) fn new(blocks: usize, threads: u32) -> Self {
        Self { blocks, threads, shared_bytes: 0 }
    }

    /// A grid with one thread per item.
    pub(crate) fn over(items: usize) -> Self {
        Self::new(items.div_ceil(256), 256)
    }

    pub(crate) fn shared(self, bytes: usize) -> Self {
        Self { shared_bytes: bytes, ..self }
    }
}

/// A launch under construction, with parameters in the kernel's order.
pub(crate) struct Launch<'a> {
    operation: &'static str,
    device: &'a Device,
    kernel: &'a Kernel,
    arguments: LaunchArgs<'a>,
    sizes: Vec<usize>,
    foreign: bool,
}

impl<'a> Launch<'a> {
    pub(crate) fn new(
        device: &'a Device,
        operation: &'static str,
        kernel: &'static str,
    ) -> Result<Self, CudaError> {
        let kernel = device.kernel(operation, kernel)?;
        let arguments = device.stream().launch_builder(&kernel.function);
        Ok(Self { operation, device, kernel, arguments, sizes: Vec::new(), foreign: false })
    }

    fn check<T>(&mut self, slice: &CudaSlice<T>) {
        self.sizes.push(size_of::<u64>());
        self.foreign |= slice.context() != self.device.stream().context();
    }

    /// Adds a buffer that the kernel reads.
    pub(crate) fn read<T>(mut self, buffer: &'a crate::Buffer<T>) -> Self {
        self.check(buffer.memory().slice());
        self.arguments.arg(buffer.memory().slice());
        self
    }

    /// Adds a part of a buffer that the kernel reads.
    pub(crate) fn read_part<T>(mut self, part: &'a CudaView<'a, T>) -> Self {
        self.sizes.push(size_of::<u64>());
        self.arguments.arg(part);
        self
    }

    /// Adds a buffer that the kernel writes.
    pub(crate) fn write<T>(mut self, buffer: &'a mut crate::Buffer<T>) -> Self {
        self.check(buffer.memory().slice());
        self.arguments.arg(buffer.memory_mut().slice_mut());
        self
    }

    /// Adds a value.
    pub(crate) fn value<V: DeviceRepr>(mut self, value: &'a V) -> Self {
        self.sizes.push(size_of::<V>());
        self.arguments.arg(value);
        self
    }

    /// Launches the kernel; does nothing for an empty grid.
    pub(crate) fn run(mut self, grid: Grid) -> Result<(), CudaError> {
        let operation = self.operation;
        if self.foreign {
            return Err(CudaError::OtherDevice { operation });
        }
        if self.sizes != self.kernel.sizes {
            let (given, declared) = (&self.sizes, &self.kernel.sizes);
            return Err(CudaError::shape(
                operation,
                format!("parameters of {given:?} bytes for {declared:?}"),
            ));
        }
        let Ok(blocks @ 0..) = i32::try_from(grid.blocks) else {
            return Err(CudaError::shape(
                operation,
                format!("{} blocks are too many for a launch", grid.blocks),
            ));
        };
        if blocks == 0 {
            return Ok(());
        }
        let config = LaunchConfig {
            grid_dim: (blocks.unsigned_abs(), 1, 1),
            block_dim: (grid.threads, 1, 1),
            shared_mem_bytes: u32::try_from(grid.shared_bytes).unwrap_or(u32::MAX),
        };
        // SAFETY: the parameters have the number and sizes of the kernel's, and all buffers are in the context. Each
        // operation checks that they are as long as its kernel assumes; the tests run every kernel with every access
        // checked.
        unsafe { self.arguments.launch(config) }.map_err(|e| error(operation, 0, e))?;
        Ok(())
    }
}

/// The address of a buffer for a kernel's table, and a guard for the streams' order.
pub(crate) fn address<'a, T>(
    device: &'a Device,
    operation: &'static str,
    buffer: &'a crate::Buffer<T>,
) -> Result<(u64, SyncOnDrop<'a>), CudaError> {
    let slice = buffer.memory().slice();
    if slice.context() != device.stream().context() {
        return Err(CudaError::OtherDevice { operation });
    }
    Ok(slice.device_ptr(device.stream()))
}

/// As [`address`], for a buffer that the kernel writes.
pub(crate) fn address_mut<'a, T>(
    device: &'a Device,
    operation: &'static str,
    buffer: &'a mut crate::Buffer<T>,
) -> Result<(u64, SyncOnDrop<'a>), CudaError> {
    let slice = buffer.memory_mut().slice_mut();
    if slice.context() != device.stream().context() {
        return Err(CudaError::OtherDevice { operation });
    }
    Ok(slice.device_ptr_mut(device.stream()))
}
