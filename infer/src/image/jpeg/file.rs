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

    /// One component of blocks of 8 bits, whose rows [`each_row`] gives.
    pub(in crate::image) fn has_grey_rows(&self) -> bool {
        self.is_grey() && self.frame.precision == 8 && self.frame.process < super::marker::LOSSLESS
    }

    /// Memory that the coefficients of a progressive file take.
    pub(in crate::image) fn coefficient_bytes(&self) -> u64 {
        dct::working_bytes(&self.frame)
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

/// Gives the samples of each row of a grey file that [has them](Header::has_grey_rows).
pub(in crate::image) fn each_row(
    bytes: &[u8],
    limits: &ReadLimits,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), Problem> {
    let mut narrow = Vec::new();
    dct::each_grey_row(bytes, limits, &mut |row| {
        narrow.clear();
        narrow.extend(row.iter().map(|&sample| sample as u8));
        take(&narrow);
    })
}

/// Whether all blocks of a colour file are there.
pub(in crate::image) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), Problem> {
    dct::check(bytes, limits)
}
