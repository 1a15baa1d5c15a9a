//! COCO results: a JSON list of keypoints by the ids of another COCO file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::coco::Id;
use super::json::{from_json, to_json};
use super::{
    Annotated, Builder, CocoError, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, coco, text,
};
use crate::FileError;

const FORMAT: LandmarkFormat = LandmarkFormat::CocoResults;

/// Images and categories of a COCO file, which COCO results refer to by their ids.
#[derive(Clone, Debug)]
pub struct CocoIndex {
    /// Name of the file in messages.
    file: String,
    images: Vec<IndexedImage>,
    categories: Vec<(Id, Vec<String>)>,
}

#[derive(Clone, Debug)]
struct IndexedImage {
    id: Id,
    name: String,
    size: (usize, usize),
}

impl CocoIndex {
    /// Reads the images and categories of a COCO file.
    ///
    /// # Errors
    /// As [`read_landmarks_of`](crate::read_landmarks_of) for a missing or too large file, else as [`parse`](Self::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<CocoIndex, LandmarkError> {
        let (bytes, name) = text::read_bytes(path.as_ref())?;
        CocoIndex::parse(&bytes, &name)
    }

    /// Parses the images and categories of the COCO file in `bytes`; `name` is its name in messages.
    ///
    /// # Errors
    /// [`LandmarkError::Encoding`], [`LandmarkError::Malformed`].
    ///
    /// ```
    /// let coco = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 1, "keypoints": ["sella"]}]}"#;
    /// infomark_infer::CocoIndex::parse(coco.as_bytes(), "coco.json")?;
    /// # Ok::<(), infomark_infer::LandmarkError>(())
    /// ```
    pub fn parse(bytes: &[u8], name: &str) -> Result<CocoIndex, LandmarkError> {
        let file: coco::File = from_json(&text::decode(bytes, name)?, name, LandmarkFormat::Coco)?;
        file.check_ids().map_err(|error| LandmarkError::Malformed {
            name: name.to_owned(),
            format: LandmarkFormat::Coco,
            reason: error.to_string(),
        })?;
        let names = file.image_names();
        let image = |image: &coco::Image| IndexedImage {
            id: image.id.clone(),
            name: names.get(&image.id).copied().unwrap_or_default().to_owned(),
            size: (image.width, image.height),
        };
        let images = file.images.iter().map(image).collect();
        let categories = file.categories.iter().map(|category| {
            let clean = category.keypoints.iter().map(|name| super::clean_name(name));
            (category.id.clone(), clean.collect())
        });
        Ok(CocoIndex { file: name.to_owned(), images, categories: categories.collect() })
    }

    /// The category with the fewest keypoints that contains all of `names`.
    fn category(&self, names: &[&str]) -> Result<&(Id, Vec<String>), CocoError> {
        let has_all = |key_points: &[String]| {
            let own: HashSet<&str> = key_points.iter().map(String::as_str).collect();
            names.iter().all(|name| own.contains(name))
        };
        let suitable = || self.categories.iter().filter(|(_, key_points)| has_all(key_points));
        let fewest = suitable().map(|(_, key_points)| key_points.len()).min();
        let mut fitting = suitable().filter(|(_, key_points)| Some(key_points.len()) == fewest);
        match (fitting.next(), fitting.next()) {
            (Some(category), None) => Ok(category),
            (None, _) => Err(CocoError::NoCategory { names: names.join(", ") }),
            (_, Some(_)) => Err(CocoError::Ambiguous { names: names.join(", ") }),
        }
    }
}

#[derive(Deserialize)]
struct Detection {
    image_id: Id,
    category_id: Id,
    /// Missing in results of boxes in the same file.
    keypoints: Option<Vec<Option<f64>>>,
    score: Option<f64>,
}

pub(super) fn parse(
    text: &str,
    name: &str,
    index: Option<&CocoIndex>,
) -> Result<LandmarkFile, LandmarkError> {
    let index = index.ok_or_else(|| LandmarkError::WithoutIndex { name: name.to_owned() })?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    let detections: Vec<Detection> = from_json(text, name, FORMAT)?;
    let images: HashMap<&Id, &IndexedImage> = index.images.iter().map(|image| (&image.id, image)).collect();
    let categories: HashMap<&Id, &[String]> =
        index.categories.iter().map(|(id, names)| (id, names.as_slice())).collect();
    let best = best(&detections);
    let mut builder = Builder::new(name, FORMAT);
    let mut place = 0;
    for (number, Detection { image_id, category_id, keypoints, .. }) in detections.iter().enumerate() {
        let Some(keypoints) = keypoints else { continue };
        let image = images
            .get(image_id)
            .ok_or_else(|| malformed(format!("{} has no image with the id {image_id}", index.file)))?;
        let names = categories
            .get(category_id)
            .ok_or_else(|| malformed(format!("{} has no category with the id {category_id}", index.file)))?;
        let counts = best.get(&(image_id, category_id)).is_none_or(|best| *best == number);
        for (landmark, [x, y, found]) in
            coco::triples(keypoints, names, category_id).map_err(|error| malformed(error.to_string()))?
        {
            place += 1;
            if !counts {
                continue;
            }
            // The third number is a flag or a score; 0 means not found.
            if found != 0.0 {
                builder.add(&image.name, Landmark::new(landmark, Point::new(x, y)), Place::Point(place))?;
            } else {
                builder.add_name(landmark);
            }
        }
        builder.set_size(&image.name, image.size.0, image.size.1);
    }
    builder.finish()
}

/// The detection with the highest score of each category and image, by its index; `None` where it is tied or a score is
/// missing, so that their points count as repeated.
fn best(detections: &[Detection]) -> HashMap<(&Id, &Id), usize> {
    let mut all: HashMap<(&Id, &Id), Vec<(f64, usize)>> = HashMap::new();
    for (number, detection) in detections.iter().enumerate().filter(|(_, one)| one.keypoints.is_some()) {
        let score = detection.score.unwrap_or(f64::NAN);
        all.entry((&detection.image_id, &detection.category_id)).or_default().push((score, number));
    }
    let highest = |scores: Vec<(f64, usize)>| {
        let (best, number) = scores
            .iter()
            .copied()
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .filter(|(best, _)| !best.is_nan())?;
        (scores.iter().filter(|(score, _)| *score == best).count() == 1).then_some(number)
    };
    all.into_iter().filter_map(|(ids, scores)| Some((ids, highest(scores)?))).collect()
}

#[derive(Serialize)]
struct Written<'a> {
    image_id: &'a Id,
    category_id: &'a Id,
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
        |reason| LandmarkError::Malformed { name: index.file.clone(), format: LandmarkFormat::Coco, reason };
    let (category_id, key_points) = index.category(names).map_err(|error| unsuitable(error.to_string()))?;
    coco::check_size(images.len(), key_points.len(), file)?;
    let order: Vec<&str> = key_points.iter().map(String::as_str).collect();
    let ids: HashMap<_, _> = index.images.iter().map(|image| (text::nfc(&image.name), &image.id)).collect();
    let written = images.iter().map(|Annotated { image, landmarks, .. }| {
        let image_id = ids.get(&text::nfc(image));
        Ok(Written {
            image_id: image_id.ok_or_else(|| unsuitable(format!("there is no image {image}")))?,
            category_id,
            keypoints: coco::key_points(landmarks, &order),
            score: 1.0,
        })
    });
    let written = written.collect::<Result<Vec<Written<'_>>, LandmarkError>>()?;
    Ok(to_json(&written).map_err(|error| FileError::unwritable(file)(error.into()))?)
}
