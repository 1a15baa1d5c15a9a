//! JPEG files: header, orientation tag, and samples of grey and colour.

use image::metadata::Orientation;

use super::segments::exif;
use super::{Frame, Problem, check_process, dct, decode_grey};
use crate::image::ReadLimits;

/// What a file says before its coded data.
pub(in crate::image) struct Header {
    pub(in crate::image) frame: Frame,
    /// Of the Exif segment.
    pub(in crate::image) orientation: Orientation,
}

/// Whether a file is a JPEG stream of any kind.
pub(in crate::image) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// The header of a file, which may be cut after it.
///
/// # Errors
/// [`Problem::Unsupported`] for what [`samples`] and the decoder of colours do not read.
pub(in crate::image) fn header(bytes: &[u8]) -> Result<Header, Problem> {
    let frame = Frame::first(bytes)?;
    check_process(&frame)?;
    if frame.components.len() > 1 {
        let is_dct = frame.process < super::marker::LOSSLESS;
        match (is_dct, frame.precision) {
            (true, 8) => {}
            (true, _) => return Err(Problem::Unsupported("JPEG of several colours with 12 bits a sample")),
            (false, _) => return Err(Problem::Unsupported("JPEG, lossless, of several colours")),
        }
    }
    let orientation = exif(bytes).and_then(Orientation::from_exif_chunk);
    Ok(Header { frame, orientation: orientation.unwrap_or(Orientation::NoTransforms) })
}

impl Header {
    /// One component, whose samples [`samples`] gives.
    pub(in crate::image) fn is_grey(&self) -> bool {
        self.frame.components.len() == 1
    }

    /// Memory that reading takes beside the samples and the pixels. Of grey, what is decoded is gone before there are pixels.
    pub(in crate::image) fn working_bytes(&self) -> u64 {
        if self.is_grey() { 0 } else { dct::working_bytes(&self.frame) }
    }
}

/// The samples of a grey file: bytes where a sample has at most eight bits, else words in native order.
pub(in crate::image) fn samples(
    bytes: &[u8],
    header: &Header,
    limits: &ReadLimits,
) -> Result<Vec<u8>, Problem> {
    let samples = decode_grey(bytes, limits)?;
    Ok(if header.frame.precision <= 8 {
        samples.into_iter().map(|sample| sample as u8).collect()
    } else {
        samples.into_iter().flat_map(u16::to_ne_bytes).collect()
    })
}

/// Whether all blocks of a colour file are there.
pub(in crate::image) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), Problem> {
    dct::check(bytes, limits)
}
