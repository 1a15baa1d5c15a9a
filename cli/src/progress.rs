//! Progress on a terminal; hidden if standard error is not one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Progress bar on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over `total` items.
    pub(crate) fn new(total: u64, label: &'static str) -> Self {
        Self::styled(total, label, "{prefix:>10} {wide_bar} {pos}/{len}  {msg}")
    }

    /// A bar over the fraction of a budget, 0 to 1, with a message.
    pub(crate) fn of_share(label: &'static str) -> Self {
        Self::styled(SHARES, label, "{prefix:>10} {wide_bar} {percent:>3} %  {msg}")
    }

    fn styled(total: u64, label: &'static str, template: &str) -> Self {
        // The target is hidden where standard error is not a terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label);
        Self { bar }
    }

    /// Counts one item.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// A function that prints a line on standard error, above the bar if there is one.
    pub(crate) fn teller(&self) -> impl Fn(&str) + Send + 'static {
        let bar = self.bar.clone();
        move |line| {
            bar.suspend(|| output::tell(line));
        }
    }

    /// Sets the number of items done, and in all.
    pub(crate) fn at(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    /// Sets the fraction of the budget used.
    pub(crate) fn share(&self, share: f64, message: String) {
        self.bar.set_position((share.clamp(0.0, 1.0) * SHARES as f64) as u64);
        self.bar.set_message(message);
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

const SHARES: u64 = 1000;

/// Locks a mutex, even if a thread panicked while holding it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duration in words.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..100 => format!("{whole} s"),
        100..6000 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}
