//! Landmark networks, which need no template, and their training.

use std::path::PathBuf;
use std::sync::Arc;

use infomark_infer::{Detector, LandmarkNet, ModelError, read_model};
use infomark_train::{
    LandmarkConfig, LandmarkPaths, LandmarkSummary, Progress, SelfTrainConfig, SelfTrainPaths, TemplateImage,
};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::array::{Place, places};
use crate::error::{raise, refuse};
use crate::files::landmarks;
use crate::matching::{FolderMatches, given};
use crate::source::Source;
use crate::training::{event, tell_python};
use crate::watch::watched;

/// A landmark network.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct LandmarkNetwork {
    pub(crate) inner: Arc<LandmarkNet>,
    /// The bytes of its file, for pickling.
    bytes: Vec<u8>,
}

impl LandmarkNetwork {
    fn of(bytes: Vec<u8>, name: String) -> Result<Self, ModelError> {
        Ok(Self { inner: Arc::new(LandmarkNet::from_bytes(&bytes, name)?), bytes })
    }
}

#[pymethods]
impl LandmarkNetwork {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let load = || match infomark_models::named(&path) {
            Some(model) => Self::of(model.network_bytes()?.to_vec(), model.name.to_owned()),
            None => Self::of(read_model(&path)?, path.display().to_string()),
        };
        py.detach(load).map_err(raise)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: Vec<u8>, name: String) -> PyResult<Self> {
        py.detach(|| Self::of(bytes, name)).map_err(raise)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn sha256(&self) -> &str {
        self.inner.sha256()
    }

    /// The description in the file, as JSON.
    fn description(&self) -> PyResult<String> {
        serde_json::to_string(self.inner.description()).map_err(raise)
    }

    fn find<'py>(&self, py: Python<'py>, image: Source) -> PyResult<Place<'py>> {
        let network = &self.inner;
        let image = py.detach(|| image.read_for(network.description().input.takes_reduced()))?;
        places(py, &py.detach(|| network.find(&image)).map_err(raise)?)
    }

    fn find_all(&self, images: Vec<Source>, threads: usize) -> PyResult<FolderMatches> {
        FolderMatches::of(Detector::Network(Arc::clone(&self.inner)), images, None, threads)
    }

    fn table(
        &self,
        images: Vec<Source>,
        spacing: Option<(f64, f64)>,
        threads: usize,
    ) -> PyResult<FolderMatches> {
        FolderMatches::rows(Detector::Network(Arc::clone(&self.inner)), images, given(spacing)?, threads)
    }
}

fn summary<'py>(py: Python<'py>, summary: LandmarkSummary) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("steps", summary.steps)?;
    dict.set_item("seconds", summary.seconds)?;
    dict.set_item("loss", summary.loss)?;
    dict.set_item("images", summary.images)?;
    dict.set_item("landmarks", summary.landmarks)?;
    dict.set_item("input_shape", (summary.input.height(), summary.input.width()))?;
    dict.set_item("encoder_sha256", summary.encoder_sha256)?;
    dict.set_item("sha256", summary.sha256)?;
    dict.set_item("stopped", summary.stopped)?;
    Ok(dict)
}

/// Trains on a data set, optionally a subset and from an encoder; `paths` are the folder, the file and the run's folder.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn train_landmarks<'py>(
    py: Python<'py>,
    options: &str,
    threads: usize,
    paths: (PathBuf, PathBuf, PathBuf),
    encoder: Option<PathBuf>,
    images: Option<usize>,
    resume: bool,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut options: LandmarkConfig =
        serde_json::from_str(options).map_err(|error| refuse(format!("options: {error}")))?;
    options.threads = threads;
    let (data, out, run) = paths;
    let paths = LandmarkPaths { data, images, encoder, out, run };
    let hear = |progress: Progress| tell_python(callback.as_ref(), event(py, &progress)?);
    let trained = watched(py, hear, |tell| {
        if resume {
            infomark_train::resume_landmarks(&paths, threads, tell)
        } else {
            infomark_train::train_landmarks(&options, &paths, tell)
        }
    })?;
    summary(py, trained)
}

/// Trains on unlabelled images from annotated ones, `templates` with landmarks at `at`; `paths` are the images, the encoder, the file
/// and the run's folder. The rounds' label counts are returned as JSON.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn self_train<'py>(
    py: Python<'py>,
    options: &str,
    threads: usize,
    paths: (PathBuf, PathBuf, PathBuf, PathBuf),
    templates: Vec<PathBuf>,
    names: Vec<String>,
    at: Vec<PyReadonlyArray2<'py, f64>>,
    resume: bool,
    callback: Option<Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyDict>, f64, String)> {
    let mut options: SelfTrainConfig =
        serde_json::from_str(options).map_err(|error| refuse(format!("options: {error}")))?;
    options.network.threads = threads;
    let (images, encoder, out, run) = paths;
    let one = |(image, at)| Ok(TemplateImage { image, landmarks: landmarks(names.clone(), at)? });
    let templates = templates.into_iter().zip(&at).map(one).collect::<PyResult<_>>()?;
    let paths = SelfTrainPaths { images, encoder, templates, out, run };
    let hear = |progress: Progress| tell_python(callback.as_ref(), event(py, &progress)?);
    let trained = watched(py, hear, |tell| {
        if resume {
            infomark_train::resume_self_train(&paths, threads, tell)
        } else {
            infomark_train::self_train(&options, &paths, tell)
        }
    })?;
    let rounds = serde_json::to_string(&trained.rounds).map_err(raise)?;
    Ok((summary(py, trained.network)?, trained.seconds, rounds))
}
