//! Communication of the processes of a training, by a Python object.

use infomark_train::{Exchange, ExchangeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// An object with `rank`, `size`, `all_gather` and `all_to_all`, as in `infomark.distributed`.
pub(crate) struct Engine {
    object: Py<PyAny>,
    rank: usize,
    size: usize,
}

impl Engine {
    /// Wraps the object, whose rank and size are read once.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (rank, size) = (object.getattr("rank")?.extract()?, object.getattr("size")?.extract()?);
        Ok(Self { object: object.clone().unbind(), rank, size })
    }

    /// Calls a method that takes bytes and returns a list of them.
    fn call(
        &self,
        method: &str,
        argument: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>>,
    ) -> Result<Vec<Vec<u8>>, ExchangeError> {
        Python::attach(|py| {
            let received = self.object.bind(py).call_method1(method, (argument(py)?,))?;
            received
                .try_iter()?
                .map(|part| Ok(part?.cast::<PyBytes>()?.as_bytes().to_vec()))
                .collect::<PyResult<Vec<_>>>()
        })
        .map_err(|error: PyErr| ExchangeError::new(format!("{method}: {error}")))
    }
}

impl Exchange for Engine {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError> {
        self.call("all_gather", |py| Ok(PyBytes::new(py, bytes).into_any()))
    }

    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
        self.call("all_to_all", |py| {
            let parts: Vec<_> = parts.iter().map(|part| PyBytes::new(py, part)).collect();
            parts.into_pyobject(py)
        })
    }
}
