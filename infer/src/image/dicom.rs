//! DICOM files of one grey image, as they are meant to be seen.
//!
//! Of the data set only the elements in [`elements::tag`] are looked at, so that nothing of a patient can reach a message.

mod display;
mod element_decoder;
mod elements;
mod header;
mod jpeg;
mod lossless_jpeg;
mod pixels;
mod placement;
mod sequential_jpeg;

use std::fmt;

use super::levels::Levels;
use super::{Image, ImageError, ImageHeader, MIN_SIDE, ReadLimits};
use crate::contain::contain;
use elements::Elements;
use header::Header;

/// Whether a file is DICOM: `DICM` after a preamble of 128 bytes.
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// Why a DICOM file cannot be read, without its name.
enum Problem {
    Damaged(&'static str),
    Unsupported(&'static str),
    /// What a decoder of pixels said.
    Pixels(String),
    Syntax(String),
    Frames(u64),
    /// An element by its name whose text is no number.
    NotANumber(&'static str),
}

impl Problem {
    fn of(self, name: &str) -> ImageError {
        let name = name.to_owned();
        match self {
            Problem::Damaged(reason) => ImageError::Damaged { name, reason: reason.to_owned() },
            Problem::Pixels(reason) => ImageError::Damaged { name, reason },
            Problem::Unsupported(reason) => ImageError::Unsupported { name, reason: reason.to_owned() },
            Problem::Syntax(syntax) => ImageError::TransferSyntax { name, syntax },
            Problem::Frames(frames) => ImageError::Frames { name, frames },
            Problem::NotANumber(element) => {
                let reason = format!("its {element} is not written as a number with a decimal point");
                ImageError::Damaged { name, reason }
            }
        }
    }
}

/// What a decoder of compressed pixels said, which knows nothing of the patient.
fn undecodable(error: impl fmt::Display) -> Problem {
    let text = error.to_string();
    Problem::Pixels(text.lines().next().unwrap_or_default().chars().take(200).collect())
}

/// What the file says of its image, checked against the limits.
pub(super) fn header(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<ImageHeader, ImageError> {
    let (_, Header { width, height, spacing, placement, .. }) = open(bytes, name, limits)?;
    Ok(ImageHeader { width, height, spacing, placement })
}

/// The image with the size of its pixels.
pub(super) fn decode(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Image, ImageError> {
    let (elements, header) = open(bytes, name, limits)?;
    let pixels = contain(|| {
        let stored = pixels::decode(&elements, &header)?;
        display::display(&stored, &elements, &header)
    });
    let pixels = pixels.unwrap_or_else(|reason| Err(Problem::Pixels(reason)));
    let pixels = pixels.map_err(|problem| problem.of(name))?;
    let image = Image::new(name, header.width, header.height, pixels)?;
    Ok(match header.spacing {
        Some(spacing) => image.with_spacing(spacing),
        None => image,
    })
}

/// All grey levels of the image.
pub(super) fn levels(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Levels, ImageError> {
    let (elements, header) = open(bytes, name, limits)?;
    let levels = contain(|| {
        let stored = pixels::decode(&elements, &header)?;
        display::levels(&stored, &elements, &header)
    });
    let levels = levels.unwrap_or_else(|reason| Err(Problem::Pixels(reason)));
    Levels::new(name, (header.width, header.height), levels.map_err(|problem| problem.of(name))?)
}

fn open<'a>(bytes: &'a [u8], name: &str, limits: &ReadLimits) -> Result<(Elements<'a>, Header), ImageError> {
    let read = contain(|| {
        let elements = Elements::read(bytes)?;
        let header = Header::read(&elements)?;
        Ok((elements, header))
    });
    // What the parser panicked with may quote the data set.
    let read = read.unwrap_or(Err(Problem::Damaged("its data set cannot be parsed")));
    let (elements, header) = read.map_err(|problem| problem.of(name))?;
    let Header { width, height, .. } = header;
    if width.max(height) > limits.max_side {
        return Err(ImageError::TooWide { name: name.to_owned(), width, height, max_side: limits.max_side });
    }
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(ImageError::TooSmall { name: name.to_owned(), width, height });
    }
    let of_pixel = size_of::<u16>() + size_of::<f32>() + elements.syntax().working_bytes();
    let needed = (width as u64 * height as u64).saturating_mul(of_pixel as u64) + bytes.len() as u64;
    if needed > limits.max_bytes {
        return Err(super::decode::too_large(name.to_owned(), needed, limits));
    }
    Ok((elements, header))
}
