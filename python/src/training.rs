//! Training and tuning.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use infomark_train::{
    Alone, Begin, Exchange, LossTerms, Paths, Progress, PsiConfig, Scoring, TrainConfig, TuneConfig, give_up,
    train_with,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::encoder::Encoder;
use crate::error::{raise, refuse};
use crate::exchange::Engine;
use crate::views::config;
use crate::watch::{counted, watched};

/// Progress of a training as a dictionary for the callback; `None` for unreported events.
pub(crate) fn event<'py>(py: Python<'py>, progress: &Progress) -> PyResult<Option<Bound<'py, PyDict>>> {
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
        Progress::Labelling { done, total } => {
            event.set_item("event", "labelling")?;
            event.set_item("done", done)?;
            event.set_item("total", total)?;
        }
        Progress::Labels { round, rounds, labels } => {
            event.set_item("event", "labels")?;
            event.set_item("round", round)?;
            event.set_item("rounds", rounds)?;
            event.set_item("labels", serde_json::to_string(labels).map_err(raise)?)?;
        }
        Progress::Step { step, fraction, loss, terms, images_per_second, seconds_left } => {
            event.set_item("event", "step")?;
            event.set_item("step", step)?;
            event.set_item("fraction", fraction)?;
            event.set_item("loss", loss)?;
            match terms {
                LossTerms::Encoder { levels, psi } => {
                    event.set_item("levels", levels)?;
                    event.set_item("psi", psi)?;
                }
                LossTerms::Landmarks { heat, offset } => {
                    event.set_item("heat", heat)?;
                    event.set_item("offset", offset)?;
                }
            }
            event.set_item("images_per_second", images_per_second)?;
            event.set_item("seconds_left", seconds_left)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(event))
}

/// Calls the callback with an event, if both exist; False stops the training.
pub(crate) fn tell_python(
    callback: Option<&Bound<'_, PyAny>>,
    event: Option<Bound<'_, PyDict>>,
) -> PyResult<ControlFlow<()>> {
    let (Some(callback), Some(event)) = (callback, event) else { return Ok(ControlFlow::Continue(())) };
    let stops = callback.call1((event,))?.extract::<bool>().is_ok_and(|goes_on| !goes_on);
    Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
}

/// Whether a training starts or is resumed.
fn begin(resume: &str) -> PyResult<Begin> {
    match resume {
        "new" => Ok(Begin::New),
        "resume" => Ok(Begin::Resume),
        "auto" => Ok(Begin::Auto),
        _ => Err(refuse("resume: True, False or \"auto\"")),
    }
}

/// Trains; the callback is called on the caller's thread while the training waits.
///
/// `resume` is `new`, `resume` or `auto`; `exchange` connects the processes of a distributed training.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn train<'py>(
    py: Python<'py>,
    options: &str,
    threads: usize,
    paths: (PathBuf, PathBuf, PathBuf),
    score: Option<(PathBuf, usize)>,
    resume: &str,
    exchange: Option<Bound<'py, PyAny>>,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let engine = exchange.as_ref().map(Engine::of).transpose()?;
    let exchange: &dyn Exchange = engine.as_ref().map_or(&Alone, |engine| engine);
    let read = config(options).and_then(|options| Ok((options, begin(resume)?)));
    let (mut options, begin) = match read {
        Ok(read) => read,
        Err(error) => {
            // The other ranks would wait for this one.
            let reason = error.to_string();
            py.detach(|| give_up(exchange, &reason)).map_err(raise)?;
            return Err(error);
        }
    };
    options.threads = threads;
    let (images, out, run) = paths;
    let score = score.map(|(data, templates)| Scoring { data, templates });
    let paths = Paths { images, out, run, score };
    let hear = |progress: Progress| tell_python(callback.as_ref(), event(py, &progress)?);
    let summary = watched(py, hear, |tell| train_with(exchange, begin, &options, &paths, tell))?;
    let dict = PyDict::new(py);
    dict.set_item("steps", summary.steps)?;
    dict.set_item("seconds", summary.seconds)?;
    dict.set_item("loss", summary.loss)?;
    dict.set_item("images", summary.images)?;
    dict.set_item("input_shape", (summary.input.height(), summary.input.width()))?;
    dict.set_item("sha256", summary.sha256)?;
    dict.set_item("stopped", summary.stopped)?;
    dict.set_item("stopped_early", summary.stopped_early)?;
    dict.set_item("scoring_and_loss", summary.scoring_and_loss)?;
    dict.set_item("scores", summary.scores)?;
    Ok(dict)
}

/// Tunes; returns the result as JSON and as the policy file's text.
#[pyfunction]
pub(crate) fn tune(
    py: Python<'_>,
    images: PathBuf,
    encoder: &Encoder,
    options: &str,
    threads: usize,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<(String, String)> {
    let options: TuneConfig =
        serde_json::from_str(options).map_err(|error| refuse(format!("options: {error}")))?;
    let options = TuneConfig { threads, ..options };
    let encoder = &encoder.inner;
    let tuned = watched(py, counted(progress), |tell| {
        let tell = Mutex::new(tell);
        infomark_train::tune(&images, encoder, &options, &|done, total| {
            // It cannot be stopped before its end.
            let _ = tell.lock().unwrap_or_else(PoisonError::into_inner)((done, total));
        })
    })?;
    Ok((serde_json::to_string(&tuned).map_err(raise)?, toml::to_string(&tuned).map_err(raise)?))
}

/// Measures the stability of features in views; returns the result as JSON.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn psi(
    py: Python<'_>,
    images: PathBuf,
    encoder: &Encoder,
    options: &str,
    views: usize,
    bins: usize,
    seed: u64,
    threads: usize,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let defaults = PsiConfig::default();
    let mut training: TrainConfig = config(options)?;
    training.seed = seed;
    training.sampling.pixels = defaults.training.sampling.pixels;
    let options = PsiConfig { views, bins, training, threads };
    let encoder = &encoder.inner;
    let measured = watched(py, counted(progress), |tell| {
        let tell = Mutex::new(tell);
        infomark_train::psi(&images, encoder, &options, &|done, total| {
            // It cannot be stopped before its end.
            let _ = tell.lock().unwrap_or_else(PoisonError::into_inner)((done, total));
        })
    })?;
    serde_json::to_string(&measured).map_err(raise)
}
