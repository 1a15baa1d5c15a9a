//! Decoding of image files to grey images, by content and within limits.

// Without a decoder every file is rejected by its first bytes.
#![cfg_attr(
    not(any(feature = "dicom", feature = "nifti", feature = "pictures")),
    expect(unreachable_code, unused_variables)
)]

use std::borrow::Cow;
use std::path::Path;

#[cfg(feature = "pictures")]
use image::ImageFormat;

#[cfg(feature = "dicom")]
use super::dicom;
use super::foreign;
#[cfg(feature = "pictures")]
use super::grey::{self, SampleRows, grey};
#[cfg(feature = "jpeg")]
use super::jpeg;
use super::levels::Levels;
#[cfg(feature = "nifti")]
use super::nifti;
#[cfg(feature = "pictures")]
use super::picture;
use super::source::Source;
use super::{Image, ImageError, ReadLimits};
use crate::{PixelSpacing, Placement, sha256};

/// Reads a grey PNG, TIFF, JPEG, BMP or PGM file (features `png`, `tiff`, `jpeg`, `pictures`), a DICOM file (feature `dicom`) or a
/// NIfTI slice (feature `nifti`) within the default [`ReadLimits`].
///
/// The header is read first, so that bad files are rejected before the pixels are read. Every sample has to be there, checksums have to be right, and
/// nothing may follow the end of the format: detectable damage is an error ([`ImageError::Damaged`]).
///
/// The format is detected from the content, not the file's ending. DICOM pixels are display values: modality and VOI
/// transformations applied, MONOCHROME1 inverted; DICOM without a window and NIfTI are rescaled like other 16-bit files. 8-bit values are
/// divided by 255. 16-bit values, of which radiographs use any part, are rescaled between their 0.1 and 99.9 percentiles and clipped. Colour
/// images whose channels are equal (within 2/255, the rounding of JPEG), and opaque alpha, are read as grey. A TIFF with
/// several pages is rejected.
///
/// # Errors
/// Every case of [`ImageError`] except `NotAFolder` and `NoImages`: the size is checked before anything is decoded.
///
/// ```no_run
/// let image = infomark_infer::read_image("skull.png")?;
/// println!("{} x {}", image.width(), image.height());
/// # Ok::<(), infomark_infer::ImageError>(())
/// ```
pub fn read_image(path: impl AsRef<Path>) -> Result<Image, ImageError> {
    read_image_with(path, &ReadLimits::default())
}

/// [`read_image`] within other limits.
///
/// The memory needed, by the header, is reserved from the [`MemoryBudget`](crate::MemoryBudget) of the process while reading.
///
/// # Errors
/// As [`read_image`]; [`ImageError::TooLarge`] for an image that exceeds the whole budget.
pub fn read_image_with(path: impl AsRef<Path>, limits: &ReadLimits) -> Result<Image, ImageError> {
    read_source(Source::open(path.as_ref())?, limits).map(|(image, _)| image)
}

/// [`read_image_with`], with the SHA-256 of the bytes that the image was decoded from, in lower-case hexadecimal.
///
/// # Errors
/// As [`read_image_with`].
pub fn read_hashed_image(path: impl AsRef<Path>, limits: &ReadLimits) -> Result<(Image, String), ImageError> {
    let (image, bytes) = read_source(Source::open(path.as_ref())?, limits)?;
    Ok((image, sha256(&bytes)))
}

/// The image of a file, and the file's bytes.
fn read_source<'a>(
    mut source: Source<'a>,
    limits: &ReadLimits,
) -> Result<(Image, Cow<'a, [u8]>), ImageError> {
    // The header is checked before the pixels are read.
    let Opened { header, held } = header(&mut source, limits)?;
    let name = source.name().to_owned();
    let needed = limits.reading_bytes((header.width, header.height), held, source.length());
    let _share = limits.draw(&name, needed)?;
    let bytes = source.into_bytes(limits)?;
    Ok((decode(&bytes, &name, limits)?, bytes))
}

/// Header of an image file.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageHeader {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The pixel size, if the file states it.
    pub spacing: Option<PixelSpacing>,
    /// Placement of the image in 3D Slicer, in millimetres: needed for its markups.
    pub placement: Placement,
}

/// Width and height of an image file, from its header alone, checked against the default limits as [`read_image`] would.
///
/// # Errors
/// As [`read_image`], except for errors of the pixels.
pub fn read_image_size(path: impl AsRef<Path>) -> Result<(usize, usize), ImageError> {
    read_image_header(path).map(|header| (header.width, header.height))
}

/// [`read_image_size`] with pixel size and placement.
///
/// # Errors
/// As [`read_image_size`].
pub fn read_image_header(path: impl AsRef<Path>) -> Result<ImageHeader, ImageError> {
    header(&mut Source::open_header(path.as_ref())?, &ReadLimits::default()).map(|opened| opened.header)
}

/// Memory needed to read an image, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadEstimate {
    /// Width and height of the image.
    pub size: (usize, usize),
    /// Width and height of the pixels that are kept: less where it is [reduced](ReadLimits::reduced).
    pub kept_size: (usize, usize),
    /// Bytes of memory, including the pixels.
    pub bytes: u64,
}

/// Estimates the memory of [`read_image_with`] within these limits; the image is not read.
///
/// # Errors
/// As [`read_image_size`].
pub fn estimate_reading(path: impl AsRef<Path>, limits: &ReadLimits) -> Result<ReadEstimate, ImageError> {
    let mut source = Source::open_header(path.as_ref())?;
    let Opened { header, held } = header(&mut source, limits)?;
    let size = (header.width, header.height);
    let bytes = limits.reading_bytes(size, held, source.length());
    Ok(ReadEstimate { size, kept_size: limits.kept_size(size), bytes })
}

/// The header of a file, and the memory of decoding in bytes, besides the file and the pixels.
pub(super) struct Opened {
    pub(super) header: ImageHeader,
    pub(super) held: u64,
}

/// Reads the header, and no more of the file than it needs.
fn header(source: &mut Source<'_>, limits: &ReadLimits) -> Result<Opened, ImageError> {
    loop {
        let (start, name) = (source.start(), source.name());
        let header = match Kind::of(start, name)? {
            #[cfg(feature = "dicom")]
            Kind::Dicom => dicom::header(start, source.length(), name, limits)?,
            #[cfg(feature = "nifti")]
            Kind::Nifti => Some(nifti::header(start, source.length(), name, limits)?),
            #[cfg(feature = "nifti")]
            Kind::Packed => {
                let unpacked = nifti::unpack_header(start, name)?;
                Some(nifti::header(&unpacked, source.length(), name, limits)?)
            }
            #[cfg(feature = "jpeg")]
            Kind::Jpeg => picture::jpeg_image_header(start, source.length(), name, limits)?,
            #[cfg(feature = "png")]
            Kind::Picture(ImageFormat::Png) => picture::png_image_header(source, limits)?,
            #[cfg(feature = "pictures")]
            Kind::Picture(format) => Some(picture::header(source, format, limits)?),
        };
        match header {
            Some(header) => return Ok(header),
            None => source.grow(limits)?,
        }
    }
}

/// [`read_image_with`] for a file in memory; `name` is its name in messages. The same limits and memory budget apply.
///
/// # Errors
/// As [`read_image_with`].
pub fn decode_image(bytes: &[u8], name: impl Into<String>, limits: &ReadLimits) -> Result<Image, ImageError> {
    read_source(Source::of_bytes(bytes, name.into())?, limits).map(|(image, _)| image)
}

fn decode(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Image, ImageError> {
    match Kind::of(bytes, name)? {
        #[cfg(feature = "dicom")]
        Kind::Dicom => dicom::decode(bytes, name, limits),
        #[cfg(feature = "nifti")]
        Kind::Nifti => nifti::decode(bytes, name, limits, None),
        #[cfg(feature = "nifti")]
        Kind::Packed => nifti::decode(&nifti::unpack(bytes, name, limits, None)?, name, limits, None),
        #[cfg(feature = "jpeg")]
        Kind::Jpeg => of_samples(picture::jpeg_samples(bytes, name, limits)?, name, limits),
        #[cfg(feature = "pictures")]
        Kind::Picture(format) => of_samples(picture::samples(bytes, format, name, limits)?, name, limits),
    }
}

/// All grey levels of a file in memory, of which [`decode_image`] shows a window; `name` is its name in messages.
///
/// # Errors
/// As [`read_image`], but an image that is constant within its window only is accepted.
///
/// ```no_run
/// let bytes = std::fs::read("skull.dcm")?;
/// let levels = infomark_infer::decode_levels(&bytes, "skull.dcm", &Default::default())?;
/// println!("shown from {:?} of the range", levels.window);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode_levels(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Levels, ImageError> {
    match Kind::of(bytes, name)? {
        #[cfg(feature = "dicom")]
        Kind::Dicom => dicom::levels(bytes, name, limits),
        #[cfg(feature = "nifti")]
        Kind::Nifti => nifti::levels(bytes, name, limits),
        #[cfg(feature = "nifti")]
        Kind::Packed => nifti::levels(&nifti::unpack(bytes, name, limits, None)?, name, limits),
        #[cfg(feature = "jpeg")]
        Kind::Jpeg => levels_of_samples(picture::jpeg_samples(bytes, name, limits)?, name),
        #[cfg(feature = "pictures")]
        Kind::Picture(format) => levels_of_samples(picture::samples(bytes, format, name, limits)?, name),
    }
}

/// Samples of a picture with its header.
#[cfg(feature = "pictures")]
type Samples<'a> = (picture::Header, Box<dyn SampleRows + 'a>);

#[cfg(feature = "pictures")]
fn of_samples((header, samples): Samples<'_>, name: &str, limits: &ReadLimits) -> Result<Image, ImageError> {
    grey(&*samples, &header.layout, (header.width, header.height), name, limits.reduced)
}

#[cfg(feature = "pictures")]
fn levels_of_samples((header, samples): Samples<'_>, name: &str) -> Result<Levels, ImageError> {
    let levels = grey::levels(&*samples, &header.layout, name)?;
    Levels::new(name, (header.width, header.height), levels)
}

/// Decoder of a file.
enum Kind {
    #[cfg(feature = "dicom")]
    Dicom,
    #[cfg(feature = "nifti")]
    Nifti,
    /// NIfTI in gzip.
    #[cfg(feature = "nifti")]
    Packed,
    #[cfg(feature = "jpeg")]
    Jpeg,
    /// Formats of the crate `image`.
    #[cfg(feature = "pictures")]
    Picture(ImageFormat),
}

impl Kind {
    /// Detects the format from the first bytes.
    fn of(start: &[u8], name: &str) -> Result<Kind, ImageError> {
        let name = || name.to_owned();
        if start.is_empty() {
            return Err(ImageError::Empty { name: name() });
        }
        #[cfg(feature = "dicom")]
        if dicom::is_dicom(start) {
            return Ok(Kind::Dicom);
        }
        #[cfg(feature = "nifti")]
        if nifti::is_compressed(start) {
            return Ok(Kind::Packed);
        }
        #[cfg(feature = "nifti")]
        if nifti::is_nifti(start) {
            return Ok(Kind::Nifti);
        }
        #[cfg(feature = "jpeg")]
        if jpeg::file::is_jpeg(start) {
            return Ok(Kind::Jpeg);
        }
        #[cfg(feature = "pictures")]
        if let Some(format) = picture::format(start) {
            return Ok(Kind::Picture(format));
        }
        Err(match foreign::format(start) {
            Some((format, fix)) => ImageError::ForeignFormat { name: name(), format, fix },
            None => ImageError::UnknownFormat { name: name() },
        })
    }
}
