//! The memory of the process: readers and workers draw from one budget before they ask for memory, and wait for their share.

use std::cell::Cell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Most bytes of a budget that nobody has set.
const MOST: u64 = 2 << 30;

thread_local! {
    /// Bytes that this thread holds.
    static HELD: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that may be in use at a time, drawn from by estimates that headers give.
///
/// A thread that holds a share already is never made to wait, as what it waits for could be its own: its share covers what it draws, and what
/// goes beyond that is counted.
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
    /// Those who wait, first come first.
    waiting: VecDeque<u64>,
}

/// Why no share of the memory is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// More than the whole budget.
    #[error(
        "{needed} bytes of memory are needed, and {most} may be used; allow more, or work on a smaller image"
    )]
    NeverFits {
        /// Bytes asked for.
        needed: u64,
        /// The whole budget.
        most: u64,
    },
    /// The deadline passed while others held the memory.
    #[error("no memory became free in the time allowed; allow more of either")]
    TimedOut,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> MemoryBudget {
        let state = State { most: bytes, used: 0, next: 0, waiting: VecDeque::new() };
        MemoryBudget { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The budget of this process, which all readers of images draw from: half of the machine's memory, at most 2 GiB, until
    /// [`set_bytes`](Self::set_bytes) says otherwise.
    pub fn of_process() -> &'static MemoryBudget {
        static BUDGET: LazyLock<MemoryBudget> =
            LazyLock::new(|| MemoryBudget::new(machine_bytes().map_or(MOST, |bytes| (bytes / 2).min(MOST))));
        &BUDGET
    }

    /// The whole budget in bytes.
    pub fn bytes(&self) -> u64 {
        self.state().most
    }

    /// Bytes that are drawn at the moment.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Changes the whole budget; shares that are held stay.
    pub fn set_bytes(&self, bytes: u64) {
        self.state().most = bytes;
        self.changed.notify_all();
    }

    /// Waits for a share of so many bytes, in the order of asking, until it is there or a deadline has passed. It is given back when it is dropped.
    ///
    /// # Errors
    /// [`MemoryError::NeverFits`] at once for more than the whole budget; [`MemoryError::TimedOut`].
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

/// Memory that a thread may use; it goes back to its budget when it is dropped.
#[derive(Debug)]
pub struct MemoryShare<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
    /// Stays on its thread.
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

/// Memory of the machine, or of the group of processes that this one is limited with; none where the system does not say.
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
