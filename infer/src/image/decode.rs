//! Image files to grey images, by content and within limits.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat, ImageReader, Limits};

#[cfg(feature = "dicom")]
use super::dicom;
use super::grey::{self, Layout, grey};
use super::levels::Levels;
#[cfg(feature = "nifti")]
use super::nifti;
use super::{Image, ImageError, MIN_SIDE, resolution};
use crate::contain::contain;
use crate::file::{self, FileProblem};
use crate::{PixelSpacing, Placement};

/// What reading an image may cost at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// The longest side in pixels.
    pub max_side: usize,
    /// Bytes of memory: the file, the decoded samples and the pixels together.
    pub max_bytes: u64,
}

impl Default for ReadLimits {
    /// 32768 pixels a side and 512 MiB, which is about 100 million 8-bit pixels.
    fn default() -> Self {
        ReadLimits { max_side: 32_768, max_bytes: 512 << 20 }
    }
}

/// Reads a grey PNG, TIFF, JPEG, BMP or PGM file, a DICOM file (feature `dicom`) or a NIfTI slice (feature `nifti`) within
/// the default [`ReadLimits`].
///
/// The format is told by the content, whatever the file's ending. DICOM comes as it is meant to be seen: modality and VOI
/// transformation applied, MONOCHROME1 inverted; DICOM without a window and NIfTI are stretched like other 16-bit files. 8-bit values are divided by 255. 16-bit values, of which
/// radiographs use any part, are stretched between their 0.1 and 99.9 percentiles and clipped. Colour images whose channels
/// are equal (within 2/255, the rounding of JPEG) and opaque alpha are taken for the grey that they show. A TIFF with
/// several pages is refused.
///
/// # Errors
///
/// Every case of [`ImageError`] but `NotAFolder` and `NoImages`: the size is checked before anything is decoded.
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
/// # Errors
///
/// As [`read_image`].
pub fn read_image_with(path: impl AsRef<Path>, limits: &ReadLimits) -> Result<Image, ImageError> {
    let path = path.as_ref();
    let bytes = read_bytes(path, limits)?;
    decode_image(&bytes, path.display().to_string(), limits)
}

/// What an image file says of its image before the pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageHeader {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The size of its pixels, where the file states it.
    pub spacing: Option<PixelSpacing>,
    /// Where 3D Slicer places the image, in millimetres of its own: what its markups need.
    pub placement: Placement,
}

/// Width and height of an image file, from its header alone, checked against the default limits as [`read_image`] would.
///
/// # Errors
///
/// As [`read_image`], but for what only the pixels can tell.
pub fn read_image_size(path: impl AsRef<Path>) -> Result<(usize, usize), ImageError> {
    read_image_header(path).map(|header| (header.width, header.height))
}

/// [`read_image_size`] with the size of the pixels.
///
/// # Errors
///
/// As [`read_image_size`].
pub fn read_image_header(path: impl AsRef<Path>) -> Result<ImageHeader, ImageError> {
    let path = path.as_ref();
    let limits = ReadLimits::default();
    let bytes = read_bytes(path, &limits)?;
    let name = path.display().to_string();
    #[cfg(feature = "dicom")]
    if dicom::is_dicom(&bytes) {
        return dicom::header(&bytes, &name, &limits);
    }
    #[cfg(feature = "nifti")]
    if let Some(bytes) = nifti_bytes(&bytes, &name, &limits)? {
        return nifti::header(&bytes, &name, &limits);
    }
    let size = contain(|| {
        let (mut decoder, format) = open(&bytes, &name, &limits)?;
        Ok((check_header(&mut decoder, &name, bytes.len(), &limits)?, format))
    });
    let (header, format) =
        size.unwrap_or_else(|reason| Err(ImageError::Damaged { name: path.display().to_string(), reason }))?;
    Ok(ImageHeader {
        width: header.width,
        height: header.height,
        spacing: None,
        placement: resolution::placement(&bytes, format),
    })
}

/// [`read_image_with`] for a file that is in memory already; `name` stands for it in messages.
///
/// # Errors
///
/// As [`read_image`].
pub fn decode_image(bytes: &[u8], name: impl Into<String>, limits: &ReadLimits) -> Result<Image, ImageError> {
    let name = name.into();
    if bytes.is_empty() {
        return Err(ImageError::Empty { name });
    }
    #[cfg(feature = "dicom")]
    if dicom::is_dicom(bytes) {
        return dicom::decode(bytes, &name, limits);
    }
    #[cfg(feature = "nifti")]
    if let Some(bytes) = nifti_bytes(bytes, &name, limits)? {
        return nifti::decode(&bytes, &name, limits, None);
    }
    let decoded = contain(|| decode(bytes, &name, limits));
    let (header, samples) =
        decoded.unwrap_or_else(|reason| Err(ImageError::Damaged { name: name.clone(), reason }))?;
    let pixels = grey(&samples, &header.layout, header.width, &name)?;
    drop(samples);
    Image::new(name, header.width, header.height, pixels)
}

/// All grey levels of a file that is in memory, of which [`decode_image`] shows a window; `name` stands for it in messages.
///
/// # Errors
///
/// As [`read_image`], but for an image of one level alone within its window, which is none beyond it.
///
/// ```no_run
/// let bytes = std::fs::read("skull.dcm")?;
/// let levels = infomark_infer::decode_levels(&bytes, "skull.dcm", &Default::default())?;
/// println!("shown from {:?} of the range", levels.window);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decode_levels(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Levels, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty { name: name.to_owned() });
    }
    #[cfg(feature = "dicom")]
    if dicom::is_dicom(bytes) {
        return dicom::levels(bytes, name, limits);
    }
    #[cfg(feature = "nifti")]
    if let Some(bytes) = nifti_bytes(bytes, name, limits)? {
        return nifti::levels(&bytes, name, limits);
    }
    let decoded = contain(|| decode(bytes, name, limits));
    let (header, samples) =
        decoded.unwrap_or_else(|reason| Err(ImageError::Damaged { name: name.to_owned(), reason }))?;
    let levels = grey::levels(&samples, &header.layout, header.width, name)?;
    Levels::new(name, (header.width, header.height), levels)
}

/// The bytes of a NIfTI file, unpacked; none if it is no such file.
#[cfg(feature = "nifti")]
fn nifti_bytes<'a>(
    bytes: &'a [u8],
    name: &str,
    limits: &ReadLimits,
) -> Result<Option<std::borrow::Cow<'a, [u8]>>, ImageError> {
    if nifti::is_compressed(bytes) {
        return nifti::unpack(bytes, name, limits).map(|bytes| Some(bytes.into()));
    }
    Ok(nifti::is_nifti(bytes).then(|| bytes.into()))
}

pub(super) fn read_bytes(path: &Path, limits: &ReadLimits) -> Result<Vec<u8>, ImageError> {
    let name = path.display().to_string();
    file::read(path, limits.max_bytes).map_err(|problem| match problem {
        FileProblem::Missing => ImageError::Missing { name },
        FileProblem::NotAFile => ImageError::NotAFile { name },
        FileProblem::Empty => ImageError::Empty { name },
        FileProblem::TooLarge { bytes } => too_large(name, bytes, limits),
        FileProblem::Unreadable(source) => ImageError::Unreadable { name, source },
    })
}

struct Header {
    width: usize,
    height: usize,
    layout: Layout,
    /// Bytes of the decoded samples.
    bytes: usize,
}

fn decode(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<(Header, Vec<u8>), ImageError> {
    let (mut decoder, format) = open(bytes, name, limits)?;
    let header = check_header(&mut decoder, name, bytes.len(), limits)?;
    if format == ImageFormat::Tiff && has_second_page(bytes) {
        return Err(ImageError::Pages { name: name.to_owned() });
    }
    let mut samples = Vec::new();
    samples
        .try_reserve_exact(header.bytes)
        .map_err(|_| too_large(name.to_owned(), header.bytes as u64, limits))?;
    samples.resize(header.bytes, 0);
    decoder.read_image(&mut samples).map_err(|error| decoding(name, limits, error))?;
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err(ImageError::Damaged {
            name: name.to_owned(),
            reason: "the JPEG data ends early".to_owned(),
        });
    }
    Ok((header, samples))
}

fn open<'a>(
    bytes: &'a [u8],
    name: &str,
    limits: &ReadLimits,
) -> Result<(impl ImageDecoder + 'a, ImageFormat), ImageError> {
    let format = image::guess_format(bytes)
        .ok()
        .filter(|format| {
            matches!(
                format,
                ImageFormat::Png
                    | ImageFormat::Tiff
                    | ImageFormat::Jpeg
                    | ImageFormat::Bmp
                    | ImageFormat::Pnm
            )
        })
        .ok_or_else(|| ImageError::UnknownFormat { name: name.to_owned() })?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Width and height are checked here, where they can be told, not by the decoder.
    let mut own = Limits::no_limits();
    own.max_alloc = Some(limits.max_bytes);
    reader.limits(own);
    let decoder = reader.into_decoder().map_err(|error| decoding(name, limits, error))?;
    Ok((decoder, format))
}

fn check_header(
    decoder: &mut impl ImageDecoder,
    name: &str,
    file_bytes: usize,
    limits: &ReadLimits,
) -> Result<Header, ImageError> {
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    if width.max(height) > limits.max_side {
        return Err(ImageError::TooWide { name: name.to_owned(), width, height, max_side: limits.max_side });
    }
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(ImageError::TooSmall { name: name.to_owned(), width, height });
    }
    let samples = decoder.total_bytes();
    let pixels = (width as u64 * height as u64).saturating_mul(size_of::<f32>() as u64);
    let needed = samples.saturating_add(pixels).saturating_add(file_bytes as u64);
    let bytes = usize::try_from(samples).unwrap_or(usize::MAX);
    if needed > limits.max_bytes || bytes == usize::MAX {
        return Err(too_large(name.to_owned(), needed, limits));
    }
    let color = decoder.color_type();
    let layout = Layout::of(color)
        .ok_or_else(|| ImageError::Unsupported { name: name.to_owned(), reason: format!("{color:?}") })?;
    match decoder.orientation() {
        Ok(Orientation::NoTransforms) | Err(_) => Ok(Header { width, height, layout, bytes }),
        Ok(orientation) => {
            Err(ImageError::Orientation { name: name.to_owned(), orientation: format!("{orientation:?}") })
        }
    }
}

fn decoding(name: &str, limits: &ReadLimits, error: image::ImageError) -> ImageError {
    let name = name.to_owned();
    match error {
        image::ImageError::Limits(_) => too_large(name, limits.max_bytes.saturating_add(1), limits),
        image::ImageError::Unsupported(error) => ImageError::Unsupported { name, reason: error.to_string() },
        image::ImageError::Decoding(error) => ImageError::Damaged { name, reason: error.to_string() },
        error => ImageError::Damaged { name, reason: error.to_string() },
    }
}

pub(super) fn too_large(name: String, needed: u64, limits: &ReadLimits) -> ImageError {
    ImageError::TooLarge { name, needed_mib: needed.div_ceil(1 << 20), max_mib: limits.max_bytes >> 20 }
}

/// Whether the end-of-image marker follows the last scan: the decoder fills what is missing with grey and says nothing.
///
/// Within a scan `FF` is followed by `00` or a restart marker, so neither pair below can be image data.
pub(super) fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    match (last([0xFF, 0xDA]), last([0xFF, 0xD9])) {
        (Some(scan), Some(end)) => end > scan,
        _ => false,
    }
}

/// Whether a TIFF file goes on after its first page. Files of more than 4 GiB (BigTIFF) are beyond the limits.
fn has_second_page(bytes: &[u8]) -> bool {
    let big = bytes.starts_with(b"MM");
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..)?.get(..length)?;
        let digit = |sum: usize, &byte: &u8| (sum << 8) | usize::from(byte);
        Some(if big { bytes.iter().fold(0, digit) } else { bytes.iter().rev().fold(0, digit) })
    };
    // The first page's entries of 12 bytes follow their number; then comes where the second page is.
    let second = || {
        let first = number(4, 4)?;
        number(first.checked_add(2 + 12 * number(first, 2)?)?, 4)
    };
    number(2, 2) == Some(42) && second().is_some_and(|second| second != 0)
}
