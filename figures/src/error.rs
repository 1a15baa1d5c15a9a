//! Why a picture could not be made.

use std::fmt::Display;

/// Why a picture could not be drawn, written or read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// An encoder of picture files refused.
    #[error("a picture of {width} x {height} pixels cannot be written as {format} ({reason})")]
    Encode {
        /// Name of the format.
        format: &'static str,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// What the encoder said.
        reason: String,
    },
    /// Bytes that are no PNG file.
    #[error("no PNG picture, or a damaged one ({reason})")]
    Decode {
        /// What the decoder said.
        reason: String,
    },
    /// Another number of pixels than the picture has.
    #[error("a picture of {width} x {height} pixels can't be made of {given} grey levels")]
    Pixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Levels given.
        given: usize,
    },
}

impl PictureError {
    pub(crate) fn not_png(width: usize, height: usize, reason: &dyn Display) -> Self {
        Self::Encode { format: "PNG", width, height, reason: reason.to_string() }
    }
}
