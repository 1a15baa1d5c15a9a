//! Matching of landmarks in one image or many.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use infomark_core::Spacing;
use infomark_infer::{
    CalibrationError, DetectError, Detection, Detector, EnsembleLandmark, ErrorCalibration, Found, Image,
    JudgeOptions, Judgement, Located, MatchOptions, Next, PixelSpacing, ordered, with_causes,
};
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::{places, rows};
use crate::encoder::{Encoder, Template};
use crate::error::raise;
use crate::rows::{Rows, image_rows};
use crate::source::{Source, SourceError};

type Column<'py> = Bound<'py, PyArray1<f64>>;
/// Names, points, scores, margins, cycle-consistency errors, distances to the prior, uncertainties, and scales.
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
/// Matches; error bounds in pixels and mm; abstentions; inlier_fraction, whether the image is
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
        column(py, found, |found| found.confidence.cycle_error),
        column(py, found, |found| found.confidence.prior),
        column(py, found, |found| Some(found.confidence.uncertainty)),
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
        column(py, landmarks, |landmark| landmark.error_bound_px),
        column(py, landmarks, |landmark| landmark.error_bound_mm),
        abstain.into_pyarray(py),
        (
            recognition.inlier_fraction,
            recognition.is_recognised(),
            orientation.is_mirrored(),
            orientation.quarter_turns(),
        ),
        *reoriented,
    ))
}

/// Matching options: neighbours, prior, and sigma of the prior in pixels.
pub(crate) fn match_options((neighbours, prior, prior_sigma): (bool, bool, f32)) -> PyResult<MatchOptions> {
    let options = MatchOptions { neighbours, prior, prior_sigma, ..MatchOptions::default() };
    options.check().map_err(raise)?;
    Ok(options)
}

/// The pixel size given by the caller.
pub(crate) fn given(spacing: Option<(f64, f64)>) -> PyResult<Option<PixelSpacing>> {
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

    fn find<'py>(&self, py: Python<'py>, image: Source) -> PyResult<Table<'py>> {
        let matcher = &self.inner;
        let image = py.detach(|| image.read_for(takes_reduced(matcher)))?;
        let found = py.detach(|| matcher.find(&image)).map_err(raise)?;
        table(py, &found.iter().collect::<Vec<_>>())
    }

    fn find_all(&self, images: Vec<Source>, threads: usize) -> PyResult<FolderMatches> {
        let matcher = self.inner.clone();
        let one = move |image: &Source| {
            let image = image.read_for(takes_reduced(&matcher))?;
            Ok(Seen::Found(matcher.find(&image).map_err(DetectError::from)?))
        };
        FolderMatches::new(images, threads, one)
    }
}

/// Whether a matcher gives the same results for reduced images.
fn takes_reduced(matcher: &infomark_infer::Matcher) -> bool {
    matcher.encoder().description().input.takes_reduced()
}

/// A judge of a matcher's points.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Judge {
    inner: Arc<infomark_infer::Judge>,
    /// The bytes of the calibration's file, for pickling.
    calibration: Option<Vec<u8>>,
}

#[pymethods]
impl Judge {
    /// `calibration` is a file, or its bytes.
    #[new]
    fn new(
        py: Python<'_>,
        matcher: &Matcher,
        calibration: Option<CalibrationFile>,
        coverage: Option<f64>,
        abstain_above_mm: Option<f64>,
        abstain_below_score: Option<f64>,
        fix_orientation: bool,
    ) -> PyResult<Self> {
        let read = |file| match file {
            CalibrationFile::Path(path) => {
                Ok::<_, CalibrationError>((path.display().to_string(), ErrorCalibration::read(path)?))
            }
            CalibrationFile::Bytes(bytes) => Ok(("calibration".to_owned(), bytes)),
        };
        let file = calibration.map(|file| py.detach(|| read(file))).transpose().map_err(raise)?;
        let (calibration, bytes) = match file {
            // The bundled calibration of this encoder and template, if any.
            None => infomark_models::calibration_of(&matcher.inner)
                .map_or((None, None), |(model, calibration)| {
                    (Some(calibration), model.calibration.map(<[u8]>::to_vec))
                }),
            Some((name, bytes)) => {
                (Some(ErrorCalibration::from_bytes(&bytes, name).map_err(raise)?), Some(bytes))
            }
        };
        let options =
            JudgeOptions { calibration, coverage, abstain_above_mm, abstain_below_score, fix_orientation };
        let matcher = matcher.inner.clone();
        let judge = py.detach(|| infomark_infer::Judge::new(matcher, &options));
        Ok(Self { inner: Arc::new(judge.map_err(raise)?), calibration: bytes })
    }

    /// The bytes of the calibration's file.
    fn calibration<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.calibration.as_ref().map(|bytes| PyBytes::new(py, bytes))
    }

    /// Coverage of the error bounds; `None` without a calibration.
    fn coverage(&self) -> Option<f64> {
        self.inner.coverage()
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        image: Source,
        spacing: Option<(f64, f64)>,
    ) -> PyResult<Judged<'py>> {
        let (spacing, judge) = (given(spacing)?, &self.inner);
        let image = sized(py.detach(|| image.read_for(judge.takes_reduced()))?, spacing.as_ref());
        judged(py, &py.detach(|| judge.find(&image, None)).map_err(raise)?)
    }

    fn find_all(
        &self,
        images: Vec<Source>,
        spacing: Option<(f64, f64)>,
        threads: usize,
    ) -> PyResult<FolderMatches> {
        FolderMatches::of(Detector::Matching(Arc::clone(&self.inner)), images, given(spacing)?, threads)
    }

    fn table(
        &self,
        images: Vec<Source>,
        spacing: Option<(f64, f64)>,
        threads: usize,
    ) -> PyResult<FolderMatches> {
        FolderMatches::rows(Detector::Matching(Arc::clone(&self.inner)), images, given(spacing)?, threads)
    }
}

/// A calibration from Python.
#[derive(FromPyObject)]
enum CalibrationFile {
    #[pyo3(transparent)]
    Path(PathBuf),
    #[pyo3(transparent)]
    Bytes(Vec<u8>),
}

/// An image with the pixel size given by the caller, if any.
pub(crate) fn sized(image: Image, spacing: Option<&PixelSpacing>) -> Image {
    match spacing {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    }
}

/// Detections in an image.
enum Seen {
    Found(Vec<Found>),
    Judged(Judgement),
    Located(Vec<Located>),
    Rows(Rows),
}

/// Why an image has no detections.
enum Failed {
    Source(SourceError),
    Detection(DetectError),
}

impl From<SourceError> for Failed {
    fn from(error: SourceError) -> Self {
        Failed::Source(error)
    }
}

impl From<DetectError> for Failed {
    fn from(error: DetectError) -> Self {
        Failed::Detection(error)
    }
}

impl Failed {
    fn text(&self) -> String {
        match self {
            Failed::Source(error) => error.text(),
            Failed::Detection(error) => with_causes(error),
        }
    }
}

/// Converts a landmark of an ensemble to one of a network.
fn located(EnsembleLandmark { name, at, score, .. }: EnsembleLandmark) -> Located {
    Located { name, at, probability: score }
}

impl From<Detection> for Seen {
    fn from(detection: Detection) -> Self {
        match detection {
            Detection::Matched(judgement) => Self::Judged(judgement),
            Detection::Located(located) => Self::Located(located),
            Detection::Checked(location) => Self::Located(location.landmarks),
            Detection::Ensemble(seen) => Self::Located(seen.landmarks.into_iter().map(located).collect()),
        }
    }
}

/// Matches of many images, in their order.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct FolderMatches {
    len: usize,
    /// Own threads, not shared with other calls, or with a forked process.
    step: Mutex<Step>,
    stop: Arc<AtomicBool>,
    process: u32,
}

/// The next result, if it is available within a time.
type Step = Box<dyn FnMut(Duration) -> Next<Result<Seen, Failed>> + Send>;

impl FolderMatches {
    /// The landmarks of each image by a detector, with a given pixel size, if any.
    pub(crate) fn of(
        detector: Detector,
        images: Vec<Source>,
        spacing: Option<PixelSpacing>,
        threads: usize,
    ) -> PyResult<Self> {
        let one = move |image: &Source| {
            let image = sized(image.read_for(detector.takes_reduced())?, spacing.as_ref());
            Ok(Seen::from(detector.detect(&image, None)?))
        };
        Self::new(images, threads, one)
    }

    /// [`of`](Self::of) as rows of a table.
    pub(crate) fn rows(
        detector: Detector,
        images: Vec<Source>,
        spacing: Option<PixelSpacing>,
        threads: usize,
    ) -> PyResult<Self> {
        let one = move |image: &Source| {
            let (image, sha256) = image.read_hashed(detector.takes_reduced())?;
            let image = sized(image, spacing.as_ref());
            let detection = detector.detect(&image, None)?;
            Ok(Seen::Rows(Rows {
                sha256,
                size: (image.width(), image.height()),
                spacing_mm: image.spacing().map(|spacing| (spacing.mm.x, spacing.mm.y)),
                recognition: detection.recognition_row(),
                landmarks: detection.rows(image.spacing()),
            }))
        };
        Self::new(images, threads, one)
    }

    fn new(
        images: Vec<Source>,
        threads: usize,
        one: impl Fn(&Source) -> Result<Seen, Failed> + Send + Sync + 'static,
    ) -> PyResult<Self> {
        let (len, stop) = (images.len(), Arc::new(AtomicBool::new(false)));
        let mut results = ordered(images, threads, Arc::clone(&stop), one).map_err(raise)?;
        let step: Step = Box::new(move |time| results.next_within(time));
        Ok(Self { len, step: Mutex::new(step), stop, process: std::process::id() })
    }
}

/// The columns of a result, or its error.
type Item<'py> = (Option<Bound<'py, PyAny>>, Option<String>);

#[pymethods]
impl FolderMatches {
    fn __len__(&self) -> usize {
        self.len
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
            // Interval of checks for Ctrl-C.
            let next = py.detach(|| {
                let step = &mut *self.step.lock().unwrap_or_else(PoisonError::into_inner);
                step(Duration::from_millis(50))
            });
            match next {
                Next::Item(seen) => {
                    let columns = match seen {
                        Ok(Seen::Found(found)) => {
                            table(py, &found.iter().collect::<Vec<_>>())?.into_bound_py_any(py)
                        }
                        Ok(Seen::Judged(judgement)) => judged(py, &judgement)?.into_bound_py_any(py),
                        Ok(Seen::Located(found)) => places(py, &found)?.into_bound_py_any(py),
                        Ok(Seen::Rows(rows)) => image_rows(rows).into_bound_py_any(py),
                        Err(error) => return Ok(Some((None, Some(error.text())))),
                    };
                    return Ok(Some((Some(columns?), None)));
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
