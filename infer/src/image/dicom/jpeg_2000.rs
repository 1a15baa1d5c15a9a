//! JPEG 2000 (ISO/IEC 15444-1), with a check that every tile and packet is present.
//!
//! The decoder accepts a tile without its last packets as one of less detail. So each tile is checked for exactly its number of packets:
//! reading one more packet has to fail.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image as Jpeg2000};

use super::header::Header;
use super::syntax::Loss;
use super::{ENDS_EARLY, OTHER_SIZE, Problem, undecodable};
use crate::image::ReadLimits;
use crate::image::reduction::halved;

/// Second bytes of the markers that are read (A.2).
mod marker {
    pub(super) const START_OF_CODE_STREAM: u8 = 0x4F;
    pub(super) const SIZE: u8 = 0x51;
    pub(super) const CODING_STYLE: u8 = 0x52;
    pub(super) const CODING_STYLE_OF_COMPONENT: u8 = 0x53;
    pub(super) const PACKED_HEADERS_MAIN: u8 = 0x60;
    pub(super) const PACKED_HEADERS_TILE: u8 = 0x61;
    pub(super) const START_OF_TILE_PART: u8 = 0x90;
    pub(super) const START_OF_DATA: u8 = 0x93;
    pub(super) const END_OF_PACKET_HEADER: u8 = 0x92;
    pub(super) const END_OF_CODE_STREAM: u8 = 0xD9;
}

const INVALID: Problem = Problem::Damaged("its JPEG 2000 data are not valid");
const NO_SMALLER_SIZE: Problem =
    Problem::Unsupported("large JPEG 2000 without smaller sizes to decode, or whose grid begins elsewhere");
const MISSING: Problem = Problem::Damaged("parts of its JPEG 2000 data are missing");

/// The samples of one component, as bit patterns of its depth, at a resolution halved `halvings` times. Values that lossy compression
/// moved beyond the stored bits are clamped.
pub(super) fn decode(
    bytes: &[u8],
    header: &Header,
    loss: Loss,
    halvings: u32,
    limits: &ReadLimits,
) -> Result<Vec<u16>, Problem> {
    let code = code_stream(bytes)?;
    let stream = Stream::read(code)?;
    let tiles = stream.tiles()?;
    if tiles > limits.max_tiles as u64 {
        return Err(Problem::TooMany("JPEG 2000 tiles", tiles, limits.max_tiles));
    }
    let full = (header.width, header.height);
    if stream.parts_bytes(full) > limits.max_bytes {
        return Err(Problem::Unsupported("JPEG 2000 in too many small blocks or layers"));
    }
    let size = halved(full, halvings);
    let image = Jpeg2000::new(code, &settings(full, halvings)).map_err(undecodable)?;
    let is_other = (image.width() as usize, image.height() as usize) != size;
    if halvings > 0 && stream.size() == Some(full) && (is_other || stream.is_offset()) {
        return Err(NO_SMALLER_SIZE);
    }
    if is_other {
        return Err(OTHER_SIZE);
    }
    for tile in 0..tiles {
        check_time(limits)?;
        let Some(longer) = stream.with_a_packet_more(tile)? else { continue };
        let mut context = DecoderContext::default();
        let size = Stream::read(&longer)?.size().unwrap_or(full);
        if let Ok(image) = Jpeg2000::new(&longer, &settings(size, halvings))
            && image.decode(&mut context).is_ok()
        {
            return Err(MISSING);
        }
    }
    check_time(limits)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(undecodable)?;
    check_time(limits)?;
    let [component] = decoded.components() else {
        return Err(Problem::Unsupported("JPEG 2000 of several colours"));
    };
    if component.bit_depth() > 16 {
        return Err(Problem::Unsupported("JPEG 2000 of more than 16 bits"));
    }
    // The decoder adds half the range to signed samples, too.
    let signed = code.get(DEPTH).is_some_and(|depth| depth & 0x80 != 0);
    let depth = u32::from(component.bit_depth());
    let half_of = |bits: u32| if signed { 1_i32 << (bits - 1) } else { 0 };
    let fits = loss == Loss::Allowed && signed == header.signed && header.shift == 0;
    let bits = if fits { depth.min(header.stored) } else { depth };
    let (half, least, most) = (half_of(depth), -half_of(bits), (1_i32 << bits) - 1 - half_of(bits));
    let samples = component.samples().get(..size.0 * size.1).ok_or(ENDS_EARLY)?;
    Ok(samples.iter().map(|&sample| (sample.round() as i32 - half).clamp(least, most) as u16).collect())
}

/// Strict settings, with the sides halved as often as requested, as far as the image has lower resolutions.
fn settings((width, height): (usize, usize), halvings: u32) -> DecodeSettings {
    let side = |pixels: usize| u32::try_from(pixels >> halvings).unwrap_or(u32::MAX).max(1);
    let target_resolution = (halvings > 0).then_some((side(width), side(height)));
    DecodeSettings { strict: true, target_resolution, ..DecodeSettings::default() }
}

fn check_time(limits: &ReadLimits) -> Result<(), Problem> {
    if limits.is_late() { Err(Problem::TimedOut) } else { Ok(()) }
}

/// Offset of the first component's depth (Ssiz), whose top bit means signed samples: the SIZ segment is the first of a code stream
/// (A.5.1).
const DEPTH: usize = 42;

/// Offset of Xsiz, followed by Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz and YTOsiz, four bytes each (A.5.1).
const SIZES: usize = 8;

/// Upper bound of the decoder's memory for a block with its precinct, sub-band and tag trees, and for each of its layers, in bytes.
const BYTES_A_PART: u64 = 256;
const BYTES_A_LAYER: u64 = 64;

/// Length of the segment that starts a tile-part (A.4.2).
const TILE_PART_HEADER: usize = 12;

/// Parsed code stream.
struct Stream<'a> {
    main_header: &'a [u8],
    tile_parts: Vec<TilePart<'a>>,
    /// Sizes in the SIZ segment: image, image offset, tile, tile offset, each across and down.
    sizes: [[u64; 2]; 4],
    /// Area of the smallest code block or precinct in pixels, and the maximum number of layers.
    smallest: u64,
    layers: u64,
    /// Whether packet headers have an end marker.
    ends_headers: bool,
    /// Whether packet headers are stored apart from the packets, so that no further packet can be inserted.
    packs_headers: bool,
}

struct TilePart<'a> {
    tile: u64,
    /// All bytes, including the header.
    bytes: &'a [u8],
}

impl<'a> Stream<'a> {
    fn read(code: &'a [u8]) -> Result<Stream<'a>, Problem> {
        let start = [0xFF, marker::START_OF_CODE_STREAM, 0xFF, marker::SIZE];
        if !code.starts_with(&start) {
            return Err(INVALID);
        }
        let number = |index: usize| {
            let bytes = code.get(SIZES + 4 * index..)?.first_chunk()?;
            Some(u64::from(u32::from_be_bytes(*bytes)))
        };
        let pair = |index: usize| Some([number(2 * index)?, number(2 * index + 1)?]);
        let sizes = (|| Some([pair(0)?, pair(1)?, pair(2)?, pair(3)?]))().ok_or(ENDS_EARLY)?;
        let (mut ends_headers, mut packs_headers) = (false, false);
        let (mut smallest, mut layers) = (u64::MAX, 1);
        let mut look = |code: u8, parameters: &[u8]| match code {
            marker::CODING_STYLE => {
                ends_headers |= parameters.first().is_some_and(|style| style & 4 != 0);
                if let [style, _, high, low, _, rest @ ..] = parameters {
                    layers = layers.max(u64::from(u16::from_be_bytes([*high, *low])));
                    smallest = smallest.min(smallest_part(style & 1 != 0, rest));
                }
            }
            // Only allowed for images of few components.
            marker::CODING_STYLE_OF_COMPONENT => {
                if let [_, style, rest @ ..] = parameters {
                    smallest = smallest.min(smallest_part(style & 1 != 0, rest));
                }
            }
            marker::PACKED_HEADERS_MAIN | marker::PACKED_HEADERS_TILE => packs_headers = true,
            _ => {}
        };
        let mut rest = segments(&code[2..], marker::START_OF_TILE_PART, &mut look)?;
        let main_header = code.get(..code.len() - rest.len()).ok_or(INVALID)?;
        let mut tile_parts = Vec::new();
        while let [0xFF, marker::START_OF_TILE_PART, _, _, t1, t0, l3, l2, l1, l0, _, _, ..] = *rest {
            let length = match u32::from_be_bytes([l3, l2, l1, l0]) as usize {
                // To the end marker.
                0 => rest.windows(2).rposition(|pair| pair == [0xFF, marker::END_OF_CODE_STREAM]),
                length => Some(length),
            };
            let (bytes, after) = rest.split_at_checked(length.ok_or(ENDS_EARLY)?).ok_or(ENDS_EARLY)?;
            let header = bytes.get(TILE_PART_HEADER..).ok_or(INVALID)?;
            segments(header, marker::START_OF_DATA, &mut look)?;
            tile_parts.push(TilePart { tile: u16::from_be_bytes([t1, t0]).into(), bytes });
            rest = after;
        }
        if !rest.starts_with(&[0xFF, marker::END_OF_CODE_STREAM]) {
            return Err(ENDS_EARLY);
        }
        Ok(Stream { main_header, tile_parts, sizes, smallest, layers, ends_headers, packs_headers })
    }

    /// Approximate memory of the decoder for blocks, precincts and their layers, in bytes, at any resolution.
    fn parts_bytes(&self, (width, height): (usize, usize)) -> u64 {
        let parts = (width as u64).saturating_mul(height as u64) / self.smallest.max(1);
        parts.saturating_mul(BYTES_A_PART.saturating_add(BYTES_A_LAYER.saturating_mul(self.layers)))
    }

    /// Width and height of the image.
    fn size(&self) -> Option<(usize, usize)> {
        let [image, offset, ..] = self.sizes;
        let side = |axis: usize| usize::try_from(image[axis].checked_sub(offset[axis])?).ok();
        Some((side(0)?, side(1)?))
    }

    /// Whether the image's origin is not that of its sample grid.
    fn is_offset(&self) -> bool {
        self.sizes[1] != [0, 0]
    }

    /// Tiles across.
    fn across(&self) -> Result<u64, Problem> {
        self.along(0)
    }

    /// Tiles along an axis (B.3).
    fn along(&self, axis: usize) -> Result<u64, Problem> {
        let [image, _, tile, tile_offset] = self.sizes.map(|pair| pair[axis]);
        let extent = image.checked_sub(tile_offset).filter(|_| tile > 0).ok_or(INVALID)?;
        Ok(extent.div_ceil(tile))
    }

    /// Number of tiles, each of which has to have a part.
    fn tiles(&self) -> Result<u64, Problem> {
        let count = self.along(0)? * self.along(1)?;
        let mut present: Vec<u64> = self.tile_parts.iter().map(|part| part.tile).collect();
        present.sort_unstable();
        present.dedup();
        if (present.len() as u64) < count { Err(MISSING) } else { Ok(count) }
    }

    /// A code stream of one tile with an empty packet after its last; `None` where packet headers are stored apart.
    fn with_a_packet_more(&self, tile: u64) -> Result<Option<Vec<u8>>, Problem> {
        if self.packs_headers {
            return Ok(None);
        }
        let across = self.across()?.max(1);
        let mut code = self.main_header.to_vec();
        for (axis, place) in [tile % across, tile / across].into_iter().enumerate() {
            let [image, image_offset, size, tile_offset] = self.sizes.map(|pair| pair[axis]);
            let start = tile_offset + place * size;
            let ends = [image.min(start + size), image_offset.max(start), size, start];
            for (index, value) in ends.into_iter().enumerate() {
                let at = SIZES + 4 * (2 * index + axis);
                let value = u32::try_from(value).map_err(|_| INVALID)?;
                code.get_mut(at..at + 4).ok_or(INVALID)?.copy_from_slice(&value.to_be_bytes());
            }
        }
        let parts: Vec<&TilePart<'_>> = self.tile_parts.iter().filter(|part| part.tile == tile).collect();
        let end_marker = [0xFF, marker::END_OF_PACKET_HEADER];
        for (index, part) in parts.iter().enumerate() {
            let mut bytes = part.bytes.to_vec();
            if index + 1 == parts.len() {
                bytes.push(0);
                bytes.extend(end_marker.iter().take(if self.ends_headers { 2 } else { 0 }));
            }
            let length = u32::try_from(bytes.len()).map_err(|_| INVALID)?;
            bytes.get_mut(4..6).ok_or(INVALID)?.fill(0);
            bytes.get_mut(6..10).ok_or(INVALID)?.copy_from_slice(&length.to_be_bytes());
            code.extend(bytes);
        }
        code.extend([0xFF, marker::END_OF_CODE_STREAM]);
        Ok(Some(code))
    }
}

/// Area in pixels of the smallest code block or precinct of a coding style, from the number of decompositions on (A.6.1). A block is
/// no larger than its precinct, whose sides are halved in the bands of all resolutions except the lowest.
fn smallest_part(has_precincts: bool, parameters: &[u8]) -> u64 {
    let [_, width, height, _, _, precincts @ ..] = parameters else { return 1 };
    let block = u32::from(width & 15) + u32::from(height & 15) + 4;
    let precinct = |sides: &u8| (u32::from(sides & 15) + u32::from(sides >> 4)).saturating_sub(2);
    let least = precincts.iter().map(precinct).min().filter(|_| has_precincts).unwrap_or(30);
    1_u64 << block.min(least)
}

/// Passes the segments up to a marker to `look`; returns the bytes from that marker on.
fn segments<'a>(mut rest: &'a [u8], last: u8, look: &mut impl FnMut(u8, &[u8])) -> Result<&'a [u8], Problem> {
    loop {
        match *rest {
            [0xFF, code, ..] if code == last => return Ok(rest),
            [0xFF, code, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                look(code, rest.get(4..2 + length).ok_or(ENDS_EARLY)?);
                rest = rest.get(2 + length..).ok_or(ENDS_EARLY)?;
            }
            [_, _, _, _, ..] => return Err(INVALID),
            _ => return Err(ENDS_EARLY),
        }
    }
}

/// The code stream of JPEG 2000 data, extracted from a JP2 file if it is one (ISO/IEC 15444-1, annex I).
///
/// The standard forbids JP2 files (PS3.5, 8.2.4), so their other boxes, e.g. of colour, are ignored.
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
