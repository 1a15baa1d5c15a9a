//! `libinfomark`: C and C++ interface of infomark, also for other languages that call C.
//!
//! Rust programs use `infomark-infer` and `infomark-core`; this crate adds no algorithm. Its interface is
//! `include/infomark.h`, which cbindgen generates from these sources and a test compares with them, and
//! `include/infomark.hpp`, a C++17 wrapper. How to build, install and use them: `docs/embedding.md`.
//!
//! # Structure
//!
//! * `status`: the codes, and the message of the thread's last failure, in a static buffer.
//! * `entry`: the frame of every function, which catches panics.
//! * `memory`: conversion of the caller's pointers to slices, only here, with checks for null, alignment, length and overlap.
//! * `handle`: objects behind pointers, with a mark of their type that shows whether they are open.
//! * all others: the functions themselves, in safe code except for reading their arguments.
//!
//! # Safety
//!
//! Every function is `unsafe` in Rust on the same terms, those of the header: a pointer is null, or points to as many elements
//! as the arguments beside it say, which nobody else writes during the call; a handle is null, or came from this
//! library and was not closed through another copy of the pointer; a text ends with a zero byte.

#![allow(unsafe_code)] // A C interface cannot be written without.
#![allow(non_camel_case_types)] // Names are those of the header.
#![allow(clippy::missing_safety_doc)] // The same terms for all, above.

mod encoder;
mod ensemble;
mod entry;
mod handle;
mod image;
mod judge;
mod matcher;
mod memory;
mod metrics;
mod network;
mod options;
mod plane;
mod sampling;
mod score;
mod status;
mod template;
mod view;

pub use encoder::*;
pub use ensemble::*;
pub use image::*;
pub use judge::*;
pub use matcher::*;
pub use metrics::*;
pub use network::*;
pub use plane::*;
pub use sampling::*;
pub use score::*;
pub use status::*;
pub use template::*;
pub use view::*;

/// Version of the binary interface of this header. It increases when existing binaries would no
/// longer work; new functions, and new fields at the end of structures with a struct_size, do not change it.
pub const INFOMARK_ABI_VERSION: u32 = 1;

/// Version of the library's binary interface. Compare it with INFOMARK_ABI_VERSION first if the library
/// is loaded at run time.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_abi_version() -> u32 {
    INFOMARK_ABI_VERSION
}

/// The library's version, such as "0.1.0"; never freed.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_version() -> *const std::ffi::c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
