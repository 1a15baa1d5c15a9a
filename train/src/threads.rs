//! Threads of trainings.

use infomark_eval::thread_pool;

use crate::{RunError, TrainError};

/// Runs work in a pool of `threads` threads; 0 for all cores.
pub(crate) fn in_threads<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, TrainError> + Send,
) -> Result<T, TrainError> {
    thread_pool(threads).map_err(RunError::from)?.install(work)
}
