//! Background work, one job at a time, on its own thread: matching, learning, ranking.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, bail};
use serde::Serialize;

use super::refusal::Refusal;
use super::{App, lock};
use crate::output::one_line;

/// The current job, or the last one.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Job {
    /// Increases with each job.
    pub(super) number: u64,
    pub(super) kind: &'static str,
    pub(super) running: bool,
    pub(super) done: usize,
    pub(super) total: usize,
    /// Estimated remaining time in seconds.
    pub(super) seconds_left: Option<f64>,
    /// Its result or error, as text.
    pub(super) message: String,
    pub(super) failed: bool,
    /// The images to annotate, best first.
    pub(super) suggested: Vec<(String, f64)>,
    /// Start of its current part, and the progress at that time.
    #[serde(skip)]
    begun: Option<(Instant, usize)>,
}

impl Job {
    /// Sets the progress; the remaining time is estimated from the first call of the same kind.
    pub(super) fn at(&mut self, kind: &'static str, done: usize, total: usize) {
        if self.kind != kind || self.begun.is_none() {
            (self.kind, self.begun) = (kind, Some((Instant::now(), done)));
        }
        (self.done, self.total) = (done, total);
        self.seconds_left = self.begun.filter(|(_, first)| done > *first).map(|(begun, first)| {
            begun.elapsed().as_secs_f64() * total.saturating_sub(done) as f64 / (done - first) as f64
        });
    }
}

/// Starts a job, unless one is in progress. Its return value becomes its final message.
pub(super) fn begin(
    app: &Arc<App>,
    kind: &'static str,
    work: impl FnOnce(&App) -> Result<String> + Send + 'static,
) -> Result<(), Refusal> {
    {
        let mut job = lock(&app.job);
        if job.running {
            return Err(Refusal::new(409, "something is under way; wait for it, or stop it"));
        }
        *job = Job { number: job.number + 1, kind, running: true, ..Job::default() };
    }
    app.stop_job.store(false, Ordering::Relaxed);
    let app = Arc::clone(app);
    std::thread::spawn(move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&app)));
        let done = done.unwrap_or_else(|_| bail!("it broke off by a fault of the program"));
        let mut job = lock(&app.job);
        job.running = false;
        job.failed = done.is_err();
        job.message = done.unwrap_or_else(|error| one_line(&error));
    });
    Ok(())
}
