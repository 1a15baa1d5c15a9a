//! File meta information (PS3.10, 7.1): start of the data set, transfer syntax and SOP class.

use std::io::Cursor;

use dicom_core::VR;
use dicom_parser::StatefulDecode;
use dicom_parser::dataset::LazyDataToken;
use dicom_parser::dataset::lazy_read::LazyDataSetReader;
use dicom_transfer_syntax_registry::entries;

use super::Problem;
use super::elements::{MALFORMED, slice, tag};

/// Length of the preamble with `DICM`, in bytes.
const PREAMBLE: usize = 132;

pub(super) struct Meta<'a> {
    /// Offset of the data set.
    pub(super) start: usize,
    /// Transfer Syntax UID; `None` where it is missing.
    pub(super) syntax: Option<&'a str>,
    /// Media Storage SOP Class UID.
    pub(super) sop_class: Option<&'a str>,
}

impl<'a> Meta<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Meta<'a>, Problem> {
        let start = if has_preamble(bytes) { PREAMBLE } else { 0 };
        let mut meta = Meta { start, syntax: None, sop_class: None };
        let mut source = Cursor::new(bytes);
        source.set_position(meta.start as u64);
        let coding = entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
        let mut reader = LazyDataSetReader::new_with_ts(source, &coding).map_err(|_| MALFORMED)?;
        // The group's length is wrong in some files; the actual end of the group counts.
        while bytes.get(meta.start..meta.start + 2) == Some(&[2, 0]) {
            let Some(token) = reader.advance() else {
                break;
            };
            match token.map_err(|_| MALFORMED)? {
                LazyDataToken::ElementHeader(_) => {}
                LazyDataToken::LazyValue { header, decoder } => {
                    let value = slice(bytes, decoder.position(), header.len)?;
                    decoder.skip_bytes(header.len.0).map_err(|_| MALFORMED)?;
                    meta.start = decoder.position() as usize;
                    // Not a text: stated, but unknown.
                    let text = std::str::from_utf8(value).unwrap_or_default().trim_matches([' ', '\0']);
                    match header.tag {
                        tag::TRANSFER_SYNTAX => meta.syntax = Some(text),
                        tag::MEDIA_STORAGE_SOP_CLASS => meta.sop_class = Some(text),
                        _ => {}
                    }
                }
                _ => return Err(MALFORMED),
            }
        }
        Ok(meta)
    }
}

fn has_preamble(bytes: &[u8]) -> bool {
    bytes.get(128..PREAMBLE) == Some(b"DICM")
}

/// Whether a file is DICOM: `DICM` after a preamble of 128 bytes, or elements from its first byte, as written by old programs and some
/// archives (pydicom reads those with `force`).
pub(super) fn is_dicom(bytes: &[u8]) -> bool {
    has_preamble(bytes) || starts_with_element(bytes)
}

/// Whether the first bytes are an element that can start a meta group or a data set: up to Media Storage SOP Class UID or
/// SOP Class UID, and of plausible length.
fn starts_with_element(bytes: &[u8]) -> bool {
    const LONGEST: u32 = 64;
    let Some(&[g0, g1, e0, e1, v0, v1, l0, l1]) = bytes.first_chunk::<8>() else {
        return false;
    };
    let (group, element) = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
    let is_first = matches!((group, element), (0x0002, 0..=0x0002) | (0x0008, 0..=0x0018));
    let (vr, short) = (VR::from_binary([v0, v1]), u32::from(u16::from_le_bytes([l0, l1])));
    let length = match vr {
        // A length of four bytes follows two zero bytes.
        Some(VR::OB | VR::SQ | VR::UN) if short == 0 => {
            bytes.get(8..12).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?)))
        }
        Some(VR::UL | VR::UI | VR::CS | VR::DA | VR::TM | VR::DT | VR::LO | VR::SH) => Some(short),
        Some(_) => None,
        // Only the data set can be in implicit VR.
        None if group == 0x0008 => Some(u32::from_le_bytes([v0, v1, l0, l1])),
        None => None,
    };
    is_first && length.is_some_and(|length| length <= LONGEST && length % 2 == 0)
}
