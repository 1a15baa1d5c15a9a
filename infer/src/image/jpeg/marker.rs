//! Second bytes of markers (ITU-T T.81, table B.1; T.87, table C.1).

pub(super) const BASELINE: u8 = 0xC0;
pub(super) const EXTENDED: u8 = 0xC1;
pub(super) const PROGRESSIVE: u8 = 0xC2;
pub(super) const LOSSLESS: u8 = 0xC3;
pub(super) const HUFFMAN_TABLES: u8 = 0xC4;
pub(super) const LAST_FRAME: u8 = 0xCF;
pub(super) const RESERVED: u8 = 0xC8;
pub(super) const ARITHMETIC_CODING: u8 = 0xCC;
pub(super) const FIRST_RESTART: u8 = 0xD0;
pub(super) const LAST_RESTART: u8 = 0xD7;
pub(super) const START_OF_IMAGE: u8 = 0xD8;
pub(super) const END_OF_IMAGE: u8 = 0xD9;
pub(super) const START_OF_SCAN: u8 = 0xDA;
pub(super) const QUANTISATION_TABLES: u8 = 0xDB;
pub(super) const RESTART_INTERVAL: u8 = 0xDD;
#[cfg(feature = "jpeg")]
pub(super) const EXIF: u8 = 0xE1;
pub(super) const TEMPORARY: u8 = 0x01;
pub(super) const JPEG_LS: u8 = 0xF7;
pub(super) const PRESET_PARAMETERS: u8 = 0xF8;
