//! Bounded reading of regular files that users name, or that are in folders they name.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use infomark_infer::{FileError, read_file, read_text_file};

/// Maximum length of text files (options, lists, journals), in bytes.
const MOST_TEXT: u64 = 256 << 20;
/// Maximum length of other files, in bytes.
const MOST_BYTES: u64 = 512 << 20;

/// All bytes of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    Ok(read_file(path, MOST_BYTES)?)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String> {
    Ok(read_text_file(path, MOST_TEXT)?)
}

/// All bytes of a file; `None` if it does not exist.
pub(crate) fn bytes_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_file(path, MOST_TEXT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Path of a file in a folder, by its relative path; `None` if a component of it is a link or leads out of the folder, which may be
/// untrusted.
pub(crate) fn within(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(name).components() {
        let Component::Normal(part) = part else { return None };
        path.push(part);
        if path.is_symlink() {
            return None;
        }
    }
    Some(path)
}
