//! DICOM files of one grey image, as display values.
//!
//! Only the elements in [`elements::tag`] are read, so that no patient data can reach a message.

mod display;
mod element_decoder;
mod elements;
mod header;
mod jpeg_2000;
mod meta;
mod object;
mod pixels;
mod placement;
mod syntax;

use std::fmt;

use super::decode::Opened;
use super::levels::Levels;
use super::reduction::{MOST_HALVINGS, Rows, halved};
use super::{Image, ImageError, ImageHeader, ReadLimits, jpeg};
use crate::causes::said;
use crate::contain::contain;
use elements::Elements;
use header::Header;
use syntax::Syntax;

/// Whether a file is DICOM, by its first bytes.
pub(super) fn is_dicom(start: &[u8]) -> bool {
    meta::is_dicom(start)
}

/// Why a DICOM file cannot be read, without its name.
enum Problem {
    Damaged(&'static str),
    Unsupported(&'static str),
    /// What a decoder of pixels said.
    Pixels(String),
    /// Too many parts of a kind: the kind, their number, and the limit.
    TooMany(&'static str, u64, usize),
    /// The deadline has passed.
    TimedOut,
    Syntax(String),
    Frames(u64),
    /// An object that is not an image.
    NotAnImage(&'static str),
    /// Name of an element whose text is not a number.
    NotANumber(&'static str),
    /// Name of an element, and the problem of its value.
    Element(&'static str, &'static str),
}

impl Problem {
    fn of(self, name: &str) -> ImageError {
        let name = name.to_owned();
        match self {
            Problem::Damaged(reason) => ImageError::Damaged { name, reason: reason.to_owned() },
            Problem::Pixels(reason) => ImageError::Damaged { name, reason },
            Problem::TooMany(parts, count, most) => {
                ImageError::TooMany { name, parts, count, most: most as u64 }
            }
            Problem::TimedOut => ImageError::TimedOut { name },
            Problem::Unsupported(reason) => ImageError::Unsupported { name, reason: reason.to_owned() },
            Problem::Syntax(syntax) => ImageError::TransferSyntax { name, syntax },
            Problem::Frames(frames) => ImageError::Frames { name, frames },
            Problem::NotAnImage(object) => ImageError::NotAnImage { name, object },
            Problem::Element(element, problem) => ImageError::Element { name, element, problem },
            Problem::NotANumber(element) => {
                let reason = format!("its {element} is not written as a number with a decimal point");
                ImageError::Damaged { name, reason }
            }
        }
    }
}

fn jpeg_problem(problem: jpeg::Problem) -> Problem {
    match problem {
        jpeg::Problem::Damaged(reason) => Problem::Damaged(reason),
        jpeg::Problem::Unsupported(kind) => Problem::Syntax(kind.to_owned()),
        jpeg::Problem::TooManyScans(most) => Problem::TooMany("JPEG scans", most as u64 + 1, most),
        jpeg::Problem::TimedOut => Problem::TimedOut,
    }
}

const ENDS_EARLY: Problem = Problem::Damaged("its pixel data end early");
const OTHER_SIZE: Problem = Problem::Damaged("its pixel data have another size than Rows and Columns say");

/// A message of a decoder of compressed pixels, which contains no patient data.
fn undecodable(error: impl fmt::Display) -> Problem {
    Problem::Pixels(said(error))
}

/// What the file says of its image, checked against the limits, from the first bytes of a file of `length`; `None` where more of them are
/// needed.
pub(super) fn header(
    start: &[u8],
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Option<Opened>, ImageError> {
    let read = parse(|| Elements::before_pixels(start, limits));
    match read {
        // A partial file may end anywhere.
        Err(Problem::Damaged(_) | Problem::NotAnImage(object::NO_PIXEL_DATA))
            if (start.len() as u64) < length =>
        {
            Ok(None)
        }
        Err(problem) => Err(problem.of(name)),
        Ok((elements, header)) => {
            let held = check(&elements, &header, length, name, limits)?.held;
            let Header { width, height, spacing, placement, .. } = header;
            Ok(Some(Opened { header: ImageHeader { width, height, spacing, placement }, held }))
        }
    }
}

/// The kind of object, by its SOP class, if it has no image; from the file's first bytes.
pub(super) fn object_without_image(start: &[u8]) -> Option<&'static str> {
    contain(|| elements::sop_class(start).and_then(object::without_image)).ok().flatten()
}

/// The image with its pixel size.
pub(super) fn decode(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Image, ImageError> {
    let (elements, header, Decoding { halvings, .. }) = open(bytes, name, limits)?;
    let rows = contain(|| {
        let stored = pixels::decode(&elements, &header, halvings, limits)?;
        let size = (header.width, header.height);
        let mut rows =
            if halvings > 0 { Rows::of_halved(size, halvings) } else { Rows::new(size, limits.reduced) };
        display::display(&stored, &elements, &header, &mut rows, name)?;
        Ok(rows)
    });
    let rows = rows.unwrap_or_else(|panic| Err(Problem::Pixels(panic.to_string())));
    let image = rows.map_err(|problem| problem.of(name))?.finish(name)?;
    Ok(match header.spacing {
        Some(spacing) => image.with_spacing(spacing),
        None => image,
    })
}

/// All grey levels of the image.
pub(super) fn levels(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Levels, ImageError> {
    let limits = &ReadLimits { reduced: false, ..*limits };
    let (elements, header, _) = open(bytes, name, limits)?;
    let levels = contain(|| {
        let stored = pixels::decode(&elements, &header, 0, limits)?;
        display::levels(&stored, &elements, &header)
    });
    let levels = levels.unwrap_or_else(|panic| Err(Problem::Pixels(panic.to_string())));
    Levels::new(name, (header.width, header.height), levels.map_err(|problem| problem.of(name))?)
}

fn open<'a>(
    bytes: &'a [u8],
    name: &str,
    limits: &ReadLimits,
) -> Result<(Elements<'a>, Header, Decoding), ImageError> {
    let (elements, header) = parse(|| Elements::read(bytes, limits)).map_err(|problem| problem.of(name))?;
    let decoding = check(&elements, &header, bytes.len() as u64, name, limits)?;
    Ok((elements, header, decoding))
}

fn parse<'a>(
    read: impl FnOnce() -> Result<Elements<'a>, Problem>,
) -> Result<(Elements<'a>, Header), Problem> {
    let parsed = contain(|| {
        let elements = read()?;
        let header = Header::read(&elements)?;
        Ok((elements, header))
    });
    // The parser's panic message may quote the data set.
    parsed.unwrap_or(Err(elements::MALFORMED))
}

/// Settings of the pixel decoder.
struct Decoding {
    /// Number of times the sides are halved while decoding.
    halvings: u32,
    /// Memory of decoding in bytes, besides the file and the pixels.
    held: u64,
}

impl Decoding {
    /// Full resolution, or, where block averages are kept and the full image takes too much memory, the largest lower resolution that
    /// does not: only JPEG 2000 has these.
    fn of(syntax: Syntax, size: (usize, usize), length: u64, limits: &ReadLimits) -> Decoding {
        let with = |halvings| {
            let (width, height) = halved(size, halvings);
            let pixels = (width as u64).saturating_mul(height as u64);
            Decoding { halvings, held: pixels.saturating_mul(syntax.working_bytes() as u64) }
        };
        let fits = |decoding: &Decoding| limits.needed_bytes(size, decoding.held, length) <= limits.max_bytes;
        let smaller =
            if matches!(syntax, Syntax::Jpeg2000(_)) && limits.reduces(size) { MOST_HALVINGS } else { 0 };
        (0..=smaller).map(with).find(fits).unwrap_or(with(0))
    }
}

/// Checks the size against the limits; returns the settings of the decoder.
fn check(
    elements: &Elements<'_>,
    header: &Header,
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Decoding, ImageError> {
    let Header { width, height, .. } = *header;
    let decoding = Decoding::of(elements.syntax(), (width, height), length, limits);
    limits.check(name, (width, height), decoding.held, length)?;
    Ok(decoding)
}
