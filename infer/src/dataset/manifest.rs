//! `dataset.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use infomark_core::{Spacing, SpacingError};
use serde::Deserialize;

use super::DataSetError;
use crate::file::{self, FileProblem};

/// Maximum length of `dataset.toml`, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Errors of a `dataset.toml`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file does not exist.
    #[error("no such file")]
    Missing,
    /// Not a regular file.
    #[error("not a file")]
    NotAFile,
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is too long.
    #[error("{bytes} bytes are too many")]
    TooLarge {
        /// Length in bytes.
        bytes: u64,
    },
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    /// Invalid TOML, or a value of the wrong type.
    #[error("{reason}")]
    Toml {
        /// The parser's message.
        reason: String,
    },
    /// `spacing_mm` is missing.
    #[error("it has no spacing_mm")]
    NoSpacing,
    /// A pixel size that is not finite and above 0.
    #[error(transparent)]
    Spacing(SpacingError),
    /// An implausible pixel size.
    #[error("implausible pixel size: {x} x {y} mm")]
    PixelSize {
        /// Width in mm.
        x: f64,
        /// Height in mm.
        y: f64,
    },
    /// `landmarks` is missing or empty.
    #[error("it names no landmarks")]
    NoLandmarks,
    /// A repeated landmark name.
    #[error("it names landmark {landmark} twice")]
    RepeatedLandmark {
        /// The landmark.
        landmark: String,
    },
}

/// Rejects implausible pixel sizes, and missing or repeated landmark names.
pub(super) fn check(spacing: Spacing, landmarks: &[String]) -> Result<(), ManifestError> {
    let Spacing { x, y } = spacing;
    // From electron microscopy to a whole body in a pixel.
    if ![x, y].iter().all(|mm| (1e-6..=1e3).contains(mm)) {
        return Err(ManifestError::PixelSize { x, y });
    }
    if landmarks.is_empty() {
        return Err(ManifestError::NoLandmarks);
    }
    let mut seen = BTreeSet::new();
    match landmarks.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(ManifestError::RepeatedLandmark { landmark: twice.clone() }),
        None => Ok(()),
    }
}

pub(super) struct Manifest {
    pub(super) name: Option<String>,
    pub(super) spacing: Spacing,
    pub(super) landmarks: Vec<String>,
    pub(super) ignored_keys: Vec<String>,
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
    pub(super) fn read(path: &Path) -> Result<Manifest, DataSetError> {
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
        let landmarks = toml.landmarks.unwrap_or_default();
        check(spacing, &landmarks).map_err(|problem| {
            let fix = match problem {
                ManifestError::NoLandmarks => WRITE_LANDMARKS,
                ManifestError::RepeatedLandmark { .. } => "remove one of them",
                _ => WRITE_SPACING,
            };
            wrong(problem, fix)
        })?;
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
