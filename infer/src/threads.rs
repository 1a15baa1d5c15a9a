//! Threads within an image.

/// Where the work on one image is done: on the calling thread, or on threads of an encoder's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    #[cfg(feature = "threads")]
    pool: Option<std::sync::Arc<rayon::ThreadPool>>,
}

impl Threads {
    /// `count` threads; none but the caller's for one.
    #[cfg(feature = "threads")]
    pub(crate) fn new(count: usize) -> Result<Threads, String> {
        if count <= 1 {
            return Ok(Threads::default());
        }
        let named = |i| format!("infomark-{i}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(named).build();
        Ok(Threads { pool: Some(std::sync::Arc::new(pool.map_err(|error| error.to_string())?)) })
    }

    /// Runs `work`, whose operations in tract use these threads. `work` has to contain its panics.
    pub(crate) fn enter<R>(&self, work: impl FnOnce() -> R) -> R {
        #[cfg(feature = "threads")]
        if let Some(pool) = &self.pool {
            use tract_linalg::multithread::{Executor, multithread_tract_scope};
            return multithread_tract_scope(Executor::MultiThread(pool.clone()), work);
        }
        work()
    }

    /// What `work` makes of each item, in their order.
    pub(crate) fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        #[cfg(feature = "threads")]
        if let Some(pool) = &self.pool {
            use rayon::prelude::*;
            return pool.install(|| items.par_iter().map(work).collect());
        }
        items.iter().map(work).collect()
    }
}
