//! Landmark files of several formats: CSV, 3D Slicer, COCO, LabelMe, CVAT, Label Studio, ISBI text.

mod builder;
mod coco;
mod coco_results;
mod cvat;
mod error;
mod fcsv;
mod files;
mod format;
mod isbi;
mod json;
mod label_studio;
mod labelme;
mod physical;
mod slicer;
mod sources;
mod table;
mod text;

use std::collections::{BTreeMap, HashMap, HashSet};

use infomark_core::Point;

use builder::Builder;
pub use coco_results::CocoIndex;
use error::CocoError;
pub use error::{CoordinateError, LandmarkError, Place};
pub use files::{
    encode_landmarks, parse_landmarks, parse_landmarks_of, read_landmarks, read_landmarks_of,
    write_landmarks, write_landmarks_as,
};
pub use format::{Annotated, ImageContext, LandmarkFormat, WriteOptions};
pub use sources::{
    CollectedLandmarks, ImageLandmarks, KnownImage, LandmarkSources, LandmarkSourcesError, ReadLandmarks,
};
pub use text::{is_same as is_same_name, nfc as normal_name};

/// Tolerance of landmarks outside their image in data sets and conversions, as a fraction of its longer side: annotators click
/// near the edge.
pub const OUTSIDE_MARGIN: f64 = 0.01;

/// Named point of an image, in pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmark {
    /// Name, such as `sella`, in Unicode NFC if it was read from a file.
    pub name: String,
    /// Position; the centre of the first pixel is `(0, 0)`.
    pub at: Point<f64>,
    /// Visibility in the image.
    pub visibility: Visibility,
}

/// Visibility of an annotated landmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Visible in the image.
    #[default]
    Visible,
    /// Hidden by other structures, and annotated at its presumed position.
    Occluded,
}

impl Landmark {
    /// A visible landmark.
    pub fn new(name: impl Into<String>, at: Point<f64>) -> Landmark {
        Landmark { name: name.into(), at, visibility: Visibility::Visible }
    }

    /// An occluded landmark.
    pub fn occluded(name: impl Into<String>, at: Point<f64>) -> Landmark {
        Landmark { visibility: Visibility::Occluded, ..Landmark::new(name, at) }
    }

    /// Whether it lies on a pixel of an image, up to half a pixel beyond the centres of the outermost ones, or at most
    /// `margin` pixels outside.
    pub(crate) fn is_near(&self, width: usize, height: usize, margin: f64) -> bool {
        on_pixels(self.at, width, height, margin)
    }
}

/// Reliability of a landmark as stated in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reliability {
    /// Error bound in pixels: the column `error_bound_px` of tables of `infomark match`.
    pub error_bound_px: Option<f64>,
    /// Whether it is abstained from: the column `abstain`.
    pub abstained: bool,
}

/// Landmarks of a file, by image.
///
/// Three cases are distinguished: an annotated landmark is in [`get`](Self::get), visible or occluded; one marked as
/// absent from the image is in [`absent`](Self::absent); one that is not annotated is only in
/// [`names`](Self::names), if the file names it.
#[derive(Clone, Debug)]
pub struct LandmarkFile {
    name: String,
    format: LandmarkFormat,
    names: Vec<String>,
    images: BTreeMap<String, Rows>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    /// Index of the image in the file, from 0.
    number: usize,
    landmarks: Vec<Landmark>,
    /// Position of each landmark in the file.
    places: Vec<Place>,
    /// Reliability of each landmark.
    reliability: Vec<Reliability>,
    absent: Vec<String>,
    /// Position of each absent landmark in the file.
    absent_places: Vec<Place>,
    /// Image size that the file states.
    size: Option<(usize, usize)>,
}

/// Name of a landmark, trimmed, in Unicode NFC.
pub(crate) fn clean_name(name: &str) -> String {
    text::nfc(name.trim()).into_owned()
}

impl LandmarkFile {
    /// Name of the file in messages: its path, if it was read from one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Format that the file was read as.
    pub fn format(&self) -> LandmarkFormat {
        self.format
    }

    /// Names of all landmarks in the order of the file, including those without any point.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The images by name, each with its annotated landmarks in the order of the file.
    pub fn images(&self) -> impl ExactSizeIterator<Item = (&str, &[Landmark])> {
        self.images.iter().map(|(image, rows)| (image.as_str(), rows.landmarks.as_slice()))
    }

    /// The images by name with all data of their landmarks, without a copy.
    pub(crate) fn into_images(self) -> impl Iterator<Item = (String, ImageLandmarks)> {
        self.images.into_iter().map(|(image, rows)| {
            let Rows { landmarks, reliability, absent, .. } = rows;
            (image, ImageLandmarks { landmarks, reliability, absent })
        })
    }

    /// The annotated landmarks of an image in the order of the file, empty without rows; `image` is the file's name
    /// without folder, in any Unicode normal form.
    pub fn get(&self, image: &str) -> &[Landmark] {
        self.rows(image).map_or(&[], |rows| rows.landmarks.as_slice())
    }

    /// Reliability of each landmark of [`get`](Self::get); only tables state it.
    pub fn reliability(&self, image: &str) -> &[Reliability] {
        self.rows(image).map_or(&[], |rows| rows.reliability.as_slice())
    }

    /// Names of the landmarks that are marked as absent from an image, in the order of the file.
    pub fn absent(&self, image: &str) -> &[String] {
        self.rows(image).map_or(&[], |rows| rows.absent.as_slice())
    }

    fn rows(&self, image: &str) -> Option<&Rows> {
        self.images.get(image).or_else(|| {
            // macOS has file names in NFD.
            let other = |key: &&String| !(key.is_ascii() || image.is_ascii()) && text::is_same(key, image);
            self.images.keys().find(other).and_then(|key| self.images.get(key))
        })
    }

    /// The landmarks of an image of known size, at least one and all of them within the image.
    ///
    /// # Errors
    /// [`LandmarkError::NoRows`] without landmarks for the image, [`LandmarkError::OtherSize`] where the file states another
    /// image size, [`LandmarkError::Outside`] with the position of the first point outside.
    pub fn on_image(&self, image: &str, width: usize, height: usize) -> Result<&[Landmark], LandmarkError> {
        self.near_image(image, width, height, 0.0)
    }

    /// [`on_image`](Self::on_image) with points up to `margin` pixels outside the image.
    ///
    /// # Errors
    /// As [`on_image`](Self::on_image).
    pub fn near_image(
        &self,
        image: &str,
        width: usize,
        height: usize,
        margin: f64,
    ) -> Result<&[Landmark], LandmarkError> {
        let rows = self.rows_of(image, width, height)?;
        for (landmark, &place) in rows.landmarks.iter().zip(&rows.places) {
            if !landmark.is_near(width, height, margin) {
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

    fn rows_of(&self, image: &str, width: usize, height: usize) -> Result<&Rows, LandmarkError> {
        let rows = self.rows(image).filter(|rows| !rows.landmarks.is_empty());
        let rows = rows.ok_or_else(|| LandmarkError::NoRows {
            name: self.name.clone(),
            image: image.to_owned(),
            known: first_of(self.images.keys()),
        })?;
        match rows.size {
            Some(stated) if stated != (width, height) => Err(LandmarkError::OtherSize {
                name: self.name.clone(),
                image: image.to_owned(),
                stated,
                size: (width, height),
            }),
            _ => Ok(rows),
        }
    }

    /// Checks that every image of the file is known.
    ///
    /// # Errors
    /// [`LandmarkError::UnknownImage`] with the position of the first unknown one, in the order of the file.
    pub fn check_images(&self, known: impl Fn(&str) -> bool) -> Result<(), LandmarkError> {
        let is_known = |image: &str| known(image) || text::normal_forms(image).iter().any(|form| known(form));
        let unknown = self.images.iter().filter(|(image, _)| !is_known(image));
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

/// Whether a point lies on a pixel of an image, up to half a pixel beyond the centres of the outermost ones, or at most
/// `margin` pixels outside.
pub(crate) fn on_pixels(at: Point<f64>, width: usize, height: usize, margin: f64) -> bool {
    let within = |value: f64, size: usize| (-0.5 - margin..=size as f64 - 0.5 + margin).contains(&value);
    within(at.x, width) && within(at.y, height)
}

/// Rounds a coordinate to fifteen digits, so that a sum or a quotient prints as it was written.
fn decimal(coordinate: f64) -> f64 {
    format!("{coordinate:.14e}").parse().unwrap_or(coordinate)
}

/// The landmarks of an image by name.
fn by_name(landmarks: &[Landmark]) -> HashMap<&str, &Landmark> {
    landmarks.iter().map(|landmark| (landmark.name.as_str(), landmark)).collect()
}

/// The first few names, for messages.
pub(crate) fn first_of<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 3;
    let more = names.len().saturating_sub(SHOWN);
    let mut list: Vec<String> = names.take(SHOWN).cloned().collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    list.join(", ")
}

/// Maximum length of a quotation from a file in a message, in characters.
const SHOWN: usize = 60;

/// The start of a text from a file, for messages.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last part of a path with either kind of slash: the image's name in landmark files.
fn without_folder(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Names of images by their paths in a file: the last part, or the path where several images share that.
fn image_names<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> HashMap<&'a str, &'a str> {
    let mut shared: HashMap<&str, HashSet<&str>> = HashMap::new();
    for path in paths.clone() {
        shared.entry(without_folder(path)).or_default().insert(path);
    }
    let name = |path| match without_folder(path) {
        short if shared.get(short).is_some_and(|paths| paths.len() == 1) => short,
        _ => path,
    };
    paths.map(|path| (path, name(path))).collect()
}
