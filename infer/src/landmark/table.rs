//! CSV tables of landmarks, with the line of every error.

use csv::{ErrorKind, StringRecord};
use infomark_core::Point;

use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Reliability,
    Visibility, cut,
};
use crate::MemoryBudget;
use crate::csv_source::{CsvRows, quote_flaw};

/// The columns, in the order of writing.
const COLUMNS: [&str; 4] = ["image", "landmark", "x", "y"];

/// The column of visibility, which is written only if a landmark is occluded or absent, and its values.
const VISIBILITY: &str = "visibility";
const VISIBLE: &str = "visible";
const OCCLUDED: &str = "occluded";
const ABSENT: &str = "absent";

/// The columns of matching results with the reliability of a point.
const ERROR_BOUND: &str = "error_bound_px";
/// Name of the same column in tables of earlier versions.
const EXPECTED_ERROR: &str = "expected_error_px";
const ABSTAIN: &str = "abstain";

/// Parses a CSV file with the columns `image`, `landmark`, `x`, `y` and optionally `visibility`, `error_bound_px` and `abstain` in any
/// order; others are ignored.
pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    if let Some(flaw) = quote_flaw(text, None) {
        return Err(LandmarkError::quote(name, flaw));
    }
    let (mut rows, mut record) = (CsvRows::new(text.as_bytes()), StringRecord::new());
    let mut next =
        |row: &mut StringRecord| rows.next(row).map_err(|(line, error)| malformed(name, line, &error));
    next(&mut record)?;
    let header = record.clone();
    let columns = columns(name, &header)?;
    let optional = |column: &str| header.iter().position(|field| field.eq_ignore_ascii_case(column));
    let visibility = optional(VISIBILITY);
    let error_bound = optional(ERROR_BOUND).or_else(|| optional(EXPECTED_ERROR));
    let abstain = optional(ABSTAIN);
    let most = MemoryBudget::of_process().bytes();
    let mut builder = Builder::new(name, LandmarkFormat::Csv);
    while let Some(line) = next(&mut record)? {
        let place = Place::Line(line);
        let row = Row { name, record: &record, place, columns };
        let (image, landmark) = (row.text(0)?, row.text(1)?);
        let visibility = match visibility.and_then(|column| record.get(column)).unwrap_or_default() {
            ABSENT => {
                row.empty(2)?;
                row.empty(3)?;
                builder.add_absent(image, landmark, place)?;
                check_memory(&builder, text, most)?;
                continue;
            }
            OCCLUDED => Visibility::Occluded,
            VISIBLE | "" => Visibility::Visible,
            other => {
                return Err(LandmarkError::Visibility { name: name.to_owned(), place, value: cut(other) });
            }
        };
        let at = Point::new(row.number(2)?, row.number(3)?);
        let reliability = row.reliability(error_bound, abstain)?;
        builder.add(image, Landmark { visibility, ..Landmark::new(landmark, at) }, place)?;
        builder.set_reliability(image, reliability);
        check_memory(&builder, text, most)?;
    }
    builder.finish()
}

/// Aborts a table whose landmarks need more than `most` bytes of memory.
fn check_memory(builder: &Builder<'_>, text: &str, most: u64) -> Result<(), LandmarkError> {
    let bytes = builder.bytes();
    if bytes <= most {
        return Ok(());
    }
    let rows = text.lines().count().saturating_sub(1) as u64;
    let needed = bytes as f64 * rows.max(1) as f64 / builder.count().max(1) as f64;
    Err(LandmarkError::TooManyRows {
        name: builder.name().to_owned(),
        rows,
        needed_mib: (needed / (1 << 20) as f64).ceil() as u64,
        max_mib: most >> 20,
    })
}

/// Index of each of `COLUMNS` in a row.
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

    /// The reliability in the columns of these indices.
    fn reliability(
        &self,
        error_bound: Option<usize>,
        abstain: Option<usize>,
    ) -> Result<Reliability, LandmarkError> {
        let field =
            |column: Option<usize>| column.and_then(|column| self.record.get(column)).unwrap_or_default();
        let (bound, abstain) = (field(error_bound), field(abstain));
        let error_bound_px = match bound.parse::<f64>() {
            // No bound.
            _ if bound.is_empty() => None,
            Ok(f64::INFINITY) => None,
            Ok(value) if value >= 0.0 => Some(value),
            _ => {
                return Err(LandmarkError::Number {
                    name: self.name.to_owned(),
                    place: self.place,
                    column: ERROR_BOUND,
                    value: cut(bound),
                });
            }
        };
        let abstained = abstain.eq_ignore_ascii_case("true");
        if !(abstained || abstain.is_empty() || abstain.eq_ignore_ascii_case("false")) {
            return Err(LandmarkError::Abstain {
                name: self.name.to_owned(),
                place: self.place,
                value: cut(abstain),
            });
        }
        Ok(Reliability { error_bound_px, abstained })
    }

    /// Checks that a coordinate of an absent landmark is empty.
    fn empty(&self, column: usize) -> Result<(), LandmarkError> {
        if self.field(column).is_empty() {
            return Ok(());
        }
        Err(LandmarkError::AbsentWithPoint { name: self.name.to_owned(), place: self.place })
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

/// Converts errors of the CSV reader on valid UTF-8 in memory: rows of uneven length.
fn malformed(name: &str, line: u64, error: &csv::Error) -> LandmarkError {
    let name = name.to_owned();
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            LandmarkError::Fields { name, line, found: *len, expected: *expected_len }
        }
        _ => LandmarkError::Encoding { name, line },
    }
}

/// Encodes landmarks as a table; with the column `visibility` only if one is not visible.
pub(super) fn encode(images: &[Annotated<'_>]) -> Result<Vec<u8>, std::io::Error> {
    let is_visible = |landmark: &Landmark| landmark.visibility == Visibility::Visible;
    let plain = images.iter().all(|image| image.absent.is_empty() && image.landmarks.iter().all(is_visible));
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut write = |fields: [&str; 5]| csv.write_record(&fields[..if plain { 4 } else { 5 }]);
    let [image, landmark, x, y] = COLUMNS;
    write([image, landmark, x, y, VISIBILITY])?;
    for Annotated { image, landmarks, absent, .. } in images {
        for landmark in *landmarks {
            let (x, y) = (landmark.at.x.to_string(), landmark.at.y.to_string());
            let visibility = if is_visible(landmark) { VISIBLE } else { OCCLUDED };
            write([image, &landmark.name, &x, &y, visibility])?;
        }
        for landmark in *absent {
            write([image, landmark, "", "", ABSENT])?;
        }
    }
    csv.into_inner().map_err(csv::IntoInnerError::into_error)
}
