//! The images of a folder.

#[cfg(feature = "dicom")]
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ImageError;
#[cfg(feature = "dicom")]
use crate::file;

/// Bytes of a DICOM file that are searched for its class.
#[cfg(feature = "dicom")]
const START: u64 = 4096;

/// File endings of images, in lower case.
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

/// Listing of a folder of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Image files, sorted by file name.
    pub images: Vec<PathBuf>,
    /// DICOM files without an image, sorted by file name: `DICOMDIR`, reports, presentation states and others.
    pub skipped: Vec<Skipped>,
}

/// DICOM file without an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Path of the file.
    pub path: PathBuf,
    /// Kind of object, by its SOP class.
    pub object: &'static str,
}

impl Listing {
    /// A warning with the number of skipped files and the first name; `None` where there are none.
    pub fn warning(&self) -> Option<String> {
        let Skipped { path, object } = self.skipped.first()?;
        let count = match self.skipped.len() {
            1 => "1 DICOM file without an image is".to_owned(),
            count => format!("{count} DICOM files without an image are"),
        };
        Some(format!("{}: {count} left out; the first is {object}", path.display()))
    }
}

/// Lists the image files directly in the folder `dir`, sorted by file name; hidden files are ignored.
///
/// [`list_folder`] also returns the DICOM files without an image.
///
/// # Errors
/// As [`list_folder`].
pub fn list_images(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, ImageError> {
    list_folder(dir).map(|listing| listing.images)
}

/// Lists the image files directly in the folder `dir`, and the DICOM files without an image; hidden files are ignored.
///
/// Files are selected by their ending (png, tif, tiff, jpg, jpeg, bmp, pgm; dcm, nii and nii.gz with their features; in
/// any case). For others the first bytes are read to recognise DICOM files, which often have no ending.
///
/// # Errors
/// [`ImageError::Missing`], [`ImageError::NotAFolder`], [`ImageError::Unreadable`], [`ImageError::NoImages`].
pub fn list_folder(dir: impl AsRef<Path>) -> Result<Listing, ImageError> {
    let dir = dir.as_ref();
    let name = || dir.display().to_string();
    if !dir.exists() {
        return Err(ImageError::Missing { name: name() });
    }
    if !dir.is_dir() {
        return Err(ImageError::NotAFolder { name: name() });
    }
    let unreadable = |source| ImageError::Unreadable { name: name(), source };
    let mut listing = Listing::default();
    for entry in dir.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        match content(&path) {
            Content::Image => listing.images.push(path),
            #[cfg(feature = "dicom")]
            Content::Object(object) => listing.skipped.push(Skipped { path, object }),
            Content::Other => {}
        }
    }
    if listing.images.is_empty() {
        return Err(ImageError::NoImages { name: name() });
    }
    listing.images.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    listing.skipped.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
    Ok(listing)
}

/// Content of a file.
enum Content {
    Image,
    /// A DICOM object without an image.
    #[cfg(feature = "dicom")]
    Object(&'static str),
    Other,
}

fn content(path: &Path) -> Content {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().to_lowercase()) else {
        return Content::Other;
    };
    // Checked before opening: opening a pipe would wait for its writer.
    if name.starts_with('.') || !path.is_file() {
        return Content::Other;
    }
    let ending =
        ENDINGS.iter().find(|&&ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')));
    match ending {
        // These files are accepted by ending alone.
        Some(&ending) if ending != "dcm" => Content::Image,
        ending => dicom_content(path, ending.is_some()),
    }
}

/// Content of a possible DICOM file: most archives name such files by numbers.
#[cfg(feature = "dicom")]
fn dicom_content(path: &Path, has_ending: bool) -> Content {
    let mut start = Vec::new();
    let is_read = file::open(path).is_ok_and(|(file, _)| file.take(START).read_to_end(&mut start).is_ok());
    if !is_read || !super::dicom::is_dicom(&start) {
        // A file with an image's ending that is not one fails when it is read.
        return if has_ending { Content::Image } else { Content::Other };
    }
    match super::dicom::object_without_image(&start) {
        Some(object) => Content::Object(object),
        None => Content::Image,
    }
}

#[cfg(not(feature = "dicom"))]
fn dicom_content(_: &Path, _: bool) -> Content {
    Content::Other
}
