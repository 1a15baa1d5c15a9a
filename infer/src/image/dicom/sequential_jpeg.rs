//! Check of sequential JPEG (ITU-T T.81, annex F): whether every block is there.
//!
//! The decoder fills what is missing with grey and says nothing, and an end marker alone does not tell: some files lack it, and cut ones may have
//! it.

use super::Problem;
use super::jpeg::{Bits, Huffman, INVALID, Start};

/// Goes through the codes of all blocks of a frame of one component.
///
/// # Errors
///
/// Data that end before the last block or cannot be decoded.
pub(super) fn check(bytes: &[u8]) -> Result<(), Problem> {
    let start = Start::read(bytes)?;
    let (dc, ac) = (start.dc()?, start.ac()?);
    let mut bits = Bits::new(start.coded);
    for block in 0..start.frame.width.div_ceil(8) * start.frame.height.div_ceil(8) {
        if start.restart_interval > 0 && block > 0 && block % start.restart_interval == 0 {
            bits.restart()?;
        }
        skip_block(&mut bits, &dc, &ac)?;
    }
    Ok(())
}

/// Coefficients: that of the mean, then the others in runs of zeros and what follows one (F.1.2).
fn skip_block(bits: &mut Bits<'_>, dc: &Huffman, ac: &Huffman) -> Result<(), Problem> {
    let category = dc.decode(bits)?;
    if category > 15 {
        return Err(INVALID);
    }
    bits.take(u32::from(category))?;
    let mut coefficient = 1;
    while coefficient < 64 {
        let code = ac.decode(bits)?;
        match (code >> 4, code & 15) {
            (15, 0) => coefficient += 16,
            (_, 0) => return Ok(()),
            (zeros, category) => {
                coefficient += zeros + 1;
                bits.take(u32::from(category))?;
            }
        }
    }
    if coefficient == 64 { Ok(()) } else { Err(INVALID) }
}
