//! Conversion of the caller's memory to slices.

use std::ffi::{CStr, c_char};

use crate::status::infomark_status::{INFOMARK_NULL, INFOMARK_OVERLAP};
use crate::status::{Result, failure, refused};

/// Types for which every bit pattern is valid, so that the caller's memory may contain anything.
///
/// # Safety
/// Every bit pattern is valid, and there is no padding.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for f64 {}

/// Maximum number of memory ranges of one call.
const MOST: usize = 8;

/// Memory ranges of a call, to check that written ranges overlap no others.
#[derive(Default)]
pub(crate) struct Memory {
    /// First address, one past the last, and whether it is written.
    pieces: [(usize, usize, bool); MOST],
    used: usize,
}

impl Memory {
    /// Reads `len` elements. Null is allowed for none.
    ///
    /// # Safety
    /// The crate's terms, for a lifetime that ends with the call of the library.
    pub(crate) unsafe fn read<'a, T: Plain>(
        &mut self,
        name: &str,
        data: *const T,
        len: usize,
    ) -> Result<&'a [T]> {
        self.claim(name, data, len, false)?;
        // SAFETY: not null and aligned unless empty, at most isize::MAX bytes, written by nobody (guaranteed by the caller, and
        // by the ranges of this call); every bit pattern is valid.
        Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, len) } })
    }

    /// Writes `len` elements. Null is allowed for none.
    ///
    /// # Safety
    /// As [`read`](Self::read).
    pub(crate) unsafe fn write<'a, T: Plain>(
        &mut self,
        name: &str,
        data: *mut T,
        len: usize,
    ) -> Result<&'a mut [T]> {
        self.claim(name, data, len, true)?;
        // SAFETY: as in `read`, and no other range of this call overlaps it.
        Ok(if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(data, len) } })
    }

    fn claim<T>(&mut self, name: &str, data: *const T, len: usize, written: bool) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        check_pointer(name, data)?;
        let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| isize::try_from(bytes).is_ok());
        let end = bytes.and_then(|bytes| data.addr().checked_add(bytes));
        let Some(end) = end else {
            return Err(refused(format_args!("{name}: {len} elements are more than memory holds")));
        };
        let start = data.addr();
        let taken = self.pieces.get(..self.used).unwrap_or_default();
        if taken.iter().any(|&(from, to, other)| (written || other) && start < to && from < end) {
            return Err(failure(
                INFOMARK_OVERLAP,
                format_args!(
                    "{name} overlaps other memory of the call, and one of them is written: keep them apart"
                ),
            ));
        }
        let Some(place) = self.pieces.get_mut(self.used) else {
            return Err(refused("more pieces of memory than a call has"));
        };
        *place = (start, end, written);
        self.used += 1;
        Ok(())
    }
}

/// Checks that a pointer is neither null nor misaligned.
fn check_pointer<T>(name: &str, data: *const T) -> Result<()> {
    if data.is_null() {
        return Err(failure(INFOMARK_NULL, format_args!("{name} is null")));
    }
    if !data.is_aligned() {
        let needed = align_of::<T>();
        return Err(refused(format_args!("{name}: its address is no multiple of {needed}")));
    }
    Ok(())
}

/// Output of one result.
///
/// # Safety
/// The crate's terms; `T` may be written over whatever is there.
pub(crate) unsafe fn place<'a, T: Copy>(name: &str, out: *mut T) -> Result<Place<'a, T>> {
    check_pointer(name, out)?;
    Ok(Place { out, life: std::marker::PhantomData })
}

/// Output of one result, whose previous content is never read.
pub(crate) struct Place<'a, T> {
    out: *mut T,
    life: std::marker::PhantomData<&'a mut T>,
}

impl<T: Copy> Place<'_, T> {
    pub(crate) fn set(&self, value: T) {
        // SAFETY: checked to be neither null nor misaligned, and guaranteed by the caller to be memory for a `T`.
        unsafe { self.out.write(value) }
    }
}

/// Copies a value.
///
/// # Safety
/// The crate's terms; the memory contains a `T`.
pub(crate) unsafe fn value<T: Copy>(name: &str, data: *const T) -> Result<T> {
    check_pointer(name, data)?;
    // SAFETY: checked to be neither null nor misaligned, and guaranteed by the caller to be a `T`.
    Ok(unsafe { data.read() })
}

/// Copies elements of any structure one by one.
///
/// # Safety
/// The crate's terms; the memory contains `len` of `T`.
pub(crate) unsafe fn values<T: Copy>(name: &str, data: *const T, len: usize) -> Result<Vec<T>> {
    if len == 0 {
        return Ok(Vec::new());
    }
    check_pointer(name, data)?;
    if len.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(refused(format_args!("{name}: {len} elements are more than memory holds")));
    }
    // SAFETY: checked as above, and the number is guaranteed by the caller.
    Ok((0..len).map(|index| unsafe { data.add(index).read() }).collect())
}

/// A text in UTF-8 that ends with a zero byte.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn text<'a>(name: &str, data: *const c_char) -> Result<&'a str> {
    check_pointer(name, data)?;
    // SAFETY: not null, and guaranteed by the caller to end with a zero byte.
    let text = unsafe { CStr::from_ptr(data) };
    text.to_str().map_err(|error| refused(format_args!("{name} is no text in UTF-8 ({error})")))
}
