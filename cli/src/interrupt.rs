//! Ctrl-C: the current work is completed, and the results are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

/// Exit status of a program ended by Ctrl-C.
const STATUS: i32 = 130;
/// Interval between checks for a signal.
const EVERY: Duration = Duration::from_millis(50);

/// A flag that the first Ctrl-C sets; the second ends the program.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Registered first, as it acts on a flag set by an earlier signal. On failure, signals keep their default behaviour.
        let _ = register_conditional_shutdown(signal, STATUS, Arc::clone(&flag));
        let _ = register(signal, Arc::clone(&flag));
    }
    flag
}

/// A thread that waits for the flag, until dropped.
pub(crate) struct Watch {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Calls `tell` once, when the flag becomes true.
    pub(crate) fn new(flag: &Arc<AtomicBool>, tell: impl FnOnce() + Send + 'static) -> Self {
        let (over, told) = channel::<()>();
        let flag = Arc::clone(flag);
        let wait = move || {
            while !flag.load(Ordering::Relaxed) {
                if told.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            tell();
        };
        // Without the thread only the message is missing.
        let thread = thread::Builder::new().name("interrupt".to_owned()).spawn(wait).ok();
        Self { over: Some(over), thread }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn an_interrupt_is_told_once_and_nothing_without_one() {
        let (flag, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let watch = || {
            let told = Arc::clone(&told);
            Watch::new(&flag, move || {
                told.fetch_add(1, Ordering::Relaxed);
            })
        };
        drop(watch());
        assert_eq!(told.load(Ordering::Relaxed), 0);
        flag.store(true, Ordering::Relaxed);
        let watch = watch();
        while told.load(Ordering::Relaxed) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        drop(watch);
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }
}
