//! Errors, with the text that the command line prints.

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
    refuse(line(&error))
}

/// An error and its causes in one line; a cause that its effect quotes already is left out.
pub(crate) fn line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        next = cause.source();
    }
    text
}

/// An error of this module's own.
pub(crate) fn refuse(text: impl Into<String>) -> PyErr {
    InfomarkError::new_err(text.into())
}
