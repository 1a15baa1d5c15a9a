//! ITK's pixel size of a picture, from the resolution fields of its file.
//!
//! These fields describe printing, so they are not a [`PixelSpacing`](crate::PixelSpacing); but positions
//! in files of 3D Slicer are in these millimetres. PNG: the chunk `sCAL`, whatever its unit (itk::PNGImageIO). JPEG: the
//! density of its JFIF header (itk::JPEGImageIO). TIFF: resolution and its unit (itk::TIFFImageIO). Others: 1 mm.

use image::ImageFormat;

use super::source::Source;
use crate::{ItkGeometry, Placement};

const MM_PER_INCH: f64 = 25.4;
const MM_PER_CM: f64 = 10.0;

/// Maximum number of chunks of a PNG file searched before its pixels.
const MOST_CHUNKS: usize = 10_000;
/// Maximum length of a `sCAL` chunk, in bytes.
const LONGEST_SCALE: usize = 1 << 10;

/// ITK's placement of a picture of a format other than JPEG.
pub(super) fn placement(file: &Source<'_>, format: ImageFormat) -> Placement {
    place(match format {
        ImageFormat::Png => png(file),
        ImageFormat::Tiff => tiff(file),
        _ => None,
    })
}

/// ITK's placement of a JPEG picture, from the bytes up to its first scan.
#[cfg(feature = "jpeg")]
pub(super) fn jpeg_placement(start: &[u8]) -> Placement {
    place(jpeg(start))
}

fn place(spacing_mm: Option<(f64, f64)>) -> Placement {
    let (x_mm, y_mm) = spacing_mm.unwrap_or((1.0, 1.0));
    ItkGeometry::of_picture(x_mm, y_mm)
}

/// The first valid `sCAL` chunk before the pixels, as in libpng; checksums are already checked.
fn png(file: &Source<'_>) -> Option<(f64, f64)> {
    let mut at = 8;
    for _ in 0..MOST_CHUNKS {
        let mut head = [0; 8];
        file.read_at(at, &mut head)?;
        let [l0, l1, l2, l3, kind @ ..] = head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        match &kind {
            b"IDAT" => return None,
            // libpng ignores an invalid chunk and uses a later one.
            b"sCAL" if length as usize <= LONGEST_SCALE => {
                let mut data = vec![0; length as usize];
                file.read_at(at + 8, &mut data)?;
                if let Some(scale) = scale(&data) {
                    return Some(scale);
                }
            }
            _ => {}
        }
        at += 12 + u64::from(length);
    }
    None
}

/// Width and height of a pixel in a `sCAL` chunk; ITK ignores the unit (metre or radian).
fn scale(data: &[u8]) -> Option<(f64, f64)> {
    let (&unit, numbers) = data.split_first()?;
    let mut numbers = numbers.splitn(2, |&byte| byte == 0);
    let mut number = || {
        let text = std::str::from_utf8(numbers.next()?).ok()?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        text.parse().ok().filter(|&number: &f64| is_plain && number > 0.0 && number.is_finite())
    };
    let (x, y) = (number()?, number()?);
    matches!(unit, 1 | 2).then_some((x, y))
}

/// The density of the last JFIF header before the first scan, as in libjpeg.
#[cfg(feature = "jpeg")]
fn jpeg(bytes: &[u8]) -> Option<(f64, f64)> {
    let mut rest = bytes.get(2..)?;
    let mut density = None;
    loop {
        // Fill bytes may precede a marker.
        while rest.starts_with(&[0xFF, 0xFF]) {
            rest = rest.get(1..)?;
        }
        let (&[0xFF, marker], after) = rest.split_first_chunk::<2>()? else { return density };
        // The first scan, or the end.
        if matches!(marker, 0xDA | 0xD9) {
            return density;
        }
        if matches!(marker, 0x01 | 0xD0..=0xD8) {
            rest = after;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        let segment = after.get(2..length)?;
        if marker == 0xE0 && segment.len() >= 12 && segment.starts_with(b"JFIF\0") {
            density = jfif(segment);
        }
        rest = after.get(length..)?;
    }
}

#[cfg(feature = "jpeg")]
fn jfif(segment: &[u8]) -> Option<(f64, f64)> {
    let &[.., unit, x_high, x_low, y_high, y_low] = segment.first_chunk::<12>()?;
    let density = |high, low| Some(f64::from(u16::from_be_bytes([high, low]))).filter(|&d| d > 0.0);
    let (x, y) = (density(x_high, x_low)?, density(y_high, y_low)?);
    match unit {
        1 => Some((MM_PER_INCH / x, MM_PER_INCH / y)),
        2 => Some((MM_PER_CM / x, MM_PER_CM / y)),
        _ => None,
    }
}

/// The resolution of the first page, if its unit is stated; without one, ITK uses 1 per unit.
fn tiff(file: &Source<'_>) -> Option<(f64, f64)> {
    let tiff = Tiff::open(file)?;
    let (mut x, mut y, mut unit) = (None, None, None);
    for entry in 0..tiff.entries {
        let Some((tag, at)) = tiff.entry(entry) else { break };
        match tag {
            // libtiff stores resolutions in single precision.
            282 => x = tiff.number(at).map(|number| number as f32),
            283 => y = tiff.number(at).map(|number| number as f32),
            296 => unit = tiff.number(at),
            _ => {}
        }
    }
    let mm_per_unit = match unit? {
        2.0 => MM_PER_INCH,
        3.0 => MM_PER_CM,
        _ => return None,
    };
    let (x, y) = match (x, y) {
        (None, None) => (1.0, 1.0),
        // libtiff stores both in one field: a missing one is zero.
        (x, y) => (x?, y?),
    };
    (x > 0.0 && y > 0.0).then(|| (mm_per_unit / f64::from(x), mm_per_unit / f64::from(y)))
}

/// Maximum number of directory entries searched.
const MOST_ENTRIES: u64 = 65_535;

/// The first directory of a TIFF or BigTIFF file.
struct Tiff<'a> {
    file: &'a Source<'a>,
    is_big_endian: bool,
    /// Size of an offset in bytes: 4, or 8 in BigTIFF.
    offset: u64,
    entries: u64,
    /// Position of the first entry.
    first: u64,
}

impl<'a> Tiff<'a> {
    fn open(file: &'a Source<'a>) -> Option<Tiff<'a>> {
        let mut order = [0; 2];
        file.read_at(0, &mut order)?;
        let mut tiff = Tiff { file, is_big_endian: order == *b"MM", offset: 4, entries: 0, first: 0 };
        let is_big = tiff.whole(2, 2)? == 43;
        if is_big {
            tiff.offset = 8;
        }
        let directory = tiff.whole(if is_big { 8 } else { 4 }, tiff.offset)?;
        let count = if is_big { 8 } else { 2 };
        tiff.entries = tiff.whole(directory, count)?.min(MOST_ENTRIES);
        tiff.first = directory.checked_add(count)?;
        Some(tiff)
    }

    /// An integer of at most eight bytes.
    fn whole(&self, at: u64, length: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        let bytes = bytes.get_mut(..length as usize)?;
        self.file.read_at(at, bytes)?;
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// The tag and the offset of an entry.
    fn entry(&self, index: u64) -> Option<(u64, u64)> {
        let at = self.first.checked_add(index.checked_mul(4 + 2 * self.offset)?)?;
        Some((self.whole(at, 2)?, at))
    }

    /// The first number of the value of an entry.
    fn number(&self, entry: u64) -> Option<f64> {
        let kind = self.whole(entry.checked_add(2)?, 2)?;
        let size = size_of_kind(kind)?;
        let inline = entry.checked_add(4 + self.offset)?;
        let at = if size <= self.offset { inline } else { self.whole(inline, self.offset)? };
        let whole = self.whole(at, size)?;
        Some(match kind {
            1 | 3 | 4 | 16 => whole as f64,
            5 => {
                let (part, of) = (self.whole(at, 4)? as f64, self.whole(at.checked_add(4)?, 4)? as f64);
                if part == 0.0 { 0.0 } else { part / of }
            }
            11 => f32::from_bits(whole as u32).into(),
            12 => f64::from_bits(whole),
            _ => return None,
        })
    }
}

/// Size in bytes of a number of a TIFF type.
fn size_of_kind(kind: u64) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}
