//! Row-by-row decoding of PNG files that are too large to be decoded whole.

use std::borrow::Cow;
use std::io::Cursor;

use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use super::{Timed, damaged};
use crate::contain::contain;
use crate::image::grey::SampleRows;
use crate::image::{ImageError, ReadLimits};

/// Offset of the interlace method in a file (PNG, third edition, 11.2.1).
const INTERLACE: usize = 28;

/// A file without interlacing.
pub(super) struct PngRows<'a> {
    bytes: Cow<'a, [u8]>,
    name: &'a str,
    limits: &'a ReadLimits,
}

impl<'a> PngRows<'a> {
    /// Rows of a file, as filtered for the decoder, that is not [interlaced](is_interlaced).
    pub(super) fn new(bytes: Cow<'a, [u8]>, name: &'a str, limits: &'a ReadLimits) -> PngRows<'a> {
        PngRows { bytes, name, limits }
    }

    fn failed(&self, error: &DecodingError) -> ImageError {
        match error {
            _ if self.limits.is_late() => ImageError::TimedOut { name: self.name.to_owned() },
            DecodingError::LimitsExceeded => {
                self.limits.exceeded(self.name, self.limits.max_bytes.saturating_add(1))
            }
            error => damaged(self.name, error),
        }
    }

    fn decode(&self, take: &mut dyn FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError> {
        let most = usize::try_from(self.limits.max_bytes).unwrap_or(usize::MAX);
        let file = Timed::new(Cursor::new(&self.bytes), self.limits);
        let mut decoder = Decoder::new_with_limits(file, Limits { bytes: most });
        // Palettes and fewer than 8 bits are expanded to whole bytes, as in the crate `image`.
        decoder.set_transformations(Transformations::EXPAND);
        let mut reader = decoder.read_info().map_err(|error| self.failed(&error))?;
        let is_wide = reader.output_color_type().1 == BitDepth::Sixteen;
        let mut native = Vec::new();
        while let Some(row) = reader.next_row().map_err(|error| self.failed(&error))? {
            if !is_wide {
                take(row.data())?;
                continue;
            }
            native.clear();
            let words = row.data().chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            native.extend(words.flat_map(u16::to_ne_bytes));
            take(&native)?;
        }
        Ok(())
    }
}

/// Whether the rows of a file are stored in seven passes.
pub(super) fn is_interlaced(start: &[u8]) -> bool {
    start.get(INTERLACE) != Some(&0)
}

impl SampleRows for PngRows<'_> {
    fn each(&self, take: &mut dyn FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError> {
        contain(|| self.decode(take)).unwrap_or_else(|panic| Err(damaged(self.name, panic)))
    }
}
