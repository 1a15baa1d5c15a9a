//! BMP files: the pixels have to end at the end of the file.

use super::Flaw;

const ENDS_EARLY: Flaw = Flaw::Damaged("its BMP data end early");

/// Length of the file header, which contains the offset of the pixels.
const FILE_HEADER: u64 = 14;

/// Maximum padding after the pixels: some writers make the length a multiple of four.
const MOST_PADDING: u64 = 3;

/// Rejects a file whose length does not match its header, and run-length encoding, which may skip pixels.
pub(super) fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let word = |at: usize| Some(u64::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let long = |at: usize| Some(u64::from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let fields = || {
        let header = long(14)?;
        // The oldest header has sizes of two bytes, and colours of three.
        Some(if header == 12 {
            (header, word(18)?, word(20)?, word(24)?, 0, 0)
        } else {
            let height = u64::from((long(22)? as u32 as i32).unsigned_abs());
            (header, long(18)?, height, word(28)?, long(30)?, long(46)?)
        })
    };
    let (header, width, height, bits, compression, colours) = fields().ok_or(ENDS_EARLY)?;
    if matches!(compression, 1 | 2) {
        return Err(Flaw::Unsupported("BMP, run-length encoded, which may leave pixels out"));
    }
    let colours = match bits {
        1..=8 if colours == 0 => 1 << bits,
        1..=8 => colours,
        _ => 0,
    };
    let masks = if header == 40 && compression == 3 { 12 } else { 0 };
    let before = FILE_HEADER + header + masks + colours * if header == 12 { 3 } else { 4 };
    let start = long(10).ok_or(ENDS_EARLY)?;
    if start < before {
        return Err(Flaw::Damaged("its pixels begin within its BMP header"));
    }
    let row = width.saturating_mul(bits).div_ceil(32).saturating_mul(4);
    let pixels_end = start.saturating_add(row.saturating_mul(height));
    let length = bytes.len() as u64;
    if length < pixels_end {
        return Err(ENDS_EARLY);
    }
    // With the newest header, a colour profile may follow the pixels.
    let profile_end = || (header == 124).then(|| Some(FILE_HEADER + long(126)? + long(130)?))?;
    if profile_end() == Some(length) {
        return Ok(());
    }
    let padding = bytes.get(pixels_end as usize..).unwrap_or_default();
    if padding.len() as u64 > MOST_PADDING || padding.iter().any(|&byte| byte != 0) {
        return Err(Flaw::Damaged("bytes follow the pixels that its BMP header calls for"));
    }
    Ok(())
}
