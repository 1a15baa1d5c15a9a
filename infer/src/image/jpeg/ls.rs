//! JPEG-LS (ITU-T T.87): lossless and near-lossless, one component.

use super::ls_bits::Bits;
use super::ls_context::{Parameters, Regular, Run};
use super::segments::Stream;
use super::{ENDS_EARLY, INVALID, Problem, check_time};
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
    // Each line needs at least one bit.
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
    /// The previous line and the current one, with a sample before the first and one after the last (A.2.1).
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
            // A.3: the context; contexts of opposite signs are merged.
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

    /// Decodes a run (A.7) of the sample to the left and the sample that ends it, unless the line ends; returns the next index.
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
