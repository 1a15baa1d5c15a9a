//! Compressed strips and tiles of TIFF: each has to decompress to exactly its size.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use weezl::BitOrder;
use weezl::decode::Decoder as Lzw;

use super::{Flaw, ReadLimits};
#[cfg(feature = "jpeg")]
use crate::image::jpeg;

const WRONG_LENGTH: Flaw = Flaw::Damaged("a TIFF strip unpacks to another length than its size calls for");

/// Number of decompressed bytes between checks of the deadline.
const AT_ONCE: usize = 1 << 15;

/// Rejects a strip or tile of `size` pixels that does not decompress to one of these `lengths`, the longer last; unsupported compressions are
/// left to the decoder.
pub(super) fn check(
    packed: &[u8],
    compression: u64,
    lengths: [u64; 2],
    size: (u64, u64),
    tables: Option<&[u8]>,
    limits: &ReadLimits,
) -> Result<(), Flaw> {
    let [_, most] = lengths;
    let unpacked = match compression {
        5 => lzw(packed, most, limits)?,
        8 | 32_946 => deflated(packed, most, limits)?,
        32_773 => pack_bits(packed)?,
        7 => return jpeg(packed, size, tables, limits),
        _ => return Ok(()),
    };
    if lengths.contains(&unpacked) { Ok(()) } else { Err(WRONG_LENGTH) }
}

/// Decompressed length of LZW codes (TIFF 6.0, section 13), up to one more than `most`; the end code may be missing.
fn lzw(packed: &[u8], most: u64, limits: &ReadLimits) -> Result<u64, Flaw> {
    let mut decoder = Lzw::with_tiff_size_switch(BitOrder::Msb, 8);
    let (mut rest, mut buffer, mut length) = (packed, vec![0; AT_ONCE], 0);
    while length <= most {
        check_time(limits)?;
        let step = decoder.decode_bytes(rest, &mut buffer);
        rest = rest.get(step.consumed_in..).unwrap_or_default();
        length += step.consumed_out as u64;
        match step.status {
            Ok(weezl::LzwStatus::Ok) => {}
            Ok(weezl::LzwStatus::Done | weezl::LzwStatus::NoProgress) => break,
            Err(_) => return Err(Flaw::Damaged("the LZW codes of a TIFF strip are not valid")),
        }
    }
    Ok(length)
}

/// Decompressed length of a zlib stream with its checksum, up to one more than `most`.
fn deflated(packed: &[u8], most: u64, limits: &ReadLimits) -> Result<u64, Flaw> {
    let mut reader = ZlibDecoder::new(packed).take(most.saturating_add(1));
    let (mut buffer, mut length) = (vec![0; AT_ONCE], 0);
    loop {
        check_time(limits)?;
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(count) => length += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Flaw::Damaged("a deflated TIFF strip is not valid")),
        }
    }
}

/// Decompressed length of PackBits (TIFF 6.0, section 9).
fn pack_bits(mut packed: &[u8]) -> Result<u64, Flaw> {
    let mut length = 0;
    while let Some((&control, rest)) = packed.split_first() {
        let (taken, count) = match control as i8 {
            i8::MIN => (0, 0),
            repeats @ ..0 => (1, 1 + u64::from(repeats.unsigned_abs())),
            literals => (1 + literals as usize, 1 + literals as u64),
        };
        packed = rest.get(taken..).ok_or(Flaw::Damaged("the runs of a TIFF strip end early"))?;
        length += count;
    }
    Ok(length)
}

/// Checks a JPEG stream, after the shared tables, if any (TIFF Technical Note 2).
#[cfg(feature = "jpeg")]
fn jpeg(packed: &[u8], size: (u64, u64), tables: Option<&[u8]>, limits: &ReadLimits) -> Result<(), Flaw> {
    let joined = match tables.and_then(|tables| tables.strip_suffix(&[0xFF, 0xD9])) {
        Some(tables) => [tables, packed.get(2..).unwrap_or_default()].concat(),
        None => packed.to_vec(),
    };
    let read = || {
        let frame = jpeg::file::header(&joined)?.frame;
        jpeg::file::check(&joined, limits)?;
        Ok((frame.width as u64, frame.height as u64))
    };
    match read() {
        Ok(found) if found == size => Ok(()),
        Ok(_) => Err(WRONG_LENGTH),
        Err(jpeg::Problem::Damaged(reason)) => Err(Flaw::Damaged(reason)),
        Err(jpeg::Problem::Unsupported(kind)) => Err(Flaw::Unsupported(kind)),
        Err(jpeg::Problem::TooManyScans(most)) => Err(Flaw::TooMany("JPEG scans", most as u64 + 1, most)),
        Err(jpeg::Problem::TimedOut) => Err(Flaw::TimedOut),
    }
}

#[cfg(not(feature = "jpeg"))]
fn jpeg(_: &[u8], _: (u64, u64), _: Option<&[u8]>, _: &ReadLimits) -> Result<(), Flaw> {
    Err(Flaw::Unsupported("JPEG within TIFF, as the feature `jpeg` is off"))
}

fn check_time(limits: &ReadLimits) -> Result<(), Flaw> {
    if limits.is_late() { Err(Flaw::TimedOut) } else { Ok(()) }
}
