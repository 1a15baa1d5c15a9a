//! Panics of third-party decoders become errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread is in [`contain`].
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of third-party decoders and runtimes, which become errors, from being printed to standard error as well.
///
/// For programs, not for libraries: it puts a panic hook before that of the process, which gets all other panics as before.
/// Further calls do nothing.
pub fn silence_contained_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_CONTAINED.try_with(Cell::get).unwrap_or(false) {
                print(info);
            }
        }));
    });
}

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
    let before = IS_CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    done.map_err(|payload| Panic(message(payload.as_ref())))
}

/// The panic's first line: the rest is a backtrace, where those are turned on.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let line = text.and_then(|text| text.lines().next()).unwrap_or("panic without a message");
    line.chars().take(MAX_LENGTH).collect()
}
