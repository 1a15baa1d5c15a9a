//! Ensembles of templates and landmark networks: files of `infomark loop`.

use std::path::PathBuf;

use infomark_infer::{Detector, EnsembleDetection, EnsembleFileError, Image, read_file};
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::rows;
use crate::error::raise;
use crate::matching::{FolderMatches, given, sized};
use crate::source::Source;

/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// An ensemble.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Ensemble {
    inner: infomark_infer::Ensemble,
    /// The bytes of its file, for pickling.
    bytes: Vec<u8>,
}

/// Names, points, members, scores, disagreements and bounds in pixels and mm, abstention, recognition, whether the image was reoriented.
type Detected<'py> = (
    Vec<String>,
    Bound<'py, PyArray2<f64>>,
    Vec<String>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    bool,
    (f64, bool, bool, u8),
    bool,
);

#[pymethods]
impl Ensemble {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        if let Some(model) = infomark_models::named(&path) {
            return py.detach(|| Self::pretrained(&model));
        }
        let bytes = py.detach(|| read_file(&path, MAX_BYTES)).map_err(raise)?;
        Self::from_bytes(py, bytes, path.display().to_string())
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: Vec<u8>, name: String) -> PyResult<Self> {
        let load = || {
            let inner = infomark_infer::Ensemble::from_bytes(&bytes, name)?;
            Ok::<_, EnsembleFileError>(Self { inner, bytes })
        };
        py.detach(load).map_err(raise)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    fn landmarks(&self) -> Vec<String> {
        self.inner.landmarks().to_vec()
    }

    /// Member of each landmark.
    fn members(&self) -> Vec<String> {
        self.inner.members().iter().map(ToString::to_string).collect()
    }

    /// Coverage of the error bounds.
    fn coverage(&self) -> Option<f64> {
        self.inner.bounds().map(|bounds| bounds.coverage)
    }

    /// SHA-256 of the encoder and of each network.
    fn hashes(&self) -> (String, Vec<String>) {
        let nets = self.inner.networks().iter().map(|net| net.sha256().to_owned()).collect();
        (self.inner.matcher().encoder().sha256().to_owned(), nets)
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        image: Source,
        spacing: Option<(f64, f64)>,
        fix_orientation: bool,
    ) -> PyResult<Detected<'py>> {
        let (spacing, ensemble) = (given(spacing)?, self.laying(fix_orientation));
        let image: Image = sized(py.detach(|| image.read_for(ensemble.takes_reduced()))?, spacing.as_ref());
        detected(py, py.detach(|| ensemble.detect(&image, None)).map_err(raise)?)
    }

    fn table(
        &self,
        images: Vec<Source>,
        spacing: Option<(f64, f64)>,
        threads: usize,
        fix_orientation: bool,
    ) -> PyResult<FolderMatches> {
        let detector = Detector::Ensemble(Box::new(self.laying(fix_orientation)));
        FolderMatches::rows(detector, images, given(spacing)?, threads)
    }
}

impl Ensemble {
    /// Templates and landmark network of a bundled model.
    fn pretrained(model: &infomark_models::PretrainedModel) -> PyResult<Self> {
        let inner = model.ensemble().map_err(raise)?;
        let network = model.network_bytes().map_err(raise)?;
        let bytes = inner.to_bytes(model.encoder, &[network], model.name).map_err(raise)?;
        Ok(Self { inner, bytes })
    }

    fn laying(&self, fix_orientation: bool) -> infomark_infer::Ensemble {
        self.inner.clone().with_fixed_orientation(fix_orientation)
    }
}

fn detected<'py>(py: Python<'py>, seen: EnsembleDetection) -> PyResult<Detected<'py>> {
    let orientation = seen.recognition.orientation;
    let recognition = (
        seen.recognition.inlier_fraction,
        seen.recognition.is_recognised(),
        orientation.is_mirrored(),
        orientation.quarter_turns(),
    );
    let (usable, landmarks) = (seen.is_usable(), seen.landmarks);
    let column = |value: fn(&infomark_infer::EnsembleLandmark) -> Option<f64>| {
        let values: Vec<f64> = landmarks.iter().map(|one| value(one).unwrap_or(f64::NAN)).collect();
        values.into_pyarray(py)
    };
    Ok((
        landmarks.iter().map(|landmark| landmark.name.clone()).collect(),
        rows(py, landmarks.iter().map(|landmark| landmark.at))?,
        landmarks.iter().map(|landmark| landmark.member.to_string()).collect(),
        column(|landmark| Some(landmark.score)),
        column(|landmark| Some(landmark.disagreement_px)),
        column(|landmark| landmark.error_bound_px),
        column(|landmark| landmark.error_bound_mm),
        !usable,
        recognition,
        seen.reoriented,
    ))
}
