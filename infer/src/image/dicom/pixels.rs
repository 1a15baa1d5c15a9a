//! Pixel data to stored values: 16 bits each, only the bits that count.

use std::borrow::Cow;

use dicom_core::VR;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image as Jpeg2000};

use super::elements::{Elements, Pixels, Value};
use super::header::Header;
use super::syntax::Syntax;
use super::{Problem, jpeg_problem, undecodable};
use crate::image::jpeg;

const ENDS_EARLY: Problem = Problem::Damaged("its pixel data end early");

const NO_SYNTAX: Problem = Problem::Damaged(
    "it names no transfer syntax, and its pixel data are not those of an uncompressed image",
);
const OTHER_SIZE: Problem = Problem::Damaged("its pixel data have another size than Rows and Columns say");

/// The stored values, row by row, as bit patterns of `header.stored` bits.
pub(super) fn decode(elements: &Elements<'_>, header: &Header) -> Result<Vec<u16>, Problem> {
    let syntax = elements.syntax();
    let mut values = match elements.pixels()? {
        Pixels::Plain(value) if syntax == Syntax::NotStated && !has_length(value, header) => {
            return Err(NO_SYNTAX);
        }
        Pixels::Plain(value) => plain(value, header)?,
        Pixels::Fragments(fragments) => {
            let joined = match fragments.as_slice() {
                [only] => Cow::Borrowed(*only),
                fragments => fragments.concat().into(),
            };
            match syntax {
                Syntax::NotStated => return Err(NO_SYNTAX),
                Syntax::Rle => rle(&joined, header)?,
                Syntax::Jpeg => jpeg(&joined, header)?,
                Syntax::Jpeg2000 => jpeg_2000(&joined, header)?,
                _ => samples(&joined, header)?,
            }
        }
    };
    let shift = if contradict_high_bit(&values, header) { 0 } else { header.shift };
    let mask = (1_u32 << header.stored) - 1;
    for value in &mut values {
        *value = ((u32::from(*value) >> shift) & mask) as u16;
    }
    Ok(values)
}

/// Whether pixel data have the length of uncompressed samples, with a byte that makes it even.
fn has_length(value: &Value<'_>, header: &Header) -> bool {
    let length = header.width * header.height * header.allocated as usize / 8;
    value.bytes().len() == length.next_multiple_of(2)
}

/// Whether High Bit puts values to the left that lie at the right: they use bits below those stored and none above.
/// pydicom and GDCM do not go by High Bit either.
fn contradict_high_bit(values: &[u16], header: &Header) -> bool {
    let below = (1_u32 << header.shift) - 1;
    let is_right = |&value: &u16| {
        let value = u32::from(value);
        // Copies of the sign.
        let signs = (1 << (header.allocated - header.stored + 1)) - 1;
        value >> header.stored == 0 || header.signed && value >> (header.stored - 1) == signs
    };
    values.iter().any(|&value| u32::from(value) & below != 0) && values.iter().all(is_right)
}

fn plain(value: &Value<'_>, header: &Header) -> Result<Vec<u16>, Problem> {
    // Words of the other byte order hold the first of two bytes last.
    let turned = value.is_big_endian() && value.vr == VR::OW;
    if !turned {
        return samples(value.bytes(), header);
    }
    let bytes: Vec<u8> = value.words().flat_map(u16::to_le_bytes).collect();
    samples(&bytes, header)
}

/// Samples of whole bytes, little end first.
fn samples(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Problem> {
    let count = header.width * header.height;
    let wide = header.allocated == 16;
    let bytes = bytes.get(..count * (1 + usize::from(wide))).ok_or(ENDS_EARLY)?;
    Ok(if wide {
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
    } else {
        bytes.iter().map(|&byte| u16::from(byte)).collect()
    })
}

/// PS3.5, annex G: a header of 64 bytes with the number of segments and where each starts; a segment holds one byte of
/// every sample, the high one first, packed as PackBits does.
fn rle(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Problem> {
    let long = |index: usize| {
        let four = bytes.get(4 * index..4 * index + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let segments = header.allocated as usize / 8;
    if long(0).ok_or(ENDS_EARLY)? != segments {
        return Err(Problem::Damaged("its RLE segments do not fit the bits allocated"));
    }
    let mut values = vec![0_u16; header.width * header.height];
    for segment in 1..=segments {
        let start = long(segment).ok_or(ENDS_EARLY)?;
        let end = if segment < segments { long(segment + 1).ok_or(ENDS_EARLY)? } else { bytes.len() };
        let packed = bytes.get(start..end).ok_or(ENDS_EARLY)?;
        unpack(packed, &mut values).ok_or(ENDS_EARLY)?;
    }
    Ok(values)
}

/// Shifts the next byte of every value in; none where the segment ends early. What follows the last value is padding.
fn unpack(mut packed: &[u8], values: &mut [u16]) -> Option<()> {
    let mut filled = 0;
    while filled < values.len() {
        let (&control, rest) = packed.split_first()?;
        let mut take = |byte: u8| {
            if let Some(value) = values.get_mut(filled) {
                *value = (*value << 8) | u16::from(byte);
                filled += 1;
            }
        };
        packed = match control as i8 {
            -128 => rest,
            repeats @ ..0 => {
                let (&byte, rest) = rest.split_first()?;
                (0..1 - i32::from(repeats)).for_each(|_| take(byte));
                rest
            }
            literals => {
                let (bytes, rest) = rest.split_at_checked(literals as usize + 1)?;
                bytes.iter().for_each(|&byte| take(byte));
                rest
            }
        };
    }
    Some(())
}

fn jpeg(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Problem> {
    let frame = jpeg::Frame::first(bytes).map_err(jpeg_problem)?;
    if (frame.width, frame.height) != (header.width, header.height) {
        return Err(OTHER_SIZE);
    }
    jpeg::decode_grey(bytes).map_err(jpeg_problem)
}

fn jpeg_2000(bytes: &[u8], header: &Header) -> Result<Vec<u16>, Problem> {
    let code = code_stream(bytes)?;
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Jpeg2000::new(code, &settings).map_err(undecodable)?;
    if (image.width() as usize, image.height() as usize) != (header.width, header.height) {
        return Err(OTHER_SIZE);
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(undecodable)?;
    let [component] = decoded.components() else {
        return Err(Problem::Unsupported("JPEG 2000 of several colours"));
    };
    if component.bit_depth() > 16 {
        return Err(Problem::Unsupported("JPEG 2000 of more than 16 bits"));
    }
    // The decoder adds half the range to signed samples as well.
    let signed = code.get(DEPTH_IN_CODE_STREAM).is_some_and(|depth| depth & 0x80 != 0);
    let half = if signed { 1_i32 << (component.bit_depth() - 1) } else { 0 };
    let (least, most) = (-half, (1_i32 << component.bit_depth()) - 1 - half);
    let samples = component.samples().get(..header.width * header.height).ok_or(ENDS_EARLY)?;
    Ok(samples.iter().map(|&sample| (sample.round() as i32 - half).clamp(least, most) as u16).collect())
}

/// Offset of the first component's depth (Ssiz), whose top bit says that samples are signed: the SIZ segment is the first of a code stream
/// (ISO/IEC 15444-1, A.5.1).
const DEPTH_IN_CODE_STREAM: usize = 42;

/// The code stream of JPEG 2000 data, taken out of a JP2 file where they are one (ISO/IEC 15444-1, annex I).
///
/// The standard wants none (PS3.5, 8.2.4), so what its other boxes say, as of colour, does not count.
fn code_stream(bytes: &[u8]) -> Result<&[u8], Problem> {
    const JP2_SIGNATURE: &[u8] = b"\0\0\0\x0CjP  \r\n\x87\n";
    if !bytes.starts_with(JP2_SIGNATURE) {
        return Ok(bytes);
    }
    let mut rest = bytes;
    while let Some((header, content)) = rest.split_first_chunk::<8>() {
        let [l0, l1, l2, l3, kind @ ..] = *header;
        let (taken, content) = match u32::from_be_bytes([l0, l1, l2, l3]) {
            // To the end of the file.
            0 => (Some(content.len()), content),
            1 => {
                let (length, content) = content.split_first_chunk::<8>().ok_or(ENDS_EARLY)?;
                let length = usize::try_from(u64::from_be_bytes(*length)).ok();
                (length.and_then(|length| length.checked_sub(16)), content)
            }
            length => ((length as usize).checked_sub(8), content),
        };
        let taken = taken.ok_or(Problem::Damaged("its JP2 boxes are not valid"))?;
        let (content, after) = content.split_at_checked(taken).ok_or(ENDS_EARLY)?;
        if kind == *b"jp2c" {
            return Ok(content);
        }
        rest = after;
    }
    Err(Problem::Damaged("its JP2 file has no code stream"))
}
