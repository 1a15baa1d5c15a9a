//! TIFF files (TIFF 6.0; BigTIFF): every strip or tile has to exist, not overlap others, and decompress to exactly its size.

use std::ops::Range;

use super::{Flaw, ReadLimits, is_big_tiff, packed};

const ENDS_EARLY: Flaw = Flaw::Damaged("its TIFF directory ends early");

/// Tags that are read.
mod tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const HEIGHT: u16 = 257;
    pub(super) const BITS_PER_SAMPLE: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIP_OFFSETS: u16 = 273;
    pub(super) const SAMPLES_PER_PIXEL: u16 = 277;
    pub(super) const ROWS_PER_STRIP: u16 = 278;
    pub(super) const STRIP_BYTES: u16 = 279;
    pub(super) const PLANES: u16 = 284;
    pub(super) const PREDICTOR: u16 = 317;
    pub(super) const TILE_WIDTH: u16 = 322;
    pub(super) const TILE_HEIGHT: u16 = 323;
    pub(super) const TILE_OFFSETS: u16 = 324;
    pub(super) const TILE_BYTES: u16 = 325;
    pub(super) const JPEG_TABLES: u16 = 347;
}

/// Rejects a file with missing pixels, or with more than one page.
pub(super) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), Flaw> {
    let directory = Directory::read(bytes)?;
    if directory.next != 0 {
        return Err(Flaw::Pages);
    }
    let one = |tag, default: u64| {
        let value = directory.values(tag, 1)?.map_or(Some(default), |values| values.first().copied());
        value.ok_or(ENDS_EARLY)
    };
    let needed = |tag| one(tag, 0);
    let (width, height) = (needed(tag::WIDTH)?, needed(tag::HEIGHT)?);
    let samples = one(tag::SAMPLES_PER_PIXEL, 1)?;
    let bits = directory.values(tag::BITS_PER_SAMPLE, u64::from(u16::MAX))?.unwrap_or_else(|| vec![1]);
    let bits_a_pixel: u64 = match (one(tag::PLANES, 1)?, bits.as_slice()) {
        (1, &[bits]) => bits.saturating_mul(samples),
        (1, bits) => bits.iter().fold(0, |sum: u64, &bits| sum.saturating_add(bits)),
        (_, bits) => bits.first().copied().unwrap_or(1),
    };
    let planes = if one(tag::PLANES, 1)? == 1 { 1 } else { samples };
    let is_tiled = directory.values(tag::TILE_WIDTH, 1)?.is_some();
    let (across, down) = if is_tiled {
        (needed(tag::TILE_WIDTH)?, needed(tag::TILE_HEIGHT)?)
    } else {
        (width, one(tag::ROWS_PER_STRIP, u64::from(u32::MAX))?.min(height))
    };
    if one(tag::FILL_ORDER, 1)? != 1 {
        return Err(Flaw::Unsupported("TIFF with the bits of its bytes in reverse (FillOrder)"));
    }
    let compression = one(tag::COMPRESSION, 1)?;
    // The decoder applies it to any compression, libtiff does not.
    if one(tag::PREDICTOR, 1)? != 1 && !PREDICTED.contains(&compression) {
        return Err(Flaw::Unsupported("TIFF with a predictor beside a compression that has none"));
    }
    // Not supported by the decoder.
    if planes > 1 && is_tiled && down > 0 && !height.is_multiple_of(down) {
        return Err(Flaw::Unsupported(
            "TIFF with a plane for each colour in tiles that go on below the picture",
        ));
    }
    if [width, height, across, down, planes].contains(&0) {
        return Err(Flaw::Damaged("a size in its TIFF directory is zero"));
    }
    let rows = height.div_ceil(down);
    let count = width.div_ceil(across).saturating_mul(rows).saturating_mul(planes);
    if count > limits.max_tiles as u64 {
        return Err(Flaw::TooMany("TIFF strips or tiles", count, limits.max_tiles));
    }
    let [offsets, lengths] =
        if is_tiled { [tag::TILE_OFFSETS, tag::TILE_BYTES] } else { [tag::STRIP_OFFSETS, tag::STRIP_BYTES] };
    let read = |tag| directory.values(tag, limits.max_tiles as u64)?.ok_or(MISSING);
    let (offsets, lengths) = (read(offsets)?, read(lengths)?);
    if offsets.len() as u64 != count || lengths.len() as u64 != count {
        return Err(MISSING);
    }
    let mut places = vec![directory.place.clone()];
    let tables = directory.bytes(tag::JPEG_TABLES)?;
    for (index, (&offset, &length)) in offsets.iter().zip(&lengths).enumerate() {
        if limits.is_late() {
            return Err(Flaw::TimedOut);
        }
        let place = offset..offset.checked_add(length).ok_or(MISSING)?;
        let chunk = slice(bytes, &place).filter(|_| length > 0).ok_or(MISSING)?;
        places.push(place);
        // The last strip ends with the picture, or is as long as the others; tiles extend beyond the picture.
        let is_last_row = index as u64 % rows == rows - 1;
        let height = if is_tiled || !is_last_row { down } else { height - (rows - 1) * down };
        let row_bytes = across.saturating_mul(bits_a_pixel).div_ceil(8);
        let unpacked = [height, down].map(|height| row_bytes.saturating_mul(height));
        match compression {
            1 if !unpacked.contains(&length) => {
                return Err(Flaw::Damaged("a TIFF strip has another length than its size calls for"));
            }
            1 => {}
            // Fax compression: bilevel only.
            2..=4 => return Err(Flaw::Unsupported("TIFF with CCITT compression, which has no grey")),
            _ => packed::check(chunk, compression, unpacked, (across, height), tables, limits)?,
        }
    }
    places.sort_unstable_by_key(|place| place.start);
    if places.windows(2).any(|pair| pair[0].end > pair[1].start) || places.iter().any(|place| place.start < 8)
    {
        return Err(Flaw::Damaged("TIFF strips lie over each other"));
    }
    Ok(())
}

/// Compressions that allow horizontal differencing: LZW and both numbers of deflate.
const PREDICTED: [u64; 3] = [5, 8, 32946];

const MISSING: Flaw = Flaw::Damaged("TIFF strips are missing");

fn slice<'a>(bytes: &'a [u8], place: &Range<u64>) -> Option<&'a [u8]> {
    bytes.get(usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?)
}

/// The first directory.
struct Directory<'a> {
    file: &'a [u8],
    is_big_endian: bool,
    /// Size of an offset in bytes: 4, or 8 in BigTIFF.
    offset: u64,
    /// Byte range of its entries, including their number and the offset of the next directory.
    place: Range<u64>,
    entries: u64,
    /// Offset of the next directory; 0 for none.
    next: u64,
}

impl<'a> Directory<'a> {
    fn read(file: &'a [u8]) -> Result<Directory<'a>, Flaw> {
        let is_big = is_big_tiff(file);
        let (at, count, offset) = if is_big { (8, 8, 8) } else { (4, 2, 4) };
        let is_big_endian = file.starts_with(b"MM");
        let mut directory = Directory { file, is_big_endian, offset, place: 0..0, entries: 0, next: 0 };
        let read = |directory: &mut Directory<'_>| {
            let start = directory.whole(at, offset)?;
            directory.entries = directory.whole(start, count)?;
            let first = start.checked_add(count)?;
            let last = first.checked_add(directory.entries.checked_mul(4 + 2 * offset)?)?;
            directory.next = directory.whole(last, offset)?;
            directory.place = start..last + offset;
            Some(())
        };
        read(&mut directory).ok_or(ENDS_EARLY)?;
        let tags = (0..directory.entries).map(|index| directory.whole(directory.entry(index), 2));
        let mut tags = tags.collect::<Option<Vec<_>>>().ok_or(ENDS_EARLY)?;
        tags.sort_unstable();
        if tags.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Flaw::Damaged("a tag is twice in its TIFF directory"));
        }
        Ok(directory)
    }

    /// An integer of at most eight bytes.
    fn whole(&self, at: u64, length: u64) -> Option<u64> {
        let bytes = slice(self.file, &(at..at.checked_add(length)?))?;
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        Some(if self.is_big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// Offset of an entry.
    fn entry(&self, index: u64) -> u64 {
        let length = 4 + 2 * self.offset;
        self.place.end - self.offset - (self.entries - index) * length
    }

    /// Type, number and offset of the values of a tag; `None` without an entry.
    fn values_of(&self, tag: u16) -> Result<Option<(u64, u64, u64)>, Flaw> {
        for at in (0..self.entries).map(|index| self.entry(index)) {
            if self.whole(at, 2).ok_or(ENDS_EARLY)? != u64::from(tag) {
                continue;
            }
            let found = || {
                let (kind, count) = (self.whole(at + 2, 2)?, self.whole(at + 4, self.offset)?);
                let inline = at + 4 + self.offset;
                let length = size_of_kind(kind)?.checked_mul(count)?;
                let place = if length <= self.offset { inline } else { self.whole(inline, self.offset)? };
                Some((kind, count, place))
            };
            return found().map(Some).ok_or(Flaw::Damaged("an entry of its TIFF directory is not valid"));
        }
        Ok(None)
    }

    /// The integers of a tag; `None` without an entry.
    fn values(&self, tag: u16, most: u64) -> Result<Option<Vec<u64>>, Flaw> {
        let Some((kind, count, place)) = self.values_of(tag)? else { return Ok(None) };
        if count == 0 || count > most {
            return Err(Flaw::Damaged("an entry of its TIFF directory has too many values, or none"));
        }
        let size = size_of_kind(kind).ok_or(ENDS_EARLY)?;
        let value = |index: u64| self.whole(place.checked_add(index * size)?, size);
        (0..count).map(value).collect::<Option<Vec<_>>>().map(Some).ok_or(ENDS_EARLY)
    }

    /// The bytes of a tag; `None` without an entry.
    fn bytes(&self, tag: u16) -> Result<Option<&'a [u8]>, Flaw> {
        let Some((kind, count, place)) = self.values_of(tag)? else { return Ok(None) };
        let length = size_of_kind(kind).and_then(|size| size.checked_mul(count)).ok_or(ENDS_EARLY)?;
        let end = place.checked_add(length).ok_or(ENDS_EARLY)?;
        slice(self.file, &(place..end)).map(Some).ok_or(ENDS_EARLY)
    }
}

/// Size in bytes of a number of a TIFF type; `None` for types other than integers and bytes.
fn size_of_kind(kind: u64) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 13 => 4,
        16..=18 => 8,
        _ => return None,
    })
}
