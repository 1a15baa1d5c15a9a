//! COCO results: a JSON list of key points by the ids of another COCO file.

use std::collections::HashMap;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::json::{from_json, to_json};
use super::{Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, coco, text};

const FORMAT: LandmarkFormat = LandmarkFormat::CocoResults;

/// Images and categories of a COCO file, which COCO results refer to by their ids.
#[derive(Clone, Debug)]
pub struct CocoIndex {
    images: Vec<IndexedImage>,
    categories: Vec<(u64, Vec<String>)>,
}

#[derive(Clone, Debug)]
struct IndexedImage {
    id: u64,
    name: String,
    size: (usize, usize),
}

impl CocoIndex {
    /// The images and categories of the COCO file in `bytes`; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// [`LandmarkError::Encoding`], [`LandmarkError::Malformed`].
    ///
    /// ```
    /// let coco = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 1, "keypoints": ["sella"]}]}"#;
    /// infomark_infer::CocoIndex::parse(coco.as_bytes(), "coco.json")?;
    /// # Ok::<(), infomark_infer::LandmarkError>(())
    /// ```
    pub fn parse(bytes: &[u8], name: &str) -> Result<CocoIndex, LandmarkError> {
        let file: coco::File = from_json(&text::decode(bytes, name)?, name, LandmarkFormat::Coco)?;
        file.check_ids().map_err(|reason| LandmarkError::Malformed {
            name: name.to_owned(),
            format: LandmarkFormat::Coco,
            reason,
        })?;
        let names = file.image_names();
        let image = |image: &coco::Image| IndexedImage {
            id: image.id,
            name: names.get(&image.id).copied().unwrap_or_default().to_owned(),
            size: (image.width, image.height),
        };
        let images = file.images.iter().map(image).collect();
        drop(names);
        let categories = file.categories.into_iter().map(|category| (category.id, category.keypoints));
        Ok(CocoIndex { images, categories: categories.collect() })
    }

    /// The category whose key points are exactly `names`, in any order.
    fn category(&self, names: &[&str]) -> Option<&(u64, Vec<String>)> {
        self.categories.iter().find(|(_, key_points)| {
            key_points.len() == names.len()
                && names.iter().all(|name| key_points.iter().any(|own| own == name))
        })
    }
}

#[derive(Deserialize)]
struct Detection {
    image_id: u64,
    category_id: u64,
    keypoints: Vec<f64>,
}

pub(super) fn parse(
    text: &str,
    name: &str,
    index: Option<&CocoIndex>,
) -> Result<LandmarkFile, LandmarkError> {
    let index = index.ok_or_else(|| LandmarkError::WithoutIndex { name: name.to_owned() })?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    let detections: Vec<Detection> = from_json(text, name, FORMAT)?;
    let images: HashMap<u64, &IndexedImage> = index.images.iter().map(|image| (image.id, image)).collect();
    let mut builder = Builder::new(name, FORMAT);
    let mut place = 0;
    for Detection { image_id, category_id, keypoints } in &detections {
        let image = images
            .get(image_id)
            .ok_or_else(|| malformed(format!("the COCO file has no image with the id {image_id}")))?;
        let (_, names) =
            index.categories.iter().find(|(id, _)| id == category_id).ok_or_else(|| {
                malformed(format!("the COCO file has no category with the id {category_id}"))
            })?;
        if keypoints.len() != 3 * names.len() {
            return Err(malformed(format!(
                "{} numbers for the {} key points of category {category_id}, not three each",
                keypoints.len(),
                names.len()
            )));
        }
        for (landmark, numbers) in names.iter().zip(keypoints.chunks_exact(3)) {
            place += 1;
            // The third number is a flag or a score; 0 stands for a point that was not found.
            match *numbers {
                [x, y, found] if found > 0.0 => {
                    builder.add(
                        &image.name,
                        Landmark::new(landmark, Point::new(x, y)),
                        Place::Point(place),
                    )?;
                }
                _ => builder.add_name(landmark),
            }
        }
        builder.set_size(&image.name, image.size.0, image.size.1);
    }
    builder.finish()
}

#[derive(Serialize)]
struct Written {
    image_id: u64,
    category_id: u64,
    keypoints: Vec<f64>,
    /// Score of the whole detection.
    score: f64,
}

pub(super) fn encode(
    images: &[Annotated<'_>],
    names: &[&str],
    index: Option<&CocoIndex>,
    file: &str,
) -> Result<Vec<u8>, LandmarkError> {
    let index = index.ok_or_else(|| LandmarkError::WithoutIndex { name: file.to_owned() })?;
    let unsuitable =
        |reason| LandmarkError::Malformed { name: file.to_owned(), format: LandmarkFormat::Coco, reason };
    let (category_id, key_points) = index.category(names).ok_or_else(|| {
        unsuitable(format!("the COCO file has no category with the key points {}", names.join(", ")))
    })?;
    let order: Vec<&str> = key_points.iter().map(String::as_str).collect();
    let written = images.iter().map(|Annotated { image, landmarks, .. }| {
        let indexed = index.images.iter().find(|indexed| text::is_same(&indexed.name, image));
        let indexed = indexed.ok_or_else(|| unsuitable(format!("the COCO file has no image {image}")))?;
        Ok(Written {
            image_id: indexed.id,
            category_id: *category_id,
            keypoints: coco::key_points(landmarks, &order),
            score: 1.0,
        })
    });
    let written: Vec<Written> = written.collect::<Result<_, _>>()?;
    to_json(&written)
        .map_err(|error| LandmarkError::Unwritable { name: file.to_owned(), source: error.into() })
}
