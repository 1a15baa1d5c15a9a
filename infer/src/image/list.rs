//! The images of a folder.

#[cfg(feature = "dicom")]
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ImageError;
#[cfg(feature = "dicom")]
use crate::file;

/// Bytes of a DICOM file in which its class is looked for.
#[cfg(feature = "dicom")]
const START: u64 = 4096;

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

/// Listing of a folder of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Image files, sorted by file name.
    pub images: Vec<PathBuf>,
    /// DICOM files of other objects, sorted by file name: `DICOMDIR`, reports, presentation states and others.
    pub skipped: Vec<Skipped>,
}

/// A DICOM file that holds no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The kind of its object, by its SOP class.
    pub object: &'static str,
}

impl Listing {
    /// A warning that counts the files left out and names the first; none where there are none.
    pub fn warning(&self) -> Option<String> {
        let Skipped { path, object } = self.skipped.first()?;
        let count = match self.skipped.len() {
            1 => "1 DICOM file without an image is".to_owned(),
            count => format!("{count} DICOM files without an image are"),
        };
        Some(format!("{}: {count} left out; the first is {object}", path.display()))
    }
}

/// The image files directly in the folder `dir`, sorted by file name; hidden files are left out.
///
/// [`list_folder`] tells of the DICOM files without an image, too.
///
/// # Errors
/// As [`list_folder`].
pub fn list_images(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>, ImageError> {
    list_folder(dir).map(|listing| listing.images)
}

/// The image files directly in the folder `dir`, and the DICOM files that hold no image; hidden files are left out.
///
/// Files are chosen by their ending (png, tif, tiff, jpg, jpeg, bmp, pgm; dcm, nii and nii.gz with the features for them; in
/// any case). Of others only the start is read: it tells DICOM files, which often have no ending.
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

/// What a file is taken for.
enum Content {
    Image,
    /// A DICOM object of another kind.
    #[cfg(feature = "dicom")]
    Object(&'static str),
    Other,
}

fn content(path: &Path) -> Content {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().to_lowercase()) else {
        return Content::Other;
    };
    // Asked before opening: opening a pipe would wait for its writer.
    if name.starts_with('.') || !path.is_file() {
        return Content::Other;
    }
    let ending =
        ENDINGS.iter().find(|&&ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')));
    match ending {
        // The start of these files is not read.
        Some(&ending) if ending != "dcm" => Content::Image,
        ending => dicom_content(path, ending.is_some()),
    }
}

/// Whether a file is DICOM, and of an image: most archives name such files by numbers.
#[cfg(feature = "dicom")]
fn dicom_content(path: &Path, has_ending: bool) -> Content {
    let mut start = Vec::new();
    let is_read = file::open(path).is_ok_and(|(file, _)| file.take(START).read_to_end(&mut start).is_ok());
    if !is_read || !super::dicom::is_dicom(&start) {
        // A file that says it is an image by its name, but is none, gives an error when it is read.
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
