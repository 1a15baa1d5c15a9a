//! Huffman codes (ITU-T T.81, annexes C and F).

use super::bits::Bits;
use super::{ENDS_EARLY, INVALID, Problem};

/// Canonical Huffman codes of 1 to 16 bits (annex C).
pub(super) struct Huffman {
    /// Length and value of the code at the start of each eight bits; `None` for longer codes.
    short: [Option<(u32, u8)>; 256],
    /// For each length, the end of its codes, padded to 16 bits, and the index of its first value less its first code.
    lengths: [(u32, i32); 16],
    values: Vec<u8>,
}

impl Huffman {
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Result<Huffman, Problem> {
        let mut short = [None; 256];
        let mut lengths = [(0, 0); 16];
        let (mut code, mut taken) = (0_u32, 0_u32);
        for ((length, &count), entry) in (1_u32..).zip(counts).zip(&mut lengths) {
            let count = u32::from(count);
            if code + count > 1 << length {
                return Err(INVALID);
            }
            if length <= 8 {
                let of_length = values.iter().skip(taken as usize).take(count as usize);
                for (code, &value) in (code..).zip(of_length) {
                    let spread = 1 << (8 - length);
                    let begun = short.iter_mut().skip((code << (8 - length)) as usize).take(spread);
                    begun.for_each(|entry| *entry = Some((length, value)));
                }
            }
            let offset = taken as i32 - code as i32;
            code += count;
            taken += count;
            *entry = (code << (16 - length), offset);
            code <<= 1;
        }
        Ok(Huffman { short, lengths, values: values.to_vec() })
    }

    /// The value of the next code.
    pub(super) fn decode(&self, bits: &mut Bits<'_>) -> Result<u8, Problem> {
        let window = bits.window();
        if let Some(&Some((length, value))) = self.short.get((window >> 8) as usize) {
            bits.skip(length)?;
            return Ok(value);
        }
        for (length, &(end, offset)) in (1_u32..).zip(&self.lengths).skip(8) {
            if window < end {
                bits.skip(length)?;
                let index = (window >> (16 - length)) as i32 + offset;
                return self.values.get(index as usize).copied().ok_or(INVALID);
            }
        }
        // No code consists of 16 zero bits, the padding after the end of the data.
        Err(if bits.left() < 16 { ENDS_EARLY } else { INVALID })
    }
}
