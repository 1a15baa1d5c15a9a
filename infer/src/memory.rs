//! Memory budget of the process: readers and workers reserve memory before they allocate it, and wait for it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Upper limit of the default budget, in bytes.
const MOST: u64 = 2 << 30;

thread_local! {
    /// Bytes reserved by this thread.
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// Budget of memory in use, in bytes, which is reserved by estimates from headers.
///
/// A thread that holds a share never waits, which could be a deadlock: its share covers further reservations, and
/// any excess is counted.
///
/// ```
/// use infomark_infer::{MemoryBudget, MemoryError};
///
/// let budget = MemoryBudget::new(1000);
/// let share = budget.take(600, None)?;
/// assert_eq!(budget.used(), 600);
/// drop(share);
/// assert!(matches!(budget.take(1001, None), Err(MemoryError::NeverFits { needed: 1001, most: 1000 })));
/// # Ok::<(), MemoryError>(())
/// ```
#[derive(Debug)]
pub struct MemoryBudget {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    most: u64,
    used: u64,
    next: u64,
    /// The waiting queue, first come, first served.
    waiting: VecDeque<u64>,
}

/// Why memory was not reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The request exceeds the whole budget.
    #[error(
        "{needed} bytes of memory are needed, and {most} may be used; allow more, or work on a smaller image"
    )]
    NeverFits {
        /// Bytes requested.
        needed: u64,
        /// The whole budget.
        most: u64,
    },
    /// The deadline passed while waiting.
    #[error("no memory became free in the time allowed; allow more of either")]
    TimedOut,
}

impl MemoryBudget {
    /// A budget of `bytes` bytes.
    pub fn new(bytes: u64) -> MemoryBudget {
        let state = State { most: bytes, used: 0, next: 0, waiting: VecDeque::new() };
        MemoryBudget { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The budget of this process, shared by all image readers: half of the machine's memory, at most 2 GiB, unless
    /// set by [`set_bytes`](Self::set_bytes).
    pub fn of_process() -> &'static MemoryBudget {
        static BUDGET: LazyLock<MemoryBudget> =
            LazyLock::new(|| MemoryBudget::new(machine_bytes().map_or(MOST, |bytes| (bytes / 2).min(MOST))));
        &BUDGET
    }

    /// The whole budget in bytes.
    pub fn bytes(&self) -> u64 {
        self.state().most
    }

    /// Bytes reserved at the moment.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Sets the whole budget; existing reservations stay.
    pub fn set_bytes(&self, bytes: u64) {
        self.state().most = bytes;
        self.changed.notify_all();
    }

    /// Reserves memory, waiting in order of request until it is available or the deadline has passed. It is released on drop.
    ///
    /// # Errors
    /// [`MemoryError::NeverFits`] immediately if it exceeds the whole budget; [`MemoryError::TimedOut`].
    pub fn take(&self, bytes: u64, deadline: Option<Instant>) -> Result<MemoryShare<'_>, MemoryError> {
        let held = HELD.get();
        let mut state = self.state();
        let never_fits = |state: &State| {
            (bytes > state.most).then_some(MemoryError::NeverFits { needed: bytes, most: state.most })
        };
        if let Some(error) = never_fits(&state) {
            return Err(error);
        }
        if held > 0 {
            return Ok(self.share(&mut state, bytes.saturating_sub(held)));
        }
        let turn = state.next;
        state.next += 1;
        state.waiting.push_back(turn);
        let done = loop {
            if let Some(error) = never_fits(&state) {
                break Err(error);
            }
            let is_first = state.waiting.front() == Some(&turn);
            if is_first && state.used.saturating_add(bytes) <= state.most {
                break Ok(self.share(&mut state, bytes));
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break Err(MemoryError::TimedOut),
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.waiting.retain(|other| *other != turn);
        drop(state);
        self.changed.notify_all();
        done
    }

    fn share(&self, state: &mut State, bytes: u64) -> MemoryShare<'_> {
        state.used += bytes;
        HELD.set(HELD.get() + bytes);
        MemoryShare { budget: self, bytes, of_thread: PhantomData }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reserved memory; released on drop.
#[derive(Debug)]
pub struct MemoryShare<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
    /// Not `Send`.
    of_thread: PhantomData<*const ()>,
}

impl Drop for MemoryShare<'_> {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(self.bytes));
        let mut state = self.budget.state();
        state.used = state.used.saturating_sub(self.bytes);
        drop(state);
        self.budget.changed.notify_all();
    }
}

/// Memory of the machine, or of this process's control group if limited; `None` where unknown.
fn machine_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let kib = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let total = read("/proc/meminfo").and_then(kib).map(|kib| kib << 10);
    let of_group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    total.into_iter().chain(of_group).min()
}
