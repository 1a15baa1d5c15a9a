//! COCO keypoints: one JSON file for many images.

use std::collections::{HashMap, HashSet};
use std::fmt;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::json::{from_json, or_default, side, to_json};
use super::{
    Annotated, Builder, CocoError, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Visibility,
    cut, image_names, text,
};
use crate::FileError;

const FORMAT: LandmarkFormat = LandmarkFormat::Coco;

/// Visibility flag of a keypoint, its third number.
const NOT_LABELLED: f64 = 0.0;
const OCCLUDED: f64 = 1.0;
const VISIBLE: f64 = 2.0;

/// Identifier of an image or category.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "AnyId", untagged)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

/// An identifier as written by other programs, some of which use floats.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyId {
    Integer(i64),
    Float(f64),
    Text(String),
}

impl TryFrom<AnyId> for Id {
    type Error = &'static str;

    fn try_from(id: AnyId) -> Result<Id, &'static str> {
        /// Every integer up to here is exact as a float.
        const WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        match id {
            AnyId::Integer(number) => Ok(Id::Number(number)),
            AnyId::Float(number) if number.fract() == 0.0 && number.abs() <= WHOLE => {
                Ok(Id::Number(number as i64))
            }
            AnyId::Float(_) => Err("an id is no whole number"),
            AnyId::Text(text) => Ok(Id::Text(text)),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => write!(f, "{number}"),
            Id::Text(text) => f.write_str(&cut(text)),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    pub(super) categories: Vec<Category>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Image {
    pub(super) id: Id,
    file_name: String,
    #[serde(default, deserialize_with = "side")]
    pub(super) width: usize,
    #[serde(default, deserialize_with = "side")]
    pub(super) height: usize,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: Id,
    category_id: Id,
    /// Missing in other annotations of the file, such as boxes.
    #[serde(default, deserialize_with = "or_default")]
    keypoints: Vec<Option<f64>>,
    /// Keypoints marked as absent: an extension, as the format does not distinguish them from unannotated ones.
    #[serde(default)]
    absent: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Category {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) keypoints: Vec<String>,
}

impl File {
    /// Checks that image ids and category ids are unique, which merged files may violate.
    pub(super) fn check_ids(&self) -> Result<(), CocoError> {
        let mut seen = HashSet::new();
        if let Some(image) = self.images.iter().find(|image| !seen.insert(&image.id)) {
            return Err(CocoError::Image { id: image.id.to_string() });
        }
        let mut seen = HashSet::new();
        match self.categories.iter().find(|category| !seen.insert(&category.id)) {
            Some(category) => Err(CocoError::Category { id: category.id.to_string() }),
            None => Ok(()),
        }
    }

    /// Names of the images by id, without folder; by path where several images share a name.
    pub(super) fn image_names(&self) -> HashMap<&Id, &str> {
        let names = image_names(self.images.iter().map(|image| image.file_name.as_str()));
        let name = |image: &'_ Image| names.get(image.file_name.as_str()).copied();
        self.images.iter().filter_map(|image| Some((&image.id, name(image)?))).collect()
    }
}

/// The numbers x, y and visibility or score of each keypoint of a category; `null` is NaN.
pub(super) fn triples<'a>(
    keypoints: &'a [Option<f64>],
    names: &'a [String],
    category: &Id,
) -> Result<impl Iterator<Item = (&'a String, [f64; 3])>, CocoError> {
    if keypoints.len() != 3 * names.len() {
        return Err(CocoError::Numbers {
            numbers: keypoints.len(),
            key_points: names.len(),
            category: category.to_string(),
        });
    }
    let number = |value: Option<&Option<f64>>| value.copied().flatten().unwrap_or(f64::NAN);
    let triple = move |chunk: &[Option<f64>]| [0, 1, 2].map(|index| number(chunk.get(index)));
    Ok(names.iter().zip(keypoints.chunks(3).map(triple)))
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let file: File = from_json(text, name, FORMAT)?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    file.check_ids().map_err(|error| malformed(error.to_string()))?;
    let images = file.image_names();
    let names: HashMap<&Id, &[String]> =
        file.categories.iter().map(|category| (&category.id, category.keypoints.as_slice())).collect();
    let mut builder = Builder::new(name, FORMAT);
    let mut place = 0;
    for annotation in file.annotations.iter().filter(|annotation| !annotation.keypoints.is_empty()) {
        let Annotation { image_id, category_id, keypoints, absent } = annotation;
        let image = images
            .get(image_id)
            .ok_or_else(|| malformed(format!("there is no image with the id {image_id}")))?;
        let names = names
            .get(category_id)
            .ok_or_else(|| malformed(format!("there is no category with the id {category_id}")))?;
        for (landmark, [x, y, visibility]) in
            triples(keypoints, names, category_id).map_err(|error| malformed(error.to_string()))?
        {
            place += 1;
            let at = Point::new(x, y);
            let landmark = match visibility {
                NOT_LABELLED if absent.contains(landmark) => {
                    builder.add_absent(image, landmark, Place::Point(place))?;
                    continue;
                }
                NOT_LABELLED => {
                    builder.add_name(landmark);
                    continue;
                }
                OCCLUDED => Landmark::occluded(landmark, at),
                VISIBLE => Landmark::new(landmark, at),
                _ => {
                    return Err(malformed(format!(
                        "point {place} has visibility {visibility}, which is not 0, 1 or 2"
                    )));
                }
            };
            builder.add(image, landmark, Place::Point(place))?;
        }
    }
    for image in &file.images {
        if let Some(name) = images.get(&image.id) {
            builder.set_size(name, image.width, image.height);
        }
    }
    builder.finish()
}

#[derive(Serialize)]
struct Written<'a> {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<WrittenAnnotation<'a>>,
    categories: [WrittenCategory<'a>; 1],
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
}

#[derive(Serialize)]
struct WrittenAnnotation<'a> {
    id: i64,
    image_id: i64,
    category_id: i64,
    keypoints: Vec<f64>,
    num_keypoints: usize,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    absent: &'a [String],
    /// The bounding box of the points: x, y, width, height.
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
}

#[derive(Serialize)]
struct WrittenCategory<'a> {
    id: i64,
    name: &'static str,
    supercategory: &'static str,
    keypoints: &'a [&'a str],
    skeleton: [[u32; 2]; 0],
}

/// The numbers of the keypoints `names` of an image: x, y and visibility.
pub(super) fn key_points(landmarks: &[Landmark], names: &[&str]) -> Vec<f64> {
    let order: HashMap<&str, usize> = names.iter().zip(0..).map(|(name, index)| (*name, index)).collect();
    let mut numbers = vec![0.0; 3 * names.len()];
    for landmark in landmarks {
        let visibility = if landmark.visibility == Visibility::Occluded { OCCLUDED } else { VISIBLE };
        if let Some(&index) = order.get(landmark.name.as_str()) {
            numbers[3 * index..3 * index + 3].copy_from_slice(&[landmark.at.x, landmark.at.y, visibility]);
        }
    }
    numbers
}

/// Checks that a file with all landmarks of all images does not exceed the maximum length of a landmark file.
pub(super) fn check_size(images: usize, names: usize, file: &str) -> Result<(), LandmarkError> {
    /// Text of an unlabelled keypoint: three lines.
    const LEAST_BYTES: usize = 3 * "      0.0,\n".len();
    let bytes = images.saturating_mul(names).saturating_mul(LEAST_BYTES) as u64;
    if bytes > text::MAX_BYTES {
        return Err(FileError::TooLarge { name: file.to_owned(), bytes, max_bytes: text::MAX_BYTES }.into());
    }
    Ok(())
}

pub(super) fn encode(images: &[Annotated<'_>], names: &[&str], file: &str) -> Result<Vec<u8>, LandmarkError> {
    check_size(images.len(), names.len(), file)?;
    const CATEGORY: i64 = 1;
    fn annotation<'a>(id: i64, image: &Annotated<'a>, names: &[&str]) -> WrittenAnnotation<'a> {
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for landmark in image.landmarks {
            let at = [landmark.at.x, landmark.at.y];
            for axis in 0..2 {
                low[axis] = low[axis].min(at[axis]);
                high[axis] = high[axis].max(at[axis]);
            }
        }
        let [width, height] = [0, 1].map(|axis| (high[axis] - low[axis]).max(0.0));
        let [x, y] = low.map(|least| if least.is_finite() { least } else { 0.0 });
        WrittenAnnotation {
            id,
            image_id: id,
            category_id: CATEGORY,
            keypoints: key_points(image.landmarks, names),
            num_keypoints: image.landmarks.len(),
            absent: image.absent,
            bbox: [x, y, width, height],
            area: width * height,
            iscrowd: 0,
        }
    }
    let written = Written {
        info: Info { description: "Landmarks in pixels, the centre of the first at (0, 0)" },
        images: (1..)
            .zip(images)
            .map(|(id, &Annotated { image, size: (width, height), .. })| Image {
                id: Id::Number(id),
                file_name: image.to_owned(),
                width,
                height,
            })
            .collect(),
        annotations: (1..).zip(images).map(|(id, image)| annotation(id, image, names)).collect(),
        categories: [WrittenCategory {
            id: CATEGORY,
            name: "landmarks",
            supercategory: "anatomy",
            keypoints: names,
            skeleton: [],
        }],
    };
    Ok(to_json(&written).map_err(|error| FileError::unwritable(file)(error.into()))?)
}
