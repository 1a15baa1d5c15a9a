//! Lossless JPEG (ITU-T T.81, annex H; process 14): Huffman codes of differences from predicted samples.

use super::bits::Bits;
use super::huffman::Huffman;
use super::segments::Stream;
use super::{ENDS_EARLY, INVALID, Problem, check_time};
use crate::image::ReadLimits;

/// The samples of a frame of one component, shifted left by its point transform.
pub(super) fn decode(bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let mut stream = Stream::new(bytes)?;
    let scan = stream.next_scan()?;
    let (width, height, precision) = {
        let frame = stream.frame()?;
        (frame.width, frame.height, frame.precision)
    };
    let shift = u32::from(scan.low);
    if shift >= precision {
        return Err(INVALID);
    }
    let predictor = Predictor::new(scan.start)?;
    let table = stream.dc(scan.only()?)?;
    // H.1.1: the interval is a multiple of the samples in a row.
    let rows_between_restarts = stream.restart_interval / width;
    if rows_between_restarts * width != stream.restart_interval {
        return Err(INVALID);
    }
    let count = width * height;
    // A code has at least one bit.
    if stream.coded().len() < count / 8 {
        return Err(ENDS_EARLY);
    }
    let mut bits = Bits::new(stream.coded());
    let mut samples = Vec::with_capacity(count);
    let mut above = vec![0_u16; width];
    for row in 0..height {
        check_time(limits)?;
        let restarts = rows_between_restarts > 0 && row > 0 && row % rows_between_restarts == 0;
        if restarts {
            bits.restart()?;
        }
        let first_row = row == 0 || restarts;
        let mut left = first_row.then_some(1_u16 << (precision - shift - 1));
        let mut above_left = 0;
        for above in &mut above {
            let predicted = match left {
                Some(left) if first_row => i32::from(left),
                Some(left) => predictor.apply(left, *above, above_left),
                None => i32::from(*above),
            };
            // The sum is modulo 2^16 (H.1.2.1).
            let sample = predicted.wrapping_add(difference(&mut bits, &table)?) as u16;
            samples.push(sample << shift);
            left = Some(sample);
            above_left = std::mem::replace(above, sample);
        }
    }
    stream.finish(bits.finish()?)?;
    Ok(samples)
}

/// A difference: the category, then as many bits of it (H.1.2.2).
fn difference(bits: &mut Bits<'_>, table: &Huffman) -> Result<i32, Problem> {
    match u32::from(table.decode(bits)?) {
        16 => Ok(32_768),
        category @ 0..=15 => bits.signed(category),
        _ => Err(INVALID),
    }
}

/// Predictor from the samples to the left, above, and above left (table H.1).
#[derive(Clone, Copy)]
enum Predictor {
    Left,
    Above,
    AboveLeft,
    Plane,
    LeftAndSlope,
    AboveAndSlope,
    Mean,
}

impl Predictor {
    fn new(selection: u8) -> Result<Predictor, Problem> {
        Ok(match selection {
            1 => Predictor::Left,
            2 => Predictor::Above,
            3 => Predictor::AboveLeft,
            4 => Predictor::Plane,
            5 => Predictor::LeftAndSlope,
            6 => Predictor::AboveAndSlope,
            7 => Predictor::Mean,
            _ => return Err(INVALID),
        })
    }

    fn apply(self, left: u16, above: u16, above_left: u16) -> i32 {
        let [left, above, above_left] = [left, above, above_left].map(i32::from);
        match self {
            Predictor::Left => left,
            Predictor::Above => above,
            Predictor::AboveLeft => above_left,
            Predictor::Plane => left + above - above_left,
            Predictor::LeftAndSlope => left + ((above - above_left) >> 1),
            Predictor::AboveAndSlope => above + ((left - above_left) >> 1),
            Predictor::Mean => (left + above) >> 1,
        }
    }
}
