//! COCO key points: one JSON file for many images.

use std::collections::{HashMap, HashSet};

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::json::{from_json, to_json};
use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Visibility, image_names,
};

const FORMAT: LandmarkFormat = LandmarkFormat::Coco;

/// Visibility flag of a key point, its third number.
const NOT_LABELLED: f64 = 0.0;
const OCCLUDED: f64 = 1.0;
const VISIBLE: f64 = 2.0;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    pub(super) categories: Vec<Category>,
}

#[derive(Deserialize, Serialize)]
pub(super) struct Image {
    pub(super) id: u64,
    file_name: String,
    #[serde(default)]
    pub(super) width: usize,
    #[serde(default)]
    pub(super) height: usize,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    /// Other annotations of the file, such as boxes, have none.
    #[serde(default)]
    keypoints: Vec<f64>,
    /// Key points that are marked as absent, which the format itself does not tell from those not annotated.
    #[serde(default)]
    absent: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Category {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) keypoints: Vec<String>,
}

impl File {
    /// Checks that no two images and no two categories share an id, as in files that were put together.
    pub(super) fn check_ids(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        if let Some(image) = self.images.iter().find(|image| !seen.insert(image.id)) {
            return Err(format!("two images have the id {}", image.id));
        }
        let mut seen = HashSet::new();
        match self.categories.iter().find(|category| !seen.insert(category.id)) {
            Some(category) => Err(format!("two categories have the id {}", category.id)),
            None => Ok(()),
        }
    }

    /// Names of the images by id, without folder; images of one name in several folders are told apart by their paths.
    pub(super) fn image_names(&self) -> HashMap<u64, &str> {
        let names = image_names(self.images.iter().map(|image| image.file_name.as_str()));
        let name = |image: &Image| Some((image.id, *names.get(image.file_name.as_str())?));
        self.images.iter().filter_map(name).collect()
    }
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let file: File = from_json(text, name, FORMAT)?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    file.check_ids().map_err(malformed)?;
    let images = file.image_names();
    let names: HashMap<u64, &[String]> =
        file.categories.iter().map(|category| (category.id, category.keypoints.as_slice())).collect();
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
        if keypoints.len() != 3 * names.len() {
            return Err(malformed(format!(
                "{} numbers for the {} key points of category {category_id}, not three each",
                keypoints.len(),
                names.len()
            )));
        }
        for (landmark, numbers) in names.iter().zip(keypoints.chunks_exact(3)) {
            place += 1;
            let &[x, y, visibility] = numbers else {
                continue;
            };
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
    id: usize,
    image_id: u64,
    category_id: u64,
    keypoints: Vec<f64>,
    num_keypoints: usize,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    absent: &'a [String],
    /// The least upright box around the points: x, y, width, height.
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
}

#[derive(Serialize)]
struct WrittenCategory<'a> {
    id: u64,
    name: &'static str,
    supercategory: &'static str,
    keypoints: &'a [&'a str],
    skeleton: [[u32; 2]; 0],
}

/// The numbers of the key points `names` of an image: x, y and visibility.
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

pub(super) fn encode(images: &[Annotated<'_>], names: &[&str]) -> serde_json::Result<Vec<u8>> {
    const CATEGORY: u64 = 1;
    fn annotation<'a>(id: u64, image: &Annotated<'a>, names: &[&str]) -> WrittenAnnotation<'a> {
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
            id: id as usize,
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
    to_json(&Written {
        info: Info { description: "Landmarks in pixels, the centre of the first at (0, 0)" },
        images: (1..)
            .zip(images)
            .map(|(id, &Annotated { image, size: (width, height), .. })| Image {
                id,
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
    })
}
