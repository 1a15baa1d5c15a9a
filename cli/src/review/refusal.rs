//! Why a request is not done.

use anyhow::Error;

use crate::output::one_line;

/// An answer other than success, with what to do in words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// The request cannot be right.
    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::new(400, error)
    }

    pub(super) fn missing(error: impl Into<String>) -> Self {
        Self::new(404, error)
    }

    /// It was made from something that has changed since.
    pub(super) fn stale(error: String) -> Self {
        Self::new(409, error)
    }
}

/// What is wrong with a file or the machine.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(500, one_line(&error))
    }
}
