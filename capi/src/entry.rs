//! Common entry of every function.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::infomark_status::{INFOMARK_OK, INFOMARK_PANIC};
use crate::status::{Result, failure, infomark_status};

/// Runs `work`; a panic, which would be a defect, becomes a status.
pub(crate) fn entry(work: impl FnOnce() -> Result<()>) -> infomark_status {
    // The hook is only that of this library's Rust code.
    infomark_infer::silence_contained_panics();
    // Values used by `work` are dropped, or are buffers of the caller, unspecified after a failure.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => INFOMARK_OK,
        Ok(Err(failed)) => failed.0,
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            let failed = failure(
                INFOMARK_PANIC,
                format_args!(
                    "a defect of infomark: {}; please report it",
                    text.unwrap_or("panic without a message")
                ),
            );
            // Dropping it could panic again.
            std::mem::forget(payload);
            failed.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    #[allow(clippy::panic, reason = "what is tested")]
    fn a_panic_becomes_a_status_with_its_message() {
        assert_eq!(entry(|| panic!("planted")), INFOMARK_PANIC);
        // SAFETY: the text of the last failure.
        let message = unsafe { CStr::from_ptr(crate::infomark_last_error()) };
        assert_eq!(message.to_str(), Ok("a defect of infomark: planted; please report it"));
        assert_eq!(entry(|| Ok(())), INFOMARK_OK);
    }
}
