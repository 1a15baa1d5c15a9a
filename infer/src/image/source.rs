//! Image files, on disk or in memory, read incrementally: as much as the header needs, then the rest.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use super::{ImageError, ReadLimits};
use crate::file::{self, FileProblem};

/// Initial number of bytes; most headers are shorter.
const FIRST: u64 = 1 << 20;

/// Initial number of bytes when only the header is needed.
const FIRST_OF_HEADER: u64 = 1 << 16;

/// Growth factor of the number of bytes for longer headers.
const GROWTH: u64 = 8;

/// Non-empty image file, or its bytes.
pub(super) struct Source<'a> {
    name: String,
    content: Content<'a>,
    length: u64,
}

enum Content<'a> {
    /// A file, and its bytes read so far.
    File(File, Vec<u8>),
    /// All bytes.
    Memory(&'a [u8]),
}

/// A seekable reader.
pub(super) enum Reader<'a> {
    File(&'a File),
    Memory(Cursor<&'a [u8]>),
}

impl Read for Reader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Reader::File(file) => file.read(into),
            Reader::Memory(bytes) => bytes.read(into),
        }
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        match self {
            Reader::File(file) => file.seek(place),
            Reader::Memory(bytes) => bytes.seek(place),
        }
    }
}

impl<'a> Source<'a> {
    /// A file that is in memory; `name` is its name in messages.
    pub(super) fn of_bytes(bytes: &'a [u8], name: String) -> Result<Source<'a>, ImageError> {
        if bytes.is_empty() {
            return Err(ImageError::Empty { name });
        }
        Ok(Source { name, content: Content::Memory(bytes), length: bytes.len() as u64 })
    }

    /// Opens a file and reads its first bytes.
    pub(super) fn open(path: &Path) -> Result<Source<'static>, ImageError> {
        Self::open_to(path, FIRST)
    }

    /// Opens a file to read its header.
    pub(super) fn open_header(path: &Path) -> Result<Source<'static>, ImageError> {
        Self::open_to(path, FIRST_OF_HEADER)
    }

    fn open_to(path: &Path, first: u64) -> Result<Source<'static>, ImageError> {
        let name = path.display().to_string();
        let (file, length) = match file::open(path) {
            Ok(opened) => opened,
            Err(FileProblem::Missing) => return Err(ImageError::Missing { name }),
            Err(FileProblem::Unreadable(source)) => return Err(ImageError::Unreadable { name, source }),
            Err(_) => return Err(ImageError::NotAFile { name }),
        };
        let mut source = Source { name, content: Content::File(file, Vec::new()), length };
        source.read_to(first)?;
        if source.start().is_empty() {
            return Err(ImageError::Empty { name: source.name });
        }
        Ok(source)
    }

    /// The path as given, or the name of bytes in memory.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Length of the whole file in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes read so far.
    pub(super) fn start(&self) -> &[u8] {
        match &self.content {
            Content::File(_, start) => start,
            Content::Memory(bytes) => bytes,
        }
    }

    /// Fills `bytes` from an offset in the file; `None` where it ends before.
    pub(super) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Option<()> {
        let mut file = self.reader();
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(bytes).ok()
    }

    /// A reader of the whole file, from the position of the last one.
    pub(super) fn reader(&self) -> Reader<'_> {
        match &self.content {
            Content::File(file, _) => Reader::File(file),
            Content::Memory(bytes) => Reader::Memory(Cursor::new(bytes)),
        }
    }

    /// Reads more of the file, whose length counts towards the limits.
    pub(super) fn grow(&mut self, limits: &ReadLimits) -> Result<(), ImageError> {
        let wanted = (self.start().len() as u64).saturating_mul(GROWTH);
        if wanted.min(self.length) > limits.max_bytes {
            return Err(limits.exceeded(&self.name, self.length));
        }
        self.read_to(wanted)
    }

    /// All bytes.
    pub(super) fn into_bytes(mut self, limits: &ReadLimits) -> Result<Cow<'a, [u8]>, ImageError> {
        if self.length > limits.max_bytes {
            return Err(limits.exceeded(&self.name, self.length));
        }
        self.read_to(self.length)?;
        Ok(match self.content {
            Content::File(_, bytes) => Cow::Owned(bytes),
            Content::Memory(bytes) => Cow::Borrowed(bytes),
        })
    }

    fn read_to(&mut self, wanted: u64) -> Result<(), ImageError> {
        let Content::File(file, start) = &mut self.content else { return Ok(()) };
        let missing = wanted.min(self.length).saturating_sub(start.len() as u64);
        let read = (|| {
            start.try_reserve_exact(missing as usize)?;
            // Decoders may have moved the position.
            file.seek(SeekFrom::Start(start.len() as u64))?;
            file.take(missing).read_to_end(start)
        })();
        match read {
            Ok(count) if (count as u64) < missing => self.length = start.len() as u64,
            Ok(_) => {}
            Err(source) => return Err(ImageError::Unreadable { name: self.name.clone(), source }),
        }
        Ok(())
    }
}
