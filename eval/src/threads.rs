//! Threads for work on many images.

use std::io;

use infomark_infer::ThreadError;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Thread pool for work on many images; 0 for all cores.
///
/// # Errors
/// When the system cannot start the threads.
pub fn thread_pool(threads: usize) -> Result<ThreadPool, ThreadError> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| ThreadError { threads, source: io::Error::other(error) })
}
