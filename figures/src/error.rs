//! Why a picture could not be made.

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
    /// A chart that could not be drawn.
    #[error("a chart can't be drawn ({reason})")]
    Chart {
        /// What is wrong.
        reason: String,
    },
}
