//! How large a graph may be.

/// Most elements of one intermediate result: 1 GiB of 32-bit floats.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
/// Most elements of all of them together: 8 GiB, were they all kept.
pub(super) const MAX_TOTAL: usize = 1 << 31;
