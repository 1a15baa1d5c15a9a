//! Headers of data elements, in the actual VR encoding of a file, which may differ from the stated one.

use std::cell::Cell;
use std::io::Cursor;
use std::rc::Rc;

use dicom_core::header::{DataElementHeader, SequenceItemHeader};
use dicom_core::{Tag, VR};
use dicom_encoding::decode::basic::LittleEndianBasicDecoder;
use dicom_encoding::decode::explicit_be::ExplicitVRBigEndianDecoder;
use dicom_encoding::decode::explicit_le::ExplicitVRLittleEndianDecoder;
use dicom_encoding::decode::implicit_le::StandardImplicitVRLittleEndianDecoder;
use dicom_encoding::decode::{Decode, DecodeFrom, Result};
use dicom_parser::StatefulDecoder;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;

use super::elements::tag;
use super::syntax::Syntax;

/// Reader of elements.
pub(super) type Reader<'a> =
    LazyDataSetReader<StatefulDecoder<ElementDecoder, Cursor<&'a [u8]>, LittleEndianBasicDecoder>>;

/// Reader of the data set that starts at `start`, and a counter that is above zero within sequences in implicit VR, and
/// so in little endian, inside another encoding.
///
/// Values are not decoded by it, so their byte order does not matter.
pub(super) fn reader(bytes: &[u8], start: usize, syntax: Syntax) -> (Reader<'_>, Rc<Cell<usize>>) {
    let mut source = Cursor::new(bytes);
    source.set_position(start as u64);
    let decoder = ElementDecoder::new(bytes.get(start..).unwrap_or_default(), syntax);
    let implicit_depth = Rc::clone(&decoder.implicit_depth);
    let reader = LazyDataSetReader::new(StatefulDecoder::new_with_position(
        source,
        decoder,
        LittleEndianBasicDecoder,
        Default::default(),
        start as u64,
    ));
    (reader, implicit_depth)
}

/// Encoding of element headers.
#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    ImplicitLittle,
    ExplicitLittle,
    ExplicitBig,
}

/// Decoder of element headers.
pub(super) struct ElementDecoder {
    encoding: Encoding,
    /// Nesting depth since the outermost sequence in implicit VR within explicit VR; one of defined length counts until it ends.
    implicit_depth: Rc<Cell<usize>>,
    /// End of that sequence.
    implicit_end: Cell<Option<u64>>,
    implicit: StandardImplicitVRLittleEndianDecoder,
    little: ExplicitVRLittleEndianDecoder,
    big: ExplicitVRBigEndianDecoder,
}

impl ElementDecoder {
    /// Decoder of a data set, in the stated encoding unless its first element contradicts it, as in pydicom.
    fn new(data_set: &[u8], syntax: Syntax) -> ElementDecoder {
        let encoding = match (syntax, is_explicit(data_set)) {
            (Syntax::ExplicitBig, _) => Encoding::ExplicitBig,
            (_, Some(true)) => Encoding::ExplicitLittle,
            (_, Some(false)) => Encoding::ImplicitLittle,
            (Syntax::ImplicitLittle, None) => Encoding::ImplicitLittle,
            (_, None) => Encoding::ExplicitLittle,
        };
        ElementDecoder {
            encoding,
            implicit_depth: Rc::new(Cell::new(0)),
            implicit_end: Cell::new(None),
            implicit: StandardImplicitVRLittleEndianDecoder::default(),
            little: ExplicitVRLittleEndianDecoder::default(),
            big: ExplicitVRBigEndianDecoder::default(),
        }
    }

    fn is_big_endian(&self) -> bool {
        self.encoding == Encoding::ExplicitBig && self.implicit_depth.get() == 0
    }

    fn implicit_header(&self, source: &mut Cursor<&[u8]>) -> Result<(DataElementHeader, usize)> {
        let depth = self.implicit_depth.get();
        let decoded = Decode::decode_header(&self.implicit, source)?;
        if depth > 0 && is_open(&decoded.0) {
            self.implicit_depth.set(depth + 1);
        }
        Ok(decoded)
    }

    /// Decodes a header in the current encoding; one that opens a sequence in implicit VR changes the encoding.
    fn decode_any(&self, source: &mut Cursor<&[u8]>) -> Result<(DataElementHeader, usize)> {
        match self.encoding {
            Encoding::ImplicitLittle => self.implicit_header(source),
            _ if self.implicit_depth.get() > 0 => self.implicit_header(source),
            Encoding::ExplicitBig => {
                let decoded = Decode::decode_header(&self.big, source)?;
                // The item's tag tells the byte order of writers that did not know.
                if is_unknown_sequence(&decoded.0) && following(source).starts_with(&[0xFE, 0xFF]) {
                    self.implicit_depth.set(1);
                }
                Ok(decoded)
            }
            Encoding::ExplicitLittle => {
                let decoded = Decode::decode_header(&self.little, source)?;
                if is_unknown_sequence(&decoded.0)
                    && following(source).get(8..).and_then(is_explicit) != Some(true)
                {
                    self.implicit_depth.set(1);
                }
                Ok(decoded)
            }
        }
    }
}

/// Reinterprets an element of VR UN and defined length as a sequence, if it is a standard one that begins with an item: its writer did
/// not know the tag (PS3.5, 6.2.2).
fn as_sequence(header: DataElementHeader, source: &Cursor<&[u8]>) -> Option<DataElementHeader> {
    let is_standard = header.tag.0.is_multiple_of(2) && header.tag != tag::PIXEL_DATA;
    let holds_an_item = header.len.get().is_some_and(|length| length >= 8);
    let is_unknown = header.vr == VR::UN && holds_an_item && is_standard;
    (is_unknown && following(source).starts_with(ITEM))
        .then(|| DataElementHeader::new(header.tag, VR::SQ, header.len))
}

/// The tag that begins an item, in little endian.
const ITEM: &[u8] = &[0xFE, 0xFF, 0x00, 0xE0];

/// Whether an element of VR UN is a sequence, with items in implicit VR little endian (PS3.5, 6.2.2; CP-246), except from
/// writers that do not follow this.
fn is_unknown_sequence(header: &DataElementHeader) -> bool {
    header.vr == VR::UN && is_open(header) && header.tag != tag::PIXEL_DATA
}

/// The remaining bytes of a source.
fn following<'a>(source: &Cursor<&'a [u8]>) -> &'a [u8] {
    source.get_ref().get(source.position() as usize..).unwrap_or_default()
}

/// Whether an element header opens a sequence of undefined length.
fn is_open(header: &DataElementHeader) -> bool {
    header.len.is_undefined() && header.tag.0 != 0xFFFE
}

impl<'a> DecodeFrom<Cursor<&'a [u8]>> for ElementDecoder {
    fn decode_header(&self, source: &mut Cursor<&'a [u8]>) -> Result<(DataElementHeader, usize)> {
        if self.implicit_end.get().is_some_and(|end| source.position() >= end) {
            self.implicit_end.set(None);
            self.implicit_depth.set(0);
        }
        let (header, length) = self.decode_any(source)?;
        let is_within = self.encoding == Encoding::ImplicitLittle || self.implicit_depth.get() > 0;
        let Some(sequence) = as_sequence(header, source).filter(|_| !is_within) else {
            return Ok((header, length));
        };
        // Some writers leave what is within as they know it.
        if following(source).get(8..).and_then(is_explicit) != Some(true) {
            let bytes = sequence.len.get().unwrap_or_default();
            self.implicit_end.set(Some(source.position() + u64::from(bytes)));
            self.implicit_depth.set(1);
        }
        Ok((sequence, length))
    }

    fn decode_item_header(&self, source: &mut Cursor<&'a [u8]>) -> Result<SequenceItemHeader> {
        let header = if self.is_big_endian() {
            Decode::decode_item_header(&self.big, source)
        } else {
            Decode::decode_item_header(&self.little, source)
        }?;
        if header == SequenceItemHeader::SequenceDelimiter {
            self.implicit_depth.set(self.implicit_depth.get().saturating_sub(1));
        }
        Ok(header)
    }

    fn decode_tag(&self, source: &mut Cursor<&'a [u8]>) -> Result<Tag> {
        if self.is_big_endian() {
            Decode::decode_tag(&self.big, source)
        } else {
            Decode::decode_tag(&self.little, source)
        }
    }
}

/// Whether an element at the start of little-endian bytes has an explicit VR; `None` where both or neither is possible.
fn is_explicit(bytes: &[u8]) -> Option<bool> {
    let (&[g0, g1, _, _, v0, v1, l0, l1], rest) = bytes.split_first_chunk::<8>()?;
    if u16::from_le_bytes([g0, g1]) == 0xFFFE {
        return None;
    }
    // As a length, two letters are at least 16,705: no first element is that long.
    if let Some(vr) = VR::from_binary([v0, v1]) {
        let fits = match vr {
            VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::SQ | VR::SV => [l0, l1] == [0, 0],
            VR::UC | VR::UN | VR::UR | VR::UT | VR::UV => [l0, l1] == [0, 0],
            _ => usize::from(u16::from_le_bytes([l0, l1])) <= rest.len(),
        };
        return fits.then_some(true);
    }
    let length = u32::from_le_bytes([v0, v1, l0, l1]);
    (length == u32::MAX || length as usize <= rest.len()).then_some(false)
}
