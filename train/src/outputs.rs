//! Output paths of a training: checked before it starts, written atomically.

use std::fs;
use std::io;
use std::path::Path;

use infomark_infer::{FolderLock, FolderLockError, list_images, read_file};

use crate::{CheckpointError, OutputError, RunError, TrainError};

/// Creates the folders, and detects problems early that would spoil the result, such as one of the `inputs` as output. The folder of
/// the run is locked as long as the lock is held.
pub(crate) fn prepare(
    out: &Path,
    run: &Path,
    images: &Path,
    inputs: &[&Path],
) -> Result<FolderLock, TrainError> {
    if out.is_dir() || out.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]) {
        return Err(RunError::Output { path: out.to_owned(), problem: OutputError::Folder }.into());
    }
    if fs::metadata(out).is_ok_and(|data| !data.is_file()) {
        return Err(RunError::Output { path: out.to_owned(), problem: OutputError::NotAFile }.into());
    }
    if fs::canonicalize(run).is_ok_and(|run| fs::canonicalize(images).is_ok_and(|images| run == images)) {
        return Err(RunError::Output { path: run.to_owned(), problem: OutputError::FolderOfImages }.into());
    }
    if out == run {
        return Err(RunError::Output { path: out.to_owned(), problem: OutputError::FolderOfRun }.into());
    }
    let out_dir = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for dir in [out_dir, run] {
        fs::create_dir_all(dir).map_err(TrainError::file(dir, "can't make the folder"))?;
    }
    if let Ok(target) = fs::canonicalize(out)
        && list_images(images)?.iter().any(|image| fs::canonicalize(image).is_ok_and(|i| i == target))
    {
        return Err(RunError::Output { path: out.to_owned(), problem: OutputError::TrainingImage }.into());
    }
    if let Ok(target) = fs::canonicalize(out)
        && inputs.iter().any(|input| fs::canonicalize(input).is_ok_and(|input| input == target))
    {
        return Err(RunError::Output { path: out.to_owned(), problem: OutputError::Input }.into());
    }
    // A temporary file, deleted at once: the encoder will be written the same way.
    tempfile::tempfile_in(out_dir).map_err(TrainError::file(out, "can't write here"))?;
    lock(run)
}

/// Locks the folder of a run against other processes.
pub(crate) fn lock(run: &Path) -> Result<FolderLock, TrainError> {
    FolderLock::acquire(run).map_err(|error| match error {
        FolderLockError::InUse { .. } => {
            TrainError::Checkpoint { path: run.to_owned(), problem: CheckpointError::InUse }
        }
        error => TrainError::file(run, "can't lock the folder")(io::Error::other(error)),
    })
}

/// Writes a file atomically.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    infomark_infer::write_file(path, bytes).map_err(TrainError::file(path, "can't write"))
}

/// Maximum length of a run's file, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// Reads a file of a run, or one of its inputs.
pub(crate) fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    Ok(read_file(path, MAX_BYTES)?)
}
