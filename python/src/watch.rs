//! Long-running work that Ctrl-C and callbacks can stop: it runs on another thread, while the caller's serves Python.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::raise;

/// Progress callback of the work, which waits until it is handled; it returns whether to continue.
pub(crate) type Tell<'a, P> = &'a mut (dyn FnMut(P) -> ControlFlow<()> + Send);

/// Runs `work`, and passes its progress to `hear` on the caller's thread. The work is stopped when `hear` says so or fails, and
/// by Ctrl-C; the first exception is raised once it has ended.
pub(crate) fn watched<P: Send, T: Send, E: std::error::Error + Send>(
    py: Python<'_>,
    mut hear: impl FnMut(P) -> PyResult<ControlFlow<()>>,
    work: impl FnOnce(Tell<'_, P>) -> Result<T, E> + Send,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (tell, told) = channel::<(P, SyncSender<()>)>();
    let told = Mutex::new(told);
    let mut raised = None;
    let done = std::thread::scope(|scope| {
        let stop = &stop;
        let worker = scope.spawn(move || {
            work(&mut move |progress| {
                let (answer, answered) = sync_channel(1);
                if tell.send((progress, answer)).is_ok() {
                    // With or without an answer, the caller has handled it.
                    let _ = answered.recv();
                }
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        loop {
            let next = py.detach(|| {
                let told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.recv_timeout(Duration::from_millis(100))
            });
            let (heard, answer) = match next {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => (Ok(ControlFlow::Continue(())), None),
                Ok((_, answer)) if raised.is_some() => (Ok(ControlFlow::Break(())), Some(answer)),
                Ok((progress, answer)) => (hear(progress), Some(answer)),
            };
            match heard.and_then(|heard| py.check_signals().map(|()| heard)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => stop.store(true, Ordering::Relaxed),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    // The first one is the user's.
                    raised.get_or_insert(error);
                }
            }
            if let Some(answer) = answer {
                // Nobody waits for it once the work has ended.
                let _ = answer.send(());
            }
        }
        py.detach(|| worker.join())
    });
    let done = done.map_err(|_| PyRuntimeError::new_err("the work panicked: please report it"));
    match raised {
        Some(error) => Err(error),
        None => done?.map_err(raise),
    }
}

/// A callback that receives the number of items done and their total.
pub(crate) fn counted<'py>(
    progress: Option<Bound<'py, PyAny>>,
) -> impl FnMut((usize, usize)) -> PyResult<ControlFlow<()>> + 'py {
    move |(done, total)| {
        if let Some(progress) = &progress {
            progress.call1((done, total))?;
        }
        Ok(ControlFlow::Continue(()))
    }
}
