//! LabelMe: a JSON file beside each image.

use std::collections::BTreeMap;

use infomark_core::Point;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{from_json, side, to_json};
use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Visibility, decimal,
    without_folder,
};

const FORMAT: LandmarkFormat = LandmarkFormat::LabelMe;

/// Centre of the first pixel in LabelMe, which draws it over the square from (0, 0) to (1, 1).
const HALF: f64 = 0.5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    shapes: Vec<Shape>,
    image_path: String,
    #[serde(default, deserialize_with = "side")]
    image_width: usize,
    #[serde(default, deserialize_with = "side")]
    image_height: usize,
    /// Check boxes of the image.
    flags: Option<Flags>,
}

type Flags = BTreeMap<String, Value>;

/// Flags of an occluded point, in lower case; the first one is written.
const OCCLUDED: [&str; 3] = ["occluded", "hidden", "invisible"];
/// Prefix of the image's flag for an absent landmark, before its name.
const ABSENT: &str = "absent: ";

#[derive(Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
    /// Missing in polygons of old versions.
    shape_type: Option<String>,
    flags: Option<Flags>,
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let file: File = from_json(text, name, FORMAT)?;
    let image = without_folder(&file.image_path);
    let mut builder = Builder::new(name, FORMAT);
    let shapes = (1..).zip(&file.shapes);
    for (number, shape) in shapes.filter(|(_, shape)| shape.shape_type.as_deref() == Some("point")) {
        let &[[x, y]] = shape.points.as_slice() else {
            return Err(LandmarkError::Malformed {
                name: name.to_owned(),
                format: FORMAT,
                reason: format!("shape {number} is a point with {} positions", shape.points.len()),
            });
        };
        let at = Point::new(decimal(x - HALF), decimal(y - HALF));
        let is_occluded =
            |(flag, set): (&String, &Value)| *set == true && OCCLUDED.contains(&flag.to_lowercase().as_str());
        let visibility = match shape.flags.iter().flatten().any(is_occluded) {
            true => Visibility::Occluded,
            false => Visibility::Visible,
        };
        builder.add(
            image,
            Landmark { visibility, ..Landmark::new(&shape.label, at) },
            Place::Point(number),
        )?;
    }
    let set = file.flags.iter().flatten().filter(|(_, set)| **set == true);
    for (number, landmark) in (1..).zip(set.filter_map(|(flag, _)| flag.strip_prefix(ABSENT))) {
        builder.add_absent(image, landmark, Place::Point(file.shapes.len() as u64 + number))?;
    }
    builder.set_size(image, file.image_width, file.image_height);
    builder.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: &'static str,
    flags: Flags,
    shapes: Vec<WrittenShape<'a>>,
    image_path: &'a str,
    /// `None`: the image is read from its file.
    image_data: Option<&'a str>,
    image_height: usize,
    image_width: usize,
}

#[derive(Serialize)]
struct WrittenShape<'a> {
    label: &'a str,
    points: [[f64; 2]; 1],
    group_id: Option<u32>,
    description: &'static str,
    shape_type: &'static str,
    flags: Flags,
}

pub(super) fn encode(image: &Annotated<'_>) -> serde_json::Result<Vec<u8>> {
    let shapes = image.landmarks.iter().map(|Landmark { name, at, visibility }| WrittenShape {
        label: name,
        points: [[at.x + HALF, at.y + HALF]],
        group_id: None,
        description: "",
        shape_type: "point",
        flags: match visibility {
            Visibility::Occluded => BTreeMap::from([(OCCLUDED[0].to_owned(), true.into())]),
            Visibility::Visible => BTreeMap::new(),
        },
    });
    let absent = image.absent.iter().map(|name| (format!("{ABSENT}{name}"), true.into()));
    to_json(&Written {
        version: "5.0.1",
        flags: absent.collect(),
        shapes: shapes.collect(),
        image_path: image.image,
        image_data: None,
        image_height: image.size.1,
        image_width: image.size.0,
    })
}
