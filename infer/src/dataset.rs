//! Folders of annotated images: `images/`, `landmarks.csv`, `dataset.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use infomark_core::{Point, Spacing, SpacingError};
use serde::Deserialize;

use crate::file::{self, FileProblem};
use crate::landmark::{OUTSIDE_MARGIN, first_of};
use crate::{ImageError, Landmark, LandmarkError, list_images, read_image_size, read_landmarks};

/// Longest `dataset.toml`, in bytes.
const MAX_BYTES: u64 = 1 << 20;

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
    /// An image whose file name is no UTF-8.
    #[error("{name}: the file name is not UTF-8, so no table can name it; rename the image")]
    FileName {
        /// Path of the image, other bytes replaced.
        name: String,
    },
}

/// What is wrong with a `dataset.toml`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// A folder, a device or a pipe.
    #[error("not a file")]
    NotAFile,
    /// A file of no bytes.
    #[error("the file is empty")]
    Empty,
    /// Beyond what the file may have.
    #[error("{bytes} bytes are too many")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// The operating system refused to read.
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    /// Not TOML, or a value of another type.
    #[error("{reason}")]
    Toml {
        /// What the parser said, on one line.
        reason: String,
    },
    /// `spacing_mm` is missing.
    #[error("it has no spacing_mm")]
    NoSpacing,
    /// A pixel size that is not finite and above 0.
    #[error(transparent)]
    Spacing(SpacingError),
    /// A pixel size beyond that of any radiograph.
    #[error("a pixel of {x} x {y} mm is no radiograph's")]
    PixelSize {
        /// Width in mm.
        x: f64,
        /// Height in mm.
        y: f64,
    },
    /// `landmarks` is missing or empty.
    #[error("it names no landmarks")]
    NoLandmarks,
    /// Two landmarks of one name.
    #[error("it names landmark {landmark} twice")]
    RepeatedLandmark {
        /// The landmark.
        landmark: String,
    },
}

impl DataSet {
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
        let (mut just_outside, mut left_out, mut first_outside) = (0, Vec::new(), None);
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
            let margin = OUTSIDE_MARGIN * width.max(height) as f64;
            let rows = table.near_image(&name, width, height, f64::INFINITY)?;
            let named = || rows.iter().filter(|landmark| manifest.landmarks.contains(&landmark.name));
            if let Some(outside) = named().find(|landmark| !landmark.is_near(width, height, margin)) {
                left_out.push(LeftOut {
                    image: name.clone(),
                    landmark: outside.name.clone(),
                    at: outside.at,
                });
                first_outside = first_outside.or(table.near_image(&name, width, height, margin).err());
                continue;
            }
            just_outside += named().filter(|landmark| !landmark.is_near(width, height, 0.0)).count();
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
        Ok(DataSet {
            name: manifest.name.unwrap_or_else(|| folder().to_string_lossy().into_owned()),
            spacing: manifest.spacing,
            landmarks: manifest.landmarks,
            images,
            ignored_keys: manifest.ignored_keys,
            just_outside,
            left_out,
        })
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

struct Manifest {
    name: Option<String>,
    spacing: Spacing,
    landmarks: Vec<String>,
    ignored_keys: Vec<String>,
}

const KEYS: [&str; 3] = ["name", "spacing_mm", "landmarks"];

#[derive(Deserialize)]
struct Toml {
    name: Option<String>,
    spacing_mm: Option<[f64; 2]>,
    landmarks: Option<Vec<String>>,
}

const WRITE_ALL: &str =
    "write it with a name, spacing_mm = [x, y] in millimetres per pixel, and landmarks = [\"...\"]";
const WRITE_SPACING: &str = "add spacing_mm = [x, y], the millimetres per pixel across and down";
const WRITE_LANDMARKS: &str = "add landmarks = [\"...\"], the names used in landmarks.csv";

impl Manifest {
    fn read(path: &Path) -> Result<Manifest, DataSetError> {
        let wrong = |problem, fix| DataSetError::Manifest { name: path.display().to_string(), problem, fix };
        let bytes = file::read(path, MAX_BYTES).map_err(|problem| {
            let problem = match problem {
                FileProblem::Missing => ManifestError::Missing,
                FileProblem::NotAFile => ManifestError::NotAFile,
                FileProblem::Empty => ManifestError::Empty,
                FileProblem::TooLarge { bytes } => ManifestError::TooLarge { bytes },
                FileProblem::Unreadable(error) => ManifestError::Unreadable(error),
            };
            wrong(problem, WRITE_ALL)
        })?;
        let unreadable =
            |error: toml::de::Error| ManifestError::Toml { reason: one_line(&error.to_string()) };
        let toml: Toml = toml::from_slice(&bytes).map_err(|error| wrong(unreadable(error), WRITE_ALL))?;
        let [x, y] = toml.spacing_mm.ok_or_else(|| wrong(ManifestError::NoSpacing, WRITE_SPACING))?;
        let spacing =
            Spacing::new(x, y).map_err(|error| wrong(ManifestError::Spacing(error), WRITE_SPACING))?;
        // From electron microscopes to whole bodies in a pixel.
        if ![x, y].iter().all(|mm| (1e-6..=1e3).contains(mm)) {
            return Err(wrong(ManifestError::PixelSize { x, y }, WRITE_SPACING));
        }
        let landmarks = toml.landmarks.unwrap_or_default();
        if landmarks.is_empty() {
            return Err(wrong(ManifestError::NoLandmarks, WRITE_LANDMARKS));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = landmarks.iter().find(|name| !seen.insert(name.as_str())) {
            let problem = ManifestError::RepeatedLandmark { landmark: twice.clone() };
            return Err(wrong(problem, "remove one of them"));
        }
        // It was read once, so it can be again.
        let all: toml::Table = toml::from_slice(&bytes).unwrap_or_default();
        let mut ignored_keys: Vec<String> =
            all.into_iter().map(|(key, _)| key).filter(|key| !KEYS.contains(&key.as_str())).collect();
        ignored_keys.sort_unstable();
        Ok(Manifest { name: toml.name, spacing, landmarks, ignored_keys })
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
