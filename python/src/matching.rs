//! Landmarks found in images, one by one or in many.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use infomark_infer::{Found, Image, LandmarkNet, Located, MatchOptions, read_image};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::array::rows;
use crate::encoder::{Encoder, Template};
use crate::error::{raise, refuse};
use crate::network::places;
use crate::views::image;

type Column<'py> = Bound<'py, PyArray1<f64>>;
/// Names, points, scores, margins, distances after matching back, from the prior, and of the looks, and scales.
type Table<'py> = (
    Vec<String>,
    Bound<'py, PyArray2<f64>>,
    Column<'py>,
    Column<'py>,
    Column<'py>,
    Column<'py>,
    Column<'py>,
    Column<'py>,
);

fn table<'py>(py: Python<'py>, found: &[Found]) -> PyResult<Table<'py>> {
    let column = |value: fn(&Found) -> Option<f64>| {
        let values: Vec<f64> = found.iter().map(|found| value(found).unwrap_or(f64::NAN)).collect();
        values.into_pyarray(py)
    };
    Ok((
        found.iter().map(|found| found.name.clone()).collect(),
        rows(py, found.iter().map(|found| found.at))?,
        column(|found| Some(found.score)),
        column(|found| Some(found.confidence.margin)),
        column(|found| found.confidence.back),
        column(|found| found.confidence.prior),
        column(|found| found.confidence.spread),
        column(|found| Some(found.confidence.scale)),
    ))
}

/// How landmarks are looked for: whether by neighbours, by the rest of the image, and how far from there in pixels.
pub(crate) fn match_options((neighbours, prior, prior_sigma): (bool, bool, f32)) -> PyResult<MatchOptions> {
    if !(prior_sigma >= 1.0 && prior_sigma.is_finite()) {
        return Err(refuse(format!("prior_sigma {prior_sigma}: give at least 1 pixel")));
    }
    Ok(MatchOptions { neighbours, prior, prior_sigma, ..MatchOptions::default() })
}

/// An encoder with templates.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Matcher {
    pub(crate) inner: infomark_infer::Matcher,
}

#[pymethods]
impl Matcher {
    #[new]
    fn new(
        encoder: &Encoder,
        templates: Vec<PyRef<'_, Template>>,
        neighbours: bool,
        prior: bool,
        prior_sigma: f32,
    ) -> PyResult<Self> {
        let options = match_options((neighbours, prior, prior_sigma))?;
        let templates = templates.iter().map(|template| template.inner.clone());
        let inner = infomark_infer::Matcher::new(Arc::clone(&encoder.inner), templates).map_err(raise)?;
        Ok(Self { inner: inner.options(options) })
    }

    fn landmarks(&self) -> Vec<&str> {
        self.inner.landmarks()
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        pixels: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Table<'py>> {
        let (image, matcher) = (image(name, &pixels)?, &self.inner);
        table(py, &py.detach(|| matcher.find(&image)).map_err(raise)?)
    }

    fn find_all(&self, paths: Vec<PathBuf>, threads: usize) -> PyResult<FolderMatches> {
        FolderMatches::start(Finder::Matcher(self.inner.clone()), paths, threads)
    }
}

/// What finds landmarks in the images of a folder. It is cheap to clone.
#[derive(Clone)]
pub(crate) enum Finder {
    Matcher(infomark_infer::Matcher),
    Network(Arc<LandmarkNet>),
}

impl Finder {
    fn find(&self, image: &Image) -> Result<Seen, String> {
        match self {
            Self::Matcher(matcher) => matcher.find(image).map(Seen::Matched).map_err(|e| e.to_string()),
            Self::Network(network) => network.find(image).map(Seen::Located).map_err(|e| e.to_string()),
        }
    }
}

/// Landmarks of an image, by either way.
enum Seen {
    Matched(Vec<Found>),
    Located(Vec<Located>),
}

type Done = (usize, Result<Seen, String>);

/// Matches of many images, in their order.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct FolderMatches {
    paths: Vec<PathBuf>,
    state: Mutex<State>,
    stop: Arc<AtomicBool>,
    process: u32,
}

struct State {
    done: Receiver<Done>,
    /// Those that came before their turn.
    waiting: BTreeMap<usize, Result<Seen, String>>,
    next: usize,
    /// Threads of its own: none is shared with other calls, or with a process that was forked.
    _pool: rayon::ThreadPool,
}

impl FolderMatches {
    pub(crate) fn start(finder: Finder, paths: Vec<PathBuf>, threads: usize) -> PyResult<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| refuse(format!("can't start {threads} threads: {error}")))?;
        let (tell, done) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        for (place, path) in paths.iter().cloned().enumerate() {
            let (finder, tell, stop) = (finder.clone(), tell.clone(), Arc::clone(&stop));
            pool.spawn_fifo(move || {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let found = read_image(path).map_err(|error| error.to_string());
                let found = found.and_then(|image| finder.find(&image));
                // Nobody listens after a stop.
                let _ = tell.send((place, found));
            });
        }
        let state = Mutex::new(State { done, waiting: BTreeMap::new(), next: 0, _pool: pool });
        Ok(Self { paths, state, stop, process: std::process::id() })
    }
}

impl Drop for FolderMatches {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The image's path, and the columns of what was found or why nothing was.
type Next<'py> = (PathBuf, Option<Bound<'py, PyAny>>, Option<String>);

#[pymethods]
impl FolderMatches {
    fn __len__(&self) -> usize {
        self.paths.len()
    }

    fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Next<'py>>> {
        if std::process::id() != self.process {
            let text = "these matches belong to the process that was forked: call match_folder again here";
            return Err(PyRuntimeError::new_err(text));
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            // The time between looks at Ctrl-C.
            let step = py.detach(|| {
                let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(found) = state.waiting.remove(&state.next) {
                    state.next += 1;
                    return Some(Ok((state.next - 1, found)));
                }
                match state.done.recv_timeout(Duration::from_millis(50)) {
                    Ok((place, found)) => {
                        state.waiting.insert(place, found);
                        None
                    }
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => Some(Err(state.next)),
                }
            });
            match step {
                Some(Ok((place, found))) => {
                    let path = self.paths.get(place).cloned().unwrap_or_default();
                    return Ok(Some(match found {
                        Ok(Seen::Matched(found)) => {
                            (path, Some(table(py, &found)?.into_bound_py_any(py)?), None)
                        }
                        Ok(Seen::Located(found)) => {
                            (path, Some(places(py, &found)?.into_bound_py_any(py)?), None)
                        }
                        Err(error) => (path, None, Some(error)),
                    }));
                }
                Some(Err(next)) if next >= self.paths.len() => return Ok(None),
                Some(Err(_)) => return Err(PyRuntimeError::new_err("the matching ended before all images")),
                None => {}
            }
            if let Err(error) = py.check_signals() {
                self.close();
                return Err(error);
            }
        }
    }
}
