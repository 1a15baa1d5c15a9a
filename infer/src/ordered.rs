//! Parallel map over a list, with results in the list's order as they become available.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, available_parallelism};
use std::time::{Duration, Instant};

/// Number of items, besides those in progress, that may be started before the first of them is returned: lets threads continue
/// during a slow item.
pub const AHEAD: usize = 16;
/// Interval between checks of the stop flag.
const LOOK: Duration = Duration::from_millis(50);

/// Worker threads could not be started.
#[derive(Debug, thiserror::Error)]
#[error("can't start {threads} threads ({source}); ask for fewer")]
pub struct ThreadError {
    /// Number of threads requested.
    pub threads: usize,
    /// The system's error.
    pub source: io::Error,
}

/// Result of [`Ordered::next_within`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<R> {
    /// The next result.
    Item(R),
    /// Not available yet.
    Pending,
    /// No further result: all were returned, or the work was stopped and all started items were returned.
    End,
}

impl<R> Next<R> {
    /// Maps the result.
    pub fn map<T>(self, of: impl FnOnce(R) -> T) -> Next<T> {
        match self {
            Next::Item(result) => Next::Item(of(result)),
            Next::Pending => Next::Pending,
            Next::End => Next::End,
        }
    }
}

/// Results of a function of each item of a list, in the list's order, computed ahead on several threads by [`ordered`].
///
/// At most as many items as threads are in progress, and at most [`AHEAD`] more are started before the first of
/// them is returned. Dropping it starts no further item and does not wait. A panic of the function is propagated to the call
/// that requests the next result.
#[derive(Debug)]
pub struct Ordered<R> {
    shared: Arc<Shared<R>>,
    len: usize,
    /// Set on drop without a lock: a forked process may have no thread that releases it.
    dropped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Shared<R> {
    state: Mutex<State<R>>,
    /// A result was added or taken.
    changed: Condvar,
    /// Stop flag of the caller.
    stop: Arc<AtomicBool>,
}

struct State<R> {
    /// Number of items started, in order.
    begun: usize,
    /// Number of results returned.
    given: usize,
    /// Results that were not returned yet.
    waiting: BTreeMap<usize, R>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<R> std::fmt::Debug for State<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("begun", &self.begun)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // No code that may panic runs with the lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<R>>, time: Duration) -> MutexGuard<'a, State<R>> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Applies `work` to each item on `threads` threads, 0 for all cores. Once `stop` is true no further item is started.
///
/// The results do not depend on the number of threads, unless `work` does.
///
/// # Errors
/// [`ThreadError`] when the threads cannot be started.
///
/// ```
/// let squares = infomark_infer::ordered(vec![3, 1, 2], 2, Default::default(), |n: &i32| n * n)?;
/// assert_eq!(squares.collect::<Vec<i32>>(), [9, 1, 4]);
/// # Ok::<(), infomark_infer::ThreadError>(())
/// ```
pub fn ordered<T, R>(
    items: Vec<T>,
    threads: usize,
    stop: Arc<AtomicBool>,
    work: impl Fn(&T) -> R + Send + Sync + 'static,
) -> Result<Ordered<R>, ThreadError>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let cores = || available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores() } else { threads }.clamp(1, items.len().max(1));
    let state = State { begun: 0, given: 0, waiting: BTreeMap::new(), panic: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), stop });
    let results = Ordered { shared: Arc::clone(&shared), len: items.len(), dropped: Arc::default() };
    let job = Arc::new((items, work));
    for number in 0..threads {
        let (shared, dropped, job) = (Arc::clone(&shared), Arc::clone(&results.dropped), Arc::clone(&job));
        let run = move || run(&shared, &dropped, &job.0, &job.1, threads + AHEAD);
        // Threads already started end when `results` is dropped.
        Builder::new()
            .name(format!("ordered {number}"))
            .spawn(run)
            .map_err(|source| ThreadError { threads, source })?;
    }
    Ok(results)
}

/// Main loop of each thread.
fn run<T, R>(shared: &Shared<R>, dropped: &AtomicBool, items: &[T], work: &impl Fn(&T) -> R, window: usize) {
    loop {
        let mut state = shared.lock();
        let item = loop {
            if shared.stop.load(Relaxed) || dropped.load(Relaxed) || state.panic.is_some() {
                return;
            }
            let Some(item) = items.get(state.begun) else { return };
            if state.begun < state.given + window {
                break item;
            }
            state = shared.wait(state, LOOK);
        };
        let place = state.begun;
        state.begun += 1;
        drop(state);
        // Partial state is dropped with the item.
        let result = catch_unwind(AssertUnwindSafe(|| work(item)));
        let mut state = shared.lock();
        match result {
            Ok(result) => drop(state.waiting.insert(place, result)),
            Err(panic) => state.panic = Some(panic),
        }
        drop(state);
        shared.changed.notify_all();
    }
}

impl<R> Ordered<R> {
    /// The next result, if it is available within `time`.
    ///
    /// # Panics
    /// When the function panicked.
    pub fn next_within(&mut self, time: Duration) -> Next<R> {
        let until = Instant::now().checked_add(time);
        let mut state = self.shared.lock();
        loop {
            if let Some(panic) = state.panic.take() {
                // Its result will never come, so this is the end.
                self.dropped.store(true, Relaxed);
                drop(state);
                resume_unwind(panic);
            }
            if self.dropped.load(Relaxed) {
                return Next::End;
            }
            let next = state.given;
            if let Some(result) = state.waiting.remove(&next) {
                state.given += 1;
                drop(state);
                self.shared.changed.notify_all();
                return Next::Item(result);
            }
            let stopped = self.shared.stop.load(Relaxed);
            if next >= self.len || stopped && next >= state.begun {
                return Next::End;
            }
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()).min(LOOK));
            if left.is_zero() {
                return Next::Pending;
            }
            state = self.shared.wait(state, left);
        }
    }
}

impl<R> Iterator for Ordered<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        loop {
            match self.next_within(LOOK) {
                Next::Item(result) => return Some(result),
                Next::Pending => {}
                Next::End => return None,
            }
        }
    }
}

impl<R> Drop for Ordered<R> {
    fn drop(&mut self) {
        self.dropped.store(true, Relaxed);
        self.shared.changed.notify_all();
    }
}
