//! Pictures of no medical format: PNG, TIFF, JPEG, BMP and PGM.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};

use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

#[cfg(feature = "jpeg")]
use super::foreign;
use super::grey::Layout;
#[cfg(feature = "jpeg")]
use super::jpeg;
use super::resolution;
use super::{ImageError, ImageHeader, ReadLimits};
use crate::Placement;
use crate::contain::contain;

/// What the first bytes of a picture say.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) layout: Layout,
    /// Bytes of the decoded samples.
    bytes: usize,
}

impl Header {
    fn of_image(&self, placement: Placement) -> ImageHeader {
        ImageHeader { width: self.width, height: self.height, spacing: None, placement }
    }
}

/// The header of a file of `length` bytes, which is read from its start.
pub(super) fn header(
    mut file: &File,
    length: u64,
    format: ImageFormat,
    name: &str,
    limits: &ReadLimits,
) -> Result<ImageHeader, ImageError> {
    let size = contain(|| {
        file.rewind().map_err(|source| ImageError::Unreadable { name: name.to_owned(), source })?;
        let mut decoder = open(BufReader::new(file), format, name, limits)?;
        check_header(&mut decoder, name, length, limits)
    });
    let header = size.unwrap_or_else(|reason| Err(damaged(name, reason)))?;
    Ok(header.of_image(resolution::placement(file, format)))
}

/// The samples of a file in memory.
pub(super) fn samples(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    limits: &ReadLimits,
) -> Result<(Header, Vec<u8>), ImageError> {
    contain(|| picture_samples(bytes, format, name, limits))
        .unwrap_or_else(|reason| Err(damaged(name, reason)))
}

fn picture_samples(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    limits: &ReadLimits,
) -> Result<(Header, Vec<u8>), ImageError> {
    let mut decoder = open(Cursor::new(bytes), format, name, limits)?;
    let header = check_header(&mut decoder, name, bytes.len() as u64, limits)?;
    if format == ImageFormat::Tiff && has_second_page(bytes) {
        return Err(ImageError::Pages { name: name.to_owned() });
    }
    let mut samples = Vec::new();
    samples.try_reserve_exact(header.bytes).map_err(|_| limits.exceeded(name, header.bytes as u64))?;
    samples.resize(header.bytes, 0);
    decoder.read_image(&mut samples).map_err(|error| decoding(name, limits, error))?;
    Ok((header, samples))
}

/// The header of a JPEG file of `length` bytes; none where more of it is needed.
#[cfg(feature = "jpeg")]
pub(super) fn jpeg_image_header(
    start: &[u8],
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Option<ImageHeader>, ImageError> {
    let header = jpeg_header(start, length, name, limits)?;
    Ok(header.map(|(_, header)| header.of_image(resolution::jpeg_placement(start))))
}

#[cfg(feature = "jpeg")]
fn jpeg_header(
    start: &[u8],
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Option<(jpeg::file::Header, Header)>, ImageError> {
    let jpeg = match jpeg::file::header(start) {
        Err(jpeg::Problem::Damaged(_)) if (start.len() as u64) < length => return Ok(None),
        jpeg => jpeg.map_err(|problem| jpeg_problem(name, problem))?,
    };
    let (width, height) = (jpeg.frame.width, jpeg.frame.height);
    let color = match (jpeg.is_grey(), jpeg.frame.precision) {
        (true, ..=8) => ColorType::L8,
        (true, _) => ColorType::L16,
        (false, _) => ColorType::Rgb8,
    };
    let bytes_a_pixel = usize::from(color.bytes_per_pixel());
    let of_file = length.saturating_add(jpeg.working_bytes());
    limits.check(name, (width, height), (bytes_a_pixel + size_of::<f32>()) as u64, of_file)?;
    check_orientation(name, jpeg.orientation)?;
    let header =
        Header { width, height, layout: layout(name, color)?, bytes: width * height * bytes_a_pixel };
    Ok(Some((jpeg, header)))
}

/// The samples of a JPEG file, of which every block has to be there.
#[cfg(feature = "jpeg")]
pub(super) fn jpeg_samples(
    bytes: &[u8],
    name: &str,
    limits: &ReadLimits,
) -> Result<(Header, Vec<u8>), ImageError> {
    let read = jpeg_header(bytes, bytes.len() as u64, name, limits)?;
    let (jpeg, header) = read.ok_or_else(|| damaged(name, "its JPEG data end early".to_owned()))?;
    if jpeg.is_grey() {
        let samples = jpeg::file::samples(bytes, &jpeg).map_err(|problem| jpeg_problem(name, problem))?;
        return Ok((header, samples));
    }
    jpeg::file::check(bytes).map_err(|problem| jpeg_problem(name, problem))?;
    samples(bytes, ImageFormat::Jpeg, name, limits)
}

#[cfg(feature = "jpeg")]
fn jpeg_problem(name: &str, problem: jpeg::Problem) -> ImageError {
    match problem {
        jpeg::Problem::Damaged(reason) => damaged(name, reason.to_owned()),
        jpeg::Problem::Unsupported(format) => {
            ImageError::ForeignFormat { name: name.to_owned(), format, fix: foreign::TO_PNG }
        }
    }
}

fn open<'a>(
    file: impl BufRead + Seek + 'a,
    format: ImageFormat,
    name: &str,
    limits: &ReadLimits,
) -> Result<impl ImageDecoder + 'a, ImageError> {
    let mut reader = ImageReader::with_format(file, format);
    // Width and height are checked here, where they can be told, not by the decoder.
    let mut own = Limits::no_limits();
    own.max_alloc = Some(limits.max_bytes);
    reader.limits(own);
    reader.into_decoder().map_err(|error| decoding(name, limits, error))
}

fn check_header(
    decoder: &mut impl ImageDecoder,
    name: &str,
    length: u64,
    limits: &ReadLimits,
) -> Result<Header, ImageError> {
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let samples = decoder.total_bytes();
    limits.check(name, (width, height), size_of::<f32>() as u64, length.saturating_add(samples))?;
    let bytes = usize::try_from(samples).map_err(|_| limits.exceeded(name, samples))?;
    let layout = layout(name, decoder.color_type())?;
    check_orientation(name, decoder.orientation().unwrap_or(Orientation::NoTransforms))?;
    Ok(Header { width, height, layout, bytes })
}

fn layout(name: &str, color: ColorType) -> Result<Layout, ImageError> {
    Layout::of(color)
        .ok_or_else(|| ImageError::Unsupported { name: name.to_owned(), reason: format!("{color:?}") })
}

fn check_orientation(name: &str, orientation: Orientation) -> Result<(), ImageError> {
    match orientation {
        Orientation::NoTransforms => Ok(()),
        orientation => {
            Err(ImageError::Orientation { name: name.to_owned(), orientation: format!("{orientation:?}") })
        }
    }
}

fn damaged(name: &str, reason: String) -> ImageError {
    ImageError::Damaged { name: name.to_owned(), reason }
}

fn decoding(name: &str, limits: &ReadLimits, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::Limits(_) => limits.exceeded(name, limits.max_bytes.saturating_add(1)),
        image::ImageError::Unsupported(error) => {
            ImageError::Unsupported { name: name.to_owned(), reason: error.to_string() }
        }
        image::ImageError::Decoding(error) => damaged(name, error.to_string()),
        error => damaged(name, error.to_string()),
    }
}

/// Whether a file is BigTIFF, whose offsets have eight bytes.
pub(super) fn is_big_tiff(start: &[u8]) -> bool {
    start.starts_with(b"II\x2B\0\x08\0\0\0") || start.starts_with(b"MM\0\x2B\0\x08\0\0")
}

/// Whether a TIFF file goes on after its first page.
fn has_second_page(bytes: &[u8]) -> bool {
    let big_endian = bytes.starts_with(b"MM");
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..)?.get(..length)?;
        let digit = |sum: usize, &byte: &u8| (sum << 8) | usize::from(byte);
        Some(if big_endian { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) })
    };
    // Where the first page is, the bytes of its number of entries, of an entry, and of an offset.
    let (page, count, entry, offset) = if is_big_tiff(bytes) { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
    // The entries follow their number; then comes where the second page is.
    let second = || {
        let first = number(page, offset)?;
        let entries = number(first, count)?.checked_mul(entry)?;
        number(first.checked_add(count)?.checked_add(entries)?, offset)
    };
    second().is_some_and(|second| second != 0)
}
