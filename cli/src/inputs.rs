//! What a command is given: images, and files of options.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use infomark_infer::{DataSet, InputImage, list_folder, sha256_file};
use serde::de::DeserializeOwned;

use crate::files;
use crate::output::{self, shown};

pub(crate) use infomark_eval::thread_pool as pool;

/// The images behind some paths, as [`InputImage::expand`] takes them.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<InputImage>> {
    Ok(InputImage::expand(paths, &mut output::warn)?)
}

/// The images of a folder; DICOM files without an image in it are counted on standard error.
pub(crate) fn images_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = list_folder(folder)?;
    if let Some(warning) = listing.warning() {
        output::warn(warning);
    }
    Ok(listing.images)
}

/// Warns of what [`images_of`] leaves out, for commands whose work lists the folder itself.
pub(crate) fn warn_of_skipped(folder: &Path) {
    // What is wrong with the folder, the work says.
    let _ = images_of(folder);
}

/// What a TOML file says.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = toml::from_str(&files::text(path)?);
    text.map_err(|error| anyhow!("{}: {}", shown(path), error.to_string().trim_end().replace('\n', " ")))
}

/// The SHA-256 of a file.
pub(crate) fn hash(path: &Path) -> Result<String> {
    sha256_file(path).with_context(|| format!("{}: can't be read", shown(path)))
}

/// A data folder; what it has and should not goes to standard error.
pub(crate) fn data_folder(path: &Path) -> Result<DataSet> {
    let data = DataSet::open(path)?;
    for warning in data.warnings() {
        output::warn(warning);
    }
    Ok(data)
}
