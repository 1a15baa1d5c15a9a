//! Landmark schemes: names of landmarks in order, their definitions, and measurements of them.
//!
//! A scheme is a TOML file, whose format `docs/schemes.md` has; some [come with the crate](Scheme::SHIPPED).

mod error;
mod evaluate;
mod parse;

use std::path::Path;

use crate::landmark::first_of;
use crate::read_text_file;

pub use error::SchemeError;
pub use evaluate::{LandmarkStatus, MeasuredValue, Measurement, NoBound, NotMeasured, Unit};

/// Longest scheme file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The schemes that come with the crate, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("ceph", include_str!("../schemes/ceph.toml")),
    ("hand", include_str!("../schemes/hand.toml")),
    ("chest", include_str!("../schemes/chest.toml")),
];

/// Landmarks in order, with definitions and measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    name: String,
    about: SchemeAbout,
    landmarks: Vec<SchemeLandmark>,
    constructs: Vec<Construct>,
    /// Two points, the second of which lies to the right of the first where signs are counted as they are seen.
    facing: Option<[usize; 2]>,
    measurements: Vec<MeasurementDefinition>,
}

/// Name, source and description of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeAbout {
    /// Title, such as `Lateral cephalogram, 19 landmarks`.
    pub title: String,
    /// What the images show.
    pub anatomy: String,
    /// Where the definitions are from.
    pub source: Option<String>,
    /// Licence of the definitions.
    pub licence: Option<String>,
}

/// A landmark of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeLandmark {
    /// Name in landmark files, in Unicode NFC.
    pub name: String,
    /// Name in full.
    pub full_name: Option<String>,
    /// Abbreviation of the literature.
    pub abbreviation: Option<String>,
    /// Where it is, in a sentence or two.
    pub definition: Option<String>,
    /// Where the definition is from, if elsewhere than the scheme's.
    pub source: Option<String>,
    /// Group of landmarks that it belongs to.
    pub group: Option<String>,
    /// Red, green and blue.
    pub colour: Option<[u8; 3]>,
}

/// A measurement of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementDefinition {
    /// Name in tables, in Unicode NFC.
    pub name: String,
    /// Name in full.
    pub full_name: Option<String>,
    /// What it is, in a sentence or two.
    pub definition: Option<String>,
    /// Where it is from.
    pub source: Option<String>,
    kind: Kind,
}

/// A point between two others.
#[derive(Clone, Debug, PartialEq)]
struct Construct {
    name: String,
    /// Landmarks, then constructs before this one.
    midpoint: [usize; 2],
}

/// How a measurement is computed; of points (landmarks, then constructs) or of measurements before it.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Length([usize; 2]),
    Angle([usize; 3]),
    AngleOfLines([usize; 4]),
    DistanceToLine([usize; 3]),
    ProjectedLength([usize; 4]),
    Horizontal([usize; 2]),
    Vertical([usize; 2]),
    Sum(Vec<usize>),
    Difference([usize; 2]),
    Ratio([usize; 2]),
}

impl Scheme {
    /// Names of the schemes that come with the crate: `ceph`, the 19 landmarks of the ISBI 2015 challenge on cephalograms;
    /// `hand`, 17 ossification regions; `chest`, 14 corners of lungs and clavicles.
    pub const SHIPPED: [&str; SHIPPED.len()] = {
        let mut names = [""; SHIPPED.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = SHIPPED[index].0;
            index += 1;
        }
        names
    };

    /// The scheme of a file, or where there is no such file, that of [`SHIPPED`](Self::SHIPPED) with this name.
    ///
    /// # Errors
    /// [`SchemeError`]: the file is neither there nor a name, can't be read, or is wrong.
    ///
    /// ```
    /// let ceph = infomark_infer::Scheme::load("ceph")?;
    /// assert_eq!(ceph.landmarks().len(), 19);
    /// # Ok::<(), infomark_infer::SchemeError>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Scheme, SchemeError> {
        let path = path.as_ref();
        if !path.is_file() {
            let shipped = SHIPPED.iter().find(|(name, _)| path.to_str() == Some(name));
            if let Some((name, text)) = shipped {
                return Scheme::parse(text, *name);
            }
            if !path.exists() {
                return Err(SchemeError::NotFound { name: path.display().to_string() });
            }
        }
        Scheme::parse(&read_text_file(path, MAX_BYTES)?, path.display().to_string())
    }

    /// The scheme of a text in TOML; `name` stands for it in messages.
    ///
    /// # Errors
    /// Every case of [`SchemeError`] but those of files.
    pub fn parse(text: &str, name: impl Into<String>) -> Result<Scheme, SchemeError> {
        parse::parse(text, name.into())
    }

    /// Name in messages: its path, or its name where it comes with the crate.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Title, anatomy, source and licence.
    pub fn about(&self) -> &SchemeAbout {
        &self.about
    }

    /// The landmarks, in order.
    pub fn landmarks(&self) -> &[SchemeLandmark] {
        &self.landmarks
    }

    /// Names of the landmarks, in order.
    pub fn names(&self) -> Vec<String> {
        self.landmarks.iter().map(|landmark| landmark.name.clone()).collect()
    }

    /// The measurements, in order.
    pub fn measurements(&self) -> &[MeasurementDefinition] {
        &self.measurements
    }

    /// Place of a landmark in the order; none of another name.
    pub fn position(&self, landmark: &str) -> Option<usize> {
        self.landmarks.iter().position(|known| known.name == landmark)
    }

    /// Brings items into the order of the scheme by the names of their landmarks; those of other names follow as they were.
    pub fn sort_by_name<T>(&self, items: &mut [T], name: impl Fn(&T) -> &str) {
        items.sort_by_key(|item| self.position(name(item)).unwrap_or(usize::MAX));
    }

    /// Checks that at least one landmark of a file is one of the scheme; `file` stands for that file in messages.
    ///
    /// # Errors
    /// [`SchemeError::NothingShared`].
    pub fn check_shared(&self, names: &[String], file: &str) -> Result<(), SchemeError> {
        if names.iter().any(|name| self.position(name).is_some()) {
            return Ok(());
        }
        Err(SchemeError::NothingShared {
            name: self.name.clone(),
            file: file.to_owned(),
            known: first_of(self.names().iter()),
            found: first_of(names.iter()),
        })
    }

    /// Name of a point: a landmark, or a construct.
    fn point_name(&self, index: usize) -> &str {
        match self.landmarks.get(index) {
            Some(landmark) => &landmark.name,
            None => self.constructs.get(index - self.landmarks.len()).map_or("", |construct| &construct.name),
        }
    }
}
