//! COCO key points: one JSON file for many images.

use std::collections::HashMap;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::format::{from_json, to_json};
use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, without_folder,
};

const FORMAT: LandmarkFormat = LandmarkFormat::Coco;

/// What the third number of a key point says.
const NOT_LABELLED: f64 = 0.0;
const HIDDEN: f64 = 1.0;
const SEEN: f64 = 2.0;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize, Serialize)]
struct Image {
    id: u64,
    file_name: String,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    height: usize,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    /// Other annotations of the file, such as boxes, have none.
    #[serde(default)]
    keypoints: Vec<f64>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    #[serde(default)]
    keypoints: Vec<String>,
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let file: File = from_json(text, name, FORMAT)?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for image in &file.images {
        *shared.entry(without_folder(&image.file_name)).or_insert(0) += 1;
    }
    // Images of one name in several folders are told apart by their paths.
    let called = |path| match without_folder(path) {
        short if shared.get(short) == Some(&1) => short,
        _ => path,
    };
    let images: HashMap<u64, &str> =
        file.images.iter().map(|image| (image.id, called(image.file_name.as_str()))).collect();
    let names: HashMap<u64, &[String]> =
        file.categories.iter().map(|category| (category.id, category.keypoints.as_slice())).collect();
    let mut builder = Builder::new(name, FORMAT);
    let mut place = 0;
    for annotation in file.annotations.iter().filter(|annotation| !annotation.keypoints.is_empty()) {
        let Annotation { image_id, category_id, keypoints } = annotation;
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
            if visibility == NOT_LABELLED {
                continue;
            }
            if visibility != HIDDEN && visibility != SEEN {
                return Err(malformed(format!(
                    "point {place} has visibility {visibility}, which is not 0, 1 or 2"
                )));
            }
            let landmark =
                Landmark { hidden: visibility == HIDDEN, ..Landmark::new(landmark, Point::new(x, y)) };
            builder.add(image, landmark, Place::Point(place))?;
        }
    }
    builder.finish()
}

#[derive(Serialize)]
struct Written<'a> {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<WrittenAnnotation>,
    categories: [WrittenCategory<'a>; 1],
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
}

#[derive(Serialize)]
struct WrittenAnnotation {
    id: usize,
    image_id: u64,
    category_id: u64,
    keypoints: Vec<f64>,
    num_keypoints: usize,
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
    keypoints: Vec<&'a str>,
    skeleton: [[u32; 2]; 0],
}

pub(super) fn encode(images: &[Annotated<'_>]) -> serde_json::Result<Vec<u8>> {
    const CATEGORY: u64 = 1;
    // The names of all images, in the order in which they come first.
    let mut order = HashMap::new();
    let mut names = Vec::new();
    for landmark in images.iter().flat_map(|image| image.landmarks) {
        order.entry(landmark.name.as_str()).or_insert_with(|| {
            names.push(landmark.name.as_str());
            names.len() - 1
        });
    }
    let annotation = |(id, image): (u64, &Annotated<'_>)| {
        let mut keypoints = vec![0.0; 3 * names.len()];
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for landmark in image.landmarks {
            let at = [landmark.at.x, landmark.at.y];
            for axis in 0..2 {
                low[axis] = low[axis].min(at[axis]);
                high[axis] = high[axis].max(at[axis]);
            }
            let visibility = if landmark.hidden { HIDDEN } else { SEEN };
            let start = 3 * order.get(landmark.name.as_str()).copied().unwrap_or(0);
            keypoints[start..start + 3].copy_from_slice(&[at[0], at[1], visibility]);
        }
        let [width, height] = [0, 1].map(|axis| (high[axis] - low[axis]).max(0.0));
        let [x, y] = low.map(|least| if least.is_finite() { least } else { 0.0 });
        WrittenAnnotation {
            id: id as usize,
            image_id: id,
            category_id: CATEGORY,
            keypoints,
            num_keypoints: image.landmarks.len(),
            bbox: [x, y, width, height],
            area: width * height,
            iscrowd: 0,
        }
    };
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
        annotations: (1..).zip(images).map(annotation).collect(),
        categories: [WrittenCategory {
            id: CATEGORY,
            name: "landmarks",
            supercategory: "anatomy",
            keypoints: names.clone(),
            skeleton: [],
        }],
    })
}
