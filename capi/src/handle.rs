//! Handles: objects behind pointers.

use std::ffi::CString;

use crate::memory::{place, value};
use crate::status::infomark_status::{INFOMARK_HANDLE, INFOMARK_NULL};
use crate::status::{Result, failure, refused};

/// Type of handle: an opaque type of the header, and the object behind its pointers.
pub(crate) trait Kind {
    /// The object, after the mark. Handles are shared between threads.
    type Held: Send + Sync;
    /// First eight bytes of an open handle.
    const MARK: u64;
    /// Name in messages.
    const NAME: &'static str;
}

/// First eight bytes of a closed handle, until its memory is reused.
const CLOSED: u64 = 0;

#[repr(C)]
struct Handle<H> {
    /// First, as it determines the rest.
    mark: u64,
    held: H,
}

/// Makes a handle and returns it to the caller.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn open<K: Kind>(held: K::Held, out: *mut *mut K) -> Result<()> {
    // SAFETY: the caller's terms.
    let out = unsafe { place("the place for the handle", out) }?;
    out.set(Box::into_raw(Box::new(Handle { mark: K::MARK, held })).cast());
    Ok(())
}

/// The object of a handle.
///
/// # Safety
/// The crate's terms, for a lifetime that ends with the call of the library.
pub(crate) unsafe fn held<'a, K: Kind>(handle: *const K) -> Result<&'a K::Held> {
    // SAFETY: as above.
    let handle = unsafe { checked::<K>(handle) }?;
    // SAFETY: an open handle of this kind, which `open` made.
    Ok(unsafe { &(*handle).held })
}

/// Drops the object of a handle and sets the caller's pointer to null, so that closing twice is harmless.
///
/// # Safety
/// The crate's terms, and nobody else uses the handle.
pub(crate) unsafe fn close<K: Kind>(handle: *mut *mut K) -> Result<()> {
    // SAFETY: the caller's terms.
    let open = unsafe { value("the pointer to the handle", handle) }?;
    if open.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's terms.
    let checked = unsafe { checked::<K>(open) }?.cast_mut();
    // SAFETY: the caller's terms.
    unsafe { place("the pointer to the handle", handle) }?.set(std::ptr::null_mut());
    // SAFETY: an open handle, which came from a box, and which nobody else uses. The write is volatile because nothing in
    // Rust reads it: it protects copies of the pointer.
    unsafe {
        (&raw mut (*checked).mark).write_volatile(CLOSED);
        drop(Box::from_raw(checked));
    }
    Ok(())
}

/// Checks that the pointer is to an open handle of this type.
///
/// # Safety
/// The crate's terms.
unsafe fn checked<K: Kind>(handle: *const K) -> Result<*const Handle<K::Held>> {
    let name = K::NAME;
    if handle.is_null() {
        return Err(failure(INFOMARK_NULL, format_args!("the {name} is null: closed, or never opened")));
    }
    let handle = handle.cast::<Handle<K::Held>>();
    // SAFETY: no handle, of whatever kind, is smaller than its mark; the caller's word that it is one.
    if !handle.is_aligned() || unsafe { (&raw const (*handle).mark).read_volatile() } != K::MARK {
        return Err(failure(
            INFOMARK_HANDLE,
            format_args!(
                "this is no open {name}: it was closed through another copy of the pointer, or is another kind of handle"
            ),
        ));
    }
    Ok(handle)
}

/// A text for the caller that a handle keeps.
pub(crate) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| refused(format_args!("{text:?} holds a zero byte: rename it")))
}
