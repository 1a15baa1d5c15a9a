//! JPEG files: header, orientation tag, and samples of grey and colour.

use image::metadata::Orientation;

use super::segments::exif;
use super::{Frame, Problem, check_process, dct, decode_grey};
use crate::image::ReadLimits;

/// Header data of a file.
pub(in crate::image) struct Header {
    pub(in crate::image) frame: Frame,
    /// Orientation in the Exif segment.
    pub(in crate::image) orientation: Orientation,
}

/// Whether a file is a JPEG stream of any kind.
pub(in crate::image) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}

/// Reads the header of a file, which may be truncated after it.
///
/// # Errors
/// [`Problem::Unsupported`] for files that neither [`samples`] nor the colour decoder supports.
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
    /// Whether it has one component, for [`samples`].
    pub(in crate::image) fn is_grey(&self) -> bool {
        self.frame.components.len() == 1
    }

    /// Whether it has one component of 8-bit blocks, for [`each_row`].
    pub(in crate::image) fn has_grey_rows(&self) -> bool {
        self.is_grey() && self.frame.precision == 8 && self.frame.process < super::marker::LOSSLESS
    }

    /// Memory of the coefficients of a progressive file, in bytes.
    pub(in crate::image) fn coefficient_bytes(&self) -> u64 {
        dct::working_bytes(&self.frame)
    }
}

/// The samples of a grey file: bytes for up to eight bits, else words in native order.
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

/// Passes each row of a grey file that [supports it](Header::has_grey_rows) to a function.
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

/// Checks that all blocks of a colour file are present.
pub(in crate::image) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), Problem> {
    dct::check(bytes, limits)
}
