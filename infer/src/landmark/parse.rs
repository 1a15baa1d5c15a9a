//! CSV to landmarks, with the line of every mistake.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use infomark_core::Point;

use super::{Landmark, LandmarkError, LandmarkFile, Rows};
use crate::file::{self, FileProblem};

/// The columns, in the order in which they are written.
pub(super) const COLUMNS: [&str; 4] = ["image", "landmark", "x", "y"];

/// Longest landmark file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Longest piece of the file that a message repeats, in characters.
const SHOWN: usize = 60;

/// Reads a CSV file with the columns `image`, `landmark`, `x` and `y` in any order; other columns are ignored.
///
/// `image` is a file name without folder, `x` and `y` are pixels of that image, the centre of the first at `(0, 0)`. UTF-8
/// with or without a byte-order mark; spaces around a field are dropped. Whether images exist and points lie on them is for
/// [`LandmarkFile::check_images`] and [`LandmarkFile::on_image`] to say.
///
/// # Errors
///
/// Every case of [`LandmarkError`] but those that need to know the images.
pub fn read_landmarks(path: impl AsRef<Path>) -> Result<LandmarkFile, LandmarkError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match file::read(path, MAX_BYTES) {
        Ok(bytes) => parse_landmarks(&bytes, name),
        Err(problem) => Err(match problem {
            FileProblem::Missing => LandmarkError::Missing { name },
            FileProblem::NotAFile => LandmarkError::NotAFile { name },
            FileProblem::Empty => LandmarkError::Empty { name },
            FileProblem::TooLarge { bytes } => LandmarkError::TooLarge { name, bytes },
            FileProblem::Unreadable(source) => LandmarkError::Unreadable { name, source },
        }),
    }
}

/// [`read_landmarks`] for a file that is in memory already; `name` stands for it in messages.
///
/// # Errors
///
/// As [`read_landmarks`].
///
/// ```
/// let file = infomark_infer::parse_landmarks(b"landmark,image,x,y\nsella,001.png,274.5,330.5\n", "points.csv")?;
/// assert_eq!(file.get("001.png")[0].at.x, 274.5);
/// # Ok::<(), infomark_infer::LandmarkError>(())
/// ```
pub fn parse_landmarks(bytes: &[u8], name: impl Into<String>) -> Result<LandmarkFile, LandmarkError> {
    let name = name.into();
    let text = std::str::from_utf8(bytes).map_err(|error| LandmarkError::Encoding {
        name: name.clone(),
        line: line_of(bytes, error.valid_up_to()),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| malformed(&name, &error))?.clone();
    let columns = columns(&name, &header)?;
    let mut images = BTreeMap::<String, Rows>::new();
    let mut seen = HashMap::<(String, String), u64>::new();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(&name, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { name: &name, record: &record, line, columns };
        let (image, landmark) = (row.text(0)?, row.text(1)?);
        let at = Point::new(row.number(2)?, row.number(3)?);
        if let Some(first) = seen.insert((image.to_owned(), landmark.to_owned()), line) {
            return Err(LandmarkError::Duplicate {
                name: name.clone(),
                line,
                first,
                image: cut(image),
                landmark: cut(landmark),
            });
        }
        let rows = images.entry(image.to_owned()).or_default();
        rows.landmarks.push(Landmark { name: landmark.to_owned(), at });
        rows.lines.push(line);
    }
    if images.is_empty() {
        return Err(LandmarkError::Empty { name });
    }
    Ok(LandmarkFile { name, images })
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
    line: u64,
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
                line: self.line,
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
                line: self.line,
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

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
