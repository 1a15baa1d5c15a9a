//! SHA-256 of files.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::file::{self, FileProblem};

/// SHA-256 of bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of bytes.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The first 128 bits of the SHA-256 of bytes, as a compact key.
pub(crate) fn short(bytes: &[u8]) -> [u64; 2] {
    let digest = digest(bytes);
    let mut words = digest.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word));
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// SHA-256 of a set of files by their names and contents, in lower-case hexadecimal.
///
/// It is the hash of the lines that `sha256sum` prints for the files, in the order given and without their folders, so
/// `cd IMAGES; sha256sum * | sha256sum` gives the same for a folder listed by [`list_images`](crate::list_images).
///
/// # Errors
/// The system's error, with the path in front.
pub fn sha256_files<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> io::Result<String> {
    let mut all = Sha256::new();
    for path in paths {
        let path = path.as_ref();
        let content = sha256_file(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        add_line(&mut all, path, &content);
    }
    Ok(hex(all))
}

/// [`sha256_files`] of files whose contents are already hashed: pairs of a path and the lower-case hexadecimal SHA-256 of its content.
pub fn sha256_hashed_files<P: AsRef<Path>, H: AsRef<str>>(files: impl IntoIterator<Item = (P, H)>) -> String {
    let mut all = Sha256::new();
    for (path, content) in files {
        add_line(&mut all, path.as_ref(), content.as_ref());
    }
    hex(all)
}

/// Adds the line that `sha256sum` prints for a file.
fn add_line(all: &mut Sha256, path: &Path, content: &str) {
    all.update(content.as_bytes());
    all.update(b"  ");
    all.update(path.file_name().unwrap_or(path.as_os_str()).as_encoded_bytes());
    all.update(b"\n");
}

/// SHA-256 of a file's content, in lower-case hexadecimal; the file is read in pieces.
///
/// # Errors
/// The system's error.
pub fn sha256_file(path: impl AsRef<Path>) -> io::Result<String> {
    let mut content = Sha256::new();
    let (mut file, _) = file::open(path.as_ref()).map_err(|problem| match problem {
        FileProblem::Unreadable(error) => error,
        FileProblem::Missing => io::ErrorKind::NotFound.into(),
        other => io::Error::new(io::ErrorKind::InvalidInput, other.to_string()),
    })?;
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex(content));
        }
        content.update(&block[..read]);
    }
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
