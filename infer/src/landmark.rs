//! Landmark files: CSV with the columns `image,landmark,x,y`.

mod error;
mod parse;

use std::collections::BTreeMap;
use std::path::Path;

use infomark_core::Point;

pub use error::LandmarkError;
pub use parse::{parse_landmarks, read_landmarks};

use crate::file;

/// A named point of an image, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmark {
    /// Its name, such as `sella`.
    pub name: String,
    /// Where it is; the centre of the first pixel is `(0, 0)`.
    pub at: Point<f64>,
}

/// The rows of a landmark file, by image.
#[derive(Clone, Debug)]
pub struct LandmarkFile {
    name: String,
    images: BTreeMap<String, Rows>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    landmarks: Vec<Landmark>,
    /// The line of each.
    lines: Vec<u64>,
}

impl LandmarkFile {
    /// What messages call this file: its path, where it was read from one.
    pub fn name(&self) -> &str {
        &self.name
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
    /// [`LandmarkError::NoRows`] without rows for the image, [`LandmarkError::Outside`] with the line of the first point
    /// beyond the outermost pixels' area.
    pub fn on_image(&self, image: &str, width: usize, height: usize) -> Result<&[Landmark], LandmarkError> {
        let Some(rows) = self.images.get(image) else {
            return Err(LandmarkError::NoRows {
                name: self.name.clone(),
                image: image.to_owned(),
                known: first_of(self.images.keys()),
            });
        };
        for (landmark, &line) in rows.landmarks.iter().zip(&rows.lines) {
            if !on_pixels(landmark.at, width, height) {
                return Err(LandmarkError::Outside {
                    name: self.name.clone(),
                    line,
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
    /// [`LandmarkError::UnknownImage`] with the line of the first other one, in the order of the file.
    pub fn check_images(&self, known: impl Fn(&str) -> bool) -> Result<(), LandmarkError> {
        let unknown = self.images.iter().filter(|(image, _)| !known(image));
        let first = unknown.min_by_key(|(_, rows)| rows.lines.first().copied());
        first.map_or(Ok(()), |(image, rows)| {
            Err(LandmarkError::UnknownImage {
                name: self.name.clone(),
                line: rows.lines.first().copied().unwrap_or(0),
                image: image.clone(),
            })
        })
    }
}

/// Whether a point lies on the pixels' area of an image: half a pixel beyond the centres of the outermost ones.
pub(crate) fn on_pixels(at: Point<f64>, width: usize, height: usize) -> bool {
    (-0.5..=width as f64 - 0.5).contains(&at.x) && (-0.5..=height as f64 - 0.5).contains(&at.y)
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

/// Writes a landmark file: the given images in order, each with its landmarks in order.
///
/// The file appears whole or not at all. Coordinates are written so that reading gives the same numbers.
///
/// # Errors
///
/// [`LandmarkError::NotFinite`] for a coordinate that is NaN or infinite, [`LandmarkError::Unwritable`].
///
/// ```
/// use infomark_core::Point;
/// use infomark_infer::{Landmark, read_landmarks, write_landmarks};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("points.csv");
/// let points = [Landmark { name: "sella".into(), at: Point::new(274.5, 330.25) }];
/// write_landmarks(&path, [("001.png", &points[..])])?;
/// assert_eq!(read_landmarks(&path)?.get("001.png"), &points);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_landmarks<'a>(
    path: impl AsRef<Path>,
    images: impl IntoIterator<Item = (&'a str, &'a [Landmark])>,
) -> Result<(), LandmarkError> {
    let path = path.as_ref();
    let name = || path.display().to_string();
    let unwritable = |source| LandmarkError::Unwritable { name: name(), source };
    let mut csv = csv::Writer::from_writer(Vec::new());
    let in_memory = |error: csv::Error| unwritable(error.into());
    csv.write_record(parse::COLUMNS).map_err(in_memory)?;
    for (image, landmarks) in images {
        for landmark in landmarks {
            if !landmark.at.is_finite() {
                return Err(LandmarkError::NotFinite {
                    name: name(),
                    image: image.to_owned(),
                    landmark: landmark.name.clone(),
                });
            }
            let (x, y) = (landmark.at.x.to_string(), landmark.at.y.to_string());
            csv.write_record([image, &landmark.name, &x, &y]).map_err(in_memory)?;
        }
    }
    let bytes = csv.into_inner().map_err(|error| unwritable(error.into_error()))?;
    file::write(path, &bytes).map_err(unwritable)
}
