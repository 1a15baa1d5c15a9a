//! Panics of third-party decoders become errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Most characters of a message that are passed on.
const MAX_LENGTH: usize = 300;

/// A panic of a third-party decoder or runtime: the first line of its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panic(pub(crate) String);

/// Runs `work`; its panic, if it has one, comes back as the panic's message.
///
/// Nothing that `work` touched may be used after an `Err`: callers pass values that they own and drop.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panic(message(payload.as_ref())))
}

/// The panic's first line: the rest is a backtrace, where those are turned on.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let line = text.and_then(|text| text.lines().next()).unwrap_or("panic without a message");
    line.chars().take(MAX_LENGTH).collect()
}
