//! JPEG-LS (ITU-T T.87): lossless and near-lossless, one component.

use super::bits::{after_scan, restart_marker};
use super::ls_context::{Parameters, Regular, Run};
use super::segments::Stream;
use super::{ENDS_EARLY, INVALID, LEFT_OVER, Problem, check_time};
use crate::image::ReadLimits;

/// Orders of the codes of run lengths (A.7.1.1).
const RUN_ORDERS: [u8; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The samples of a frame of one component.
pub(super) fn decode(bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let mut stream = Stream::new(bytes)?;
    let scan = stream.next_scan()?;
    if scan.only()?.tables != [0, 0] {
        return Err(Problem::Unsupported("JPEG-LS with a mapping table"));
    }
    let (width, height, precision) = {
        let frame = stream.frame()?;
        (frame.width, frame.height, frame.precision)
    };
    if scan.low != 0 || scan.high != 0 {
        return Err(Problem::Unsupported("JPEG-LS with a point transform"));
    }
    let parameters = Parameters::new(precision, scan.start, stream.preset)?;
    // A bit is the least that a line needs.
    if stream.coded().len() < height / 8 {
        return Err(ENDS_EARLY);
    }
    let mut samples = Vec::new();
    samples.try_reserve_exact(width * height).map_err(|_| Problem::Damaged("too large for the memory"))?;
    let mut bits = Bits::new(stream.coded());
    let mut coder = Coder::new(&parameters, width);
    for line in 0..height {
        check_time(limits)?;
        if stream.restart_interval > 0 && line > 0 && line % stream.restart_interval == 0 {
            bits.restart()?;
            coder = Coder::new(&parameters, width);
        }
        coder.line(&mut bits)?;
        samples.extend(coder.current.iter().skip(1).take(width).map(|&sample| sample as u16));
    }
    stream.finish(bits.finish()?)?;
    Ok(samples)
}

/// State of the decoder between lines.
struct Coder<'a> {
    parameters: &'a Parameters,
    regular: Vec<Regular>,
    runs: [Run; 2],
    run_index: usize,
    /// The line before and this one, with a sample before the first and one after the last (A.2.1).
    above: Vec<i32>,
    current: Vec<i32>,
}

impl<'a> Coder<'a> {
    fn new(parameters: &'a Parameters, width: usize) -> Coder<'a> {
        let line = vec![0; width + 2];
        Coder {
            parameters,
            regular: vec![Regular::new(parameters); 365],
            runs: [Run::new(parameters), Run::new(parameters)],
            run_index: 0,
            above: line.clone(),
            current: line,
        }
    }

    fn line(&mut self, bits: &mut Bits<'_>) -> Result<(), Problem> {
        std::mem::swap(&mut self.above, &mut self.current);
        let last = self.above.len() - 1;
        self.above[last] = self.above[last - 1];
        self.current[0] = self.above[1];
        let mut at = 1;
        while at < last {
            let left = self.current[at - 1];
            let [above_left, above, above_right] = [self.above[at - 1], self.above[at], self.above[at + 1]];
            let gradients = [above_right - above, above - above_left, above_left - left];
            if gradients.iter().all(|gradient| gradient.abs() <= self.parameters.near) {
                at = self.run(bits, at)?;
                continue;
            }
            // A.3: the context, of which those of opposite signs are one.
            let context =
                gradients.iter().fold(0, |sum, &gradient| 9 * sum + self.parameters.quantise(gradient));
            let sign = if context < 0 { -1 } else { 1 };
            let state = self.regular.get_mut(context.unsigned_abs() as usize).ok_or(INVALID)?;
            let predicted = median(left, above, above_left);
            self.current[at] = state.decode(bits, self.parameters, predicted, sign)?;
            at += 1;
        }
        Ok(())
    }

    /// Run mode (A.7): a run of the sample to the left and the sample that ends it, if the line does not; where the next sample is.
    fn run(&mut self, bits: &mut Bits<'_>, start: usize) -> Result<usize, Problem> {
        let last = self.above.len() - 1;
        let value = self.current[start - 1];
        let mut end = start;
        let order = loop {
            let order = u32::from(RUN_ORDERS[self.run_index]);
            let left = last - end;
            if bits.take(1)? == 0 {
                // The run ends within the line.
                let length = bits.take(order)? as usize;
                if length >= left {
                    return Err(INVALID);
                }
                end += length;
                break Some(order);
            }
            end += left.min(1 << order);
            if left >= 1 << order {
                self.run_index = (self.run_index + 1).min(RUN_ORDERS.len() - 1);
            }
            if end == last {
                break None;
            }
        };
        self.current[start..end].fill(value);
        let Some(order) = order else { return Ok(end) };
        let above = self.above[end];
        let is_flat = (value - above).abs() <= self.parameters.near;
        let (predicted, sign) = match (is_flat, value > above) {
            (true, _) => (value, 1),
            (false, true) => (above, -1),
            (false, false) => (above, 1),
        };
        let state = &mut self.runs[usize::from(is_flat)];
        self.current[end] = state.decode(bits, self.parameters, (predicted, sign), is_flat, order)?;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(end + 1)
    }
}

/// Edge-detecting prediction (A.4.1).
fn median(left: i32, above: i32, above_left: i32) -> i32 {
    let (least, most) = (left.min(above), left.max(above));
    if above_left >= most {
        least
    } else if above_left <= least {
        most
    } else {
        left + above - above_left
    }
}

/// Coded bits: after a byte of ones, the next byte has seven (A.1, C.2).
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    buffer: u64,
    filled: u32,
    was_ones: bool,
    restarts: u8,
}

impl<'a> Bits<'a> {
    fn new(rest: &'a [u8]) -> Bits<'a> {
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

    /// The next bits, at most 32, as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Problem> {
        if self.filled < count {
            self.fill();
        }
        self.filled = self.filled.checked_sub(count).ok_or(ENDS_EARLY)?;
        // In two steps, as none at all may be taken.
        let bits = (self.buffer >> 1) >> (63 - count);
        self.buffer <<= count;
        Ok(bits as u32)
    }

    /// The number of zeros up to the next one, which is taken as well; at most so many.
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

    /// Whether coded bits are left but those that fill up the last byte.
    fn has_more(&mut self) -> bool {
        self.fill();
        // A byte of zeros after one of ones fills up as well.
        let is_filler = self.filled < 16 && self.buffer == 0;
        self.filled >= 8 && !is_filler
    }

    /// What follows the coded data of the scan, all of which have to be taken.
    fn finish(mut self) -> Result<&'a [u8], Problem> {
        if self.has_more() { Err(LEFT_OVER) } else { after_scan(self.rest) }
    }

    /// Goes past the next restart marker; less than a byte may be left before it.
    fn restart(&mut self) -> Result<(), Problem> {
        if self.has_more() {
            return Err(INVALID);
        }
        self.rest = restart_marker(self.rest, self.restarts)?;
        *self = Bits { restarts: (self.restarts + 1) % 8, ..Bits::new(self.rest) };
        Ok(())
    }
}
