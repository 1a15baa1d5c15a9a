//! The time of a training: the clock it is read from, and the stopwatch that leaves pauses out.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Monotonic clock: the system's, or one that a test sets.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub(crate) fn system() -> Self {
        let begun = Instant::now();
        Self::new(move || begun.elapsed())
    }

    /// A clock whose time is what `now` returns; it must not go back.
    pub(crate) fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Time since an arbitrary start.
    fn now(&self) -> Duration {
        (self.0)()
    }
}

/// Measures the time since its start, without pauses.
pub(crate) struct Stopwatch {
    clock: Clock,
    begun: Duration,
}

impl Stopwatch {
    /// Starts at the clock's present time.
    pub(crate) fn start(clock: &Clock) -> Self {
        Self { clock: clock.clone(), begun: clock.now() }
    }

    /// Seconds since the start, without pauses.
    pub(crate) fn seconds(&self) -> f64 {
        self.clock.now().saturating_sub(self.begun).as_secs_f64()
    }

    /// Does `work`, whose time is not counted.
    pub(crate) fn pause<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let paused = self.clock.now();
        let done = work();
        self.begun += self.clock.now().saturating_sub(paused);
        done
    }
}

/// Images per second of steps of `seconds` each; finite where the clock saw no time pass.
pub(crate) fn images_per_second(batch: usize, seconds: f64) -> f64 {
    batch as f64 / seconds.max(1e-9)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_stopwatch_counts_what_passes_outside_its_pauses() {
        let time = Arc::new(AtomicU64::new(7));
        let read = Arc::clone(&time);
        let pass = |seconds| time.fetch_add(seconds, Ordering::Relaxed);
        let clock = Clock::new(move || Duration::from_secs(read.load(Ordering::Relaxed)));
        let mut watch = Stopwatch::start(&clock);
        pass(2);
        assert_eq!(watch.seconds(), 2.0);
        assert_eq!(watch.pause(|| pass(100)), 9);
        assert_eq!(watch.seconds(), 2.0);
        pass(3);
        assert_eq!(watch.seconds(), 5.0);
        time.store(0, Ordering::Relaxed);
        assert_eq!(watch.seconds(), 0.0, "a clock that was set back");
    }

    #[test]
    fn the_systems_clock_goes_on() {
        let watch = Stopwatch::start(&Clock::system());
        std::thread::sleep(Duration::from_millis(20));
        let seconds = watch.seconds();
        assert!((0.02..60.0).contains(&seconds), "{seconds}");
    }
}
