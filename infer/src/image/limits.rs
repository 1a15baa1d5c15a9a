//! What reading an image may cost.

use super::{ImageError, MIN_SIDE};

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

impl ReadLimits {
    /// Refuses an image of another size, or one that needs more memory: `bytes_a_pixel` beside `bytes` of the file.
    pub(super) fn check(
        &self,
        name: &str,
        (width, height): (usize, usize),
        bytes_a_pixel: u64,
        bytes: u64,
    ) -> Result<(), ImageError> {
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
        let needed = (width as u64 * height as u64).saturating_mul(bytes_a_pixel).saturating_add(bytes);
        if needed > self.max_bytes { Err(self.exceeded(name, needed)) } else { Ok(()) }
    }

    /// The error of a file that needs so many bytes.
    pub(super) fn exceeded(&self, name: &str, needed: u64) -> ImageError {
        let (needed_mib, max_mib) = (needed.div_ceil(1 << 20), self.max_bytes >> 20);
        ImageError::TooLarge { name: name.to_owned(), needed_mib, max_mib }
    }
}
