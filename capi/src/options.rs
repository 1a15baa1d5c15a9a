//! Extensible option structures.

use crate::memory::value;
use crate::status::{Result, refused};

/// Options of a call: a structure of numbers and pointers whose first field is its size. Zero means the default, for every field.
///
/// # Safety
/// `repr(C)`, without padding, every bit pattern valid, the first field a `usize`.
pub(crate) unsafe trait Options: Copy {
    /// All zero, except the size.
    const DEFAULT: Self;
    /// Offsets of the fields after the size, where a structure of an older header may end.
    const FIELDS: &'static [usize];
}

/// Offsets of fields of a structure.
macro_rules! fields {
    ($($field:ident),+) => { &[$(std::mem::offset_of!(Self, $field)),+] };
}
pub(crate) use fields;

/// Options of any version: null for the defaults; fields missing in an older header are zero, fields unknown to this library
/// have to be zero.
///
/// # Safety
/// The crate's terms; the structure is as long as its first field says.
pub(crate) unsafe fn options<T: Options>(data: *const T) -> Result<T> {
    let mut all = T::DEFAULT;
    if data.is_null() {
        return Ok(all);
    }
    // SAFETY: the first field of options is their size.
    let size = unsafe { value("the options", data.cast::<usize>()) }?;
    if size < size_of::<usize>() || size > 4096 {
        return Err(refused(format_args!(
            "the options say that they take {size} bytes: set struct_size to sizeof of the structure"
        )));
    }
    if size < size_of::<T>() && !T::FIELDS.contains(&size) {
        return Err(refused(format_args!(
            "the options say that they take {size} bytes, which ends within a field: set struct_size to sizeof of the structure"
        )));
    }
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's memory has `size` bytes and ours at least `known`; every bit pattern is valid.
    unsafe { std::ptr::copy_nonoverlapping(data.cast::<u8>(), (&raw mut all).cast::<u8>(), known) };
    for index in known..size {
        // SAFETY: within the `size` bytes.
        if unsafe { data.cast::<u8>().add(index).read() } != 0 {
            return Err(refused(
                "the options have fields that this version of the library does not know: leave them zero, or update it",
            ));
        }
    }
    Ok(all)
}

/// A flag: zero or one.
pub(crate) fn flag(name: &str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(refused(format_args!("{name} is {other}: set it to 0 or 1"))),
    }
}
