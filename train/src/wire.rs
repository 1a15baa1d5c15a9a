//! Little-endian encoding of messages between processes.

use crate::TrainError;

/// Appends numbers.
pub(crate) fn put_u64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(value.to_le_bytes());
}

/// Appends the bits of numbers.
pub(crate) fn put_f32s(bytes: &mut Vec<u8>, values: &[f32]) {
    let before = bytes.len();
    bytes.resize(before + 4 * values.len(), 0);
    for (word, value) in bytes[before..].as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *word = value.to_le_bytes();
    }
}

/// Appends text with its length.
pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_u64(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

/// Decodes values in the order of encoding.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], TrainError> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or_else(|| TrainError::internal("a rank sent too few bytes"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, TrainError> {
        let mut value = [0; 8];
        value.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_le_bytes(value))
    }

    pub(crate) fn usize(&mut self) -> Result<usize, TrainError> {
        usize::try_from(self.u64()?).map_err(|_| TrainError::internal("a rank sent a length beyond memory"))
    }

    /// The next `count` numbers.
    pub(crate) fn f32s(&mut self, count: usize) -> Result<Vec<f32>, TrainError> {
        let len = count.checked_mul(4).ok_or_else(|| TrainError::internal("a rank sent too few bytes"))?;
        let (words, _) = self.bytes(len)?.as_chunks::<4>();
        Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
    }

    pub(crate) fn text(&mut self) -> Result<String, TrainError> {
        let len = self.usize()?;
        Ok(String::from_utf8_lossy(self.bytes(len)?).into_owned())
    }

    /// Whether all bytes were read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
