//! Whole files, read within a limit and written all or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::Builder;

/// Why a file was not read.
pub(crate) enum FileProblem {
    Missing,
    NotAFile,
    Empty,
    TooLarge { bytes: u64 },
    Unreadable(io::Error),
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

/// All bytes of a regular file of at least one and at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(FileProblem::NotAFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Err(FileProblem::TooLarge { bytes: length });
    }
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(FileProblem::Empty);
    }
    Ok(bytes)
}

/// Replaces `path` by `bytes`: whoever reads it sees the old content or the new, never a part. A link stays, and its target
/// is replaced; what is no ordinary file, a pipe or a device, is written to.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
