//! Bounded reading and atomic writing of files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::Builder;

/// Name of the header of an ensemble file, with which the file begins.
pub(crate) const ENSEMBLE_HEADER: &str = "infomark.json";

/// Whether a file that begins with these bytes is an ensemble file.
pub(crate) fn is_ensemble(bytes: &[u8]) -> bool {
    bytes.strip_prefix(ENSEMBLE_HEADER.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

/// Why a user's file was not read; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file does not exist.
    #[error("{name}: no such file; check the spelling and the folder it is looked up in")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// Not a regular file.
    #[error("{name}: not a file; name a regular file, no folder, pipe or device")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// The file exceeds the limit.
    #[error("{name}: {bytes} bytes, but at most {max_bytes} are read; is it the file that was meant?")]
    TooLarge {
        /// The path as given.
        name: String,
        /// Its length, or the number of bytes read.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The text is not UTF-8.
    #[error("{name}: not text in UTF-8; save it in that encoding")]
    NotText {
        /// The path as given.
        name: String,
    },
    /// The file cannot be read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{name}: can't write this file ({source}); check the permissions of its folder and the disk")]
    Unwritable {
        /// The path as given.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The folder cannot be created.
    #[error("{name}: can't make this folder ({source}); check the permissions of the one above it")]
    NoFolder {
        /// The path as given.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The operating system reported another error.
    #[error("{name}: {action} ({source})")]
    System {
        /// The path as given.
        name: String,
        /// The action that failed.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl FileError {
    /// Wraps an error of writing a file.
    pub fn unwritable(path: impl AsRef<Path>) -> impl Fn(io::Error) -> Self {
        let name = path.as_ref().display().to_string();
        move |source| Self::Unwritable { name: name.clone(), source }
    }

    /// Wraps a system error: the file or folder, and the action that failed, such as "can't be removed".
    pub fn system(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let name = path.as_ref().display().to_string();
        move |source| Self::System { name, action, source }
    }
}

impl From<FileError> for io::Error {
    /// The system's error, or one of the matching kind with the message.
    fn from(error: FileError) -> io::Error {
        let kind = match error {
            FileError::Unreadable { source, .. }
            | FileError::Unwritable { source, .. }
            | FileError::NoFolder { source, .. }
            | FileError::System { source, .. } => return source,
            FileError::Missing { .. } => io::ErrorKind::NotFound,
            FileError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            FileError::NotText { .. } => io::ErrorKind::InvalidData,
            FileError::NotAFile { .. } => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}

/// Reads a regular file of at most `max_bytes`; all files that a user names are read this way.
///
/// # Errors
/// [`FileError`]: folders, pipes and devices are rejected before they are opened, and a file longer than its stated length while reading.
///
/// ```
/// use infomark_infer::{FileError, read_file};
///
/// assert!(matches!(read_file("/", 1 << 20), Err(FileError::NotAFile { .. })));
/// ```
pub fn read_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    read_any(path, max_bytes).map_err(|problem| problem.named(path, max_bytes))
}

/// [`read_file`] for UTF-8 text.
///
/// # Errors
/// As [`read_file`], and [`FileError::NotText`].
pub fn read_text_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<String, FileError> {
    let path = path.as_ref();
    let text = String::from_utf8(read_file(path, max_bytes)?);
    text.map_err(|_| FileError::NotText { name: path.display().to_string() })
}

/// Creates a folder and its missing parents.
///
/// # Errors
/// [`FileError::NoFolder`].
pub fn make_folder(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    let name = || path.display().to_string();
    fs::create_dir_all(path).map_err(|source| FileError::NoFolder { name: name(), source })
}

/// Why a file was not read, for conversion to the errors of each module.
pub(crate) enum FileProblem {
    Missing,
    NotAFile,
    Empty,
    TooLarge { bytes: u64 },
    Unreadable(io::Error),
}

impl FileProblem {
    /// The error of a file named by the user.
    pub(crate) fn named(self, path: &Path, max_bytes: u64) -> FileError {
        let name = path.display().to_string();
        match self {
            FileProblem::Missing => FileError::Missing { name },
            FileProblem::NotAFile | FileProblem::Empty => FileError::NotAFile { name },
            FileProblem::TooLarge { bytes } => FileError::TooLarge { name, bytes, max_bytes },
            FileProblem::Unreadable(source) => FileError::Unreadable { name, source },
        }
    }
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileProblem::Missing => f.write_str("no such file"),
            FileProblem::NotAFile => f.write_str("not a file"),
            FileProblem::Empty => f.write_str("the file is empty"),
            FileProblem::TooLarge { bytes } => write!(f, "{bytes} bytes are too many"),
            FileProblem::Unreadable(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> FileProblem {
        match error.kind() {
            io::ErrorKind::NotFound => FileProblem::Missing,
            _ => FileProblem::Unreadable(error),
        }
    }
}

/// Opens a regular file and returns its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64), FileProblem> {
    // Checked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Reads a regular file of at least one and at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    let bytes = read_any(path, limit)?;
    if bytes.is_empty() { Err(FileProblem::Empty) } else { Ok(bytes) }
}

fn read_any(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    let (file, length) = open(path)?;
    if length > limit {
        return Err(FileProblem::TooLarge { bytes: length });
    }
    let mut bytes = Vec::new();
    // Files such as those in /proc report a length of zero.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        read if read > limit => Err(FileProblem::TooLarge { bytes: read }),
        _ => Ok(bytes),
    }
}

/// Writes a file atomically: readers see the old content or the new one, even after a power failure.
///
/// The target of a link is replaced, not the link; pipes and devices are written to directly.
///
/// # Errors
/// The system's error for the folder of `path`, or for the disk; the old content is then unchanged.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let path = path.as_ref();
    if fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let target = fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The mode of a newly created file, less the umask; temporary files are private by default.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
