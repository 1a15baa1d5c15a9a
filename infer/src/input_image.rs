//! Inputs of batch processing: image files, folders, or a list.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::{ImageError, ImageList, ImageListError, Shard, file_stem_of, list_folder};

/// Image to process, with its label in results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputImage {
    /// Path of its file.
    pub path: PathBuf,
    /// Label in tables: its file name, or its path where two inputs share the name; for a listed image its label.
    pub label: String,
    /// How changes of the file are detected.
    pub identity: FileIdentity,
    /// Unique file stem of its outputs; `None` where it follows from the label.
    stem: Option<String>,
}

/// How changes of an image's file are detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileIdentity {
    /// By its content.
    Content,
    /// By its path, size and time of modification.
    Status,
}

impl InputImage {
    /// The images of a list, or of a shard of it, in the order of the list.
    ///
    /// # Errors
    /// [`ImageListError`].
    pub fn listed(list: &Path, shard: Option<Shard>) -> Result<Vec<Self>, ImageListError> {
        let images = ImageList::read(list, shard)?.into_images().into_iter();
        let input = |image: crate::ListedImage| Self {
            path: image.path,
            label: image.label,
            stem: None,
            identity: FileIdentity::Status,
        };
        Ok(images.map(input).collect())
    }

    /// The images of some paths, in order: a folder stands for the images in it. Repeated images are taken once. `warn` is
    /// called for each folder with DICOM files without an image. Files are not opened.
    ///
    /// # Errors
    /// Those of [`list_folder`].
    pub fn expand(paths: &[PathBuf], warn: &mut dyn FnMut(String)) -> Result<Vec<Self>, ImageError> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                let listing = list_folder(path)?;
                listing.warning().into_iter().for_each(&mut *warn);
                files.extend(listing.images);
            } else {
                files.push(path.clone());
            }
        }
        let mut seen = HashSet::new();
        files.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
        let mut count = HashMap::new();
        for path in &files {
            *count.entry(file_name(path)).or_insert(0) += 1;
        }
        let mut stems = HashSet::new();
        let inputs = files.into_iter().map(|path| {
            let name = file_name(&path);
            let label = if count.get(&name) == Some(&1) { name } else { path.display().to_string() };
            let stem = Some(free_stem(&path, &mut stems));
            Self { path, label, stem, identity: FileIdentity::Content }
        });
        Ok(inputs.collect())
    }

    /// Unique file stem of the image's outputs.
    pub fn stem(&self) -> Cow<'_, str> {
        match &self.stem {
            Some(stem) => Cow::Borrowed(stem),
            None => Cow::Owned(file_stem_of(&self.label)),
        }
    }
}

/// The file name of a path as text, with replacement characters; the whole path where it has none.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| path.display().to_string())
}

/// The stem of a file, numbered where another has it already, ignoring case; it is added to `taken`, which holds stems in lower
/// case.
pub fn free_stem(path: &Path, taken: &mut HashSet<String>) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.to_string())
        .chain(numbered)
        .find(|name| taken.insert(name.to_lowercase()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_labels_and_stems_of_their_own() -> Result<(), ImageError> {
        let paths = ["a/1.png", "b/1.png", "b/1.PNG", "c/2.png", "c/2.png"].map(PathBuf::from);
        let inputs = InputImage::expand(&paths, &mut drop)?;
        let labels: Vec<_> = inputs.iter().map(|input| input.label.as_str()).collect();
        let stems: Vec<_> = inputs.iter().map(InputImage::stem).collect();
        assert_eq!(labels, ["a/1.png", "b/1.png", "1.PNG", "2.png"]);
        assert_eq!(stems, ["1", "1-2", "1-3", "2"]);
        Ok(())
    }
}
