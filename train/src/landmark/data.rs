//! Training images with their landmarks.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_core::Point;
use infomark_infer::{InputSize, Letterbox, Normalisation, read_image_size, sha256, sha256_files};
use rayon::prelude::*;

use super::loss::Target;
use crate::data::{KEPT_BYTES, fingerprint, read};
use crate::epochs::Epochs;
use crate::{DataError, TrainError, encoder};

/// Label of a landmark, in pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Label {
    pub(crate) at: Point<f64>,
    /// Weight in the loss, above 0.
    pub(crate) weight: f32,
}

/// Image with its known landmarks.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub(crate) path: PathBuf,
    pub(crate) labels: Vec<Option<Label>>,
}

/// Hash of names and labels as text, images by file name.
pub(crate) fn labels_sha256(names: &[String], images: &[Labelled]) -> String {
    let mut text = String::new();
    for image in images {
        let file = image.path.file_name().unwrap_or(image.path.as_os_str()).to_string_lossy();
        for (name, label) in names.iter().zip(&image.labels) {
            if let Some(Label { at, weight }) = label {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{file},{name},{},{},{weight}", at.x, at.y);
            }
        }
    }
    sha256(text.as_bytes())
}

/// Images for training.
pub(crate) struct LandmarkSet {
    pub(crate) input: InputSize,
    pub(crate) sha256: String,
    normalisation: Normalisation,
    images: Vec<Prepared>,
    /// Order of the images.
    pub(crate) epochs: Epochs,
}

struct Prepared {
    path: PathBuf,
    fingerprint: u64,
    /// Grey levels in the model input, if cached.
    levels: Option<Vec<u8>>,
    /// Landmarks in the model input.
    targets: Vec<Option<Target>>,
}

impl LandmarkSet {
    /// Reads the images. `progress` receives the images done and their total.
    pub(crate) fn open(
        images: &[Labelled],
        (input, normalisation): (InputSize, Normalisation),
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, TrainError> {
        let done = AtomicUsize::new(0);
        let prepared = images.par_iter().enumerate().map(|(place, image)| {
            let path = &image.path;
            let (levels, _) = read(path, input, normalisation)?;
            let (width, height) = read_image_size(path)?;
            let fit = Letterbox::new(width, height, input).map_err(|error| {
                TrainError::Data(DataError::Letterbox { file: path.display().to_string(), error })
            })?;
            let on_canvas = |label: &Label| Target { at: fit.push(label.at).cast(), weight: label.weight };
            let targets = image.labels.iter().map(|label| label.as_ref().map(on_canvas)).collect();
            let fingerprint = fingerprint(&levels);
            // By index, so that the cached ones do not depend on the order of threads.
            let levels = ((place + 1) * input.area() <= KEPT_BYTES).then_some(levels);
            progress(1 + done.fetch_add(1, Ordering::Relaxed), images.len());
            Ok(Prepared { path: path.clone(), fingerprint, levels, targets })
        });
        let prepared = prepared.collect::<Result<Vec<_>, TrainError>>()?;
        let paths: Vec<_> = images.iter().map(|image| &image.path).collect();
        let first = paths.first().map_or_else(PathBuf::new, |path| path.to_path_buf());
        let sha256 = sha256_files(paths).map_err(TrainError::file(&first, "can't read the images"))?;
        let epochs = Epochs::new(prepared.len());
        Ok(Self { input, sha256, normalisation, images: prepared, epochs })
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    /// The pixels of an image, not unshuffled yet, and its landmarks.
    pub(crate) fn image(&self, image: usize) -> Result<(Vec<f32>, &[Option<Target>]), TrainError> {
        let Prepared { path, fingerprint: known, levels, targets } = &self.images[image];
        let levels: Cow<'_, [u8]> = match levels {
            Some(levels) => levels.into(),
            None => {
                let changed =
                    |reason: String| TrainError::Data(DataError::Changed { file: path.clone(), reason });
                let (levels, _) =
                    read(path, self.input, self.normalisation).map_err(|error| changed(error.to_string()))?;
                if fingerprint(&levels) != *known {
                    return Err(changed("it shows something else".into()));
                }
                levels.into()
            }
        };
        Ok((levels.iter().map(|v| f32::from(*v) / 255.0).collect(), targets))
    }
}

/// The pixels in the network's layout.
pub(crate) fn unshuffled(pixels: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0; pixels.len()];
    encoder::unshuffle(pixels, width, &mut out);
    out
}
