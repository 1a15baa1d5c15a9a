//! The images of a folder.

#[cfg(feature = "dicom")]
use std::fs::File;
#[cfg(feature = "dicom")]
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ImageError;

/// Endings by which files in a folder are taken for images, in lower case.
const ENDINGS: &[&str] = &[
    "png",
    "tif",
    "tiff",
    "jpg",
    "jpeg",
    "bmp",
    "pgm",
    #[cfg(feature = "dicom")]
    "dcm",
    #[cfg(feature = "nifti")]
    "nii",
    #[cfg(feature = "nifti")]
    "nii.gz",
];

/// The image files directly in the folder `dir`, sorted by file name; hidden files are left out.
///
/// Files are chosen by their ending (png, tif, tiff, jpg, jpeg, bmp, pgm; dcm, nii and nii.gz with the features for them; in
/// any case). Of others only the start is read: it tells DICOM files, which often have no ending.
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
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().to_lowercase()) else {
        return false;
    };
    if name.starts_with('.') {
        return false;
    }
    ENDINGS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')))
        || is_bare_dicom(path)
}

/// Whether a file of another ending, or of none, is DICOM: most archives name such files by numbers.
#[cfg(feature = "dicom")]
fn is_bare_dicom(path: &Path) -> bool {
    let mut start = [0; 132];
    // Asked before opening: opening a pipe would wait for its writer.
    path.is_file()
        && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && super::dicom::is_dicom(&start)
}

#[cfg(not(feature = "dicom"))]
fn is_bare_dicom(_: &Path) -> bool {
    false
}
