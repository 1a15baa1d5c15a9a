//! Threads of trainings.

use infomark_eval::thread_pool;

use crate::{RunError, TrainError};

/// Does work in a pool of so many threads; 0 takes all cores.
pub(crate) fn in_threads<T: Send>(
    threads: usize,
    work: impl FnOnce() -> Result<T, TrainError> + Send,
) -> Result<T, TrainError> {
    thread_pool(threads).map_err(RunError::from)?.install(work)
}
