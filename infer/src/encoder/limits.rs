//! Limits of a graph's memory.

/// Maximum number of elements of one intermediate result: 1 GiB of 32-bit floats.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
/// Maximum total of elements of all intermediate results: 8 GiB if all were kept.
pub(super) const MAX_TOTAL: usize = 1 << 31;
