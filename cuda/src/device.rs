//! Device with loaded kernels.

use crate::driver::{self, Kernel, Memory};
use crate::{Buffer, CudaError};
use cudarc::driver::sys::{CUdevice_attribute, CUfunction_attribute};
use cudarc::driver::{CudaContext, CudaStream};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

/// The kernels: PTX 8.4 for compute capability 8.0, compiled by NVRTC 12.4 from the file of the same name.
const PTX: [&str; 7] = [
    include_str!("../kernels/entropy.ptx"),
    include_str!("../kernels/mutual.ptx"),
    include_str!("../kernels/sample.ptx"),
    include_str!("../kernels/view.ptx"),
    include_str!("../kernels/elastic.ptx"),
    include_str!("../kernels/info_nce.ptx"),
    include_str!("../kernels/search.ptx"),
];

/// Minimum CUDA version of the driver for this PTX.
const NEEDED_VERSION: i32 = 12040;

/// Device with loaded kernels, and the stream for launches. Clones share both.
///
/// Launches are asynchronous, except those that return a result to the host. Work on one stream runs in
/// order; buffers used on several of cudarc's streams are synchronised by its events.
#[derive(Clone, Debug)]
pub struct Device {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stream: Arc<CudaStream>,
    kernels: HashMap<String, Kernel>,
    multiprocessors: usize,
}

/// Checks that there is a driver of a sufficient version.
fn check_driver() -> Result<(), CudaError> {
    match driver::version() {
        None => Err(CudaError::NoDriver),
        Some(found) if found < NEEDED_VERSION => Err(CudaError::OldDriver { found, needed: NEEDED_VERSION }),
        Some(_) => Ok(()),
    }
}

fn context(ordinal: usize) -> Result<Arc<CudaContext>, CudaError> {
    check_driver()?;
    CudaContext::new(ordinal).map_err(|e| CudaError::NoDevice { ordinal, reason: driver::reason(e) })
}

impl Device {
    /// The first device, with its default stream.
    ///
    /// # Errors
    /// When there is no driver or no device, or either is too old.
    pub fn open() -> Result<Self, CudaError> {
        Self::open_at(0)
    }

    /// The device with an ordinal, with its default stream.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(ordinal: usize) -> Result<Self, CudaError> {
        Self::on_stream(context(ordinal)?.default_stream())
    }

    /// A device that launches on a given stream, so that its work runs in order with the caller's own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn on_stream(stream: Arc<CudaStream>) -> Result<Self, CudaError> {
        const OPERATION: &str = "load the kernels";
        check_driver()?;
        let context = stream.context();
        let failed = |e| driver::error(OPERATION, 0, e);
        let (major, minor) = context.compute_capability().map_err(failed)?;
        if major < 8 {
            return Err(CudaError::Capability { major, minor });
        }
        let multiprocessors = CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context.attribute(multiprocessors).map_err(failed)?;
        let mut kernels = HashMap::new();
        for ptx in PTX {
            let module = context.load_module(Ptx::from_src(ptx)).map_err(failed)?;
            for (name, sizes) in entries(ptx) {
                let function = module.load_function(&name).map_err(failed)?;
                let most = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                function.set_attribute(most, MOST_SHARED).map_err(failed)?;
                kernels.insert(name, Kernel { function, sizes });
            }
        }
        let multiprocessors = usize::try_from(multiprocessors).unwrap_or(1).max(1);
        Ok(Self { inner: Arc::new(Inner { stream, kernels, multiprocessors }) })
    }

    /// A device for a stream of a framework without cudarc: its `CUstream`, in the primary context of the device.
    ///
    /// # Safety
    /// The stream belongs to that context and outlives the device, its clones and its buffers. Buffers of devices
    /// on other streams may be used here, and buffers of this one there, only after [`synchronize`](Self::synchronize): there is no
    /// other synchronisation.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[allow(unsafe_code)]
    pub unsafe fn on_raw_stream(ordinal: usize, stream: *mut c_void) -> Result<Self, CudaError> {
        let context = context(ordinal)?;
        // SAFETY: guaranteed by the caller.
        Self::on_stream(unsafe { driver::borrow_stream(&context, stream) })
    }

    /// A buffer over a framework's memory: nothing is copied, and dropping it frees nothing.
    ///
    /// # Safety
    /// `address` is that of `len` initialised elements in the device's context, aligned for them; while the buffer
    /// exists, they stay there and are only used in the stream's order.
    ///
    /// # Errors
    /// When the driver has no more events; a buffer needs two.
    #[allow(unsafe_code)]
    pub unsafe fn borrow_raw<T: crate::Element>(
        &self,
        address: u64,
        len: usize,
    ) -> Result<Buffer<T>, CudaError> {
        // SAFETY: guaranteed by the caller.
        Ok(Buffer::with_memory(unsafe { Memory::borrow(self.stream(), address, len) }?, len))
    }

    /// Name of the device.
    ///
    /// # Errors
    /// When the driver reports an error.
    pub fn name(&self) -> Result<String, CudaError> {
        self.stream().context().name().map_err(|e| driver::error("name of the device", 0, e))
    }

    /// The stream for launches.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.inner.stream
    }

    /// Waits for all launched work.
    ///
    /// # Errors
    /// When the driver reports an error, also one of a kernel launched before.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.finish("wait for the device")
    }

    pub(crate) fn finish(&self, operation: &'static str) -> Result<(), CudaError> {
        let failed = |e| driver::error(operation, 0, e);
        self.stream().synchronize().map_err(failed)?;
        self.stream().context().check_err().map_err(failed)
    }

    pub(crate) fn multiprocessors(&self) -> usize {
        self.inner.multiprocessors
    }

    pub(crate) fn kernel(&self, operation: &'static str, name: &str) -> Result<&Kernel, CudaError> {
        let kernel = self.inner.kernels.get(name);
        kernel.ok_or_else(|| CudaError::shape(operation, format!("there is no kernel {name}")))
    }
}

/// Maximum dynamic shared memory of a kernel: together with the static one, available on every device by default.
const MOST_SHARED: i32 = 48 << 10;

/// The kernels of a PTX file, with the sizes of their parameters in bytes.
fn entries(ptx: &str) -> impl Iterator<Item = (String, Vec<usize>)> {
    ptx.split(".entry ").skip(1).filter_map(|entry| {
        let (name, rest) = entry.split_once('(')?;
        let (list, _) = rest.split_once(')')?;
        Some((name.to_owned(), list.split(".param ").skip(1).map(size).collect()))
    })
}

/// The size of a parameter: `.u64 name` or `.align 8 .b8 name[24]`.
fn size(parameter: &str) -> usize {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse();
    match parameter.split_once('[') {
        Some((_, bytes)) => digits(bytes).unwrap_or(0),
        None => digits(parameter.trim_start_matches(['.', 'u', 's', 'b', 'f'])).unwrap_or(0) / 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_parameters_are_read_from_ptx() {
        let sizes: HashMap<_, _> = PTX.into_iter().flat_map(entries).collect();
        assert_eq!(sizes.get("entropy_map"), Some(&vec![8, 8, 8, 8, 8, 24, 4, 4, 4, 4, 4, 4]));
        assert_eq!(sizes.get("cumulative_weights"), Some(&vec![8, 8, 8, 8, 4]));
    }
}
