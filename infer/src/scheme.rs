//! Landmark schemes: ordered landmarks with definitions and measurements.
//!
//! A scheme is a TOML file in the format of `docs/schemes.md`; some [are bundled](Scheme::SHIPPED).

mod drawing;
mod error;
mod evaluate;
mod parse;

use std::path::Path;

use crate::landmark::first_of;
use crate::read_text_file;

pub use drawing::SchemeDrawing;
pub use error::SchemeError;
pub use evaluate::{LandmarkStatus, MeasuredValue, Measurement, NoBound, NotMeasured, Unit};

/// Maximum length of a scheme file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The bundled schemes, by name.
const SHIPPED: [(&str, &str); 3] = [
    ("ceph", include_str!("../schemes/ceph.toml")),
    ("hand", include_str!("../schemes/hand.toml")),
    ("chest", include_str!("../schemes/chest.toml")),
];

/// Landmark scheme: ordered landmarks, with definitions and measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    name: String,
    about: SchemeAbout,
    drawing: Option<SchemeDrawing>,
    landmarks: Vec<SchemeLandmark>,
    constructs: Vec<Construct>,
    /// Two points that define the direction the patient faces: the second is to the right of the first where signs are as seen.
    facing: Option<[usize; 2]>,
    measurements: Vec<MeasurementDefinition>,
}

/// Name, source and description of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeAbout {
    /// Title, such as `Lateral cephalogram, 19 landmarks`.
    pub title: String,
    /// Anatomy shown in the images.
    pub anatomy: String,
    /// Source of the definitions.
    pub source: Option<String>,
    /// Licence of the definitions.
    pub licence: Option<String>,
}

/// A landmark of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemeLandmark {
    /// Name in landmark files, in Unicode NFC.
    pub name: String,
    /// Full name.
    pub full_name: Option<String>,
    /// Abbreviation in the literature.
    pub abbreviation: Option<String>,
    /// Definition in a sentence or two.
    pub definition: Option<String>,
    /// Source of the definition, if not the scheme's.
    pub source: Option<String>,
    /// Group of landmarks.
    pub group: Option<String>,
    /// Colour as red, green and blue.
    pub colour: Option<[u8; 3]>,
    /// Position on the scheme's drawing, within its size.
    pub drawn_at: Option<[f64; 2]>,
}

/// A measurement of a scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasurementDefinition {
    /// Name in tables, in Unicode NFC.
    pub name: String,
    /// Full name.
    pub full_name: Option<String>,
    /// Definition in a sentence or two.
    pub definition: Option<String>,
    /// Source of the definition.
    pub source: Option<String>,
    kind: Kind,
}

/// Constructed point: the midpoint of two others.
#[derive(Clone, Debug, PartialEq)]
struct Construct {
    name: String,
    /// Indices: landmarks, then constructs before this one.
    midpoint: [usize; 2],
}

/// Formula of a measurement, from points (landmarks, then constructs) or earlier measurements.
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
    /// Names of the bundled schemes: `ceph`, the 19 landmarks of the ISBI 2015 challenge on cephalograms;
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

    /// Loads a scheme from a file or, if there is no such file, the bundled one of [`SHIPPED`](Self::SHIPPED) with this name.
    ///
    /// # Errors
    /// [`SchemeError`]: the file does not exist, is not a bundled name, cannot be read, or is invalid.
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

    /// Parses a scheme in TOML; `name` is its name in messages.
    ///
    /// # Errors
    /// Every case of [`SchemeError`], except those of files.
    pub fn parse(text: &str, name: impl Into<String>) -> Result<Scheme, SchemeError> {
        parse::parse(text, name.into())
    }

    /// Name in messages: its path, or the name of a bundled one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Title, anatomy, source and licence.
    pub fn about(&self) -> &SchemeAbout {
        &self.about
    }

    /// Drawing of the anatomy.
    pub fn drawing(&self) -> Option<&SchemeDrawing> {
        self.drawing.as_ref()
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

    /// Index of a landmark; `None` for an unknown name.
    pub fn position(&self, landmark: &str) -> Option<usize> {
        self.landmarks.iter().position(|known| known.name == landmark)
    }

    /// Sorts items into the order of the scheme by the names of their landmarks; others follow in their order.
    pub fn sort_by_name<T>(&self, items: &mut [T], name: impl Fn(&T) -> &str) {
        items.sort_by_key(|item| self.position(name(item)).unwrap_or(usize::MAX));
    }

    /// Checks that at least one landmark of a file is in the scheme; `file` is the file's name in messages.
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
