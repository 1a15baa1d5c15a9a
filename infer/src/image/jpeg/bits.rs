//! Entropy-coded bits with stuffed zero bytes (ITU-T T.81, F.1.2.3).

use super::{ENDS_EARLY, INVALID, LEFT_OVER, Problem, marker};

/// Entropy-coded bits up to the next marker.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// Bits taken from `rest`, the next one at the top.
    buffer: u64,
    filled: u32,
    /// Restart markers so far.
    restarts: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Bits<'a> {
        Bits { rest, buffer: 0, filled: 0, restarts: 0 }
    }

    fn fill(&mut self) {
        while self.filled <= 56 {
            let (byte, rest) = match self.rest {
                [0xFF, 0, rest @ ..] => (0xFF, rest),
                [0xFF, ..] | [] => return,
                [byte, rest @ ..] => (*byte, rest),
            };
            self.buffer |= u64::from(byte) << (56 - self.filled);
            self.filled += 8;
            self.rest = rest;
        }
    }

    /// Number of bits in the buffer, at least 16 unless the data end.
    pub(super) fn left(&self) -> u32 {
        self.filled
    }

    /// The next 16 bits, padded with zeros at the end.
    pub(super) fn window(&mut self) -> u32 {
        if self.filled < 16 {
            self.fill();
        }
        (self.buffer >> 48) as u32
    }

    pub(super) fn skip(&mut self, count: u32) -> Result<(), Problem> {
        self.filled = self.filled.checked_sub(count).ok_or(ENDS_EARLY)?;
        self.buffer <<= count;
        Ok(())
    }

    /// Reads up to 16 bits as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Problem> {
        let bits = self.window() >> (16 - count);
        self.skip(count)?;
        Ok(bits)
    }

    /// A difference or coefficient of a category: as many bits of it, the lower half for the negative ones (F.1.2.1).
    pub(super) fn signed(&mut self, category: u32) -> Result<i32, Problem> {
        if category == 0 {
            return Ok(0);
        }
        let value = self.take(category)? as i32;
        let is_negative = value < 1 << (category - 1);
        Ok(if is_negative { value + 1 - (1 << category) } else { value })
    }

    /// Skips the next restart marker, which has to follow and be the next in order.
    pub(super) fn restart(&mut self) -> Result<(), Problem> {
        self.fill();
        if self.filled >= 8 {
            return Err(INVALID);
        }
        self.rest = restart_marker(self.rest, self.restarts)?;
        self.restarts = (self.restarts + 1) % 8;
        (self.buffer, self.filled) = (0, 0);
        Ok(())
    }

    /// The bytes after the coded data of a scan, all of which have to be used, except fill bits of the last byte.
    pub(super) fn finish(mut self) -> Result<&'a [u8], Problem> {
        self.fill();
        // Without an end marker, a zero byte may pad to even length.
        let is_even_filler =
            self.rest.is_empty() && self.filled < 16 && self.buffer << (self.filled % 8) == 0;
        if self.filled >= 8 && !is_even_filler { Err(LEFT_OVER) } else { after_scan(self.rest) }
    }
}

/// The bytes after the coded data of a scan: a marker that does not continue them, or nothing.
pub(super) fn after_scan(rest: &[u8]) -> Result<&[u8], Problem> {
    let marker = rest.iter().copied().find(|&byte| byte != 0xFF);
    match (rest, marker) {
        ([0xFF, ..], Some(marker::FIRST_RESTART..=marker::LAST_RESTART)) => Err(LEFT_OVER),
        ([0xFF, ..] | [], _) => Ok(rest),
        _ => Err(LEFT_OVER),
    }
}

/// The bytes after a restart marker, which has to be the first after `before` others.
pub(super) fn restart_marker(mut rest: &[u8], before: u8) -> Result<&[u8], Problem> {
    while let [0xFF, 0xFF, ..] = rest {
        rest = rest.get(1..).unwrap_or_default();
    }
    let expected = marker::FIRST_RESTART + before % 8;
    match rest {
        [0xFF, code, rest @ ..] if *code == expected => Ok(rest),
        [] | [0xFF] | [0xFF, marker::END_OF_IMAGE, ..] => Err(ENDS_EARLY),
        _ => Err(Problem::Damaged("its JPEG restart markers are not in order")),
    }
}
