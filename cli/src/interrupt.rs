//! Ctrl-C: what is under way comes to an end, and what was found is written.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

/// What the shell reports of a program that Ctrl-C ended.
const STATUS: i32 = 130;

/// Becomes true on the first Ctrl-C; the second ends the program.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Asked first, when the flag is still that of an earlier signal. Without these, signals do what they always do.
        let _ = register_conditional_shutdown(signal, STATUS, Arc::clone(&flag));
        let _ = register(signal, Arc::clone(&flag));
    }
    flag
}
