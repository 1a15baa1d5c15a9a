//! Label Studio keypoints: exports in JSON and JSON-MIN, in per cent of the image.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use infomark_core::Point;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::json::{from_json, to_json};
use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Visibility, decimal,
    image_names,
};
use crate::FileError;

const FORMAT: LandmarkFormat = LandmarkFormat::LabelStudio;

/// Centre of the first pixel: 0 per cent is the edge of the image.
const HALF: f64 = 0.5;

/// Text in a region's metadata that marks it as occluded.
const OCCLUDED: &str = "occluded";
/// Key in a task's metadata of the absent landmarks.
const ABSENT: &str = "absent";

/// Endings of the files named in a task's data.
const ENDINGS: [&str; 11] =
    ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "pgm", "dcm", "nii", "nii.gz", "webp"];

#[derive(Deserialize)]
struct Task {
    data: Option<Map<String, Value>>,
    annotations: Option<Vec<Annotation>>,
    meta: Option<Value>,
    /// In JSON-MIN: data and results side by side.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    result: Vec<Value>,
    #[serde(default)]
    was_cancelled: bool,
}

/// A keypoint; also a region of JSON-MIN, which has the fields of `value` besides the sizes.
#[derive(Deserialize)]
struct Region {
    original_width: f64,
    original_height: f64,
    #[serde(default)]
    image_rotation: f64,
    value: Option<KeyPoint>,
    #[serde(flatten)]
    own: OptionalKeyPoint,
    #[serde(default)]
    meta: Meta,
}

#[derive(Deserialize)]
struct KeyPoint {
    x: f64,
    y: f64,
    keypointlabels: Vec<String>,
}

#[derive(Deserialize)]
struct OptionalKeyPoint {
    x: Option<f64>,
    y: Option<f64>,
    keypointlabels: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    text: Vec<String>,
}

/// Whether an element of a JSON list is a task of Label Studio.
pub(super) fn is_task(element: &Map<String, Value>) -> bool {
    // The last one is in JSON-MIN.
    ["annotations", "predictions", "data", "annotation_id"].iter().any(|key| element.contains_key(*key))
        || element.values().any(|value| regions(value).next().is_some())
}

/// The keypoints among the elements of a list.
fn regions(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten().filter(|region| is_key_point(region))
}

fn is_key_point(region: &Value) -> bool {
    let has_labels = |value: &Value| value.get("keypointlabels").is_some();
    has_labels(region) || region.get("value").is_some_and(has_labels)
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let tasks: Vec<Task> = from_json(text, name, FORMAT)?;
    let malformed = |reason| LandmarkError::Malformed { name: name.to_owned(), format: FORMAT, reason };
    let paths = (1..)
        .zip(&tasks)
        .map(|(number, task)| image_of(task).map_err(|reason| malformed(format!("task {number}: {reason}"))));
    let paths: Vec<String> = paths.collect::<Result<_, _>>()?;
    let names: HashMap<&str, &str> = names_of(&paths);
    let mut builder = Builder::new(name, FORMAT);
    let mut place = 0;
    for ((number, task), path) in (1..).zip(&tasks).zip(&paths) {
        let wrong = |reason: &str| malformed(format!("task {number}: {reason}"));
        let image = names.get(path.as_str()).copied().unwrap_or_default();
        let results: Vec<&Value> = match &task.annotations {
            Some(annotations) => {
                let done: Vec<_> =
                    annotations.iter().filter(|annotation| !annotation.was_cancelled).collect();
                if done.len() > 1 {
                    return Err(wrong("several annotations; export one of each task"));
                }
                let results = done.iter().flat_map(|annotation| &annotation.result);
                results.filter(|region| is_key_point(region)).collect()
            }
            None => task.rest.values().flat_map(regions).collect(),
        };
        let mut size = None;
        for result in results {
            place += 1;
            let region = Region::deserialize(result)
                .map_err(|_| wrong("a key point lacks a field or has one of another type"))?;
            let Region { original_width: width, original_height: height, image_rotation, value, own, meta } =
                region;
            if image_rotation != 0.0 {
                return Err(wrong("its image is turned; turn the image file itself"));
            }
            let KeyPoint { x, y, keypointlabels } =
                value.or_else(|| own.whole()).ok_or_else(|| wrong("a key point has no place"))?;
            let [label] = keypointlabels.as_slice() else {
                return Err(wrong("a key point has other than one label"));
            };
            let pixel = |per_cent: f64, side: f64| decimal(per_cent / 100.0 * side - HALF);
            let at = Point::new(pixel(x, width), pixel(y, height));
            let occluded = meta.text.iter().any(|text| text.trim().eq_ignore_ascii_case(OCCLUDED));
            let visibility = if occluded { Visibility::Occluded } else { Visibility::Visible };
            builder.add(image, Landmark { visibility, ..Landmark::new(label, at) }, Place::Point(place))?;
            size = Some((width as usize, height as usize));
        }
        let absent = task.meta.as_ref().and_then(|meta| meta.get(ABSENT)?.as_array());
        for landmark in absent.into_iter().flatten().filter_map(Value::as_str) {
            place += 1;
            builder.add_absent(image, landmark, Place::Point(place))?;
        }
        if let Some((width, height)) = size {
            builder.set_size(image, width, height);
        }
    }
    builder.finish()
}

impl OptionalKeyPoint {
    fn whole(self) -> Option<KeyPoint> {
        Some(KeyPoint { x: self.x?, y: self.y?, keypointlabels: self.keypointlabels? })
    }
}

/// The path of a task's image.
fn image_of(task: &Task) -> Result<String, &'static str> {
    let data = task.data.as_ref().unwrap_or(&task.rest);
    let texts = || data.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
    let ending = |path: &str| {
        let path = path.to_lowercase();
        ENDINGS.iter().any(|ending| path.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')))
    };
    let paths: Vec<(&str, Cow<'_, str>)> = texts().map(|(key, text)| (key, path_of(text))).collect();
    let called = paths.iter().find(|(key, _)| ["image", "img"].contains(key));
    let mut images = paths.iter().filter(|(_, path)| ending(path));
    let (first, second) = (images.next(), images.next());
    if second.is_some() {
        return Err(
            "it has several images, and which its points are on is not stated; label one image a task",
        );
    }
    let (_, path) = called.or(first).ok_or(
        "which of its data is the image cannot be told; call it `image` in the labelling configuration",
    )?;
    Ok(path.clone().into_owned())
}

/// Image names by path: without the prefix of uploads, unless two names would be equal.
fn names_of(paths: &[String]) -> HashMap<&str, &str> {
    let paths = || paths.iter().map(String::as_str);
    let mut short: HashMap<&str, HashSet<&str>> = HashMap::new();
    for path in paths() {
        short.entry(without_upload_prefix(path)).or_default().insert(path);
    }
    let is_alone = |path: &str| short.get(without_upload_prefix(path)).is_some_and(|paths| paths.len() == 1);
    let shown = |path| if is_alone(path) { without_upload_prefix(path) } else { path };
    let names = image_names(paths().map(shown));
    paths().filter_map(|path| Some((path, *names.get(shown(path))?))).collect()
}

/// The path in a reference to a file: local files are given as a parameter, other references may have parameters after the path.
fn path_of(reference: &str) -> Cow<'_, str> {
    let path = match reference.split_once("/data/local-files/?d=") {
        Some((_, path)) => path,
        None => reference.split('?').next().unwrap_or(reference),
    };
    percent_decoded(path).map_or(Cow::Borrowed(path), Cow::Owned)
}

/// Decodes `%` and two hexadecimal digits (RFC 3986, 2.1); `None` where the result is not text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
                bytes.push(16 * digit(*high) + digit(*low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Encodes a path so that [`path_of`] restores it.
fn percent_encoded(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F")
}

/// The name of an uploaded file without the prefix of eight digits by Label Studio.
fn without_upload_prefix(path: &str) -> &str {
    let Some((_, file)) = path.split_once("/data/upload/") else {
        return path;
    };
    let file = file.rsplit('/').next().unwrap_or(file);
    match file.split_once('-') {
        Some((digits, rest))
            if digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            rest
        }
        _ => file,
    }
}

/// Encodes one task per image, for import.
pub(super) fn encode(images: &[Annotated<'_>], file: &str) -> Result<Vec<u8>, LandmarkError> {
    let task = |&Annotated { image, size: (width, height), landmarks, absent, .. }: &Annotated<'_>| {
        if width == 0 || height == 0 {
            return Err(LandmarkError::NoSize {
                name: file.to_owned(),
                image: image.to_owned(),
                format: FORMAT,
            });
        }
        let region = |(number, landmark): (usize, &Landmark)| {
            let per_cent = |at: f64, side: usize| (at + HALF) / side as f64 * 100.0;
            let mut region = json!({
                "id": format!("point{number}"),
                "from_name": "landmarks", "to_name": "image", "type": "keypointlabels",
                "original_width": width, "original_height": height, "image_rotation": 0,
                "value": {
                    "x": per_cent(landmark.at.x, width), "y": per_cent(landmark.at.y, height),
                    "width": 0.5, "keypointlabels": [landmark.name],
                },
            });
            if landmark.visibility == Visibility::Occluded {
                region["meta"] = json!({ "text": [OCCLUDED] });
            }
            region
        };
        let result: Vec<Value> = (1..).zip(landmarks).map(region).collect();
        let mut task =
            json!({ "data": { "image": percent_encoded(image) }, "annotations": [{ "result": result }] });
        if !absent.is_empty() {
            task["meta"] = json!({ ABSENT: absent });
        }
        Ok(task)
    };
    let tasks: Vec<Value> = images.iter().map(task).collect::<Result<_, _>>()?;
    Ok(to_json(&tasks).map_err(|error| FileError::unwritable(file)(error.into()))?)
}
