//! Conversion of panics in third-party decoders to errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// Whether this thread is in [`contain`].
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses the output of panics in third-party decoders and runtimes, which become errors anyway.
///
/// For programs, not for libraries: it installs a panic hook; all other panics go to the previous hook.
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

/// Maximum length of a panic message, in characters.
const MAX_LENGTH: usize = 300;

/// A panic of a third-party decoder or runtime: the first line of its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Panic(pub(crate) String);

/// Runs `work` and turns a panic into an error with its message.
///
/// Values that `work` modified must not be used after an `Err`: callers pass values that they own and drop.
pub(crate) fn contain<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    let before = IS_CONTAINED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(before);
    done.map_err(|payload| Panic(message(payload.as_ref())))
}

/// The first line of the panic message, without a backtrace.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let line = text.and_then(|text| text.lines().next()).unwrap_or("panic without a message");
    line.chars().take(MAX_LENGTH).collect()
}
