//! JSON and CSV as results have them.

use std::path::Path;

use infomark_infer::FileError;
use serde::Serialize;

use crate::ResultsError;

/// Replaces a file, as [`infomark_infer::write_file`].
///
/// # Errors
/// [`ResultsError::File`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ResultsError> {
    Ok(infomark_infer::write_file(path, bytes).map_err(FileError::unwritable(path))?)
}

/// An object as JSON with two spaces of indent, without a line end after it.
///
/// # Errors
/// [`ResultsError::Encode`].
pub fn to_json(object: &impl Serialize) -> Result<String, ResultsError> {
    serde_json::to_string_pretty(object).map_err(ResultsError::json)
}

/// Replaces a file by an object as JSON.
///
/// # Errors
/// [`ResultsError::Encode`], [`ResultsError::File`].
pub fn write_json(path: &Path, object: &impl Serialize) -> Result<(), ResultsError> {
    write_file(path, (to_json(object)? + "\n").as_bytes())
}

/// The bytes of a CSV file.
///
/// # Errors
/// [`ResultsError::Encode`].
pub(crate) fn to_csv<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Result<Vec<u8>, ResultsError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let write = || -> Result<(), csv::Error> {
        table.write_record(head)?;
        rows.into_iter().try_for_each(|row| table.write_record(row))
    };
    let wrong = |reason: String| ResultsError::Encode { format: "CSV", reason };
    write().map_err(|error| wrong(error.to_string()))?;
    table.into_inner().map_err(|error| wrong(error.to_string()))
}

/// Replaces a file by a table as CSV.
///
/// # Errors
/// [`ResultsError::Encode`], [`ResultsError::File`].
pub fn write_csv<const COLUMNS: usize>(
    path: &Path,
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Result<(), ResultsError> {
    write_file(path, &to_csv(head, rows)?)
}
