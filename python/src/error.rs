//! Errors, with the messages of the command line.

use infomark_infer::with_causes;
use pyo3::PyErr;
use pyo3::exceptions::PyValueError;
use std::error::Error;

pyo3::create_exception!(
    infomark,
    InfomarkError,
    PyValueError,
    "What can't be done, and what to do about it, in the words of the command line."
);

/// An error as an exception.
pub(crate) fn raise(error: impl Error) -> PyErr {
    refuse(with_causes(&error))
}

/// An error of this module itself.
pub(crate) fn refuse(text: impl Into<String>) -> PyErr {
    InfomarkError::new_err(text.into())
}
