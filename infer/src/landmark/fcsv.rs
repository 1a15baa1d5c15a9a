//! 3D Slicer fiducial lists (`.fcsv`), the predecessor of markups in JSON.

use std::fmt::Write;

use csv::StringRecord;

use super::physical::Plane;
use super::{
    Annotated, Builder, CoordinateError, ImageContext, Landmark, LandmarkError, LandmarkFile, LandmarkFormat,
    Place, Visibility, cut, slicer,
};
use crate::ItkGeometry;
use crate::csv_source::{CsvRows, quote_flaw};

const FORMAT: LandmarkFormat = LandmarkFormat::Fcsv;

/// Start of the first line.
pub(super) const SIGNATURE: &str = "# Markups fiducial file";

/// Values of the position status of unplaced points, which versions from 4.11 on append after the named columns.
const UNPLACED: [&str; 2] = ["0", "1"];
const MISSING: &str = "3";

/// Columns of the current version, for writing.
const COLUMNS: &str = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID";

pub(super) fn parse(
    text: &str,
    name: &str,
    subject: &ImageContext<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let plane = Plane::of(subject, name, FORMAT)?;
    let sign = sign(text).map_err(|problem| LandmarkError::Coordinates { name: name.to_owned(), problem })?;
    let columns = Columns::of(text, name)?;
    if let Some(flaw) = quote_flaw(text, Some(b'#')) {
        return Err(LandmarkError::quote(name, flaw));
    }
    let mut builder = Builder::new(name, FORMAT);
    let (mut rows, mut record) = (CsvRows::with_comments(text.as_bytes(), b'#'), StringRecord::new());
    while let Some(line) = rows.next(&mut record).map_err(|(line, _)| malformed(name, line, "a row"))? {
        let place = Place::Line(line);
        let label = record.get(columns.label).unwrap_or_default();
        match record.get(columns.count).unwrap_or_default() {
            MISSING => {
                builder.add_absent(plane.image, label, place)?;
                continue;
            }
            status if UNPLACED.contains(&status) => {
                builder.add_name(label);
                continue;
            }
            _ => {}
        }
        let number = |column: usize, called: &'static str| {
            let field = record.get(column).unwrap_or_default();
            let value = field.parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| LandmarkError::Number {
                name: name.to_owned(),
                place,
                column: called,
                value: cut(field),
            })
        };
        let [x, y, z] = columns.position;
        let position = [sign * number(x, "x")?, sign * number(y, "y")?, number(z, "z")?];
        let at = plane.pixel(position, label, place)?;
        let description = columns.description.and_then(|column| record.get(column)).unwrap_or_default();
        let visibility = slicer::visibility(description);
        builder.add(plane.image, Landmark { visibility, ..Landmark::new(label, at) }, place)?;
    }
    builder.finish()
}

fn malformed(name: &str, line: u64, what: &str) -> LandmarkError {
    LandmarkError::Malformed {
        name: name.to_owned(),
        format: FORMAT,
        reason: format!("line {line}: {what} that cannot be read"),
    }
}

/// Sign of the first two coordinates for conversion to LPS, from the header.
fn sign(text: &str) -> Result<f64, CoordinateError> {
    match header(text, "CoordinateSystem") {
        Some("LPS" | "1") => Ok(1.0),
        Some("RAS" | "0") => Ok(-1.0),
        Some(other) => Err(CoordinateError::System { found: cut(other) }),
        None => Err(CoordinateError::Missing),
    }
}

/// The value of a header line such as `# CoordinateSystem = LPS`.
fn header<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    lines.filter(|(found, _)| found.trim() == key).map(|(_, value)| value.trim()).next()
}

/// Indices of the columns that are read.
struct Columns {
    position: [usize; 3],
    label: usize,
    description: Option<usize>,
    /// Number of columns.
    count: usize,
}

impl Columns {
    fn of(text: &str, name: &str) -> Result<Columns, LandmarkError> {
        let header = header(text, "columns").unwrap_or_default();
        let columns: StringRecord = header.split(',').map(str::trim).collect();
        let find = |column: &str| columns.iter().position(|found| found == column);
        let needed = |column: &'static str| {
            find(column).ok_or_else(|| LandmarkError::Malformed {
                name: name.to_owned(),
                format: FORMAT,
                reason: format!("its line `# columns = ...` does not name the column `{column}`"),
            })
        };
        Ok(Columns {
            position: [needed("x")?, needed("y")?, needed("z")?],
            label: needed("label")?,
            description: find("desc"),
            count: columns.len(),
        })
    }
}

/// Encodes the points in LPS; landmarks without a point are omitted, as the format has none.
pub(super) fn encode(image: &Annotated<'_>, geometry: &ItkGeometry) -> Result<Vec<u8>, std::io::Error> {
    let mut text = format!("{SIGNATURE} version = 4.11\n# CoordinateSystem = LPS\n# columns = {COLUMNS}\n");
    let mut rows = csv::Writer::from_writer(Vec::new());
    for (number, Landmark { name, at, visibility }) in (1..).zip(image.landmarks) {
        let description = match visibility {
            Visibility::Occluded => slicer::OCCLUDED,
            Visibility::Visible => "",
        };
        let [x, y, z] = geometry.physical_point(*at).map(|mm| mm.to_string());
        let id = number.to_string();
        rows.write_record([&id, &x, &y, &z, "0", "0", "0", "1", "1", "1", "0", name, description, ""])?;
    }
    let rows = rows.into_inner().map_err(csv::IntoInnerError::into_error)?;
    // Writing to a string cannot fail, and CSV of text is text.
    let _ = write!(text, "{}", String::from_utf8_lossy(&rows));
    Ok(text.into_bytes())
}
