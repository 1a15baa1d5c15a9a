//! Trainings and tunings.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use infomark_train::{ComputeOn, Paths, Progress, Scoring, TuneConfig};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::encoder::Encoder;
use crate::error::{raise, refuse};
use crate::views::config;

/// What a training tells, as the callback gets it; nothing for what it does not.
fn event<'py>(py: Python<'py>, progress: &Progress) -> PyResult<Option<Bound<'py, PyDict>>> {
    let event = PyDict::new(py);
    match progress {
        Progress::Computing { scoring_and_loss, .. } => {
            event.set_item("event", "computing")?;
            event.set_item("scoring_and_loss", scoring_and_loss)?;
        }
        Progress::Reading { done, total } => {
            event.set_item("event", "reading")?;
            event.set_item("done", done)?;
            event.set_item("total", total)?;
        }
        Progress::Estimated { step, tuned } => {
            event.set_item("event", "estimated")?;
            event.set_item("step", step)?;
            event.set_item("policy", serde_json::to_string(&tuned.policy()).map_err(raise)?)?;
        }
        Progress::Scored { step, mre_mm } => {
            event.set_item("event", "scored")?;
            event.set_item("step", step)?;
            event.set_item("mre_mm", mre_mm)?;
        }
        Progress::Step { step, fraction, loss, levels, psi, images_per_second, seconds_left } => {
            event.set_item("event", "step")?;
            event.set_item("step", step)?;
            event.set_item("fraction", fraction)?;
            event.set_item("loss", loss)?;
            event.set_item("levels", levels)?;
            event.set_item("psi", psi)?;
            event.set_item("images_per_second", images_per_second)?;
            event.set_item("seconds_left", seconds_left)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(event))
}

/// Trains; the callback is called in the caller's thread, the training waits for it meanwhile.
#[pyfunction]
pub(crate) fn train<'py>(
    py: Python<'py>,
    options: &str,
    threads: usize,
    paths: (PathBuf, PathBuf, PathBuf),
    score: Option<(PathBuf, usize)>,
    resume: bool,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut options = config(options)?;
    options.threads = threads;
    let (images, out, run) = paths;
    let score = score.map(|(data, templates)| Scoring { data, templates });
    let paths = Paths { images, out, run, score };
    let stop = AtomicBool::new(false);
    let (tell, told) = channel::<(Progress, SyncSender<()>)>();
    let told = Mutex::new(told);
    let mut raised = None;
    let done = std::thread::scope(|scope| {
        let (options, paths, stop) = (&options, &paths, &stop);
        let worker = scope.spawn(move || {
            let tell = Mutex::new(tell);
            let mut progress = |progress: Progress| {
                let (answer, answered) = sync_channel(1);
                let tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
                if tell.send((progress, answer)).is_ok() {
                    let _ = answered.recv();
                }
                if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            if resume {
                infomark_train::resume(paths, threads, ComputeOn::Auto, &mut progress)
            } else {
                infomark_train::train(options, paths, &mut progress)
            }
        });
        loop {
            let next = py.detach(|| {
                let told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.recv_timeout(Duration::from_millis(100))
            });
            let outcome = match &next {
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Ok((progress, _)) => {
                    tell_python(py, callback.as_ref().filter(|_| raised.is_none()), progress, stop)
                }
            };
            if let Err(error) = outcome.and_then(|()| py.check_signals()) {
                stop.store(true, Ordering::Relaxed);
                // The first is what the user asks about.
                raised.get_or_insert(error);
            }
            if let Ok((_, answer)) = next {
                let _ = answer.send(());
            }
        }
        py.detach(|| worker.join())
    });
    let summary = done.map_err(|_| PyRuntimeError::new_err("the training panicked: please report it"))?;
    if let Some(error) = raised {
        return Err(error);
    }
    let summary = summary.map_err(raise)?;
    let dict = PyDict::new(py);
    dict.set_item("steps", summary.steps)?;
    dict.set_item("seconds", summary.seconds)?;
    dict.set_item("loss", summary.loss)?;
    dict.set_item("images", summary.images)?;
    dict.set_item("input", (summary.input.width(), summary.input.height()))?;
    dict.set_item("sha256", summary.sha256)?;
    dict.set_item("stopped", summary.stopped)?;
    dict.set_item("stalled", summary.stalled)?;
    dict.set_item("scoring_and_loss", summary.scoring_and_loss)?;
    dict.set_item("scores", summary.scores)?;
    Ok(dict)
}

/// Calls the callback; one that returns False stops the training.
fn tell_python(
    py: Python<'_>,
    callback: Option<&Bound<'_, PyAny>>,
    progress: &Progress,
    stop: &AtomicBool,
) -> PyResult<()> {
    let (Some(callback), Some(event)) = (callback, event(py, progress)?) else { return Ok(()) };
    if callback.call1((event,))?.extract::<bool>().is_ok_and(|goes_on| !goes_on) {
        stop.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Tunes; gives the result as JSON and as the policy file's text.
#[pyfunction]
pub(crate) fn tune(
    py: Python<'_>,
    images: PathBuf,
    encoder: &Encoder,
    options: &str,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<(String, String)> {
    let options: TuneConfig =
        serde_json::from_str(options).map_err(|error| refuse(format!("options: {error}")))?;
    let options = TuneConfig { threads, ..options };
    let (encoder, raised) = (&encoder.inner, Mutex::new(None));
    let tuned = py.detach(|| {
        infomark_train::tune(&images, encoder, &options, &|done, total| {
            if let Some(progress) = &progress {
                let called = Python::attach(|py| progress.call1(py, (done, total)).map(drop));
                if let Err(error) = called {
                    raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        })
    });
    if let Some(error) = raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let tuned = tuned.map_err(raise)?;
    Ok((serde_json::to_string(&tuned).map_err(raise)?, toml::to_string(&tuned).map_err(raise)?))
}
