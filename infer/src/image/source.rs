//! Image files that are read from their start: as much as the header needs, then the rest.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use super::{ImageError, ReadLimits};
use crate::file::{self, FileProblem};

/// Bytes that are read first; most headers are shorter.
const FIRST: u64 = 1 << 20;

/// How many times as many bytes are read where the header is longer.
const GROWTH: u64 = 8;

/// A regular file that is not empty.
pub(super) struct Source {
    name: String,
    file: File,
    length: u64,
    start: Vec<u8>,
}

impl Source {
    /// Opens a file and reads its first bytes.
    pub(super) fn open(path: &Path) -> Result<Source, ImageError> {
        let name = path.display().to_string();
        let (file, length) = match file::open(path) {
            Ok(opened) => opened,
            Err(FileProblem::Missing) => return Err(ImageError::Missing { name }),
            Err(FileProblem::Unreadable(source)) => return Err(ImageError::Unreadable { name, source }),
            Err(_) => return Err(ImageError::NotAFile { name }),
        };
        let mut source = Source { name, file, length, start: Vec::new() };
        source.read_to(FIRST)?;
        if source.start.is_empty() {
            return Err(ImageError::Empty { name: source.name });
        }
        Ok(source)
    }

    /// The path as it was given.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes that were read so far.
    pub(super) fn start(&self) -> &[u8] {
        &self.start
    }

    /// The file, which may be read from any place.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reads more of the file, all of which counts towards the limits.
    pub(super) fn grow(&mut self, limits: &ReadLimits) -> Result<(), ImageError> {
        let wanted = (self.start.len() as u64).saturating_mul(GROWTH);
        if wanted.min(self.length) > limits.max_bytes {
            return Err(limits.exceeded(&self.name, self.length));
        }
        self.read_to(wanted)
    }

    /// All bytes.
    pub(super) fn into_bytes(mut self, limits: &ReadLimits) -> Result<Vec<u8>, ImageError> {
        if self.length > limits.max_bytes {
            return Err(limits.exceeded(&self.name, self.length));
        }
        self.read_to(self.length)?;
        Ok(self.start)
    }

    fn read_to(&mut self, wanted: u64) -> Result<(), ImageError> {
        let missing = wanted.min(self.length).saturating_sub(self.start.len() as u64);
        let read = (|| {
            self.start.try_reserve_exact(missing as usize)?;
            // Decoders may have moved within the file.
            self.file.seek(io::SeekFrom::Start(self.start.len() as u64))?;
            (&self.file).take(missing).read_to_end(&mut self.start)
        })();
        match read {
            Ok(count) if (count as u64) < missing => self.length = self.start.len() as u64,
            Ok(_) => {}
            Err(source) => return Err(ImageError::Unreadable { name: self.name.clone(), source }),
        }
        Ok(())
    }
}
