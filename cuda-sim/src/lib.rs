//! Runs the kernels of `infomark-cuda` on a CPU.
//!
//! The kernels' own source is compiled by a C++ compiler into a stand-in for the CUDA driver: a library named
//! `libcuda.so` that cudarc finds like a driver, once [`StandIn::load`] has opened it. Each CUDA thread is a fiber; barriers, votes,
//! shuffles and atomics are where others run, in an order that tests choose. The checked variant also watches every access to
//! memory: bounds, alignment, values that nobody wrote, and races between threads that nothing orders, whether or not
//! they happened to change a result.
//!
//! The driver is one to a process, so a test binary holds one test.
//!
//! What the checker does not see: an access that is so far off that it meets other memory of the kernel's, and the order
//! of memory that a GPU's caches may change (kernels here need none: they use no fences).
//!
//! [`tools`] compiles the kernels with NVIDIA's own compilers, which need no GPU either.

mod stand_in;
pub mod tools;

pub use stand_in::{Kind, Launch, Reports, StandIn, StandInError};
