//! Status of a call, and its message.

use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::{self, Display, Write};

/// Status of a call. Unless it is INFOMARK_OK, infomark_last_error describes the problem.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum infomark_status {
    /// Success.
    INFOMARK_OK = 0,
    /// A pointer is null that must not be, e.g. a closed handle.
    INFOMARK_NULL = 1,
    /// A pointer is not an open handle of the expected type.
    INFOMARK_HANDLE = 2,
    /// A value, size, stride, alignment or text is unusable.
    INFOMARK_ARGUMENT = 3,
    /// Memory for writing overlaps other memory of the call.
    INFOMARK_OVERLAP = 4,
    /// A buffer is too short; the needed length is returned if the function has an output for it.
    INFOMARK_BUFFER = 5,
    /// A file, or its bytes, is missing, damaged or of the wrong type.
    INFOMARK_FILE = 6,
    /// Encoder, template and image do not belong together.
    INFOMARK_MISMATCH = 7,
    /// The time limit was exceeded.
    INFOMARK_TIME_LIMIT = 8,
    /// The encoder or network could not be run.
    INFOMARK_RUN = 9,
    /// A defect of the library, which was contained; please report its message.
    INFOMARK_PANIC = 10,
}

use infomark_status::*;

/// The name of a status, such as "INFOMARK_OK"; "unknown status" for any other number. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_status_name(status: i32) -> *const c_char {
    const NAMES: [&str; 11] = [
        "INFOMARK_OK\0",
        "INFOMARK_NULL\0",
        "INFOMARK_HANDLE\0",
        "INFOMARK_ARGUMENT\0",
        "INFOMARK_OVERLAP\0",
        "INFOMARK_BUFFER\0",
        "INFOMARK_FILE\0",
        "INFOMARK_MISMATCH\0",
        "INFOMARK_TIME_LIMIT\0",
        "INFOMARK_RUN\0",
        "INFOMARK_PANIC\0",
    ];
    let name = usize::try_from(status).ok().and_then(|status| NAMES.get(status)).copied();
    name.unwrap_or("unknown status\0").as_ptr().cast()
}

/// Message of the last failed call on this thread, in English, naming the argument or file and what to do; an empty
/// text if none failed. At most 2047 bytes of UTF-8. It is valid until the next failure on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_last_error() -> *const c_char {
    // Missing only while the thread is torn down.
    MESSAGE
        .try_with(|message| message.try_borrow().map_or(c"".as_ptr(), |message| message.text.as_ptr().cast()))
        .unwrap_or(c"".as_ptr())
}

/// A message with a terminating zero byte, truncated if too long.
struct Message {
    text: [u8; 2048],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A zero byte would end the text.
        for character in text.chars().map(|c| if c == '\0' { ' ' } else { c }) {
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).as_bytes();
            let end = self.len + bytes.len();
            if end >= self.text.len() {
                return Err(fmt::Error);
            }
            if let Some(place) = self.text.get_mut(self.len..end) {
                place.copy_from_slice(bytes);
                self.len = end;
            }
        }
        Ok(())
    }
}

thread_local! {
    static MESSAGE: RefCell<Message> = const { RefCell::new(Message { text: [0; 2048], len: 0 }) };
}

/// A failed call; its message is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure(pub(crate) infomark_status);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Stores the message.
pub(crate) fn failure(status: infomark_status, message: impl Display) -> Failure {
    let _ = MESSAGE.try_with(|place| {
        if let Ok(mut place) = place.try_borrow_mut() {
            place.text = [0; 2048];
            place.len = 0;
            // Too long a message is truncated.
            let _ = write!(place, "{message}");
        }
    });
    Failure(status)
}

/// Conversion of errors of other crates to a status with message.
pub(crate) trait OrFail<T> {
    /// Fails with this status.
    fn or_fail(self, status: infomark_status) -> Result<T>;
}

impl<T, E: Display> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, status: infomark_status) -> Result<T> {
        self.map_err(|error| failure(status, error))
    }
}

/// An invalid argument.
pub(crate) fn refused(message: impl Display) -> Failure {
    failure(INFOMARK_ARGUMENT, message)
}
