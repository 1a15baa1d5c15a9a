//! Memory of the process.

use infomark_infer::{MemoryBudget, ReadLimits};
use pyo3::prelude::*;

/// Bytes that reading images may use at a time in this process.
#[pyfunction]
pub(crate) fn memory_budget() -> u64 {
    MemoryBudget::of_process().bytes()
}

/// Sets that.
#[pyfunction]
pub(crate) fn set_memory_budget(bytes: u64) {
    MemoryBudget::of_process().set_bytes(bytes);
}

/// Most bytes of an image's file.
#[pyfunction]
pub(crate) fn most_image_bytes() -> u64 {
    ReadLimits::default().max_bytes
}
