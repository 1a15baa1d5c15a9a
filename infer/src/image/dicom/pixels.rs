//! Pixel data to stored values: 16 bits each, with only the stored bits.

use std::borrow::Cow;

use dicom_core::VR;

use super::elements::{Elements, Pixels, Value};
use super::header::Header;
use super::syntax::{Loss, Syntax};
use super::{ENDS_EARLY, OTHER_SIZE, Problem, jpeg_2000, jpeg_problem};
use crate::image::reduction::halved;
use crate::image::{ReadLimits, jpeg};

/// Pixel data longer than Rows and Columns by more than padding: either these are wrong, or another image follows.
const LEFT_OVER: Problem = Problem::Damaged("its pixel data are longer than Rows and Columns say");

const NOT_COMPRESSED: Problem =
    Problem::Damaged("its pixel data are not compressed, as its transfer syntax says");

const NO_SYNTAX: Problem = Problem::Damaged(
    "it names no transfer syntax, and its pixel data are not those of an uncompressed image",
);

/// Stored values, row by row, as bit patterns of `header.stored` bits.
pub(super) struct Stored<'a> {
    samples: Samples<'a>,
    width: usize,
    shift: u32,
    mask: u32,
}

/// Samples in a file, or decoded.
enum Samples<'a> {
    /// One byte each.
    Bytes(&'a [u8]),
    /// Two bytes each, little-endian.
    Pairs(&'a [u8]),
    Values(Vec<u16>),
}

impl Stored<'_> {
    /// Passes each row to `take`.
    pub(super) fn each_row(&self, mut take: impl FnMut(&[u16])) {
        let bits = |sample: u16| ((u32::from(sample) >> self.shift) & self.mask) as u16;
        self.samples.each_row(self.width, |row| {
            row.iter_mut().for_each(|sample| *sample = bits(*sample));
            take(row);
        });
    }
}

impl Samples<'_> {
    fn each_row(&self, width: usize, mut take: impl FnMut(&mut [u16])) {
        let width = width.max(1);
        let mut row = vec![0; width];
        match self {
            Samples::Bytes(bytes) => bytes.chunks_exact(width).for_each(|bytes| {
                row.iter_mut().zip(bytes).for_each(|(value, &byte)| *value = u16::from(byte));
                take(&mut row);
            }),
            Samples::Pairs(bytes) => bytes.chunks_exact(2 * width).for_each(|bytes| {
                let pairs = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
                row.iter_mut().zip(pairs).for_each(|(value, pair)| *value = pair);
                take(&mut row);
            }),
            Samples::Values(values) => values.chunks_exact(width).for_each(|values| {
                row.copy_from_slice(values);
                take(&mut row);
            }),
        }
    }

    /// A copy of the samples.
    fn owned<'b>(&self, width: usize) -> Samples<'b> {
        let mut values = Vec::new();
        self.each_row(width, |row| values.extend_from_slice(row));
        Samples::Values(values)
    }
}

/// Decodes the stored values; of JPEG 2000, at a resolution halved `halvings` times.
pub(super) fn decode<'a>(
    elements: &'a Elements<'_>,
    header: &Header,
    halvings: u32,
    limits: &ReadLimits,
) -> Result<Stored<'a>, Problem> {
    let syntax = elements.syntax();
    let samples = match elements.pixels()? {
        Pixels::Plain(value) if syntax == Syntax::NotStated && !has_length(value, header) => {
            return Err(NO_SYNTAX);
        }
        Pixels::Plain(_) if halvings > 0 => return Err(NOT_COMPRESSED),
        Pixels::Plain(value) => plain(value, header)?,
        Pixels::Fragments(fragments) => {
            let joined = match fragments.as_slice() {
                [only] => Cow::Borrowed(*only),
                fragments => fragments.concat().into(),
            };
            match syntax {
                Syntax::NotStated => return Err(NO_SYNTAX),
                Syntax::Rle => Samples::Values(rle(&joined, header, limits)?),
                Syntax::Jpeg(loss) => Samples::Values(jpeg(&joined, header, loss, limits)?),
                Syntax::Jpeg2000(loss) => {
                    Samples::Values(jpeg_2000::decode(&joined, header, loss, halvings, limits)?)
                }
                _ => samples(&joined, header)?.owned(header.width),
            }
        }
    };
    let width = halved((header.width, header.height), halvings).0;
    let shift = if contradict_high_bit(&samples, width, header) { 0 } else { header.shift };
    Ok(Stored { samples, width, shift, mask: (1_u32 << header.stored) - 1 })
}

/// Whether pixel data have the length of uncompressed samples, including a padding byte to even length.
fn has_length(value: &Value<'_>, header: &Header) -> bool {
    let length = header.width * header.height * header.allocated as usize / 8;
    value.bytes().len() == length.next_multiple_of(2)
}

/// Whether the values contradict High Bit, i.e. use bits below those stored and none above, because they are right-aligned.
/// pydicom and GDCM ignore High Bit, too.
fn contradict_high_bit(samples: &Samples<'_>, width: usize, header: &Header) -> bool {
    let below = (1_u32 << header.shift) - 1;
    if below == 0 {
        return false;
    }
    let is_right = |&value: &u16| {
        let value = u32::from(value);
        // Copies of the sign.
        let signs = (1 << (header.allocated - header.stored + 1)) - 1;
        value >> header.stored == 0 || header.signed && value >> (header.stored - 1) == signs
    };
    let (mut any_below, mut all_right) = (false, true);
    samples.each_row(width, |row| {
        any_below |= row.iter().any(|&value| u32::from(value) & below != 0);
        all_right = all_right && row.iter().all(is_right);
    });
    any_below && all_right
}

fn plain<'a>(value: &Value<'a>, header: &Header) -> Result<Samples<'a>, Problem> {
    // Words of the other byte order have their first byte last.
    let turned = value.is_big_endian() && value.vr == VR::OW;
    if !turned {
        return samples(value.bytes(), header);
    }
    let bytes: Vec<u8> = value.words().flat_map(u16::to_le_bytes).collect();
    Ok(samples(&bytes, header)?.owned(header.width))
}

/// Samples of whole bytes, little-endian.
fn samples<'a>(bytes: &'a [u8], header: &Header) -> Result<Samples<'a>, Problem> {
    let count = header.width * header.height;
    let wide = header.allocated == 16;
    let length = count * (1 + usize::from(wide));
    if bytes.len().saturating_sub(length) > padding(header, 1 + usize::from(wide)) {
        return Err(LEFT_OVER);
    }
    let bytes = bytes.get(..length).ok_or(ENDS_EARLY)?;
    Ok(if wide { Samples::Pairs(bytes) } else { Samples::Bytes(bytes) })
}

/// Maximum length of padding after the samples, as some writers add more than the byte for even length: as much as a row or
/// column would mean that Rows or Columns is wrong.
fn padding(header: &Header, bytes_a_sample: usize) -> usize {
    (header.width.min(header.height) * bytes_a_sample).saturating_sub(1).max(1)
}

/// RLE (PS3.5, annex G): a header of 64 bytes with the number of segments and their offsets; a segment holds one byte of
/// every sample, the high one first, compressed by PackBits.
fn rle(bytes: &[u8], header: &Header, limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let long = |index: usize| {
        let four = bytes.get(4 * index..4 * index + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?) as usize)
    };
    let segments = header.allocated as usize / 8;
    if long(0).ok_or(ENDS_EARLY)? != segments {
        return Err(Problem::Damaged("its RLE segments do not fit the bits allocated"));
    }
    let mut values = vec![0_u16; header.width * header.height];
    // A segment must not begin within the header or before the end of the preceding one.
    let mut before = 64;
    for segment in 1..=segments {
        if limits.is_late() {
            return Err(Problem::TimedOut);
        }
        let start = long(segment).ok_or(ENDS_EARLY)?;
        let end = if segment < segments { long(segment + 1).ok_or(ENDS_EARLY)? } else { bytes.len() };
        if start < before {
            return Err(Problem::Damaged("its RLE segments are not in order"));
        }
        before = end;
        let packed = bytes.get(start..end).ok_or(ENDS_EARLY)?;
        unpack(packed, &mut values)?;
    }
    Ok(values)
}

/// Shifts the next byte into every value. The segment has a byte for each, and then padding: one byte for even length, or zeros of
/// some writers.
fn unpack(mut packed: &[u8], values: &mut [u16]) -> Result<(), Problem> {
    let mut filled = 0;
    while filled < values.len() {
        let (&control, rest) = packed.split_first().ok_or(ENDS_EARLY)?;
        let control = control as i8;
        if control == i8::MIN {
            packed = rest;
            continue;
        }
        // A byte that is repeated, or a number of literal bytes.
        let count = 1 + usize::from(control.unsigned_abs());
        let (bytes, rest) = rest.split_at_checked(if control < 0 { 1 } else { count }).ok_or(ENDS_EARLY)?;
        let run = values.get_mut(filled..filled + count).ok_or(LEFT_OVER)?;
        for (value, &byte) in run.iter_mut().zip(bytes.iter().cycle()) {
            *value = (*value << 8) | u16::from(byte);
        }
        filled += count;
        packed = rest;
    }
    let is_padding = packed.len() <= 1 || packed.iter().all(|&byte| byte == 0);
    if is_padding { Ok(()) } else { Err(LEFT_OVER) }
}

fn jpeg(bytes: &[u8], header: &Header, loss: Loss, limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let frame = jpeg::Frame::first(bytes).map_err(jpeg_problem)?;
    if (frame.width, frame.height) != (header.width, header.height) {
        return Err(OTHER_SIZE);
    }
    let mut values = jpeg::decode_grey(bytes, limits).map_err(jpeg_problem)?;
    if loss == Loss::Allowed && !header.signed && header.shift == 0 {
        let most = ((1_u32 << header.stored) - 1) as u16;
        values.iter_mut().for_each(|value| *value = most.min(*value));
    }
    Ok(values)
}
