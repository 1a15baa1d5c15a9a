//! Clock of a training, and a stopwatch that excludes pauses.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Monotonic clock: the system's, or a test's.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub(crate) fn system() -> Self {
        let begun = Instant::now();
        Self::new(move || begun.elapsed())
    }

    /// A clock with the time that `now` returns, which must not go back.
    pub(crate) fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Time since an arbitrary start.
    fn now(&self) -> Duration {
        (self.0)()
    }
}

/// Stopwatch that excludes pauses.
pub(crate) struct Stopwatch {
    clock: Clock,
    begun: Duration,
}

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start(clock: &Clock) -> Self {
        Self { clock: clock.clone(), begun: clock.now() }
    }

    /// Seconds since the start, excluding pauses.
    pub(crate) fn seconds(&self) -> f64 {
        self.clock.now().saturating_sub(self.begun).as_secs_f64()
    }

    /// Runs `work` without counting its time.
    pub(crate) fn pause<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let paused = self.clock.now();
        let done = work();
        self.begun += self.clock.now().saturating_sub(paused);
        done
    }
}

/// Images per second at `seconds` per step; finite for a time of 0.
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
