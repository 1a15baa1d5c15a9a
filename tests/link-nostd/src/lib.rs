//! The core in a program without `std` and without an allocator. Building it is the test:
//!
//! ```text
//! cargo build --manifest-path tests/link-nostd/Cargo.toml
//! ```
#![no_std]

mod every;

use core::panic::PanicInfo;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Calls every public function of the core in both precisions.
// SAFETY: nothing else in this program has that name.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_link_nostd() -> bool {
    every::every::<f32>().is_some() && every::every::<f64>().is_some()
}
