//! Landmarks found in images, one by one or in many.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use infomark_core::Spacing;
use infomark_infer::{
    DetectError, DetectFiles, Detection, Detector, ErrorCalibration, Found, JudgeOptions, Judgement, Located,
    MatchOptions, Next, PixelSpacing, ordered, read_image,
};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::array::rows;
use crate::encoder::{Encoder, Template};
use crate::error::raise;
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
/// What was found; bounds on the errors in pixels and mm; which points are abstained from; agreement, whether the image is
/// recognised and mirrored, and its quarter turns; whether it was reoriented.
type Judged<'py> =
    (Table<'py>, Column<'py>, Column<'py>, Bound<'py, PyArray1<bool>>, (f64, bool, bool, u8), bool);

fn column<'py, T>(py: Python<'py>, of: &[T], value: impl Fn(&T) -> Option<f64>) -> Column<'py> {
    of.iter().map(|one| value(one).unwrap_or(f64::NAN)).collect::<Vec<f64>>().into_pyarray(py)
}

fn table<'py>(py: Python<'py>, found: &[&Found]) -> PyResult<Table<'py>> {
    Ok((
        found.iter().map(|found| found.name.clone()).collect(),
        rows(py, found.iter().map(|found| found.at))?,
        column(py, found, |found| Some(found.score)),
        column(py, found, |found| Some(found.confidence.margin)),
        column(py, found, |found| found.confidence.back),
        column(py, found, |found| found.confidence.prior),
        column(py, found, |found| found.confidence.spread),
        column(py, found, |found| Some(found.confidence.scale)),
    ))
}

fn judged<'py>(py: Python<'py>, judgement: &Judgement) -> PyResult<Judged<'py>> {
    let Judgement { recognition, reoriented, landmarks } = judgement;
    let found: Vec<&Found> = landmarks.iter().map(|landmark| &landmark.found).collect();
    let abstain: Vec<bool> = landmarks.iter().map(|landmark| landmark.abstain).collect();
    let orientation = recognition.orientation;
    Ok((
        table(py, &found)?,
        column(py, landmarks, |landmark| Some(landmark.error_bound_px)),
        column(py, landmarks, |landmark| landmark.error_bound_mm),
        abstain.into_pyarray(py),
        (
            recognition.agreement,
            recognition.is_recognised(),
            orientation.is_mirrored(),
            orientation.quarter_turns(),
        ),
        *reoriented,
    ))
}

/// How landmarks are looked for: whether by neighbours, by the rest of the image, and how far from there in pixels.
pub(crate) fn match_options((neighbours, prior, prior_sigma): (bool, bool, f32)) -> PyResult<MatchOptions> {
    let options = MatchOptions { neighbours, prior, prior_sigma, ..MatchOptions::default() };
    options.check().map_err(raise)?;
    Ok(options)
}

/// The size of pixels that was given.
fn given(spacing: Option<(f64, f64)>) -> PyResult<Option<PixelSpacing>> {
    let given = |(x, y)| Spacing::new(x, y).map(PixelSpacing::given).map_err(raise);
    spacing.map(given).transpose()
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
        Ok(Self { inner: inner.options(options).map_err(raise)? })
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
        let found = py.detach(|| matcher.find(&image)).map_err(raise)?;
        table(py, &found.iter().collect::<Vec<_>>())
    }

    fn find_all(&self, paths: Vec<PathBuf>, threads: usize) -> PyResult<FolderMatches> {
        let matcher = self.inner.clone();
        let one = move |path: &PathBuf| Ok(Seen::Found(matcher.find(&read_image(path)?)?));
        let stop = Arc::new(AtomicBool::new(false));
        let mut results = ordered(paths.clone(), threads, Arc::clone(&stop), one).map_err(raise)?;
        Ok(FolderMatches::new(paths, Box::new(move |time| results.next_within(time)), stop))
    }
}

/// What judges a matcher's points.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Judge {
    inner: Arc<infomark_infer::Judge>,
}

#[pymethods]
impl Judge {
    #[new]
    fn new(
        py: Python<'_>,
        matcher: &Matcher,
        calibration: Option<PathBuf>,
        coverage: Option<f64>,
        abstain_above_mm: Option<f64>,
        abstain_below_score: Option<f64>,
        fix_orientation: bool,
    ) -> PyResult<Self> {
        let calibration = calibration.map(|path| py.detach(|| ErrorCalibration::load(path)));
        let calibration = calibration.transpose().map_err(raise)?;
        let options =
            JudgeOptions { calibration, coverage, abstain_above_mm, abstain_below_score, fix_orientation };
        let matcher = matcher.inner.clone();
        let judge = py.detach(|| infomark_infer::Judge::new(matcher, &options));
        Ok(Self { inner: Arc::new(judge.map_err(raise)?) })
    }

    /// Share of errors that the bounds hold for, and whether a calibration promises it.
    fn coverage(&self) -> (f64, bool) {
        (self.inner.coverage(), self.inner.is_calibrated())
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        pixels: PyReadonlyArray2<'py, f32>,
        spacing: Option<(f64, f64)>,
    ) -> PyResult<Judged<'py>> {
        let (image, judge) = (image(name, &pixels)?, &self.inner);
        let image = match given(spacing)? {
            Some(spacing) => image.with_spacing(spacing),
            None => image,
        };
        judged(py, &py.detach(|| judge.find(&image, None)).map_err(raise)?)
    }

    fn find_all(
        &self,
        paths: Vec<PathBuf>,
        spacing: Option<(f64, f64)>,
        threads: usize,
    ) -> PyResult<FolderMatches> {
        FolderMatches::of(&Detector::Matching(Arc::clone(&self.inner)), paths, given(spacing)?, threads)
    }
}

/// What is found in an image.
enum Seen {
    Found(Vec<Found>),
    Judged(Judgement),
    Located(Vec<Located>),
}

impl From<Detection> for Seen {
    fn from(detection: Detection) -> Self {
        match detection {
            Detection::Matched(judgement) => Self::Judged(judgement),
            Detection::Located(located) => Self::Located(located),
            Detection::Checked(location) => Self::Located(location.landmarks),
        }
    }
}

/// Matches of many images, in their order.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct FolderMatches {
    paths: Vec<PathBuf>,
    /// Threads of its own: none is shared with other calls, or with a process that was forked.
    state: Mutex<State>,
    stop: Arc<AtomicBool>,
    process: u32,
}

/// The next result, if it comes within a time.
type Step = Box<dyn FnMut(Duration) -> Next<Result<Seen, DetectError>> + Send>;

struct State {
    step: Step,
    next: usize,
}

impl FolderMatches {
    /// The landmarks of each image by a detector, with a pixel size where one is given.
    pub(crate) fn of(
        detector: &Detector,
        paths: Vec<PathBuf>,
        spacing: Option<PixelSpacing>,
        threads: usize,
    ) -> PyResult<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let options = DetectFiles { threads, spacing, stop: Arc::clone(&stop), ..DetectFiles::default() };
        let mut results = detector.detect_files(paths.clone(), options).map_err(raise)?;
        let step = move |time| results.next_within(time).map(|detection| detection.map(Seen::from));
        Ok(Self::new(paths, Box::new(step), stop))
    }

    fn new(paths: Vec<PathBuf>, step: Step, stop: Arc<AtomicBool>) -> Self {
        Self { paths, state: Mutex::new(State { step, next: 0 }), stop, process: std::process::id() }
    }
}

/// The image's path, and the columns of what was found or why nothing was.
type Item<'py> = (PathBuf, Option<Bound<'py, PyAny>>, Option<String>);

#[pymethods]
impl FolderMatches {
    fn __len__(&self) -> usize {
        self.paths.len()
    }

    fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Item<'py>>> {
        if std::process::id() != self.process {
            let text = "these matches belong to the process that was forked: call match_folder again here";
            return Err(PyRuntimeError::new_err(text));
        }
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            // The time between looks at Ctrl-C.
            let (place, next) = py.detach(|| {
                let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let next = (state.step)(Duration::from_millis(50));
                let place = state.next;
                state.next += usize::from(matches!(next, Next::Item(_)));
                (place, next)
            });
            match next {
                Next::Item(seen) => {
                    let path = self.paths.get(place).cloned().unwrap_or_default();
                    let columns = match seen {
                        Ok(Seen::Found(found)) => {
                            table(py, &found.iter().collect::<Vec<_>>())?.into_bound_py_any(py)
                        }
                        Ok(Seen::Judged(judgement)) => judged(py, &judgement)?.into_bound_py_any(py),
                        Ok(Seen::Located(found)) => places(py, &found)?.into_bound_py_any(py),
                        Err(error) => return Ok(Some((path, None, Some(error.to_string())))),
                    };
                    return Ok(Some((path, Some(columns?), None)));
                }
                Next::End => return Ok(None),
                Next::Pending => {}
            }
            if let Err(error) = py.check_signals() {
                self.close();
                return Err(error);
            }
        }
    }
}
