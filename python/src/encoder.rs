//! Encoders and templates.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use infomark_infer::{ForeignEncoder, InputSize, ModelError, OnnxRuntime};
use numpy::ndarray::Array3;
use numpy::{IntoPyArray, PyArray2, PyArray3, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::array::rows;
use crate::error::raise;
use crate::files::landmarks;
use crate::source::Source;

/// An encoder.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Encoder {
    pub(crate) inner: Arc<infomark_infer::Encoder>,
    /// The bytes of its file, for pickling.
    bytes: Cow<'static, [u8]>,
}

impl Encoder {
    /// `library` is that of ONNX Runtime, if it runs the encoder.
    fn of(bytes: Cow<'static, [u8]>, name: String, library: Option<PathBuf>) -> Result<Self, ModelError> {
        let inner = match library {
            None => infomark_infer::Encoder::from_bytes(&bytes, name),
            Some(library) => {
                infomark_infer::Encoder::from_bytes_on(&OnnxRuntime::load(library)?, &bytes, name)
            }
        };
        Ok(Self { inner: Arc::new(inner?), bytes })
    }
}

#[pymethods]
impl Encoder {
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, library: Option<PathBuf>) -> PyResult<Self> {
        let load = || Self::of(infomark_models::read_encoder(&path)?, path.display().to_string(), library);
        py.detach(load).map_err(raise)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: Vec<u8>, name: String, library: Option<PathBuf>) -> PyResult<Self> {
        py.detach(|| Self::of(Cow::Owned(bytes), name, library)).map_err(raise)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.bytes)
    }

    /// The runtime.
    fn runtime(&self) -> &'static str {
        self.inner.runtime()
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

    /// Stride and features of each level.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        image: Source,
    ) -> PyResult<Vec<(usize, Bound<'py, PyArray3<f32>>)>> {
        let encoder = &self.inner;
        let image = py.detach(|| image.read_for(encoder.description().input.takes_reduced()))?;
        let encoding = py.detach(|| encoder.encode(&image)).map_err(raise)?;
        let level = |map: infomark_core::FeatureMap<'_, f32>| {
            let shape = (map.channels(), map.height(), map.width());
            let array = Array3::from_shape_vec(shape, map.data().to_vec()).map_err(raise)?;
            Ok((map.stride(), array.into_pyarray(py)))
        };
        encoding.levels().into_iter().map(level).collect()
    }
}

/// Converts another program's ONNX file to an encoder, and writes it.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "names on the other side")]
pub(crate) fn describe_onnx(
    py: Python<'_>,
    path: PathBuf,
    out: PathBuf,
    input: (usize, usize),
    strides: Vec<usize>,
    channels: Option<usize>,
    normalisation: &str,
    outputs: Vec<String>,
    leading_tokens: usize,
    temperature: f32,
    library: Option<PathBuf>,
) -> PyResult<()> {
    let foreign = ForeignEncoder::new(InputSize::new(input.0, input.1).map_err(raise)?, strides)
        .with_channels(channels)
        .with_scaling(normalisation.parse().map_err(raise)?)
        .with_outputs(outputs)
        .with_leading_tokens(leading_tokens)
        .with_temperature(temperature);
    let describe = || -> Result<(), ModelError> {
        let described = match library {
            None => foreign.describe(&path),
            Some(library) => foreign.describe_on(&OnnxRuntime::load(library)?, &path),
        }?;
        described.save(out)
    };
    py.detach(describe).map_err(raise)
}

/// A template.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct Template {
    pub(crate) inner: infomark_infer::Template,
}

#[pymethods]
impl Template {
    #[new]
    fn new(
        py: Python<'_>,
        encoder: &Encoder,
        image: Source,
        names: Vec<String>,
        at: PyReadonlyArray2<'_, f64>,
    ) -> PyResult<Self> {
        let (encoder, landmarks) = (&encoder.inner, landmarks(names, &at)?);
        let image = py.detach(|| image.read_for(encoder.description().input.takes_reduced()))?;
        let made = py.detach(|| infomark_infer::Template::new(encoder, &image, &landmarks));
        Ok(Self { inner: made.map_err(raise)? })
    }

    #[staticmethod]
    fn load_all(py: Python<'_>, path: PathBuf) -> PyResult<Vec<Self>> {
        let all = py.detach(|| infomark_models::load_templates(path)).map_err(raise)?;
        Ok(all.into_iter().map(|inner| Self { inner }).collect())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8], name: String) -> PyResult<Self> {
        Ok(Self { inner: infomark_infer::Template::from_bytes(bytes, name).map_err(raise)? })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.to_bytes())
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.inner.save(path)).map_err(raise)
    }

    fn image(&self) -> &str {
        self.inner.image()
    }

    fn model_sha256(&self) -> &str {
        self.inner.model_sha256()
    }

    fn names(&self) -> Vec<String> {
        self.inner.landmarks().to_vec()
    }

    fn points<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        rows(py, self.inner.points().iter().copied())
    }
}
