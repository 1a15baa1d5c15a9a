//! Exclusive lock of a folder against concurrent writers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Name of the locked file.
const NAME: &str = "lock";

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderLockError {
    /// Another process holds the lock.
    #[error(
        "{folder}: another process is writing to this folder; wait until it has ended, or name another folder"
    )]
    InUse {
        /// The folder as given.
        folder: String,
    },
    /// A folder, pipe or device has the name of the lock file.
    #[error("{path}: not a file, but the lock of its folder has to be one; move it away")]
    NotAFile {
        /// The lock file.
        path: String,
    },
    /// The lock file cannot be created.
    #[error("{path}: can't be written ({source}); check the permissions of its folder and the disk")]
    Unwritable {
        /// The lock file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Exclusive lock of a folder, held until it is dropped or the process ends.
///
/// It locks the file `lock` in the folder, which is kept. On file systems without locks, nothing is locked.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks an existing folder, without waiting.
    ///
    /// # Errors
    /// [`FolderLockError`].
    pub fn acquire(folder: impl AsRef<Path>) -> Result<FolderLock, FolderLockError> {
        let folder = folder.as_ref();
        let path = folder.join(NAME);
        // Checked before opening: opening a pipe would wait for its reader.
        if fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
            return Err(FolderLockError::NotAFile { path: path.display().to_string() });
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file =
            file.map_err(|source| FolderLockError::Unwritable { path: path.display().to_string(), source })?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(FolderLockError::InUse { folder: folder.display().to_string() })
            }
            _ => Ok(FolderLock { _file: file }),
        }
    }
}
