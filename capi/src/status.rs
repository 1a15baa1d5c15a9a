//! Status of a call, and its message.

use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::{self, Display, Write};

/// Status of a call. Where it is not INFOMARK_OK, infomark_last_error says why.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum infomark_status {
    /// It did what it says.
    INFOMARK_OK = 0,
    /// A pointer is null that may not be: a closed handle is.
    INFOMARK_NULL = 1,
    /// A handle is not an open one of the kind that is wanted.
    INFOMARK_HANDLE = 2,
    /// A value, size, stride, alignment or text is not usable.
    INFOMARK_ARGUMENT = 3,
    /// Memory that is written overlaps other memory of the call.
    INFOMARK_OVERLAP = 4,
    /// A buffer is too short; where the function has a place for it, the needed length is given.
    INFOMARK_BUFFER = 5,
    /// A file, or the bytes of one, is missing, damaged or not of the wanted kind.
    INFOMARK_FILE = 6,
    /// Encoder, template and image do not belong together.
    INFOMARK_MISMATCH = 7,
    /// The time limit passed.
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

/// What the last call on this thread that failed said of it, in English, naming the argument or file and what to do; an empty
/// text when none failed. At most 2047 bytes of UTF-8. It holds until the next failure on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn infomark_last_error() -> *const c_char {
    // Only while the thread is torn down is there none.
    MESSAGE
        .try_with(|message| message.try_borrow().map_or(c"".as_ptr(), |message| message.text.as_ptr().cast()))
        .unwrap_or(c"".as_ptr())
}

/// A message that ends with a zero byte, cut where it is too long.
struct Message {
    text: [u8; 2048],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Within a text a zero byte would end it.
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

/// A call that did not do what it says; its message is in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure(pub(crate) infomark_status);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Puts the message in place.
pub(crate) fn failure(status: infomark_status, message: impl Display) -> Failure {
    let _ = MESSAGE.try_with(|place| {
        if let Ok(mut place) = place.try_borrow_mut() {
            place.text = [0; 2048];
            place.len = 0;
            // Too long a message is cut.
            let _ = write!(place, "{message}");
        }
    });
    Failure(status)
}

/// An error of another crate, as a status and its message.
pub(crate) trait OrFail<T> {
    /// With this status.
    fn or_fail(self, status: infomark_status) -> Result<T>;
}

impl<T, E: Display> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, status: infomark_status) -> Result<T> {
        self.map_err(|error| failure(status, error))
    }
}

/// An argument that is refused.
pub(crate) fn refused(message: impl Display) -> Failure {
    failure(INFOMARK_ARGUMENT, message)
}
