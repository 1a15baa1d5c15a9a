//! PNG files chunk by chunk (PNG, third edition, 5): checksums, order of the chunks, and the end.

use std::borrow::Cow;

use super::Flaw;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Maximum length of an Exif chunk with the orientation, in bytes.
const LONGEST_EXIF: usize = 1 << 20;

const ENDS_EARLY: Flaw = Flaw::Damaged("its PNG data end early");

/// A chunk: its type, its data, and all of its bytes.
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The next chunk, with a check of its checksum, and the bytes after it.
    fn next(bytes: &'a [u8]) -> Result<(Chunk<'a>, &'a [u8]), Flaw> {
        let &[l0, l1, l2, l3, k0, k1, k2, k3, ..] = bytes else { return Err(ENDS_EARLY) };
        let (length, kind) = (u32::from_be_bytes([l0, l1, l2, l3]) as usize, [k0, k1, k2, k3]);
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(Flaw::Damaged("a PNG chunk has no name"));
        }
        let (whole, after) =
            length.checked_add(12).and_then(|n| bytes.split_at_checked(n)).ok_or(ENDS_EARLY)?;
        let (checked, sum) = whole.split_last_chunk::<4>().ok_or(ENDS_EARLY)?;
        if crc32(checked.get(4..).unwrap_or_default()) != u32::from_be_bytes(*sum) {
            return Err(Flaw::Damaged("the checksum of a PNG chunk is wrong"));
        }
        let data = checked.get(8..).unwrap_or_default();
        Ok((Chunk { kind, data, whole }, after))
    }

    /// Whether the decoder gets the chunk: samples and orientation. Profiles and texts may decompress to any size.
    fn is_kept(&self) -> Result<bool, Flaw> {
        match &self.kind {
            b"eXIf" if self.data.len() > LONGEST_EXIF => {
                Err(Flaw::Unsupported("PNG with Exif data of more than 1 MiB"))
            }
            b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND" | b"eXIf" => Ok(true),
            _ => Ok(false),
        }
    }
}

/// The chunks up to the start of the first one with pixels; `None` where more of the file is needed.
pub(super) fn before_pixels(start: &[u8], is_whole: bool) -> Result<Option<Vec<u8>>, Flaw> {
    let mut rest = start.strip_prefix(SIGNATURE).ok_or(ENDS_EARLY)?;
    let mut kept = SIGNATURE.to_vec();
    loop {
        if rest.get(4..8) == Some(b"IDAT") {
            kept.extend(rest.iter().take(8));
            return Ok(Some(kept));
        }
        match Chunk::next(rest) {
            Ok((chunk, _)) if chunk.kind == *b"IEND" => {
                return Err(Flaw::Damaged("it has no pixel data"));
            }
            Ok((chunk, after)) => {
                if chunk.is_kept()? {
                    kept.extend(chunk.whole);
                }
                rest = after;
            }
            Err(ENDS_EARLY) if !is_whole => return Ok(None),
            Err(flaw) => return Err(flaw),
        }
    }
}

/// The bytes of a whole file for the decoder.
///
/// # Errors
/// [`Flaw::Damaged`] for a wrong checksum and chunks out of order; [`Flaw::Unsupported`] for an unknown critical chunk.
pub(super) fn whole(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Flaw> {
    const ORDER: Flaw = Flaw::Damaged("its PNG chunks are not in order");
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or(ENDS_EARLY)?;
    let mut kept = Cow::Borrowed(bytes);
    let mut taken = SIGNATURE.len();
    let (mut pixels, mut ended) = (false, false);
    let (mut before_pixels, mut has_exif) = (0, false);
    let mut is_first = true;
    loop {
        let (chunk, after) = Chunk::next(rest)?;
        if is_first != (chunk.kind == *b"IHDR") {
            return Err(ORDER);
        }
        is_first = false;
        match &chunk.kind {
            b"IEND" if !pixels => return Err(Flaw::Damaged("it has no pixel data")),
            b"IDAT" if ended => return Err(ORDER),
            b"IDAT" if !pixels => {
                pixels = true;
                before_pixels = match &kept {
                    Cow::Borrowed(_) => taken,
                    Cow::Owned(kept) => kept.len(),
                };
            }
            b"IDAT" => {}
            b"PLTE" | b"tRNS" if pixels => return Err(ORDER),
            b"eXIf" if has_exif => return Err(Flaw::Damaged("it has Exif data twice")),
            b"IHDR" | b"PLTE" | b"IEND" => ended = pixels,
            [b'A'..=b'Z', ..] => return Err(Flaw::Unsupported("a PNG chunk that is needed and not known")),
            _ => ended = pixels,
        }
        has_exif |= chunk.kind == *b"eXIf";
        let is_kept = chunk.is_kept()?;
        match &mut kept {
            // ImageMagick writes it last; the decoder needs the orientation before the pixels.
            kept if pixels && chunk.kind == *b"eXIf" => {
                let mut moved = match kept {
                    Cow::Borrowed(_) => bytes.get(..taken).unwrap_or_default().to_vec(),
                    Cow::Owned(kept) => std::mem::take(kept),
                };
                moved.splice(before_pixels..before_pixels, chunk.whole.iter().copied());
                *kept = Cow::Owned(moved);
            }
            Cow::Borrowed(_) if is_kept => taken += chunk.whole.len(),
            Cow::Borrowed(_) => kept = Cow::Owned(bytes.get(..taken).unwrap_or_default().to_vec()),
            Cow::Owned(kept) if is_kept => kept.extend(chunk.whole),
            Cow::Owned(_) => {}
        }
        if chunk.kind == *b"IEND" {
            // Data that other programs append are not part of the picture.
            return if chunk.data.is_empty() { Ok(kept) } else { Err(ORDER) };
        }
        rest = after;
    }
}

/// The checksum of PNG chunks (CRC-32 of ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc = (crc >> 8) ^ CRC_OF_BYTE[((crc ^ u32::from(byte)) & 0xFF) as usize];
    }
    !crc
}

const CRC_OF_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
