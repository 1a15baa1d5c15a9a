//! Errors of requests.

use anyhow::Error;

use crate::output::one_line;

/// Error response, with a message that says what to do.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }

    /// An invalid request.
    pub(super) fn bad(error: impl Into<String>) -> Self {
        Self::new(400, error)
    }

    pub(super) fn missing(error: impl Into<String>) -> Self {
        Self::new(404, error)
    }

    /// A request based on an outdated state.
    pub(super) fn stale(error: String) -> Self {
        Self::new(409, error)
    }
}

/// Errors of files or of the machine.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(500, one_line(&error))
    }
}
