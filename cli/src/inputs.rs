//! Inputs of commands: images, and option files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use infomark_infer::{DataSet, InputImage, list_folder, sha256_file};
use serde::de::DeserializeOwned;

use crate::files;
use crate::output::{self, shown};

pub(crate) use infomark_eval::thread_pool as pool;

/// The images at some paths, as by [`InputImage::expand`].
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<InputImage>> {
    Ok(InputImage::expand(paths, &mut output::warn)?)
}

/// The images of a folder; warns of DICOM files without an image.
pub(crate) fn images_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = list_folder(folder)?;
    if let Some(warning) = listing.warning() {
        output::warn(warning);
    }
    Ok(listing.images)
}

/// Warns of the files that [`images_of`] leaves out, for commands that list the folder themselves.
pub(crate) fn warn_of_skipped(folder: &Path) {
    // Errors of the folder are reported by the work.
    let _ = images_of(folder);
}

/// Parses a TOML file.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = toml::from_str(&files::text(path)?);
    text.map_err(|error| anyhow!("{}: {}", shown(path), error.to_string().trim_end().replace('\n', " ")))
}

/// SHA-256 of a file.
pub(crate) fn hash(path: &Path) -> Result<String> {
    sha256_file(path).with_context(|| format!("{}: can't be read", shown(path)))
}

/// Opens a data folder, and prints its warnings.
pub(crate) fn data_folder(path: &Path) -> Result<DataSet> {
    let data = DataSet::open(path)?;
    for warning in data.warnings() {
        output::warn(warning);
    }
    Ok(data)
}
