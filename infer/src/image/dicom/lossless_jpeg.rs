//! Lossless JPEG (ITU-T T.81, annex H; process 14): Huffman codes of differences from predicted samples.

use super::Problem;
use super::header::Header;
use super::jpeg::{Bits, ENDS_EARLY, Huffman, INVALID, Start};

/// The samples of a frame of one component, with as many zeros at the low end as its point transform says.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Problem> {
    let start = Start::read(bytes)?;
    let (frame, shift) = (start.frame, start.scan.shift);
    if !(2..=16).contains(&frame.precision) || shift >= frame.precision {
        return Err(INVALID);
    }
    let predictor = Predictor::new(start.scan.start)?;
    let table = start.dc()?;
    // H.1.1: the interval is a multiple of the samples in a row.
    let rows_between_restarts = start.restart_interval / header.width;
    if rows_between_restarts * header.width != start.restart_interval {
        return Err(INVALID);
    }
    let count = header.width * header.height;
    // A code has at least one bit.
    if start.coded.len() < count / 8 {
        return Err(ENDS_EARLY);
    }
    let mut bits = Bits::new(start.coded);
    let mut samples = Vec::with_capacity(count);
    let mut above = vec![0_u16; header.width];
    for row in 0..header.height {
        let restarts = rows_between_restarts > 0 && row > 0 && row % rows_between_restarts == 0;
        if restarts {
            bits.restart()?;
        }
        let first_row = row == 0 || restarts;
        let mut left = first_row.then_some(1_u16 << (frame.precision - shift - 1));
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
    Ok(samples)
}

/// A difference: the category, then as many bits of it (H.1.2.2).
fn difference(bits: &mut Bits<'_>, table: &Huffman) -> Result<i32, Problem> {
    match u32::from(table.decode(bits)?) {
        0 => Ok(0),
        16 => Ok(32_768),
        category @ 1..=15 => {
            let value = bits.take(category)? as i32;
            let is_negative = value < 1 << (category - 1);
            Ok(if is_negative { value - (1 << category) + 1 } else { value })
        }
        _ => Err(INVALID),
    }
}

/// A prediction from the samples to the left, above, and above that to the left (table H.1).
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
