//! PBM, PGM, PPM and PAM files: exactly as many samples as the header requires, none above its maximum.

use std::cmp::Ordering;
use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::pnm::{PnmDecoder, PnmSubtype, SampleEncoding};

use super::Flaw;

const ENDS_EARLY: Flaw = Flaw::Damaged("its samples end early");
const LEFT_OVER: Flaw = Flaw::Damaged("bytes follow the samples that its header calls for");

/// Rejects a file whose samples do not match its header; an invalid header is left to the decoder.
pub(super) fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let Ok(decoder) = PnmDecoder::new(Cursor::new(bytes)) else { return Ok(()) };
    let ((width, height), samples) = (decoder.dimensions(), decoder.color_type().channel_count());
    let (reader, header) = decoder.into_inner();
    let rest = bytes.get(reader.position() as usize..).unwrap_or_default();
    let (maximum, subtype) = (header.maximal_sample(), header.subtype());
    let count = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(samples.into());
    if subtype.sample_encoding() == SampleEncoding::Ascii {
        return in_text(rest, count, maximum, matches!(subtype, PnmSubtype::Bitmap(_)));
    }
    let wide = maximum > 0xFF;
    let length = match subtype {
        // Eight pixels per byte; each row starts a new byte.
        PnmSubtype::Bitmap(_) => u64::from(width).div_ceil(8).saturating_mul(height.into()),
        _ => count.saturating_mul(1 + u64::from(wide)),
    };
    match (rest.len() as u64).cmp(&length) {
        Ordering::Less => return Err(ENDS_EARLY),
        Ordering::Equal => {}
        Ordering::Greater => {
            let next = rest.get(length as usize..).unwrap_or_default();
            return Err(if matches!(next, [b'P', b'1'..=b'7', ..]) { Flaw::Pages } else { LEFT_OVER });
        }
    }
    let exceeds = match subtype {
        PnmSubtype::Bitmap(_) => false,
        _ if wide => {
            rest.chunks_exact(2).any(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])) > maximum)
        }
        _ => rest.iter().any(|&sample| u32::from(sample) > maximum),
    };
    if exceeds { Err(Flaw::Damaged("a sample is above the maximum of its header")) } else { Ok(()) }
}

/// Samples in decimal digits, each followed by white space, as the last one may be truncated. Bits need no separator.
fn in_text(rest: &[u8], count: u64, maximum: u32, are_bits: bool) -> Result<(), Flaw> {
    let is_space = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0B | 0x0C | b'\r' | b' ');
    let found = if are_bits {
        rest.iter().filter(|byte| !is_space(byte)).count()
    } else {
        let mut found = 0;
        for word in rest.split(is_space).filter(|word| !word.is_empty()) {
            let number = std::str::from_utf8(word).ok().and_then(|word| word.parse::<u32>().ok());
            if number.is_none_or(|number| number > maximum) {
                return Err(Flaw::Damaged("a sample is no number up to the maximum of its header"));
            }
            found += 1;
        }
        found
    };
    match (found as u64).cmp(&count) {
        Ordering::Less => Err(ENDS_EARLY),
        Ordering::Greater => Err(LEFT_OVER),
        Ordering::Equal if !are_bits && !rest.last().is_some_and(is_space) => Err(ENDS_EARLY),
        Ordering::Equal => Ok(()),
    }
}
