//! Folders of annotated images: `images/`, `landmarks.csv`, `dataset.toml`.

mod manifest;

pub use manifest::ManifestError;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use infomark_core::{Point, Spacing};

use crate::landmark::{OUTSIDE_MARGIN, first_of, on_pixels};
use crate::{ImageError, Landmark, LandmarkError, list_images, read_image_size, read_landmarks};
use manifest::{Manifest, check};

/// Annotated images of one kind.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// What it is called: `name` in `dataset.toml`, else its folder.
    pub name: String,
    /// Size of a pixel of every image.
    pub spacing: Spacing,
    /// Names of the landmarks that every image has.
    pub landmarks: Vec<String>,
    /// The images, sorted by name.
    pub images: Vec<Sample>,
    /// Keys of `dataset.toml` that mean nothing here, sorted: misspelt ones, or those of other programs.
    pub ignored_keys: Vec<String>,
    /// Number of landmarks that lie just outside their image, at most [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    pub just_outside: usize,
    /// Images that were left out, as a landmark lies further outside.
    pub left_out: Vec<LeftOut>,
}

/// An image that was left out of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Its file name without folder.
    pub image: String,
    /// The first landmark that lies outside it.
    pub landmark: String,
    /// Position of the landmark in pixels.
    pub at: Point<f64>,
}

/// An annotated image.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its file name without folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Its landmarks, in the order of [`DataSet::landmarks`].
    pub landmarks: Vec<Point<f64>>,
}

/// Why a data folder cannot be used; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// There is no such folder.
    #[error("{name}: no such folder; name a folder that holds images/, landmarks.csv and dataset.toml")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// `dataset.toml` is missing, unreadable, or lacks something.
    #[error("{name}: {problem}; {fix}")]
    Manifest {
        /// Its path.
        name: String,
        /// What is wrong.
        problem: ManifestError,
        /// What to write.
        fix: &'static str,
    },
    /// An image file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The landmark file.
    #[error(transparent)]
    Landmarks(#[from] LandmarkError),
    /// Images without any row.
    #[error(
        "{name}: images without rows: {count} ({first}); add their landmarks or move the images out of the folder"
    )]
    Unlabelled {
        /// Path of the landmark file.
        name: String,
        /// How many images.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// An image that lacks a landmark which `dataset.toml` names.
    #[error(
        "{name}: image {image} has no landmark {landmark}, which dataset.toml names; add its row or remove the name"
    )]
    MissingLandmark {
        /// Path of the landmark file.
        name: String,
        /// The image.
        image: String,
        /// The landmark.
        landmark: String,
    },
    /// A data set of no image.
    #[error("{name}: it holds no images; give at least one")]
    NoImages {
        /// What the data set is called.
        name: String,
    },
    /// A pixel size, or names of landmarks, that no `dataset.toml` may have.
    #[error("{name}: {problem}")]
    Invalid {
        /// What the data set is called.
        name: String,
        /// What is wrong.
        problem: ManifestError,
    },
    /// An image of a data set that is made in memory.
    #[error("{name}: image {image}: {problem}")]
    Sample {
        /// What the data set is called.
        name: String,
        /// The image.
        image: String,
        /// What is wrong.
        problem: SampleError,
    },
    /// An image whose file name is no UTF-8.
    #[error("{name}: the file name is not UTF-8, so no table can name it; rename the image")]
    FileName {
        /// Path of the image, other bytes replaced.
        name: String,
    },
}

/// What is wrong with an annotated image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// An earlier image has its name.
    #[error("its name is given twice; rename one")]
    Repeated,
    /// More points than landmarks, or fewer.
    #[error("it has {points} points for {landmarks} landmarks; give one for each")]
    Points {
        /// Its points.
        points: usize,
        /// Landmarks of the data set.
        landmarks: usize,
    },
    /// A point that is not finite, or further outside than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    #[error(
        "landmark {landmark} at ({x}, {y}) lies outside its {width} x {height} pixels; correct it, or leave the image out"
    )]
    Outside {
        /// The landmark.
        landmark: String,
        /// Its column.
        x: f64,
        /// Its row.
        y: f64,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
}

impl Sample {
    fn check(&self, names: &[String]) -> Result<(), SampleError> {
        let (width, height) = (self.width, self.height);
        if self.landmarks.len() != names.len() {
            return Err(SampleError::Points { points: self.landmarks.len(), landmarks: names.len() });
        }
        let is_outside = |at: Point<f64>| !on_pixels(at, width, height, margin(width, height));
        match names.iter().zip(&self.landmarks).find(|(_, at)| is_outside(**at)) {
            Some((landmark, &Point { x, y })) => {
                Err(SampleError::Outside { landmark: landmark.clone(), x, y, width, height })
            }
            None => Ok(()),
        }
    }
}

impl DataSet {
    /// A data set of annotated images that are in no folder of its own, checked as [`open`](Self::open) checks one, but that an image with
    /// a landmark too far outside is an error: the caller says which to leave out. The images are kept in the order given.
    ///
    /// # Errors
    ///
    /// [`DataSetError::NoImages`], [`DataSetError::Invalid`] for a pixel size that is no radiograph's and for landmarks that are none or named
    /// twice, and [`DataSetError::Sample`] for the first image that is named twice, has more or fewer points than there are landmarks, or
    /// one that is not finite or more than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside.
    pub fn new(
        name: impl Into<String>,
        spacing: Spacing,
        landmarks: Vec<String>,
        images: Vec<Sample>,
    ) -> Result<DataSet, DataSetError> {
        let name = name.into();
        if images.is_empty() {
            return Err(DataSetError::NoImages { name });
        }
        if let Err(problem) = check(spacing, &landmarks) {
            return Err(DataSetError::Invalid { name, problem });
        }
        let mut seen = BTreeSet::new();
        for sample in &images {
            let known = if seen.insert(sample.name.as_str()) { Ok(()) } else { Err(SampleError::Repeated) };
            if let Err(problem) = known.and_then(|()| sample.check(&landmarks)) {
                return Err(DataSetError::Sample { name, image: sample.name.clone(), problem });
            }
        }
        let on_image = |sample: &Sample, at: Point<f64>| on_pixels(at, sample.width, sample.height, 0.0);
        let outside = |sample: &Sample| sample.landmarks.iter().filter(|at| !on_image(sample, **at)).count();
        let just_outside = images.iter().map(outside).sum();
        let (ignored_keys, left_out) = (Vec::new(), Vec::new());
        Ok(DataSet { name, spacing, landmarks, images, ignored_keys, just_outside, left_out })
    }

    /// Opens the folder `dir`, which holds the images in `images/`, their points in `landmarks.csv` and in `dataset.toml`:
    ///
    /// ```toml
    /// name = "lateral cephalograms"
    /// spacing_mm = [0.3, 0.3]          # millimetres per pixel, x and y
    /// landmarks = ["sella", "nasion"]
    /// ```
    ///
    /// Every image has to have every landmark that is named; rows of other landmarks are ignored, and so are other keys of
    /// `dataset.toml`, which [`ignored_keys`](Self::ignored_keys) names. Landmarks up to [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside their image
    /// are kept and counted in [`just_outside`](Self::just_outside); an image with one further outside is left out, see
    /// [`left_out`](Self::left_out). The images' headers are read, not their pixels.
    ///
    /// # Errors
    ///
    /// [`DataSetError`], for the first thing wrong.
    pub fn open(dir: impl AsRef<Path>) -> Result<DataSet, DataSetError> {
        let dir = dir.as_ref();
        if !dir.is_dir() {
            return Err(DataSetError::Missing { name: dir.display().to_string() });
        }
        let manifest = Manifest::read(&dir.join("dataset.toml"))?;
        let table = read_landmarks(dir.join("landmarks.csv"))?;
        let paths = list_images(dir.join("images"))?;
        let mut names = Vec::with_capacity(paths.len());
        for path in &paths {
            let name = path.file_name().and_then(|name| name.to_str());
            names.push(
                name.map(str::to_owned)
                    .ok_or_else(|| DataSetError::FileName { name: path.display().to_string() })?,
            );
        }
        let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        table.check_images(|image| known.contains(image))?;
        let (mut left_out, mut first_outside) = (Vec::new(), None);
        let unlabelled: Vec<&String> = names.iter().filter(|name| table.get(name).is_empty()).collect();
        if !unlabelled.is_empty() {
            return Err(DataSetError::Unlabelled {
                name: table.name().to_owned(),
                count: unlabelled.len(),
                first: first_of(unlabelled.into_iter()),
            });
        }
        let mut images = Vec::with_capacity(paths.len());
        for (path, name) in paths.into_iter().zip(names) {
            let (width, height) = read_image_size(&path)?;
            let margin = margin(width, height);
            let rows = table.near_image(&name, width, height, f64::INFINITY)?;
            let mut named = rows.iter().filter(|landmark| manifest.landmarks.contains(&landmark.name));
            if let Some(outside) = named.find(|landmark| !landmark.is_near(width, height, margin)) {
                left_out.push(LeftOut {
                    image: name.clone(),
                    landmark: outside.name.clone(),
                    at: outside.at,
                });
                first_outside = first_outside.or(table.near_image(&name, width, height, margin).err());
                continue;
            }
            images.push(Sample {
                landmarks: in_order(rows, &manifest.landmarks).map_err(|landmark| {
                    DataSetError::MissingLandmark {
                        name: table.name().to_owned(),
                        image: name.clone(),
                        landmark,
                    }
                })?,
                name,
                path,
                width,
                height,
            });
        }
        if images.is_empty()
            && let Some(error) = first_outside
        {
            return Err(error.into());
        }
        let folder = || dir.file_name().unwrap_or(dir.as_os_str());
        let name = manifest.name.unwrap_or_else(|| folder().to_string_lossy().into_owned());
        let data = DataSet::new(name, manifest.spacing, manifest.landmarks, images)?;
        Ok(DataSet { ignored_keys: manifest.ignored_keys, left_out, ..data })
    }

    /// The landmarks of one of the samples, with their names; those just outside the image are moved to its edge, as templates
    /// have features of the image alone.
    pub fn landmarks_of(&self, sample: &Sample) -> Vec<Landmark> {
        let named = self.landmarks.iter().zip(&sample.landmarks);
        let clamp = |value: f64, size: usize| value.clamp(-0.5, size as f64 - 0.5);
        let on_image = |at: Point<f64>| Point::new(clamp(at.x, sample.width), clamp(at.y, sample.height));
        named.map(|(name, &at)| Landmark::new(name.clone(), on_image(at))).collect()
    }

    /// What was left out or kept in spite of a doubt, in sentences for warnings.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.just_outside > 0 {
            warnings.push(format!(
                "{}: landmarks just outside their image, by at most {} % of its longer side: {}; they are kept",
                self.name,
                OUTSIDE_MARGIN * 100.0,
                self.just_outside
            ));
        }
        if let Some(first) = self.left_out.first() {
            warnings.push(format!(
                "{}: images left out, as a landmark lies further outside: {} (the first: {}, {} at ({}, {}))",
                self.name,
                self.left_out.len(),
                first.image,
                first.landmark,
                first.at.x,
                first.at.y
            ));
        }
        warnings
    }
}

/// The points of the named landmarks, or the first name that is not there.
fn in_order(rows: &[Landmark], names: &[String]) -> Result<Vec<Point<f64>>, String> {
    let find = |name: &String| rows.iter().find(|row| row.name == *name);
    names.iter().map(|name| find(name).map(|row| row.at).ok_or_else(|| name.clone())).collect()
}

/// Pixels that a landmark may lie outside an image.
fn margin(width: usize, height: usize) -> f64 {
    OUTSIDE_MARGIN * width.max(height) as f64
}
