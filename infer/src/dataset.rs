//! Folders of annotated images: `images/`, `landmarks.csv`, `dataset.toml`.

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

/// Annotated images of one kind.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// What it is called: `name` in `dataset.toml`, else its folder.
    pub name: String,
    /// Size of a pixel of every image.
    pub spacing: Spacing,
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// The images, sorted by name; each has at least one point.
    pub images: Vec<Sample>,
    /// Keys of `dataset.toml` that mean nothing here, sorted: misspelt ones, or those of other programs.
    pub ignored_keys: Vec<String>,
    /// Number of landmarks that lie just outside their image, at most [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    pub just_outside: usize,
    /// Points that are missing in [`images`](Self::images), image by image.
    pub missing: Vec<MissingPoint>,
    /// File names of the images that were left out, as they have no point at all.
    pub left_out: Vec<String>,
}

/// A landmark without a point in an image of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct MissingPoint {
    /// The image's file name without folder.
    pub image: String,
    /// The landmark.
    pub landmark: String,
    /// Why it has no point.
    pub reason: MissingReason,
}

/// Why a landmark of an image has no point. Its text is what warnings say.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MissingReason {
    /// It was not annotated.
    NotAnnotated,
    /// It was marked as absent from the image.
    Absent,
    /// It lies further outside the image than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    Outside {
        /// Its position in pixels.
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
    /// Its points in pixels, in the order of [`DataSet::landmarks`]; none of a landmark that is not annotated.
    pub landmarks: Vec<Option<Point<f64>>>,
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
    /// A data set of no image with a point.
    #[error("{name}: it holds no image with a point of its landmarks; give at least one")]
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
        problem: AnnotationError,
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
pub enum AnnotationError {
    /// An earlier image has its name.
    #[error("its name is given twice; rename one")]
    Repeated,
    /// Not one point.
    #[error("it has no point; leave it out")]
    NoPoint,
    /// More points than landmarks, or fewer.
    #[error("it has {points} points for {landmarks} landmarks; give one, or none, for each")]
    Points {
        /// Its points.
        points: usize,
        /// Landmarks of the data set.
        landmarks: usize,
    },
    /// A point that is not finite, or further outside than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN).
    #[error(
        "landmark {landmark} at ({x}, {y}) lies outside its {width} x {height} pixels; correct it, or leave it out"
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
    /// A data set of annotated images that are in no folder of its own, checked as [`open`](Self::open) checks one, but that a point too far
    /// outside and an image without any point are errors: the caller says what to leave out. The images are kept in the order given.
    ///
    /// # Errors
    /// [`DataSetError::NoImages`], [`DataSetError::Invalid`] for a pixel size that is no radiograph's and for landmarks that are none or named
    /// twice, and [`DataSetError::Sample`] for the first image that is named twice, has another number of places for points than
    /// there are landmarks, no point at all, or one that is not finite or more than [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside.
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

    /// Opens the folder `dir`, which holds the images in `images/`, their points in `landmarks.csv` and in `dataset.toml`:
    ///
    /// ```toml
    /// name = "lateral cephalograms"
    /// spacing_mm = [0.3, 0.3]          # millimetres per pixel, x and y
    /// landmarks = ["sella", "nasion"]
    /// ```
    ///
    /// Rows of other landmarks are ignored, and so are other keys of `dataset.toml`, which [`ignored_keys`](Self::ignored_keys) names. Points up
    /// to [`OUTSIDE_MARGIN`](crate::OUTSIDE_MARGIN) outside their image are kept and counted in [`just_outside`](Self::just_outside). A landmark
    /// that lies further outside, is marked as absent or is not annotated is without a point in that image, see [`missing`](Self::missing); an
    /// image without any point is left out, see [`left_out`](Self::left_out). The images' headers are read, not their pixels.
    ///
    /// # Errors
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
        let (mut left_out, mut missing, mut first_outside) = (Vec::new(), Vec::new(), None);
        let mut images = Vec::with_capacity(paths.len());
        for (path, name) in paths.into_iter().zip(names) {
            let (width, height) = read_image_size(&path)?;
            let margin = margin(width, height);
            if !table.get(&name).is_empty() {
                // Of the size that the file states, if it does.
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

    /// The first landmark that has no point in any of the images.
    pub fn unannotated(&self) -> Option<&str> {
        let has = |place: usize| {
            self.images.iter().any(|sample| matches!(sample.landmarks.get(place), Some(Some(_))))
        };
        self.landmarks.iter().enumerate().find(|(place, _)| !has(*place)).map(|(_, name)| name.as_str())
    }

    /// The landmarks that one of the samples has points of, with their names; those just outside the image are moved to its edge, as templates
    /// have features of the image alone.
    pub fn landmarks_of(&self, sample: &Sample) -> Vec<Landmark> {
        let named = self.landmarks.iter().zip(&sample.landmarks);
        let clamp = |value: f64, size: usize| value.clamp(-0.5, size as f64 - 0.5);
        let on_image = |at: Point<f64>| Point::new(clamp(at.x, sample.width), clamp(at.y, sample.height));
        named.filter_map(|(name, at)| Some(Landmark::new(name.clone(), on_image((*at)?)))).collect()
    }

    /// What was left out or kept in spite of a doubt, in sentences for warnings.
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

/// The point of a landmark of an image, or why there is none.
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

/// Pixels that a landmark may lie outside an image.
fn margin(width: usize, height: usize) -> f64 {
    OUTSIDE_MARGIN * width.max(height) as f64
}
