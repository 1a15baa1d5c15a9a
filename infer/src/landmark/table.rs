//! CSV to landmarks, with the line of every mistake.

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use infomark_core::Point;

use super::{Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, cut};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 4] = ["image", "landmark", "x", "y"];

/// A CSV file with the columns `image`, `landmark`, `x` and `y` in any order; other columns are ignored.
pub(super) fn parse(bytes: &[u8], name: &str) -> Result<LandmarkFile, LandmarkError> {
    let text = utf8(bytes, name)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| malformed(name, &error))?.clone();
    let columns = columns(name, &header)?;
    let mut builder = Builder::new(name, LandmarkFormat::Csv);
    for record in reader.records() {
        let record = record.map_err(|error| malformed(name, &error))?;
        let place = Place::Line(record.position().map_or(0, csv::Position::line));
        let row = Row { name, record: &record, place, columns };
        let (image, landmark) = (row.text(0)?, row.text(1)?);
        let at = Point::new(row.number(2)?, row.number(3)?);
        builder.add(image, Landmark::new(landmark, at), place)?;
    }
    builder.finish()
}

/// The text of a file, without a byte-order mark.
pub(super) fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, LandmarkError> {
    let text = std::str::from_utf8(bytes).map_err(|error| LandmarkError::Encoding {
        name: name.to_owned(),
        line: line_of(bytes, error.valid_up_to()),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Where each of `COLUMNS` is in a row.
fn columns(name: &str, header: &StringRecord) -> Result<[usize; 4], LandmarkError> {
    let mut places = [0; 4];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, field)| field.eq_ignore_ascii_case(column));
        let wrong = |problem| LandmarkError::Column {
            name: name.to_owned(),
            column,
            problem,
            header: cut(&header.iter().collect::<Vec<_>>().join(",")),
        };
        *place = found.next().ok_or_else(|| wrong("missing"))?.0;
        if found.next().is_some() {
            return Err(wrong("repeated"));
        }
    }
    Ok(places)
}

struct Row<'a> {
    name: &'a str,
    record: &'a StringRecord,
    place: Place,
    columns: [usize; 4],
}

impl<'a> Row<'a> {
    fn field(&self, column: usize) -> &'a str {
        self.record.get(self.columns[column]).unwrap_or("")
    }

    fn text(&self, column: usize) -> Result<&'a str, LandmarkError> {
        let field = self.field(column);
        if field.is_empty() {
            return Err(LandmarkError::EmptyField {
                name: self.name.to_owned(),
                place: self.place,
                column: COLUMNS[column],
            });
        }
        Ok(field)
    }

    fn number(&self, column: usize) -> Result<f64, LandmarkError> {
        let field = self.field(column);
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(LandmarkError::Number {
                name: self.name.to_owned(),
                place: self.place,
                column: COLUMNS[column],
                value: cut(field),
            }),
        }
    }
}

/// Errors of the CSV reader on text that is UTF-8 and in memory: rows of uneven length.
fn malformed(name: &str, error: &csv::Error) -> LandmarkError {
    let name = name.to_owned();
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => LandmarkError::Fields {
            name,
            line: pos.as_ref().map_or(0, csv::Position::line),
            found: *len,
            expected: *expected_len,
        },
        _ => LandmarkError::Encoding { name, line: error.position().map_or(0, csv::Position::line) },
    }
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    let before = bytes.iter().take(at).filter(|&&byte| byte == b'\n');
    before.count() as u64 + 1
}

/// The landmarks of some images as a table.
pub(super) fn encode(images: &[Annotated<'_>]) -> Result<Vec<u8>, std::io::Error> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(COLUMNS)?;
    for Annotated { image, landmarks, .. } in images {
        for landmark in *landmarks {
            let (x, y) = (landmark.at.x.to_string(), landmark.at.y.to_string());
            csv.write_record([*image, landmark.name.as_str(), x.as_str(), y.as_str()])?;
        }
    }
    csv.into_inner().map_err(csv::IntoInnerError::into_error)
}
