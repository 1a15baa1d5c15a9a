//! Landmark files of several formats: CSV, 3D Slicer markups, COCO key points, LabelMe, ISBI text.

mod coco;
mod error;
mod format;
mod isbi;
mod labelme;
mod physical;
mod slicer;
mod table;

use std::collections::{BTreeMap, HashMap};

use infomark_core::Point;

pub use error::{LandmarkError, Place};
pub use format::{
    Annotated, LandmarkFormat, Subject, encode_landmarks, parse_landmarks, parse_landmarks_of,
    read_landmarks, read_landmarks_of, write_landmarks, write_landmarks_as,
};

/// A named point of an image, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmark {
    /// Its name, such as `sella`.
    pub name: String,
    /// Where it is; the centre of the first pixel is `(0, 0)`.
    pub at: Point<f64>,
    /// Something hides it: it is marked where it has to be, not where it is seen. Of the files, only COCO's tell.
    pub hidden: bool,
}

impl Landmark {
    /// A point that can be seen.
    pub fn new(name: impl Into<String>, at: Point<f64>) -> Landmark {
        Landmark { name: name.into(), at, hidden: false }
    }
}

/// The points of a landmark file, by image.
#[derive(Clone, Debug)]
pub struct LandmarkFile {
    name: String,
    format: LandmarkFormat,
    images: BTreeMap<String, Rows>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    landmarks: Vec<Landmark>,
    /// Where each is in the file.
    places: Vec<Place>,
}

/// A file as it is read: takes points, refuses what comes twice.
struct Builder<'a> {
    name: &'a str,
    format: LandmarkFormat,
    images: BTreeMap<String, Rows>,
    seen: HashMap<(String, String), Place>,
}

impl<'a> Builder<'a> {
    fn new(name: &'a str, format: LandmarkFormat) -> Builder<'a> {
        Builder { name, format, images: BTreeMap::new(), seen: HashMap::new() }
    }

    fn add(&mut self, image: &str, mut landmark: Landmark, place: Place) -> Result<(), LandmarkError> {
        let name = || self.name.to_owned();
        landmark.name = landmark.name.trim().to_owned();
        for (text, column) in [(image, "image"), (&landmark.name, "landmark")] {
            if text.is_empty() {
                return Err(LandmarkError::EmptyField { name: name(), place, column });
            }
        }
        for (value, column) in [(landmark.at.x, "x"), (landmark.at.y, "y")] {
            if !value.is_finite() {
                return Err(LandmarkError::Number { name: name(), place, column, value: value.to_string() });
            }
        }
        if let Some(first) = self.seen.insert((image.to_owned(), landmark.name.clone()), place) {
            return Err(LandmarkError::Duplicate {
                name: name(),
                place,
                first,
                image: cut(image),
                landmark: cut(&landmark.name),
            });
        }
        let rows = self.images.entry(image.to_owned()).or_default();
        rows.landmarks.push(landmark);
        rows.places.push(place);
        Ok(())
    }

    /// The file, unless it has no point.
    fn finish(self) -> Result<LandmarkFile, LandmarkError> {
        let Builder { name, format, images, .. } = self;
        let name = name.to_owned();
        match (images.is_empty(), format) {
            (false, _) => Ok(LandmarkFile { name, format, images }),
            (true, LandmarkFormat::Csv) => Err(LandmarkError::Empty { name }),
            (true, _) => Err(LandmarkError::NoPoints { name, format }),
        }
    }
}

impl LandmarkFile {
    /// What messages call this file: its path, where it was read from one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file was read as.
    pub fn format(&self) -> LandmarkFormat {
        self.format
    }

    /// The images by name, each with its landmarks in the order of the file.
    pub fn images(&self) -> impl ExactSizeIterator<Item = (&str, &[Landmark])> {
        self.images.iter().map(|(image, rows)| (image.as_str(), rows.landmarks.as_slice()))
    }

    /// The landmarks of an image in the order of the file, none if it has no rows; `image` is the file's name without folder.
    pub fn get(&self, image: &str) -> &[Landmark] {
        self.images.get(image).map_or(&[], |rows| rows.landmarks.as_slice())
    }

    /// The landmarks of an image of known size, at least one and all of them on the image.
    ///
    /// # Errors
    ///
    /// [`LandmarkError::NoRows`] without rows for the image, [`LandmarkError::Outside`] with the place of the first point
    /// beyond the outermost pixels' area.
    pub fn on_image(&self, image: &str, width: usize, height: usize) -> Result<&[Landmark], LandmarkError> {
        let Some(rows) = self.images.get(image) else {
            return Err(LandmarkError::NoRows {
                name: self.name.clone(),
                image: image.to_owned(),
                known: first_of(self.images.keys()),
            });
        };
        for (landmark, &place) in rows.landmarks.iter().zip(&rows.places) {
            if !on_pixels(landmark.at, width, height) {
                return Err(LandmarkError::Outside {
                    name: self.name.clone(),
                    place,
                    landmark: landmark.name.clone(),
                    x: landmark.at.x,
                    y: landmark.at.y,
                    image: image.to_owned(),
                    width,
                    height,
                });
            }
        }
        Ok(&rows.landmarks)
    }

    /// Checks that every image of the file is one of those known.
    ///
    /// # Errors
    ///
    /// [`LandmarkError::UnknownImage`] with the place of the first other one, in the order of the file.
    pub fn check_images(&self, known: impl Fn(&str) -> bool) -> Result<(), LandmarkError> {
        let unknown = self.images.iter().filter(|(image, _)| !known(image));
        let first = unknown.min_by_key(|(_, rows)| rows.places.first().copied());
        first.map_or(Ok(()), |(image, rows)| {
            Err(LandmarkError::UnknownImage {
                name: self.name.clone(),
                place: rows.places.first().copied().unwrap_or(Place::Line(1)),
                image: image.clone(),
            })
        })
    }
}

/// Whether a point lies on the pixels' area of an image: half a pixel beyond the centres of the outermost ones.
pub(crate) fn on_pixels(at: Point<f64>, width: usize, height: usize) -> bool {
    (-0.5..=width as f64 - 0.5).contains(&at.x) && (-0.5..=height as f64 - 0.5).contains(&at.y)
}

/// A coordinate without what a difference or a quotient added beyond fifteen digits, so that it reads as it was written.
fn decimal(coordinate: f64) -> f64 {
    format!("{coordinate:.14e}").parse().unwrap_or(coordinate)
}

/// The first few of some names, for messages.
pub(crate) fn first_of<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let mut list: Vec<String> = names.take(SHOWN).cloned().collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    list.join(", ")
}

/// Longest piece of a file that a message repeats, in characters.
const SHOWN: usize = 60;

/// The first part of a text from a file, for messages.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last part of a path with either kind of slash: what landmark files call an image.
fn without_folder(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
