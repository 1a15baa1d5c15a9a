//! Reading and writing of landmark files in any format.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::text::{self, read_bytes};
use super::{
    Annotated, ImageContext, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, WriteOptions, coco,
    coco_results, cvat, fcsv, isbi, label_studio, labelme, physical, slicer, table,
};
use crate::{FileError, write_file};

/// Reads a CSV file with the columns `image`, `landmark`, `x` and `y` in any order, and optionally `visibility` (`visible`,
/// `occluded` or `absent`); other columns are ignored.
///
/// `image` is a file name without folder, `x` and `y` are pixels of that image, the centre of the first at `(0, 0)`; both are
/// empty for an absent landmark. UTF-8, or UTF-16 with a byte-order mark; fields are trimmed. Images are checked by
/// [`LandmarkFile::check_images`], and points by [`LandmarkFile::on_image`].
///
/// # Errors
/// Every case of [`LandmarkError`] for CSV, except those that need the images.
pub fn read_landmarks(path: impl AsRef<Path>) -> Result<LandmarkFile, LandmarkError> {
    let (bytes, name) = read_bytes(path.as_ref())?;
    parse_landmarks(&bytes, name)
}

/// [`read_landmarks`] for a file in memory; `name` is its name in messages.
///
/// # Errors
/// As [`read_landmarks`].
///
/// ```
/// let file = infomark_infer::parse_landmarks(b"landmark,image,x,y\nsella,001.png,274.5,330.5\n", "points.csv")?;
/// assert_eq!(file.get("001.png")[0].at.x, 274.5);
/// # Ok::<(), infomark_infer::LandmarkError>(())
/// ```
pub fn parse_landmarks(bytes: &[u8], name: impl Into<String>) -> Result<LandmarkFile, LandmarkError> {
    let name = name.into();
    table::parse(&text::decode(bytes, &name)?, &name)
}

/// Reads a landmark file of any [`LandmarkFormat`], detected by its content; points are converted to pixels, the centre of the first at
/// `(0, 0)`.
///
/// Landmarks that are absent, or named without a point, are kept separately, see [`LandmarkFile`]. Shapes other
/// than points are ignored.
///
/// # Errors
/// Every case of [`LandmarkError`], except those of writing and those that need the images.
pub fn read_landmarks_of(
    path: impl AsRef<Path>,
    subject: &ImageContext<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let (bytes, name) = read_bytes(path.as_ref())?;
    parse_landmarks_of(&bytes, name, subject)
}

/// [`read_landmarks_of`] for a file in memory; `name` is its name in messages.
///
/// # Errors
/// As [`read_landmarks_of`].
///
/// ```
/// use infomark_infer::{LandmarkFormat, ImageContext, parse_landmarks_of};
///
/// let names = ["sella".to_owned()];
/// let subject = ImageContext { image: Some("001.png"), names: &names, ..ImageContext::default() };
/// let file = parse_landmarks_of(b"274.5,330.5\n", "001.txt", &subject)?;
/// assert_eq!(file.format(), LandmarkFormat::Isbi);
/// assert_eq!(file.get("001.png")[0].name, "sella");
/// # Ok::<(), infomark_infer::LandmarkError>(())
/// ```
pub fn parse_landmarks_of(
    bytes: &[u8],
    name: impl Into<String>,
    subject: &ImageContext<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let name = name.into();
    let text = text::decode(bytes, &name)?;
    match format_of(&text, &name)? {
        LandmarkFormat::Csv => table::parse(&text, &name),
        LandmarkFormat::Slicer => slicer::parse(&text, &name, subject),
        LandmarkFormat::Fcsv => fcsv::parse(&text, &name, subject),
        LandmarkFormat::Coco => coco::parse(&text, &name),
        LandmarkFormat::CocoResults => coco_results::parse(&text, &name, subject.coco),
        LandmarkFormat::LabelMe => labelme::parse(&text, &name),
        LandmarkFormat::Cvat => cvat::parse(&text, &name),
        LandmarkFormat::LabelStudio => label_studio::parse(&text, &name),
        LandmarkFormat::Isbi => isbi::parse(&text, &name, subject),
    }
}

/// Writes a CSV file with the images and their landmarks in the given order.
///
/// The file is written atomically. Reading it gives exactly the same numbers.
///
/// # Errors
/// [`LandmarkError::NotFinite`] for a coordinate that is NaN or infinite, [`LandmarkError::File`].
///
/// ```
/// use infomark_core::Point;
/// use infomark_infer::{Landmark, read_landmarks, write_landmarks};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("points.csv");
/// let points = [Landmark::new("sella", Point::new(274.5, 330.25))];
/// write_landmarks(&path, [("001.png", &points[..])])?;
/// assert_eq!(read_landmarks(&path)?.get("001.png"), &points);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_landmarks<'a>(
    path: impl AsRef<Path>,
    images: impl IntoIterator<Item = (&'a str, &'a [Landmark])>,
) -> Result<(), LandmarkError> {
    let images = images.into_iter();
    let images = images.map(|(image, landmarks)| Annotated {
        image,
        size: (0, 0),
        spacing: None,
        placement: None,
        landmarks,
        absent: &[],
    });
    write_landmarks_as(path, LandmarkFormat::Csv, &images.collect::<Vec<_>>(), &WriteOptions::default())
}

/// Writes a landmark file in any format, atomically.
///
/// CSV, COCO and ISBI text store exactly the numbers of the points; the others are subject to rounding, as they count from
/// the corner of the first pixel, in millimetres or in per cent. [`keeps_visibility`](LandmarkFormat::keeps_visibility) and
/// [`keeps_absent`](LandmarkFormat::keeps_absent) tell what a format does not store.
///
/// # Errors
/// [`LandmarkError::NotFinite`] for a coordinate that is NaN or infinite, [`LandmarkError::OneImage`],
/// [`LandmarkError::MissingPoint`] for ISBI text, [`LandmarkError::NoSize`] where the size has to be known,
/// [`LandmarkError::Unplaced`] for files of 3D Slicer, [`LandmarkError::WithoutIndex`] and [`LandmarkError::Malformed`] for
/// COCO results, [`LandmarkError::File`].
pub fn write_landmarks_as(
    path: impl AsRef<Path>,
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    options: &WriteOptions<'_>,
) -> Result<(), LandmarkError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let bytes = encode_landmarks(format, images, options, &name)?;
    Ok(write_file(path, &bytes).map_err(FileError::unwritable(path))?)
}

/// Encodes the file that [`write_landmarks_as`] writes; `name` is its name in messages.
///
/// # Errors
/// As [`write_landmarks_as`].
pub fn encode_landmarks(
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    options: &WriteOptions<'_>,
    name: &str,
) -> Result<Vec<u8>, LandmarkError> {
    for Annotated { image, landmarks, .. } in images {
        if let Some(landmark) = landmarks.iter().find(|landmark| !landmark.at.is_finite()) {
            return Err(LandmarkError::NotFinite {
                name: name.to_owned(),
                image: (*image).to_owned(),
                landmark: landmark.name.clone(),
            });
        }
    }
    let unwritable = |source| LandmarkError::File(FileError::unwritable(name)(source));
    let names = all_names(images, options.names);
    let sorted = sorted_landmarks(format, images, options.names);
    let sorted: Vec<Annotated<'_>> =
        images.iter().zip(&sorted).map(|(image, landmarks)| Annotated { landmarks, ..*image }).collect();
    let images = sorted.as_slice();
    match format {
        LandmarkFormat::Csv => return table::encode(images).map_err(unwritable),
        LandmarkFormat::Coco => return coco::encode(images, &names, name),
        LandmarkFormat::CocoResults => return coco_results::encode(images, &names, options.coco, name),
        LandmarkFormat::Cvat => return cvat::encode(images, &names, name),
        LandmarkFormat::LabelStudio => return label_studio::encode(images, name),
        LandmarkFormat::Slicer | LandmarkFormat::LabelMe | LandmarkFormat::Fcsv | LandmarkFormat::Isbi => {}
    }
    let [image] = images else {
        return Err(LandmarkError::OneImage { name: name.to_owned(), format, count: images.len() });
    };
    match format {
        LandmarkFormat::Slicer => slicer::encode(image, &names, &physical::geometry(image, name)?)
            .map_err(|error| unwritable(error.into())),
        LandmarkFormat::LabelMe => labelme::encode(image).map_err(|error| unwritable(error.into())),
        LandmarkFormat::Fcsv => fcsv::encode(image, &physical::geometry(image, name)?).map_err(unwritable),
        _ if options.names.is_empty() => isbi::encode(image, &names, name),
        // Formats of several images are handled above.
        _ => isbi::encode(image, &options.names.iter().map(String::as_str).collect::<Vec<_>>(), name),
    }
}

/// The landmarks of each image, in the order of `names` in formats without an order of their own; others follow.
fn sorted_landmarks<'a>(
    format: LandmarkFormat,
    images: &[Annotated<'a>],
    names: &[String],
) -> Vec<Cow<'a, [Landmark]>> {
    if format.has_one_order() || names.is_empty() {
        return images.iter().map(|image| Cow::Borrowed(image.landmarks)).collect();
    }
    let order: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let sorted = |image: &Annotated<'_>| {
        let mut landmarks = image.landmarks.to_vec();
        landmarks.sort_by_key(|landmark| order.get(landmark.name.as_str()).copied().unwrap_or(usize::MAX));
        Cow::Owned(landmarks)
    };
    images.iter().map(sorted).collect()
}

/// The names `first`, then those of the images in order of occurrence.
fn all_names<'a>(images: &[Annotated<'a>], first: &'a [String]) -> Vec<&'a str> {
    let of_image = |image: &Annotated<'a>| {
        let annotated = image.landmarks.iter().map(|landmark| landmark.name.as_str());
        annotated.chain(image.absent.iter().map(String::as_str))
    };
    let mut seen = HashSet::new();
    let all = first.iter().map(String::as_str).chain(images.iter().flat_map(of_image));
    all.filter(|name| seen.insert(*name)).collect()
}

/// Detects the format of a file's content: JSON by its fields, text by its first line.
fn format_of(text: &str, name: &str) -> Result<LandmarkFormat, LandmarkError> {
    let unknown = |problem| LandmarkError::UnknownFormat { name: name.to_owned(), problem };
    const DAMAGED: &str = "JSON that is damaged or ends early";
    let start = text.trim_start();
    if start.starts_with('{') {
        let fields: Fields = serde_json::from_str(text).map_err(|_| unknown(DAMAGED))?;
        return match fields {
            Fields { markups: Some(_), .. } => Ok(LandmarkFormat::Slicer),
            Fields { annotations: Some(_), .. } => Ok(LandmarkFormat::Coco),
            Fields { shapes: Some(_), .. } => Ok(LandmarkFormat::LabelMe),
            _ => Err(unknown("JSON without `markups`, `annotations` or `shapes`")),
        };
    }
    if start.starts_with('[') {
        return match serde_json::from_str(text).map_err(|_| unknown(DAMAGED))? {
            List { length: 0, .. } => Err(unknown("an empty JSON list")),
            List { format: Some(format), .. } => Ok(format),
            List { .. } => {
                Err(unknown("a JSON list that is neither of Label Studio nor COCO results of key points"))
            }
        };
    }
    if start.starts_with('<') {
        return Ok(LandmarkFormat::Cvat);
    }
    if start.starts_with(fcsv::SIGNATURE) {
        return Ok(LandmarkFormat::Fcsv);
    }
    let first = start.lines().next().unwrap_or("");
    if first.starts_with("LM=") || first.starts_with("LM3=") {
        return Err(unknown("a TPS file"));
    }
    if first.starts_with("version:") && text.contains("n_points:") {
        return Err(unknown("a file of points in the format of the iBUG group (.pts)"));
    }
    let is_table = first.to_lowercase().contains("landmark");
    let is_isbi = !is_table && text.lines().any(|line| isbi::pair(line).is_some());
    Ok(if is_isbi { LandmarkFormat::Isbi } else { LandmarkFormat::Csv })
}

/// Fields that distinguish JSON formats.
#[derive(Deserialize)]
struct Fields {
    markups: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
    shapes: Option<IgnoredAny>,
}

/// A JSON list, and its format by the first element that determines it.
struct List {
    length: usize,
    format: Option<LandmarkFormat>,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List, A::Error> {
        let mut list = List { length: 0, format: None };
        // One at a time: all elements may take much memory.
        while list.format.is_none() {
            let Some(element) = elements.next_element::<Value>()? else {
                return Ok(list);
            };
            list.length += 1;
            list.format = element.as_object().and_then(of_element);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {
            list.length += 1;
        }
        Ok(list)
    }
}

/// The format of an element of a JSON list.
fn of_element(element: &Map<String, Value>) -> Option<LandmarkFormat> {
    if element.contains_key("image_id") {
        // COCO has results of boxes and masks, too.
        return element.contains_key("keypoints").then_some(LandmarkFormat::CocoResults);
    }
    label_studio::is_task(element).then_some(LandmarkFormat::LabelStudio)
}
