//! Files that users name, or that lie in folders they name: regular ones, within limits.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use infomark_infer::{FileError, read_file, read_text_file};

/// Longest text that is read: options, lists, journals; in bytes.
const MOST_TEXT: u64 = 256 << 20;
/// Longest file of any other kind, in bytes.
const MOST_BYTES: u64 = 512 << 20;

/// All bytes of a file.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>> {
    Ok(read_file(path, MOST_BYTES)?)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String> {
    Ok(read_text_file(path, MOST_TEXT)?)
}

/// All bytes of a file; none where there is no such file.
pub(crate) fn bytes_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match read_file(path, MOST_TEXT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file within a folder, by its path from there; none where a part of that path is a link or leads out: what somebody else put into the folder is
/// to lead nowhere else.
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
