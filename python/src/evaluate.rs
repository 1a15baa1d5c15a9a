//! Evaluation on annotated images, and selection of images to annotate.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use infomark_core::{Point, Spacing, radial_error_mm};
use infomark_eval::{
    Annotator, ErrorTable, EvalError, Evaluation, ImageErrors, Run, Score, ScoredImage, thread_pool,
};
use infomark_infer::{DataSet, Landmark, Sample, read_image_size};
use infomark_train::{RunError, TrainError};
use numpy::ndarray::{Array2, Array3};
use numpy::{IntoPyArray, PyArray2, PyArray3, PyReadonlyArray2, PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::array::layout;
use crate::encoder::Encoder;
use crate::error::{raise, refuse};
use crate::matching::{Matcher, match_options};
use crate::network::LandmarkNetwork;
use crate::watch::{Tell, counted, watched};

/// A data set from Python: name, spacing, landmarks, images, and points `(images, landmarks, 2)`, NaN where missing.
type Folder<'py> = (String, (f64, f64), Vec<String>, Vec<PathBuf>, PyReadonlyArray3<'py, f64>);

fn data_set((name, spacing, landmarks, paths, points): Folder<'_>) -> PyResult<DataSet> {
    let spacing = Spacing::new(spacing.0, spacing.1).map_err(raise)?;
    if points.shape() != [paths.len(), landmarks.len(), 2] {
        return Err(refuse(format!(
            "{name}: points of shape {:?}, with {} images and {} landmarks",
            points.shape(),
            paths.len(),
            landmarks.len()
        )));
    }
    let numbers = points.as_slice().map_err(layout)?;
    let sample = |(place, path): (usize, PathBuf)| {
        let own = numbers.iter().skip(place * landmarks.len() * 2).take(landmarks.len() * 2);
        let own: Vec<f64> = own.copied().collect();
        let (pairs, _) = own.as_chunks();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (width, height) = read_image_size(&path).map_err(raise)?;
        let point = |&[x, y]: &[f64; 2]| if x.is_nan() && y.is_nan() { None } else { Some(Point::new(x, y)) };
        let landmarks = pairs.iter().map(point).collect();
        Ok(Sample { name, path, width, height, landmarks })
    };
    let images = paths.into_iter().enumerate().map(sample).collect::<PyResult<_>>()?;
    DataSet::new(name, spacing, landmarks, images).map_err(raise)
}

/// Scores of one set of templates: their names, indices of the scored images, detected points, and errors in mm.
type Scored<'py> = (Vec<String>, Vec<usize>, Bound<'py, PyArray3<f64>>, Bound<'py, PyArray2<f64>>);

/// Counter of work items of several threads, for a callback on one thread.
struct Counted<'a> {
    done: AtomicUsize,
    total: usize,
    tell: Mutex<Tell<'a, (usize, usize)>>,
}

impl<'a> Counted<'a> {
    fn new(total: usize, tell: Tell<'a, (usize, usize)>) -> Self {
        Self { done: AtomicUsize::new(0), total, tell: Mutex::new(tell) }
    }

    /// Counts one more item; fails with `stopped` when the callback stops the work.
    fn advance<E>(&self, stopped: E) -> Result<(), E> {
        let mut tell = self.tell.lock().unwrap_or_else(PoisonError::into_inner);
        match tell((1 + self.done.fetch_add(1, Ordering::Relaxed), self.total)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(stopped),
        }
    }
}

fn pool(threads: usize) -> PyResult<rayon::ThreadPool> {
    thread_pool(threads).map_err(raise)
}

/// Scores on new threads, for a callback that receives the number of items done of `total`.
fn scored_by<T: Send>(
    py: Python<'_>,
    (total, threads): (usize, usize),
    progress: Option<Bound<'_, PyAny>>,
    score: impl FnOnce(&(dyn Fn() -> Result<(), EvalError> + Sync)) -> Result<T, EvalError> + Send,
) -> PyResult<T> {
    let pool = pool(threads)?;
    watched(py, counted(progress), |tell| {
        let counted = Counted::new(total, tell);
        pool.install(|| score(&|| counted.advance(EvalError::Stopped)))
    })
}

fn scored<'py>(py: Python<'py>, run: Run, landmarks: usize) -> PyResult<Scored<'py>> {
    let scores = || run.images.iter().flat_map(|image| &image.scores);
    let place = |score: &Option<Score>| score.map_or([f64::NAN; 2], |score| [score.found.x, score.found.y]);
    let found: Vec<f64> = scores().flat_map(place).collect();
    let errors: Vec<f64> = scores().map(|score| score.map_or(f64::NAN, |score| score.error_mm)).collect();
    let places: Vec<usize> = run.images.iter().map(|image| image.image).collect();
    let found = Array3::from_shape_vec((places.len(), landmarks, 2), found).map_err(raise)?;
    let errors = Array2::from_shape_vec((places.len(), landmarks), errors).map_err(raise)?;
    Ok((run.templates, places, found.into_pyarray(py), errors.into_pyarray(py)))
}

/// Scores every image of a data set with every set of templates, given as indices in another data set or the same.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn score_sets<'py>(
    py: Python<'py>,
    encoder: &Encoder,
    data: Folder<'py>,
    template_data: Option<Folder<'py>>,
    sets: Vec<Vec<usize>>,
    matching: (bool, bool, f32),
    threads: usize,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Vec<Scored<'py>>> {
    let data = data_set(data)?;
    let other = template_data.map(data_set).transpose()?;
    let evaluation = Evaluation {
        encoder: &encoder.inner,
        data: &data,
        template_data: other.as_ref().unwrap_or(&data),
        matching: match_options(matching)?,
    };
    let different: BTreeSet<&usize> = sets.iter().flatten().collect();
    let total = different.len() + data.images.len();
    let runs = scored_by(py, (total, threads), progress, |advance| {
        evaluation.prepare(&sets, advance)?.score(advance)
    })?;
    runs.into_iter().map(|run| scored(py, run, data.landmarks.len())).collect()
}

/// Scores every image of a data set with a matcher, except the excluded ones.
#[pyfunction]
pub(crate) fn score_matcher<'py>(
    py: Python<'py>,
    matcher: &Matcher,
    data: Folder<'py>,
    leave_out: Vec<usize>,
    threads: usize,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Scored<'py>> {
    let data = data_set(data)?;
    let total = data.images.len().saturating_sub(leave_out.len());
    let run = scored_by(py, (total, threads), progress, |advance| {
        infomark_eval::score_matcher(&matcher.inner, &data, &leave_out, advance)
    })?;
    scored(py, run, data.landmarks.len())
}

/// Scores every image of a data set with a landmark network.
#[pyfunction]
pub(crate) fn score_network<'py>(
    py: Python<'py>,
    network: &LandmarkNetwork,
    data: Folder<'py>,
    threads: usize,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Scored<'py>> {
    let data = data_set(data)?;
    let run = scored_by(py, (data.images.len(), threads), progress, |advance| {
        infomark_eval::score_network(&network.inner, &data, advance)
    })?;
    scored(py, run, data.landmarks.len())
}

/// The templates that `infomark evaluate` draws.
#[pyfunction]
pub(crate) fn random_sets(
    count: Option<i64>,
    together: i64,
    images: usize,
    seed: u64,
) -> PyResult<Vec<Vec<usize>>> {
    let number = |count: i64| {
        usize::try_from(count).map_err(|_| refuse(format!("{count} templates: at least one is needed")))
    };
    infomark_eval::random_sets(count.map(number).transpose()?, number(together)?, images, seed).map_err(raise)
}

/// Metrics of sets of templates, and their median, as JSON: names, indices of the images, and errors in mm of each, NaN where missing.
#[pyfunction]
pub(crate) fn figures(
    py: Python<'_>,
    runs: Vec<(Vec<String>, Vec<usize>, PyReadonlyArray2<'_, f64>)>,
    landmarks: Vec<String>,
    radii_mm: Vec<f64>,
    seed: u64,
) -> PyResult<(String, String)> {
    let table = |(templates, places, errors): (Vec<String>, Vec<usize>, PyReadonlyArray2<'_, f64>)| {
        if errors.shape() != [places.len(), landmarks.len()] {
            return Err(refuse(format!("errors of shape {:?} of {} images", errors.shape(), places.len())));
        }
        let rows = errors.as_slice().map_err(layout)?.chunks(landmarks.len().max(1));
        let images = places.into_iter().zip(rows);
        let error = |error: &f64| if error.is_nan() { None } else { Some(*error) };
        let images =
            images.map(|(image, row)| ImageErrors { image, errors_mm: row.iter().map(error).collect() });
        let images = images.collect();
        Ok(ErrorTable { templates, images })
    };
    let tables = runs.into_iter().map(table).collect::<PyResult<Vec<_>>>()?;
    let (summary, each) =
        py.detach(|| infomark_eval::figures(&tables, &landmarks, &radii_mm, seed)).map_err(raise)?;
    Ok((serde_json::to_string(&summary).map_err(raise)?, serde_json::to_string(&each).map_err(raise)?))
}

/// Positions of each landmark of each image, `(images, landmarks, 2)`, NaN where missing.
fn places<'a>(
    array: &'a PyReadonlyArray3<'_, f64>,
    shape: (usize, usize),
) -> PyResult<impl Fn(usize, usize) -> Option<Point<f64>> + use<'a>> {
    let (images, landmarks) = shape;
    if array.shape() != [images, landmarks, 2] {
        return Err(refuse(format!("points of shape {:?}, not ({images}, {landmarks}, 2)", array.shape())));
    }
    let (pairs, _) = array.as_slice().map_err(layout)?.as_chunks::<2>();
    Ok(move |image: usize, landmark: usize| {
        let &[x, y] = pairs.get(image * landmarks + landmark)?;
        if x.is_nan() && y.is_nan() { None } else { Some(Point::new(x, y)) }
    })
}

/// Agreement of the program and of a second annotator with the reference, as JSON: indices of the scored images and the points detected in
/// them, set by set; name and points of the annotator.
#[pyfunction]
pub(crate) fn compare_with_annotator(
    py: Python<'_>,
    data: Folder<'_>,
    runs: Vec<(Vec<usize>, PyReadonlyArray3<'_, f64>)>,
    annotator: (String, PyReadonlyArray3<'_, f64>),
    radii_mm: Vec<f64>,
) -> PyResult<String> {
    let data = data_set(data)?;
    let landmarks = data.landmarks.len();
    let run = |(images, found): &(Vec<usize>, PyReadonlyArray3<'_, f64>)| {
        let found = places(found, (images.len(), landmarks))?;
        let scored = images.iter().enumerate().map(|(row, &image)| {
            let sample =
                data.images.get(image).ok_or_else(|| refuse(format!("image {image}: there is none")))?;
            let score = |(place, truth): (usize, &Option<Point<f64>>)| {
                let (found, truth) = (found(row, place)?, (*truth)?);
                let error_mm = radial_error_mm(found, truth, data.spacing);
                Some(Score { found, truth, score: f64::NAN, error_mm, confidence: None })
            };
            Ok(ScoredImage { image, scores: sample.landmarks.iter().enumerate().map(score).collect() })
        });
        Ok(Run { templates: Vec::new(), images: scored.collect::<PyResult<_>>()? })
    };
    let runs = runs.iter().map(run).collect::<PyResult<Vec<_>>>()?;
    let (name, points) = annotator;
    let point = places(&points, (data.images.len(), landmarks))?;
    let mut placed: HashMap<&str, Vec<Landmark>> = HashMap::new();
    for (image, sample) in data.images.iter().enumerate() {
        let own = data.landmarks.iter().enumerate();
        let own = own.filter_map(|(place, name)| Some(Landmark::new(name.clone(), point(image, place)?)));
        placed.insert(&sample.name, own.collect());
    }
    let compared = py.detach(|| {
        let annotator =
            Annotator::new(name, &data, |image| placed.get(image).map_or(&[][..], Vec::as_slice))?;
        infomark_eval::compare_with_annotator(&data, &runs, &annotator, &radii_mm)
    });
    serde_json::to_string(&compared.map_err(raise)?).map_err(raise)
}

/// Images to annotate, best first; scores of all; and the sample used for the ranking.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn select(
    py: Python<'_>,
    encoder: &Encoder,
    images: Vec<PathBuf>,
    count: usize,
    against: usize,
    seed: u64,
    threads: usize,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<(Vec<usize>, Vec<f64>, Vec<usize>)> {
    if images.len() < 3 {
        let found = images.len();
        return Err(refuse(format!("{found} images say nothing about which is typical; give at least 3")));
    }
    if !(1..=images.len()).contains(&count) {
        let all = images.len();
        return Err(refuse(format!(
            "count {count}: there are {all} images; ask for at least 1 and at most as many"
        )));
    }
    let encoder = &encoder.inner;
    let pool = pool(threads)?;
    let ranking = watched(py, counted(progress), |tell| {
        let counted = Counted::new(images.len() + against.min(images.len()), tell);
        let advance = || counted.advance(TrainError::Run(RunError::Stopped));
        pool.install(|| infomark_train::Ranking::of(encoder, &images, against, seed, &advance))
    })?;
    let scores = (0..ranking.images()).map(|image| ranking.score(image)).collect();
    Ok((ranking.choose(count), scores, ranking.against().to_vec()))
}
