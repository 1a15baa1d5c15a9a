//! LabelMe: a JSON file beside each image.

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::format::{from_json, to_json};
use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, decimal, without_folder,
};

const FORMAT: LandmarkFormat = LandmarkFormat::LabelMe;

/// The centre of the first pixel: LabelMe draws it over the square from (0, 0) to (1, 1).
const HALF: f64 = 0.5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    shapes: Vec<Shape>,
    image_path: String,
}

#[derive(Deserialize)]
struct Shape {
    label: String,
    points: Vec<[f64; 2]>,
    /// Polygons of old versions have none.
    shape_type: Option<String>,
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
        builder.add(image, Landmark::new(&shape.label, at), Place::Point(number))?;
    }
    builder.finish()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: &'static str,
    flags: Empty,
    shapes: Vec<WrittenShape<'a>>,
    image_path: &'a str,
    image_data: Option<Empty>,
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
    flags: Empty,
}

#[derive(Serialize)]
struct Empty {}

pub(super) fn encode(image: &Annotated<'_>) -> serde_json::Result<Vec<u8>> {
    let shapes = image.landmarks.iter().map(|Landmark { name, at, .. }| WrittenShape {
        label: name,
        points: [[at.x + HALF, at.y + HALF]],
        group_id: None,
        description: "",
        shape_type: "point",
        flags: Empty {},
    });
    to_json(&Written {
        version: "5.0.1",
        flags: Empty {},
        shapes: shapes.collect(),
        image_path: image.image,
        image_data: None,
        image_height: image.size.1,
        image_width: image.size.0,
    })
}
