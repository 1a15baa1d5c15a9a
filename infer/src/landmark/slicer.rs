//! 3D Slicer markups: millimetres in patient coordinates, with the placement of [`ItkGeometry`].
//!
//! RAS is LPS with the first two axes negated.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{from_json, to_json};
use super::physical::{Plane, note};
use super::{
    Annotated, Builder, CoordinateError, ImageContext, Landmark, LandmarkError, LandmarkFile, LandmarkFormat,
    Place, Visibility, by_name, cut,
};
use crate::ItkGeometry;

const FORMAT: LandmarkFormat = LandmarkFormat::Slicer;

#[derive(Deserialize)]
struct File {
    markups: Vec<Markup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Markup {
    /// `Fiducial`, or a curve, a region and so on; missing in old files.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// A name, or in old files a number.
    coordinate_system: Option<Value>,
    /// One for all axes, or a list of them.
    coordinate_units: Option<Value>,
    #[serde(default)]
    control_points: Vec<ControlPoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ControlPoint {
    label: String,
    /// Three numbers; of unplaced points any value.
    #[serde(default)]
    position: Value,
    position_status: Option<String>,
    description: Option<String>,
}

/// Type of markups whose control points are landmarks; those of other types define a line, a curve or a region.
const FIDUCIAL: &str = "Fiducial";

/// Position status of control points: placed, absent, and not placed yet.
const DEFINED: &str = "defined";
const MISSING: &str = "missing";
const UNDEFINED: &str = "undefined";

/// Start of the description of an occluded point, as markups have no field for it.
pub(super) const OCCLUDED: &str = "occluded";

pub(super) fn parse(
    text: &str,
    name: &str,
    subject: &ImageContext<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let file: File = from_json(text, name, FORMAT)?;
    let plane = Plane::of(subject, name, FORMAT)?;
    let mut builder = Builder::new(name, FORMAT);
    let mut number = 0;
    let is_points = |markup: &&Markup| markup.kind.as_deref().is_none_or(|kind| kind == FIDUCIAL);
    for markup in file.markups.iter().filter(is_points) {
        let sign =
            sign(markup).map_err(|problem| LandmarkError::Coordinates { name: name.to_owned(), problem })?;
        for point in &markup.control_points {
            number += 1;
            let place = Place::Point(number);
            let status = point.position_status.as_deref().unwrap_or(DEFINED);
            match status {
                DEFINED => {}
                MISSING => {
                    builder.add_absent(plane.image, &point.label, place)?;
                    continue;
                }
                _ => {
                    builder.add_name(&point.label);
                    continue;
                }
            }
            let [x, y, z] =
                <[f64; 3]>::deserialize(&point.position).map_err(|_| LandmarkError::Malformed {
                    name: name.to_owned(),
                    format: FORMAT,
                    reason: format!("{place} has no position of three numbers"),
                })?;
            let at = plane.pixel([sign * x, sign * y, z], &point.label, place)?;
            let visibility = visibility(point.description.as_deref().unwrap_or_default());
            builder.add(plane.image, Landmark { visibility, ..Landmark::new(&point.label, at) }, place)?;
        }
    }
    builder.finish()
}

/// The visibility stated in a description.
pub(super) fn visibility(description: &str) -> Visibility {
    let first = description.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let is_occluded = first.eq_ignore_ascii_case(OCCLUDED);
    if is_occluded { Visibility::Occluded } else { Visibility::Visible }
}

/// Sign of the first two coordinates for conversion to LPS.
fn sign(markup: &Markup) -> Result<f64, CoordinateError> {
    let units = markup.coordinate_units.as_ref();
    let is_mm = |units: &Value| units.as_str() == Some("mm");
    let is_known = |units: &Value| {
        units.is_null() || is_mm(units) || units.as_array().is_some_and(|axes| axes.iter().all(is_mm))
    };
    if let Some(units) = units.filter(|units| !is_known(units)) {
        return Err(CoordinateError::Units { found: cut(&units.to_string()) });
    }
    match &markup.coordinate_system {
        Some(Value::String(system)) if system == "LPS" => Ok(1.0),
        Some(Value::String(system)) if system == "RAS" => Ok(-1.0),
        // Numbering of the versions before 4.11.
        Some(Value::Number(system)) if system.as_u64() == Some(1) => Ok(1.0),
        Some(Value::Number(system)) if system.as_u64() == Some(0) => Ok(-1.0),
        Some(other) => Err(CoordinateError::System { found: cut(&other.to_string()) }),
        None => Err(CoordinateError::Missing),
    }
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "@schema")]
    schema: &'static str,
    markups: [WrittenMarkup<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMarkup<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    coordinate_system: &'static str,
    coordinate_units: &'static str,
    locked: bool,
    fixed_number_of_control_points: bool,
    label_format: &'static str,
    last_used_control_point_number: usize,
    control_points: Vec<WrittenPoint<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPoint<'a> {
    id: String,
    label: &'a str,
    description: String,
    position: [f64; 3],
    orientation: [f64; 9],
    selected: bool,
    locked: bool,
    visibility: bool,
    position_status: &'static str,
}

pub(super) fn encode<'a>(
    image: &Annotated<'_>,
    names: &[&'a str],
    geometry: &ItkGeometry,
) -> serde_json::Result<Vec<u8>> {
    let description = note(image, geometry);
    let landmarks = by_name(image.landmarks);
    let point = |(index, name): (usize, &&'a str)| {
        let landmark = landmarks.get(*name).copied();
        let description = match landmark {
            Some(Landmark { visibility: Visibility::Occluded, .. }) => format!("{OCCLUDED}; {description}"),
            _ => description.clone(),
        };
        WrittenPoint {
            id: (index + 1).to_string(),
            label: name,
            description,
            position: landmark.map_or([0.0; 3], |landmark| geometry.physical_point(landmark.at)),
            orientation: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
            selected: true,
            locked: false,
            visibility: true,
            position_status: match landmark {
                Some(_) => DEFINED,
                None if image.absent.iter().any(|absent| absent == name) => MISSING,
                None => UNDEFINED,
            },
        }
    };
    to_json(&Written {
        schema: "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#",
        markups: [WrittenMarkup {
            kind: FIDUCIAL,
            coordinate_system: "LPS",
            coordinate_units: "mm",
            locked: false,
            fixed_number_of_control_points: false,
            label_format: "%N-%d",
            last_used_control_point_number: names.len(),
            control_points: names.iter().enumerate().map(point).collect(),
        }],
    })
}
