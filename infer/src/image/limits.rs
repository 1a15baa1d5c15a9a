//! Limits on reading images.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::time::Instant;

use super::reduction::reduced_size;
use super::{ImageError, MIN_SIDE};
use crate::{MemoryBudget, MemoryError, MemoryShare};

/// Bytes per pixel during conversion: 16 bits of grey or three colours of 8, and 32 bits of the result.
const BYTES_A_PIXEL: u64 = 8;

/// Limits on reading an image, for all formats.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use infomark_infer::ReadLimits;
///
/// let deadline = Instant::now().checked_add(Duration::from_secs(5));
/// let limits = ReadLimits { max_side: 10_000, deadline, ..ReadLimits::default() };
/// # assert_eq!(limits.max_scans, 100);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Maximum side in pixels.
    pub max_side: usize,
    /// Maximum number of pixels, width times height.
    pub max_pixels: u64,
    /// Maximum memory in bytes: the file, the decoded samples and the pixels together.
    pub max_bytes: u64,
    /// Maximum number of scans of a JPEG stream, each of which covers the whole picture; encoders write about ten.
    pub max_scans: usize,
    /// Maximum number of strips or tiles of a TIFF file, or tiles of JPEG 2000.
    pub max_tiles: usize,
    /// Maximum depth of nested DICOM sequences.
    pub max_depth: usize,
    /// Deadline, checked before and during decoding; for JPEG 2000 before and after.
    pub deadline: Option<Instant>,
    /// Whether images of more than 2^24 pixels, 4096 x 4096, are reduced to at most that many block averages while they are
    /// decoded: for models with [`InputSize::takes_reduced`](crate::InputSize::takes_reduced), whose results are the same, bit for bit.
    /// Smaller images, and grey [`Levels`](super::Levels), keep all pixels.
    pub reduced: bool,
}

impl Default for ReadLimits {
    /// 32768 pixels a side, 2^28 pixels, 512 MiB (about 100 million 8-bit pixels), 100 scans, 65536 strips or tiles, sequence
    /// depth 100, no deadline, no reduction.
    fn default() -> Self {
        ReadLimits {
            max_side: 32_768,
            max_pixels: 1 << 28,
            max_bytes: 512 << 20,
            max_scans: 100,
            max_tiles: 1 << 16,
            max_depth: 100,
            deadline: None,
            reduced: false,
        }
    }
}

impl ReadLimits {
    /// Whether an image of this size is reduced.
    pub(super) fn reduces(&self, size: (usize, usize)) -> bool {
        self.kept_size(size) != size
    }

    pub(super) fn kept_size(&self, size: (usize, usize)) -> (usize, usize) {
        if self.reduced { reduced_size(size) } else { size }
    }

    /// Bytes of the pixels kept of an image of this size.
    fn kept_bytes(&self, size: (usize, usize)) -> u64 {
        let (width, height) = self.kept_size(size);
        (width as u64).saturating_mul(height as u64).saturating_mul(size_of::<f32>() as u64)
    }

    /// Bytes that [`max_bytes`](Self::max_bytes) bounds.
    pub(super) fn needed_bytes(&self, size: (usize, usize), held: u64, length: u64) -> u64 {
        self.kept_bytes(size).saturating_add(held).saturating_add(length)
    }

    /// Rejects an image whose size or memory exceeds the limits: `held` bytes of decoding and the kept pixels, besides a
    /// file of `length`.
    pub(super) fn check(
        &self,
        name: &str,
        (width, height): (usize, usize),
        held: u64,
        length: u64,
    ) -> Result<(), ImageError> {
        self.check_time(name)?;
        if width.max(height) > self.max_side {
            return Err(ImageError::TooWide {
                name: name.to_owned(),
                width,
                height,
                max_side: self.max_side,
            });
        }
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(ImageError::TooSmall { name: name.to_owned(), width, height });
        }
        let pixels = (width as u64).saturating_mul(height as u64);
        let needed = self.needed_bytes((width, height), held, length);
        if needed > self.max_bytes {
            return Err(self.exceeded(name, needed));
        }
        if pixels > self.max_pixels {
            let (name, count, most) = (name.to_owned(), pixels, self.max_pixels);
            return Err(ImageError::TooMany { name, parts: "pixels", count, most });
        }
        Ok(())
    }

    /// Memory of reading in bytes: the file twice, samples and pixels. For a reduced image the samples are the `held` bytes.
    pub(super) fn reading_bytes(&self, size: (usize, usize), held: u64, length: u64) -> u64 {
        let of_image = if self.reduces(size) {
            held.saturating_add(self.kept_bytes(size))
        } else {
            (size.0 as u64).saturating_mul(size.1 as u64).saturating_mul(BYTES_A_PIXEL)
        };
        of_image.saturating_add(length.saturating_mul(2))
    }

    /// Waits for the memory of reading.
    pub(super) fn draw(&self, name: &str, needed: u64) -> Result<MemoryShare<'static>, ImageError> {
        MemoryBudget::of_process().take(needed, self.deadline).map_err(|error| match error {
            MemoryError::NeverFits { needed, most } => ImageError::TooLarge {
                name: name.to_owned(),
                needed_mib: needed.div_ceil(1 << 20),
                max_mib: most >> 20,
            },
            MemoryError::TimedOut => ImageError::TimedOut { name: name.to_owned() },
        })
    }

    /// The error of a file that needs too much memory.
    pub(super) fn exceeded(&self, name: &str, needed: u64) -> ImageError {
        let (needed_mib, max_mib) = (needed.div_ceil(1 << 20), self.max_bytes >> 20);
        ImageError::TooLarge { name: name.to_owned(), needed_mib, max_mib }
    }

    /// Whether the deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// # Errors
    /// [`ImageError::TimedOut`] when the deadline has passed.
    pub(super) fn check_time(&self, name: &str) -> Result<(), ImageError> {
        if self.is_late() { Err(ImageError::TimedOut { name: name.to_owned() }) } else { Ok(()) }
    }
}

/// Number of bytes between checks of the deadline.
const AT_ONCE: usize = 1 << 16;

/// A reader for decoders without deadlines, which fails after the deadline.
pub(super) struct Timed<'a, R> {
    inner: R,
    limits: &'a ReadLimits,
}

impl<'a, R> Timed<'a, R> {
    pub(super) fn new(inner: R, limits: &'a ReadLimits) -> Timed<'a, R> {
        Timed { inner, limits }
    }

    fn check(&self) -> io::Result<()> {
        if self.limits.is_late() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl<R: Read> Read for Timed<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let length = into.len().min(AT_ONCE);
        self.inner.read(into.get_mut(..length).unwrap_or_default())
    }
}

impl<R: BufRead> BufRead for Timed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        let buffer = self.inner.fill_buf()?;
        Ok(buffer.get(..buffer.len().min(AT_ONCE)).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

impl<R: Seek> Seek for Timed<'_, R> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.inner.seek(place)
    }
}
