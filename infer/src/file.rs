//! Whole files, read within a limit and written all or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::Builder;

/// Why a user's file was not read; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("{name}: no such file; check the spelling and the folder it is looked up in")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// A folder, a device or a pipe where a file is wanted.
    #[error("{name}: not a file; name a regular file, no folder, pipe or device")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// More bytes than are read.
    #[error("{name}: {bytes} bytes, but at most {max_bytes} are read; is it the file that was meant?")]
    TooLarge {
        /// The path as given.
        name: String,
        /// Its length, or what was read of it.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// Text that is not UTF-8.
    #[error("{name}: not text in UTF-8; save it in that encoding")]
    NotText {
        /// The path as given.
        name: String,
    },
    /// The operating system refused to read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused to write.
    #[error("{name}: can't write this file ({source}); check the permissions of its folder and the disk")]
    Unwritable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused to make a folder.
    #[error("{name}: can't make this folder ({source}); check the permissions of the one above it")]
    NoFolder {
        /// The path as given.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused something else.
    #[error("{name}: {action} ({source})")]
    System {
        /// The path as given.
        name: String,
        /// What was not done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    /// Wraps an error of writing a file.
    pub fn unwritable(path: impl AsRef<Path>) -> impl Fn(io::Error) -> Self {
        let name = path.as_ref().display().to_string();
        move |source| Self::Unwritable { name: name.clone(), source }
    }

    /// Wraps an error of the system: the file or folder, and what was not done, such as "can't be removed".
    pub fn system(path: impl AsRef<Path>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let name = path.as_ref().display().to_string();
        move |source| Self::System { name, action, source }
    }
}

impl From<FileError> for io::Error {
    /// The system's error, or one of the kind that fits with the message.
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

/// All bytes of a regular file of at most `max_bytes`: what every file that a user names is read with.
///
/// # Errors
/// [`FileError`]: a folder, a pipe and a device are refused before they are opened, and a file that is longer than it says while it is read.
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

/// [`read_file`] for text.
///
/// # Errors
/// As [`read_file`], and [`FileError::NotText`].
pub fn read_text_file(path: impl AsRef<Path>, max_bytes: u64) -> Result<String, FileError> {
    let path = path.as_ref();
    let text = String::from_utf8(read_file(path, max_bytes)?);
    text.map_err(|_| FileError::NotText { name: path.display().to_string() })
}

/// Makes a folder and those above it, where they are missing.
///
/// # Errors
/// [`FileError::NoFolder`].
pub fn make_folder(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    let name = || path.display().to_string();
    fs::create_dir_all(path).map_err(|source| FileError::NoFolder { name: name(), source })
}

/// Why a file was not read, for the errors of each module.
pub(crate) enum FileProblem {
    Missing,
    NotAFile,
    Empty,
    TooLarge { bytes: u64 },
    Unreadable(io::Error),
}

impl FileProblem {
    /// The error of a file that a user names.
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

/// Opens a regular file, with its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64), FileProblem> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// All bytes of a regular file of at least one and at most `limit` bytes.
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
    // Files of the system say a length of zero.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        read if read > limit => Err(FileProblem::TooLarge { bytes: read }),
        _ => Ok(bytes),
    }
}

/// Writes a file whole or not at all: a reader sees the old content or the new, and so does who looks after a power cut.
///
/// A link stays, and its target is replaced; what is no ordinary file, a pipe or a device, is written to.
///
/// # Errors
/// What the system says of the folder of `path`, or of the disk; the old content is still there then.
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
        // As a newly created file has, less the umask; temporary files are private otherwise.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
