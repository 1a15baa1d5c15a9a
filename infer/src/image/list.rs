//! The images of a folder.

use std::path::{Path, PathBuf};

use super::ImageError;

/// Endings by which files in a folder are taken for images, in lower case.
const ENDINGS: [&str; 7] = ["png", "tif", "tiff", "jpg", "jpeg", "bmp", "pgm"];

/// The image files directly in the folder `dir`, sorted by file name; hidden files are left out.
///
/// Files are chosen by their ending (png, tif, tiff, jpg, jpeg, bmp, pgm in any case); nothing is opened.
///
/// # Errors
///
/// [`ImageError::Missing`], [`ImageError::NotAFolder`], [`ImageError::Unreadable`], [`ImageError::NoImages`].
pub fn list_images(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, ImageError> {
    let dir = dir.as_ref();
    let name = || dir.display().to_string();
    if !dir.exists() {
        return Err(ImageError::Missing { name: name() });
    }
    if !dir.is_dir() {
        return Err(ImageError::NotAFolder { name: name() });
    }
    let unreadable = |source| ImageError::Unreadable { name: name(), source };
    let mut found = Vec::new();
    for entry in dir.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_image(&path) && path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(ImageError::NoImages { name: name() });
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

fn is_image(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let known =
        path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    known && !hidden
}
