//! Non-medical pictures: PNG, TIFF, JPEG, BMP and PGM.
//!
//! Each format has a module that rejects files with missing, damaged or surplus parts, which decoders silently accept.

mod bmp;
mod netpbm;
#[cfg(feature = "tiff")]
mod packed;
#[cfg(feature = "png")]
mod png;
#[cfg(feature = "png")]
mod png_rows;
#[cfg(feature = "tiff")]
mod tiff;

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Cursor, Seek};

use image::error::UnsupportedErrorKind;
use image::metadata::Orientation;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::decode::Opened;
#[cfg(feature = "jpeg")]
use super::foreign;
use super::grey::{Layout, SampleRows};
#[cfg(feature = "jpeg")]
use super::jpeg;
use super::limits::Timed;
use super::resolution;
use super::source::Source;
use super::{ImageError, ImageHeader, ReadLimits};
use crate::Placement;
use crate::causes::said;
use crate::contain::contain;

/// Problem of a picture, without its name.
#[derive(Debug, PartialEq)]
enum Flaw {
    Damaged(&'static str),
    Unsupported(&'static str),
    /// Several pages in one file.
    Pages,
    /// Too many parts of a kind: the kind, their number, and the limit.
    #[cfg(feature = "tiff")]
    TooMany(&'static str, u64, usize),
    /// The deadline has passed.
    #[cfg(feature = "tiff")]
    TimedOut,
}

impl Flaw {
    fn of(self, name: &str) -> ImageError {
        let name = name.to_owned();
        match self {
            Flaw::Damaged(reason) => ImageError::Damaged { name, reason: reason.to_owned() },
            Flaw::Unsupported(reason) => ImageError::Unsupported { name, reason: reason.to_owned() },
            Flaw::Pages => ImageError::Pages { name },
            #[cfg(feature = "tiff")]
            Flaw::TooMany(parts, count, most) => {
                ImageError::TooMany { name, parts, count, most: most as u64 }
            }
            #[cfg(feature = "tiff")]
            Flaw::TimedOut => ImageError::TimedOut { name },
        }
    }
}

/// The bytes for the decoder: of PNG, all chunks are checked, and those that may decompress to any size are removed.
fn without_profiles(bytes: &[u8], format: ImageFormat) -> Result<Cow<'_, [u8]>, Flaw> {
    match format {
        #[cfg(feature = "png")]
        ImageFormat::Png => png::whole(bytes),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

/// Whether the samples of a file can be decoded row by row.
#[cfg_attr(not(feature = "png"), expect(unused_variables))]
fn has_rows(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        #[cfg(feature = "png")]
        ImageFormat::Png => !png_rows::is_interlaced(bytes),
        _ => false,
    }
}

/// Rejects damage that the decoder of a format would silently accept.
#[cfg_attr(not(feature = "tiff"), expect(unused_variables))]
fn check_whole(bytes: &[u8], format: ImageFormat, limits: &ReadLimits) -> Result<(), Flaw> {
    match format {
        #[cfg(feature = "tiff")]
        ImageFormat::Tiff => tiff::check(bytes, limits),
        ImageFormat::Bmp => bmp::check(bytes),
        ImageFormat::Pnm => netpbm::check(bytes),
        // PNG is checked before it is opened, JPEG by its own decoder.
        _ => Ok(()),
    }
}

/// Header of a picture.
pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) layout: Layout,
    /// Bytes of the decoded samples.
    bytes: usize,
    /// Memory of decoding in bytes, besides the file and the pixels.
    held: u64,
}

impl Header {
    fn opened(&self, placement: Placement) -> Opened {
        let header = ImageHeader { width: self.width, height: self.height, spacing: None, placement };
        Opened { header, held: self.held }
    }
}

/// Reads the header from the start of a file.
pub(super) fn header(
    source: &Source<'_>,
    format: ImageFormat,
    limits: &ReadLimits,
) -> Result<Opened, ImageError> {
    let name = source.name();
    let size = contain(|| {
        let mut file = source.reader();
        file.rewind().map_err(|source| ImageError::Unreadable { name: name.to_owned(), source })?;
        let mut decoder = open(BufReader::new(file), format, name, limits)?;
        check_header(&mut decoder, false, name, source.length(), limits)
    });
    let mut header = size.unwrap_or_else(|panic| Err(damaged(name, panic)))?;
    if format == ImageFormat::Tiff {
        // Its decoder copies them.
        header.held = header.held.saturating_mul(2);
    }
    Ok(header.opened(resolution::placement(source, format)))
}

/// The header of a PNG file; `None` where more of it is needed.
#[cfg(feature = "png")]
pub(super) fn png_image_header(
    source: &Source<'_>,
    limits: &ReadLimits,
) -> Result<Option<Opened>, ImageError> {
    let (start, length, name) = (source.start(), source.length(), source.name());
    let kept = png::before_pixels(start, start.len() as u64 >= length).map_err(|flaw| flaw.of(name))?;
    let Some(kept) = kept else { return Ok(None) };
    let header = contain(|| {
        let mut decoder = open(Cursor::new(&kept), ImageFormat::Png, name, limits)?;
        check_header(&mut decoder, has_rows(&kept, ImageFormat::Png), name, length, limits)
    });
    let header = header.unwrap_or_else(|panic| Err(damaged(name, panic)))?;
    Ok(Some(header.opened(resolution::placement(source, ImageFormat::Png))))
}

/// Decoded samples of a whole picture.
struct Whole {
    samples: Vec<u8>,
    bytes_a_row: usize,
}

impl SampleRows for Whole {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError> {
        self.samples.chunks_exact(self.bytes_a_row.max(1)).try_for_each(take)
    }
}

/// Samples of a picture with its header.
type Samples<'a> = (Header, Box<dyn SampleRows + 'a>);

/// The samples of a file in memory.
pub(super) fn samples<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    name: &'a str,
    limits: &'a ReadLimits,
) -> Result<Samples<'a>, ImageError> {
    contain(|| picture_samples(bytes, format, name, limits)).unwrap_or_else(|panic| Err(damaged(name, panic)))
}

fn picture_samples<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    name: &'a str,
    limits: &'a ReadLimits,
) -> Result<Samples<'a>, ImageError> {
    let seen = without_profiles(bytes, format).map_err(|flaw| flaw.of(name))?;
    let copied = if let Cow::Owned(copy) = &seen { copy.len() } else { 0 };
    let mut decoder = open(Timed::new(Cursor::new(&seen), limits), format, name, limits)?;
    let has_rows = has_rows(&seen, format);
    let header = check_header(&mut decoder, has_rows, name, (bytes.len() + copied) as u64, limits)?;
    check_whole(bytes, format, limits).map_err(|flaw| flaw.of(name))?;
    #[cfg(feature = "png")]
    if has_rows && limits.reduces((header.width, header.height)) {
        drop(decoder);
        return Ok((header, Box::new(png_rows::PngRows::new(seen, name, limits))));
    }
    whole(decoder, header, name, limits)
}

/// Decodes a whole picture.
fn whole<'a>(
    decoder: impl ImageDecoder,
    header: Header,
    name: &str,
    limits: &ReadLimits,
) -> Result<Samples<'a>, ImageError> {
    let mut samples = Vec::new();
    samples.try_reserve_exact(header.bytes).map_err(|_| limits.exceeded(name, header.bytes as u64))?;
    samples.resize(header.bytes, 0);
    decoder.read_image(&mut samples).map_err(|error| decoding(name, limits, error))?;
    let bytes_a_row = header.width * header.layout.bytes();
    Ok((header, Box::new(Whole { samples, bytes_a_row })))
}

/// The header of a JPEG file of `length` bytes; `None` where more of it is needed.
#[cfg(feature = "jpeg")]
pub(super) fn jpeg_image_header(
    start: &[u8],
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Option<Opened>, ImageError> {
    let header = jpeg_header(start, length, name, limits)?;
    Ok(header.map(|(_, header)| header.opened(resolution::jpeg_placement(start))))
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
    let pixels = (width as u64).saturating_mul(height as u64);
    let samples = pixels.saturating_mul(color.bytes_per_pixel().into());
    let held = match (gives_rows(&jpeg, limits), jpeg.is_grey()) {
        (true, _) => jpeg.coefficient_bytes(),
        // Decoded data are freed before pixels are allocated,
        (false, true) if !limits.reduced => samples,
        // of which fewer are kept: 16-bit samples, with the coefficients or their copy.
        (false, true) => jpeg
            .coefficient_bytes()
            .max(samples)
            .saturating_add(pixels.saturating_mul(size_of::<u16>() as u64)),
        (false, false) => jpeg.coefficient_bytes().saturating_add(samples),
    };
    limits.check(name, (width, height), held, length)?;
    check_orientation(name, jpeg.orientation)?;
    let bytes = width * height * usize::from(color.bytes_per_pixel());
    let header = Header { width, height, layout: layout(name, color)?, bytes, held };
    Ok(Some((jpeg, header)))
}

/// Whether rows are used while blocks are decoded: for a progressive file, which needs all coefficients first, only if it is
/// reduced.
#[cfg(feature = "jpeg")]
fn gives_rows(jpeg: &jpeg::file::Header, limits: &ReadLimits) -> bool {
    let is_sequential = jpeg.coefficient_bytes() == 0;
    jpeg.has_grey_rows() && (is_sequential || limits.reduces((jpeg.frame.width, jpeg.frame.height)))
}

/// The samples of a JPEG file; every block has to be there.
#[cfg(feature = "jpeg")]
pub(super) fn jpeg_samples<'a>(
    bytes: &'a [u8],
    name: &'a str,
    limits: &'a ReadLimits,
) -> Result<Samples<'a>, ImageError> {
    let read = jpeg_header(bytes, bytes.len() as u64, name, limits)?;
    let (jpeg, header) = read.ok_or_else(|| damaged(name, "its JPEG data end early"))?;
    if gives_rows(&jpeg, limits) {
        return Ok((header, Box::new(JpegRows { bytes, name, limits })));
    }
    if jpeg.is_grey() {
        let samples =
            jpeg::file::samples(bytes, &jpeg, limits).map_err(|problem| jpeg_problem(name, problem))?;
        let bytes_a_row = header.width * header.layout.bytes();
        return Ok((header, Box::new(Whole { samples, bytes_a_row })));
    }
    jpeg::file::check(bytes, limits).map_err(|problem| jpeg_problem(name, problem))?;
    samples(bytes, ImageFormat::Jpeg, name, limits)
}

/// A grey 8-bit JPEG file, whose rows are passed on while its blocks are decoded.
#[cfg(feature = "jpeg")]
struct JpegRows<'a> {
    bytes: &'a [u8],
    name: &'a str,
    limits: &'a ReadLimits,
}

#[cfg(feature = "jpeg")]
impl SampleRows for JpegRows<'_> {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError> {
        let mut failed = None;
        let read = jpeg::file::each_row(self.bytes, self.limits, &mut |row| {
            if failed.is_none() {
                failed = take(row).err();
            }
        });
        read.map_err(|problem| jpeg_problem(self.name, problem))?;
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(feature = "jpeg")]
fn jpeg_problem(name: &str, problem: jpeg::Problem) -> ImageError {
    match problem {
        jpeg::Problem::Damaged(reason) => damaged(name, reason),
        jpeg::Problem::Unsupported(format) => {
            ImageError::ForeignFormat { name: name.to_owned(), format, fix: foreign::TO_PNG }
        }
        jpeg::Problem::TooManyScans(most) => {
            let (name, most) = (name.to_owned(), most as u64);
            ImageError::TooMany { name, parts: "JPEG scans", count: most + 1, most }
        }
        jpeg::Problem::TimedOut => ImageError::TimedOut { name: name.to_owned() },
    }
}

fn open<'a>(
    file: impl BufRead + Seek + 'a,
    format: ImageFormat,
    name: &str,
    limits: &ReadLimits,
) -> Result<impl ImageDecoder + 'a, ImageError> {
    let mut reader = ImageReader::with_format(file, format);
    // Width and height are checked here, not by the decoder, for better messages.
    let mut own = Limits::no_limits();
    own.max_alloc = Some(limits.max_bytes);
    reader.limits(own);
    reader.into_decoder().map_err(|error| decoding(name, limits, error))
}

fn check_header(
    decoder: &mut impl ImageDecoder,
    has_rows: bool,
    name: &str,
    length: u64,
    limits: &ReadLimits,
) -> Result<Header, ImageError> {
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let samples = decoder.total_bytes();
    let held = if has_rows && limits.reduces((width, height)) { 0 } else { samples };
    limits.check(name, (width, height), held, length)?;
    let bytes = usize::try_from(samples).map_err(|_| limits.exceeded(name, samples))?;
    let layout = layout(name, decoder.color_type())?;
    check_orientation(name, decoder.orientation().unwrap_or(Orientation::NoTransforms))?;
    Ok(Header { width, height, layout, bytes, held })
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

fn damaged(name: &str, reason: impl Display) -> ImageError {
    ImageError::Damaged { name: name.to_owned(), reason: said(reason) }
}

fn decoding(name: &str, limits: &ReadLimits, error: image::ImageError) -> ImageError {
    match error {
        _ if limits.is_late() => ImageError::TimedOut { name: name.to_owned() },
        image::ImageError::Limits(_) => limits.exceeded(name, limits.max_bytes.saturating_add(1)),
        image::ImageError::Unsupported(error) => {
            let reason = match error.kind() {
                UnsupportedErrorKind::Color(ExtendedColorType::Unknown(bits)) => format!(
                    "its kind of samples is not read, such as floating point or grey with opacity; {bits} bits a pixel in all"
                ),
                _ => said(error),
            };
            ImageError::Unsupported { name: name.to_owned(), reason }
        }
        image::ImageError::Decoding(error) => damaged(name, error),
        error => damaged(name, error),
    }
}

/// The format of a picture by its first bytes, if it is supported.
pub(super) fn format(start: &[u8]) -> Option<ImageFormat> {
    use ImageFormat::{Bmp, Jpeg, Png, Pnm, Tiff};
    if is_big_tiff(start) {
        return Some(Tiff);
    }
    image::guess_format(start).ok().filter(|format| matches!(format, Png | Tiff | Jpeg | Bmp | Pnm))
}

/// Whether a file is BigTIFF, with offsets of eight bytes.
fn is_big_tiff(start: &[u8]) -> bool {
    start.starts_with(b"II\x2B\0\x08\0\0\0") || start.starts_with(b"MM\0\x2B\0\x08\0\0")
}
