//! Data sets: folders with `images/`, `landmarks.csv` and `dataset.toml`.

mod manifest;

pub use manifest::ManifestError;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use infomark_core::{Point, Spacing};

use crate::landmark::{OUTSIDE_MARGIN, first_of, on_pixels};
use crate::{
    ImageError, Landmark, LandmarkError, LandmarkFile, list_images, read_image_size, read_landmarks,
};
use manifest::{Manifest, check};

/// Data set of annotated images.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Name: `name` in `dataset.toml`, else the folder.
    pub name: String,
    /// Pixel size of all images.
    pub spacing: Spacing,
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// The images, sorted by name; each has at least one point.
    pub images: Vec<Sample>,
    /// Unknown keys of `dataset.toml`, sorted: misspelt ones, or those of other programs.
    pub ignored_keys: Vec<String>,
    /// Number of landmarks that lie slightly outside their image, by at most [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    pub just_outside: usize,
    /// Missing points of [`images`](Self::images), image by image.
    pub missing: Vec<MissingPoint>,
    /// File names of the images without any point, which are excluded.
    pub left_out: Vec<String>,
}

/// Landmark without a point in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingPoint {
    /// File name of the image, without folder.
    pub image: String,
    /// The landmark.
    pub landmark: String,
    /// Why it has no point.
    pub reason: MissingReason,
}

/// Why a landmark of an image has no point. Its text is used in warnings.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MissingReason {
    /// It was not annotated.
    NotAnnotated,
    /// It was marked as absent.
    Absent,
    /// It lies outside the image by more than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    Outside {
        /// Position in pixels.
        at: Point<f64>,
    },
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissingReason::NotAnnotated => f.write_str("not annotated"),
            MissingReason::Absent => f.write_str("marked as absent"),
            MissingReason::Outside { at } => write!(f, "outside the image, at ({}, {})", at.x, at.y),
        }
    }
}

/// Annotated image.
#[derive(Clone, Debug)]
pub struct Sample {
    /// File name without folder.
    pub name: String,
    /// Path.
    pub path: PathBuf,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Points in pixels, in the order of [`DataSet::landmarks`]; `None` for a missing one.
    pub landmarks: Vec<Option<Point<f64>>>,
}

/// Why a data folder cannot be used; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// The folder does not exist.
    #[error("{name}: no such folder; name a folder that holds images/, landmarks.csv and dataset.toml")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// `dataset.toml` is missing, unreadable or incomplete.
    #[error("{name}: {problem}; {fix}")]
    Manifest {
        /// Path of `dataset.toml`.
        name: String,
        /// The problem.
        problem: ManifestError,
        /// What to write.
        fix: &'static str,
    },
    /// An image file cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The landmark file cannot be used.
    #[error(transparent)]
    Landmarks(#[from] LandmarkError),
    /// No image has a point.
    #[error("{name}: it holds no image with a point of its landmarks; give at least one")]
    NoImages {
        /// Name of the data set.
        name: String,
    },
    /// A pixel size or landmark names that are invalid in `dataset.toml`, too.
    #[error("{name}: {problem}")]
    Invalid {
        /// Name of the data set.
        name: String,
        /// The problem.
        problem: ManifestError,
    },
    /// An invalid image of a data set made in memory.
    #[error("{name}: image {image}: {problem}")]
    Sample {
        /// Name of the data set.
        name: String,
        /// The image.
        image: String,
        /// The problem.
        problem: AnnotationError,
    },
    /// An image whose file name is not UTF-8.
    #[error("{name}: the file name is not UTF-8, so no table can name it; rename the image")]
    FileName {
        /// Path of the image, with replacement characters.
        name: String,
    },
}

/// Problem of an annotated image.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnotationError {
    /// Another image has the same name.
    #[error("its name is given twice; rename one")]
    Repeated,
    /// The image has no point.
    #[error("it has no point; leave it out")]
    NoPoint,
    /// The numbers of points and landmarks differ.
    #[error("it has {points} points for {landmarks} landmarks; give one, or none, for each")]
    Points {
        /// Number of points.
        points: usize,
        /// Number of landmarks of the data set.
        landmarks: usize,
    },
    /// A point that is not finite, or outside by more than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    #[error(
        "landmark {landmark} at ({x}, {y}) lies outside its {width} x {height} pixels; correct it, or leave it out"
    )]
    Outside {
        /// The landmark.
        landmark: String,
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
}

impl Sample {
    fn check(&self, names: &[String]) -> Result<(), AnnotationError> {
        let (width, height) = (self.width, self.height);
        if self.landmarks.len() != names.len() {
            return Err(AnnotationError::Points { points: self.landmarks.len(), landmarks: names.len() });
        }
        let is_outside = |at: &Point<f64>| !on_pixels(*at, width, height, margin(width, height));
        let points = names.iter().zip(&self.landmarks).filter_map(|(name, at)| Some((name, (*at)?)));
        let mut points = points.peekable();
        if points.peek().is_none() {
            return Err(AnnotationError::NoPoint);
        }
        match points.find(|(_, at)| is_outside(at)) {
            Some((landmark, Point { x, y })) => {
                Err(AnnotationError::Outside { landmark: landmark.clone(), x, y, width, height })
            }
            None => Ok(()),
        }
    }
}

impl DataSet {
    /// Makes a data set of annotated images anywhere. The checks are those of [`open`](Self::open), but a point too far
    /// outside and an image without points are errors here. The order of the images is kept.
    ///
    /// # Errors
    /// [`DataSetError::NoImages`], [`DataSetError::Invalid`] for an implausible pixel size and for missing or repeated
    /// landmark names, and [`DataSetError::Sample`] for the first image whose name is repeated, whose number of points is not that
    /// of the landmarks, without a point, or with one that is not finite or more than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside.
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
            let known =
                if seen.insert(sample.name.as_str()) { Ok(()) } else { Err(AnnotationError::Repeated) };
            if let Err(problem) = known.and_then(|()| sample.check(&landmarks)) {
                return Err(DataSetError::Sample { name, image: sample.name.clone(), problem });
            }
        }
        let outside = |sample: &Sample| {
            let on_image = |at: &&Point<f64>| on_pixels(**at, sample.width, sample.height, 0.0);
            sample.landmarks.iter().flatten().filter(|at| !on_image(at)).count()
        };
        let just_outside = images.iter().map(outside).sum();
        let mut missing = Vec::new();
        for sample in &images {
            for (landmark, _) in landmarks.iter().zip(&sample.landmarks).filter(|(_, at)| at.is_none()) {
                missing.push(MissingPoint {
                    image: sample.name.clone(),
                    landmark: landmark.clone(),
                    reason: MissingReason::NotAnnotated,
                });
            }
        }
        let (ignored_keys, left_out) = (Vec::new(), Vec::new());
        Ok(DataSet { name, spacing, landmarks, images, ignored_keys, just_outside, missing, left_out })
    }

    /// Opens the folder `dir`, with the images in `images/`, their points in `landmarks.csv` and, in `dataset.toml`:
    ///
    /// ```toml
    /// name = "lateral cephalograms"
    /// spacing_mm = [0.3, 0.3]          # millimetres per pixel, x and y
    /// landmarks = ["sella", "nasion"]
    /// ```
    ///
    /// Rows of other landmarks are ignored, and so are unknown keys of `dataset.toml`, listed in [`ignored_keys`](Self::ignored_keys). Points up
    /// to [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside their image are kept and counted in [`just_outside`](Self::just_outside). A landmark
    /// farther outside, marked as absent or not annotated has no point in that image, see [`missing`](Self::missing); an
    /// image without any point is excluded, see [`left_out`](Self::left_out). Only the images' headers are read.
    ///
    /// # Errors
    /// [`DataSetError`], for the first problem.
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
        let (mut left_out, mut missing, mut first_outside) = (Vec::new(), Vec::new(), None);
        let mut images = Vec::with_capacity(paths.len());
        for (path, name) in paths.into_iter().zip(names) {
            let (width, height) = read_image_size(&path)?;
            let margin = margin(width, height);
            if !table.get(&name).is_empty() {
                // In the image size that the file states, if any.
                table.near_image(&name, width, height, f64::INFINITY)?;
            }
            let point = |landmark: &String| {
                point_of(&table, &name, landmark, |at| on_pixels(at, width, height, margin))
            };
            let points: Vec<_> = manifest.landmarks.iter().map(point).collect();
            if points.iter().all(Result::is_err) {
                let outside = table.near_image(&name, width, height, margin).err();
                first_outside =
                    first_outside.or(outside.filter(|error| matches!(error, LandmarkError::Outside { .. })));
                left_out.push(name);
                continue;
            }
            let without = manifest.landmarks.iter().zip(&points);
            missing.extend(without.filter_map(|(landmark, point)| {
                let reason = *point.as_ref().err()?;
                Some(MissingPoint { image: name.clone(), landmark: landmark.clone(), reason })
            }));
            let landmarks = points.into_iter().map(Result::ok).collect();
            images.push(Sample { name, path, width, height, landmarks });
        }
        if images.is_empty()
            && let Some(error) = first_outside
        {
            return Err(error.into());
        }
        let folder = || dir.file_name().unwrap_or(dir.as_os_str());
        let name = manifest.name.unwrap_or_else(|| folder().to_string_lossy().into_owned());
        let data = DataSet::new(name, manifest.spacing, manifest.landmarks, images)?;
        Ok(DataSet { ignored_keys: manifest.ignored_keys, missing, left_out, ..data })
    }

    /// The first landmark without a point in any image.
    pub fn unannotated(&self) -> Option<&str> {
        let has = |place: usize| {
            self.images.iter().any(|sample| matches!(sample.landmarks.get(place), Some(Some(_))))
        };
        self.landmarks.iter().enumerate().find(|(place, _)| !has(*place)).map(|(_, name)| name.as_str())
    }

    /// The landmarks of a sample, with their names; those slightly outside the image are moved to its edge, as features exist
    /// only inside.
    pub fn landmarks_of(&self, sample: &Sample) -> Vec<Landmark> {
        let named = self.landmarks.iter().zip(&sample.landmarks);
        let clamp = |value: f64, size: usize| value.clamp(-0.5, size as f64 - 0.5);
        let on_image = |at: Point<f64>| Point::new(clamp(at.x, sample.width), clamp(at.y, sample.height));
        named.filter_map(|(name, at)| Some(Landmark::new(name.clone(), on_image((*at)?)))).collect()
    }

    /// Warnings about points and images that are excluded or doubtful, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.ignored_keys.is_empty() {
            warnings.push(format!(
                "{}: {} in dataset.toml means nothing here; it takes name, spacing_mm and landmarks",
                self.name,
                self.ignored_keys.join(", ")
            ));
        }
        if self.just_outside > 0 {
            warnings.push(format!(
                "{}: landmarks just outside their image, by at most {} % of its longer side: {}; they are kept",
                self.name,
                OUTSIDE_MARGIN * 100.0,
                self.just_outside
            ));
        }
        if let Some(MissingPoint { image, landmark, reason }) = self.missing.first() {
            warnings.push(format!(
                "{}: points missing: {} of {} (the first: {image}, {landmark}: {reason}); figures are of the others",
                self.name,
                self.missing.len(),
                self.images.len() * self.landmarks.len(),
            ));
        }
        if !self.left_out.is_empty() {
            warnings.push(format!(
                "{}: images left out, as they have no point of its landmarks: {} ({})",
                self.name,
                self.left_out.len(),
                first_of(self.left_out.iter())
            ));
        }
        warnings
    }
}

/// The point of a landmark in an image, or why there is none.
fn point_of(
    table: &LandmarkFile,
    image: &str,
    landmark: &str,
    is_near: impl Fn(Point<f64>) -> bool,
) -> Result<Point<f64>, MissingReason> {
    match table.get(image).iter().find(|row| row.name == landmark).map(|row| row.at) {
        Some(at) if is_near(at) => Ok(at),
        Some(at) => Err(MissingReason::Outside { at }),
        None if table.absent(image).iter().any(|name| name == landmark) => Err(MissingReason::Absent),
        None => Err(MissingReason::NotAnnotated),
    }
}

/// Tolerance of landmarks outside an image, in pixels.
fn margin(width: usize, height: usize) -> f64 {
    OUTSIDE_MARGIN * width.max(height) as f64
}
