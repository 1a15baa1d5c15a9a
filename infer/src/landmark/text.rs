//! Text of landmark files: encoding and Unicode normalisation.

use std::borrow::Cow;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use super::LandmarkError;
use crate::read_file;

/// Decodes UTF-8, or UTF-16 with a byte-order mark, and removes the mark.
pub(super) fn decode<'a>(bytes: &'a [u8], name: &str) -> Result<Cow<'a, str>, LandmarkError> {
    let refused = |line| LandmarkError::Encoding { name: name.to_owned(), line };
    let utf16 = |content: &[u8], unit: fn([u8; 2]) -> u16| {
        let pairs = content.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(refused(1));
        }
        let units = pairs.map(|pair| unit([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Cow::Owned).map_err(|_| refused(1))
    };
    match bytes {
        [0xFF, 0xFE, content @ ..] => return utf16(content, u16::from_le_bytes),
        [0xFE, 0xFF, content @ ..] => return utf16(content, u16::from_be_bytes),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| refused(line_of(bytes, error.valid_up_to())))?;
    Ok(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)))
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    let before = bytes.iter().take(at).filter(|&&byte| byte == b'\n');
    before.count() as u64 + 1
}

/// Unicode NFC of a name, for comparison.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether two names are canonically equivalent in Unicode: macOS has file names in NFD, tables usually have NFC.
pub fn is_same(a: &str, b: &str) -> bool {
    a == b || nfc(a) == nfc(b)
}

/// NFC and NFD of a text that is not ASCII; empty for ASCII.
pub(super) fn normal_forms(text: &str) -> Vec<String> {
    if text.is_ascii() { Vec::new() } else { vec![text.nfc().collect(), text.nfd().collect()] }
}

/// Maximum length of a landmark file, in bytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a landmark file, and its path for messages.
pub(super) fn read_bytes(path: &Path) -> Result<(Vec<u8>, String), LandmarkError> {
    let name = path.display().to_string();
    let bytes = read_file(path, MAX_BYTES)?;
    if bytes.is_empty() { Err(LandmarkError::Empty { name }) } else { Ok((bytes, name)) }
}
