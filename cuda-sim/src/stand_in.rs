//! The stand-in for the driver.
#![allow(unsafe_code)] // A shared object is loaded and its functions called.

use libloading::{Library, Symbol};
use std::ffi::{CString, c_char, c_int, c_long, c_uint, c_void};
use std::sync::OnceLock;
use thiserror::Error;

/// Which kernels, and whether their accesses are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `infomark-cuda`'s kernels, fast.
    Plain,
    /// The same, every access checked.
    Checked,
    /// Kernels with planted bugs, unchecked.
    Planted,
    /// The same, every access checked.
    PlantedChecked,
}

/// Why the stand-in can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StandInError {
    /// It was not built.
    #[error("the stand-in was not built: {reason}")]
    Missing {
        /// Why not.
        reason: &'static str,
    },
    /// Another kind has been loaded before.
    #[error("the stand-in is one to a process, and {loaded:?} is loaded")]
    Other {
        /// The kind that is loaded.
        loaded: Kind,
    },
    /// The library can't be loaded.
    #[error("the stand-in can't be loaded")]
    Library(#[from] libloading::Error),
    /// One of its functions failed.
    #[error("{function} failed with {code}")]
    Call {
        /// The function.
        function: &'static str,
        /// What it gave.
        code: i32,
    },
}

/// What the checker has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    /// How many accesses.
    pub count: usize,
    /// The first twenty, a line each.
    pub text: String,
}

/// The size of a launch.
#[derive(Clone, Copy, Debug)]
pub struct Launch {
    /// Blocks.
    pub blocks: u32,
    /// Threads of a block.
    pub threads: u32,
}

/// The stand-in for the driver, loaded for the rest of the process.
#[derive(Clone, Copy, Debug)]
pub struct StandIn {
    library: &'static Library,
}

static LOADED: OnceLock<(Kind, Library)> = OnceLock::new();

impl StandIn {
    /// Loads it under the name `libcuda.so`, so that cudarc finds it when it looks for a driver. Has to come first.
    ///
    /// `None` elsewhere than on Linux, and where it was not built for want of a C++ compiler and `INFOMARK_ALLOW_MISSING`, a list with
    /// commas, names `c++`.
    ///
    /// # Errors
    /// When it was not built otherwise, can't be loaded, or another kind has been.
    pub fn load(kind: Kind) -> Result<Option<Self>, StandInError> {
        let reason = env!("INFOMARK_CUDA_SIM_MISSING");
        if !reason.is_empty() {
            let allowed = std::env::var("INFOMARK_ALLOW_MISSING").unwrap_or_default();
            return match !cfg!(target_os = "linux") || allowed.split(',').any(|name| name == "c++") {
                true => Ok(None),
                false => Err(StandInError::Missing { reason }),
            };
        }
        let name = match kind {
            Kind::Plain => "plain",
            Kind::Checked => "checked",
            Kind::Planted => "planted",
            Kind::PlantedChecked => "planted-checked",
        };
        if LOADED.get().is_none() {
            let path = format!("{}/{name}/libcuda.so", env!("INFOMARK_CUDA_SIM"));
            // SAFETY: the library is ours; loading it enters kernels in a table and does nothing else.
            let library = unsafe { Library::new(path) }?;
            // A second one is dropped; the library stays open by the first.
            drop(LOADED.set((kind, library)));
        }
        match LOADED.get() {
            Some((loaded, library)) if *loaded == kind => Ok(Some(Self { library })),
            Some((loaded, _)) => Err(StandInError::Other { loaded: *loaded }),
            None => Err(StandInError::Missing { reason: "it was unloaded" }),
        }
    }

    fn function<F>(&self, name: &str) -> Result<Symbol<'static, F>, StandInError> {
        // SAFETY: each caller below gives the type that the function has in `cpp/`.
        Ok(unsafe { self.library.get(name.as_bytes()) }?)
    }

    /// The order of threads and blocks: 0 forward, 1 reverse, others random with that seed.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn set_order(&self, order: u32) -> Result<(), StandInError> {
        let set = self.function::<unsafe extern "C" fn(c_uint)>("simt_set_order")?;
        // SAFETY: it sets a number.
        unsafe { set(order) };
        Ok(())
    }

    /// What version of CUDA the driver says it is (12040 for 12.4), and the major compute capability of its device.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn set_driver(&self, version: i32, capability: i32) -> Result<(), StandInError> {
        let set = self.function::<unsafe extern "C" fn(c_int, c_int)>("simt_set_driver")?;
        // SAFETY: it sets numbers.
        unsafe { set(version, capability) };
        Ok(())
    }

    /// How many bytes may be allocated at a time.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn set_memory_limit(&self, bytes: usize) -> Result<(), StandInError> {
        let set = self.function::<unsafe extern "C" fn(usize)>("simt_set_memory_limit")?;
        // SAFETY: it sets a number.
        unsafe { set(bytes) };
        Ok(())
    }

    /// Lets one of the driver's calls fail, after so many that succeed, with that code (999: unknown); `None`: no more.
    /// What only frees, queries or names does not count.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn set_failure(&self, failure: Option<(u32, i32)>) -> Result<(), StandInError> {
        let set = self.function::<unsafe extern "C" fn(c_long, c_int)>("simt_set_failure")?;
        let (calls, code) = failure.map_or((-1, 0), |(calls, code)| (c_long::from(calls as i32), code));
        // SAFETY: it sets numbers.
        unsafe { set(calls, code) };
        Ok(())
    }

    /// Whether the call that [`set_failure`](Self::set_failure) chose has come and failed.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn has_failed(&self) -> Result<bool, StandInError> {
        let has = self.function::<unsafe extern "C" fn() -> c_int>("simt_has_failed")?;
        // SAFETY: it reads a number.
        Ok(unsafe { has() } != 0)
    }

    /// What the checker has found since the last call.
    ///
    /// # Errors
    /// When the library lacks the function.
    pub fn take_reports(&self) -> Result<Reports, StandInError> {
        let take = self.function::<unsafe extern "C" fn(*mut c_char, usize) -> usize>("simt_take_reports")?;
        let mut text = vec![0u8; 1 << 14];
        // SAFETY: it writes at most that many bytes.
        let count = unsafe { take(text.as_mut_ptr().cast(), text.len()) };
        let end = text.iter().position(|&b| b == 0).unwrap_or(0);
        Ok(Reports { count, text: String::from_utf8_lossy(&text[..end]).into_owned() })
    }

    /// Runs a kernel of parameters `(const int *in, int *out)` without a module; what it leaves in `out`, of which it sees
    /// nothing that was there before.
    ///
    /// # Errors
    /// When there is no such kernel, memory can't be had, or it does not end.
    pub fn run(
        &self,
        kernel: &str,
        launch: Launch,
        input: &[i32],
        outputs: usize,
    ) -> Result<Vec<i32>, StandInError> {
        type Run = unsafe extern "C" fn(*const c_char, c_uint, c_uint, c_uint, *mut *mut c_void) -> c_int;
        type ToDevice = unsafe extern "C" fn(u64, *const c_void, usize) -> c_int;
        type FromDevice = unsafe extern "C" fn(*mut c_void, u64, usize) -> c_int;
        let run = self.function::<Run>("simt_launch")?;
        let to_device = self.function::<ToDevice>("cuMemcpyHtoD_v2")?;
        let from_device = self.function::<FromDevice>("cuMemcpyDtoH_v2")?;
        // SAFETY: it takes flags, all zero.
        let started = unsafe { self.function::<unsafe extern "C" fn(c_uint) -> c_int>("cuInit")?(0) };
        check("cuInit", started)?;
        let (bytes, out_bytes) = (size_of_val(input), outputs * size_of::<i32>());
        let (mut from, mut to) = (self.allocate(bytes)?, self.allocate(out_bytes)?);
        let name = CString::new(kernel).unwrap_or_default();
        let mut arguments = [(&raw mut from.address).cast(), (&raw mut to.address).cast()];
        let mut out = vec![0i32; outputs];
        // SAFETY: the copies stay inside the slices and the allocations of their sizes; the kernel takes two addresses,
        // which are copied at the launch, and is done when that returns.
        unsafe {
            check("cuMemcpyHtoD", to_device(from.address, input.as_ptr().cast(), bytes))?;
            check(
                "simt_launch",
                run(name.as_ptr(), launch.blocks, launch.threads, 0, arguments.as_mut_ptr()),
            )?;
            check("cuMemcpyDtoH", from_device(out.as_mut_ptr().cast(), to.address, out_bytes))?;
        }
        Ok(out)
    }

    fn allocate(&self, bytes: usize) -> Result<Allocation<'_>, StandInError> {
        let allocate = self.function::<unsafe extern "C" fn(*mut u64, usize) -> c_int>("cuMemAlloc_v2")?;
        let mut address = 0;
        // SAFETY: it writes an address.
        check("cuMemAlloc", unsafe { allocate(&mut address, bytes) })?;
        Ok(Allocation { driver: self, address })
    }
}

fn check(function: &'static str, code: i32) -> Result<(), StandInError> {
    if code == 0 { Ok(()) } else { Err(StandInError::Call { function, code }) }
}

/// Memory of the stand-in, freed with it.
struct Allocation<'a> {
    driver: &'a StandIn,
    address: u64,
}

impl Drop for Allocation<'_> {
    fn drop(&mut self) {
        if let Ok(free) = self.driver.function::<unsafe extern "C" fn(u64) -> c_int>("cuMemFree_v2") {
            // SAFETY: the address is an allocation's, which nothing uses any more.
            unsafe { free(self.address) };
        }
    }
}
