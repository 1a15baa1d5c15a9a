//! Landmark files of other annotators of a data set's images.

use std::path::PathBuf;

use anyhow::{Context, Result};
use infomark_eval::Annotator;
use infomark_infer::{DataSet, normal_name};

use crate::landmark_files::Source;
use crate::output::file_name;

/// Reads the points of an annotator in the images of a data set: one file of all, or one for each image.
pub(crate) fn read(files: &[PathBuf], data: &DataSet) -> Result<Annotator> {
    let images = data.images.iter().map(|sample| sample.path.clone()).collect();
    let read = Source::of_images(images).read(files, &data.landmarks, None)?;
    let marks = |image: &str| {
        let same = read.all.images.iter().find(|(name, _)| normal_name(name) == normal_name(image));
        same.map_or(&[][..], |(_, marks)| marks.landmarks.as_slice())
    };
    let name = match files {
        [file] => file_name(file),
        [first, ..] => format!("{} and {} more", file_name(first), files.len() - 1),
        [] => String::new(),
    };
    Annotator::new(name.as_str(), data, marks)
        .with_context(|| format!("{name}: it has no point that {} has as well", data.name))
}
