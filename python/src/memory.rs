//! Memory budget of the process.

use infomark_infer::{MemoryBudget, ReadLimits};
use pyo3::prelude::*;

/// Memory budget of image reading in this process, in bytes.
#[pyfunction]
pub(crate) fn memory_budget() -> u64 {
    MemoryBudget::of_process().bytes()
}

/// Sets the memory budget.
#[pyfunction]
pub(crate) fn set_memory_budget(bytes: u64) {
    MemoryBudget::of_process().set_bytes(bytes);
}

/// Maximum size of an image file, in bytes.
#[pyfunction]
pub(crate) fn most_image_bytes() -> u64 {
    ReadLimits::default().max_bytes
}
