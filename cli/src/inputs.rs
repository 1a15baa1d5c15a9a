//! What a command is given: images, and files of options.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use infomark_infer::{DataSet, ImageList, Shard, file_stem_of, list_folder, sha256_file};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::de::DeserializeOwned;

use crate::files;
use crate::output::{self, file_name, identity, shown};

/// An image to work on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    /// What tables call it: its file name, or its path where two inputs share the name; of a listed image what the list says.
    pub(crate) label: String,
    /// A file stem of its own for what is written about it; none where it follows from the label.
    stem: Option<String>,
    /// How it is known again.
    pub(crate) identity: Identity,
}

/// How the file of an image is known to be the same as before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Identity {
    /// By its content.
    Content,
    /// By its path, size and time of modification.
    Status,
}

impl Input {
    /// A file stem of its own for what is written about the image.
    pub(crate) fn stem(&self) -> Cow<'_, str> {
        match &self.stem {
            Some(stem) => Cow::Borrowed(stem),
            None => Cow::Owned(file_stem_of(&self.label)),
        }
    }
}

/// The images of a list, or of a shard of it, in the order of the list.
pub(crate) fn listed(list: &Path, shard: Option<Shard>) -> Result<Vec<Input>> {
    let images = ImageList::read(list, shard)?.into_images().into_iter();
    Ok(images
        .map(|image| Input { path: image.path, label: image.label, stem: None, identity: Identity::Status })
        .collect())
}

/// The images behind some paths, in order: a folder stands for the images in it. An image that is
/// given twice is taken once.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<Input>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(images_of(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let mut seen = HashSet::new();
    files.retain(|path| seen.insert(identity(path)));
    let mut count = HashMap::new();
    for path in &files {
        *count.entry(file_name(path)).or_insert(0) += 1;
    }
    let mut stems = HashSet::new();
    let inputs = files.into_iter().map(|path| {
        let name = file_name(&path);
        let label = if count.get(&name) == Some(&1) { name } else { shown(&path) };
        let stem = Some(free_stem(&path, &mut stems));
        Input { path, label, stem, identity: Identity::Content }
    });
    Ok(inputs.collect())
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

/// The file's stem, with a number where another has it already, in whatever case.
pub(crate) fn free_stem(path: &Path, taken: &mut HashSet<String>) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let numbered = (2..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.to_string())
        .chain(numbered)
        .find(|name| taken.insert(name.to_lowercase()))
        .unwrap_or_default()
}

/// A data folder; unknown keys of its `dataset.toml` are warned about on standard error.
pub(crate) fn data_folder(path: &Path) -> Result<DataSet> {
    let data = DataSet::open(path)?;
    if !data.ignored_keys.is_empty() {
        output::warn(format_args!(
            "{}: {} means nothing here; it takes name, spacing_mm and landmarks",
            shown(&path.join("dataset.toml")),
            data.ignored_keys.join(", ")
        ));
    }
    for warning in data.warnings() {
        output::warn(warning);
    }
    Ok(data)
}

/// Threads for the work on many images; 0 takes all cores.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.with_context(|| format!("can't start {threads} threads"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_get_labels_and_stems_of_their_own() -> Result<()> {
        let paths = ["a/1.png", "b/1.png", "b/1.PNG", "c/2.png", "c/2.png"].map(PathBuf::from);
        let inputs = expand(&paths)?;
        let labels: Vec<_> = inputs.iter().map(|input| input.label.as_str()).collect();
        let stems: Vec<_> = inputs.iter().map(Input::stem).collect();
        assert_eq!(labels, ["a/1.png", "b/1.png", "1.PNG", "2.png"]);
        assert_eq!(stems, ["1", "1-2", "1-3", "2"]);
        Ok(())
    }
}
