//! Coded bits of JPEG-LS (ITU-T T.87).

use super::bits::{after_scan, restart_marker};
use super::{ENDS_EARLY, INVALID, LEFT_OVER, Problem};

/// Coded bits: after a byte of all ones, the next byte has seven (A.1, C.2).
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    buffer: u64,
    filled: u32,
    was_ones: bool,
    restarts: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Bits<'a> {
        Bits { rest, buffer: 0, filled: 0, was_ones: false, restarts: 0 }
    }

    fn fill(&mut self) {
        while self.filled <= 56 {
            let (&byte, rest) = match self.rest {
                [0xFF, 0x80..=0xFF, ..] | [] => return,
                [byte, rest @ ..] => (byte, rest),
            };
            let count = if self.was_ones { 7 } else { 8 };
            self.was_ones = byte == 0xFF;
            self.buffer |= u64::from(byte) << (64 - count - self.filled);
            self.filled += count;
            self.rest = rest;
        }
    }

    /// Reads up to 32 bits as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Problem> {
        if self.filled < count {
            self.fill();
        }
        self.filled = self.filled.checked_sub(count).ok_or(ENDS_EARLY)?;
        // In two steps, as `count` may be 0.
        let bits = (self.buffer >> 1) >> (63 - count);
        self.buffer <<= count;
        Ok(bits as u32)
    }

    /// Reads a run of zeros and the one after it; returns its length, at most `most`.
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32, Problem> {
        let mut zeros = 0;
        while zeros <= most {
            if self.filled == 0 {
                self.fill();
            }
            let found = self.buffer.leading_zeros();
            if found < self.filled {
                self.filled -= found + 1;
                self.buffer = (self.buffer << found) << 1;
                zeros += found;
                return if zeros <= most { Ok(zeros) } else { Err(INVALID) };
            }
            if self.filled == 0 {
                return Err(ENDS_EARLY);
            }
            zeros += self.filled;
            (self.buffer, self.filled) = (0, 0);
        }
        Err(INVALID)
    }

    /// Whether coded bits are left, besides fill bits of the last byte.
    fn has_more(&mut self) -> bool {
        self.fill();
        // A zero byte after one of all ones is filler, too.
        let is_filler = self.filled < 16 && self.buffer == 0;
        self.filled >= 8 && !is_filler
    }

    /// The bytes after the coded data of the scan, all of which have to be used.
    pub(super) fn finish(mut self) -> Result<&'a [u8], Problem> {
        if self.has_more() { Err(LEFT_OVER) } else { after_scan(self.rest) }
    }

    /// Skips the next restart marker; less than a byte may remain before it.
    pub(super) fn restart(&mut self) -> Result<(), Problem> {
        if self.has_more() {
            return Err(INVALID);
        }
        self.rest = restart_marker(self.rest, self.restarts)?;
        *self = Bits { restarts: (self.restarts + 1) % 8, ..Bits::new(self.rest) };
        Ok(())
    }
}
