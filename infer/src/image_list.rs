//! Image lists: CSV files with a label and a path per image.

use std::collections::HashMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use csv::{ErrorKind, StringRecord};

use crate::csv_source::{CsvRows, QuoteFlaw};
use crate::file::{self, FileError, FileProblem};
use crate::hash;
use crate::landmark::normal_name;
use crate::shard::Shard;

/// Maximum length of a list, in bytes.
const MAX_BYTES: u64 = 4 << 30;
/// Maximum length of a label, in bytes.
const MAX_LABEL: usize = 1000;
/// Maximum length of a file stem made from a label, in bytes; leaves room for endings and temporary names.
const MAX_STEM: usize = 200;
/// The columns.
const COLUMNS: [&str; 2] = ["image", "path"];

/// Image of an [`ImageList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedImage {
    /// Label in results.
    pub label: String,
    /// Path of its file; a relative path is resolved against the list's folder. It need not exist.
    pub path: PathBuf,
}

/// List of images: a CSV file with the columns `image` and `path`, in its order.
///
/// `image` is the label of the image in all results; `path` is its file, relative to the folder of the
/// list or absolute. The columns are in any order, others are ignored, and fields are trimmed. The image files are not
/// accessed.
#[derive(Clone, Debug)]
pub struct ImageList {
    images: Vec<ListedImage>,
    total: usize,
}

/// Why a list of images was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageListError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A column is missing or repeated.
    #[error(
        "{name}: the column {column} is {problem} (its first line is {header:?}); a list of images has the columns image,path"
    )]
    Column {
        /// The list.
        name: String,
        /// The column.
        column: &'static str,
        /// "missing" or "repeated".
        problem: &'static str,
        /// The first line.
        header: String,
    },
    /// A line whose number of fields differs from the first.
    #[error(
        "{name}, line {line}: {found} fields, but the first line has {expected}; quote fields that hold commas"
    )]
    Fields {
        /// The list.
        name: String,
        /// The line, from 1.
        line: u64,
        /// Fields of the line.
        found: u64,
        /// Fields of the first line.
        expected: u64,
    },
    /// The text is not UTF-8.
    #[error("{name}, line {line}: not text in UTF-8; save the list in that encoding")]
    Encoding {
        /// The list.
        name: String,
        /// The line, from 1.
        line: u64,
    },
    /// A misplaced quote: not closed, or after a space.
    #[error("{name}, line {line}: a quote is {problem}")]
    Quote {
        /// The list.
        name: String,
        /// The line of the quote, from 1.
        line: u64,
        /// The problem, and what to do.
        problem: &'static str,
    },
    /// An empty label or path.
    #[error("{name}, line {line}: {column} is empty; give each image a label and a path")]
    EmptyField {
        /// The list.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// A label that is too long or contains control characters, such as line ends.
    #[error("{name}, line {line}: the label of an image has at most {max} bytes and no control characters; give another", max = MAX_LABEL)]
    Label {
        /// The list.
        name: String,
        /// The line, from 1.
        line: u64,
    },
    /// A repeated label.
    #[error(
        "{name}, line {line}: the image {label} is listed a second time (first in line {first}; labels that differ in case alone are the same); remove one or give it another label"
    )]
    Duplicate {
        /// The list.
        name: String,
        /// The line, from 1.
        line: u64,
        /// Line of the first occurrence.
        first: u64,
        /// The label.
        label: String,
    },
    /// A list without images.
    #[error("{name}: no image in this list; give a line with label and path for each")]
    Empty {
        /// The list.
        name: String,
    },
}

impl ImageListError {
    fn quote(name: String, QuoteFlaw { line, problem }: QuoteFlaw) -> ImageListError {
        ImageListError::Quote { name, line, problem }
    }
}

impl ImageList {
    /// Reads a list, or one shard of it; every line is checked in either case.
    ///
    /// Memory: labels and paths of the images kept, and about 40 bytes per line.
    ///
    /// # Errors
    /// [`ImageListError`], with the line of the problem.
    pub fn read(path: impl AsRef<Path>, shard: Option<Shard>) -> Result<ImageList, ImageListError> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let (file, length) = file::open(path).map_err(|problem| problem.named(path, MAX_BYTES))?;
        if length > MAX_BYTES {
            return Err(FileProblem::TooLarge { bytes: length }.named(path, MAX_BYTES).into());
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let (mut rows, mut record) = (CsvRows::new(BufReader::new(file)), StringRecord::new());
        let next = |rows: &mut CsvRows<_>, record: &mut StringRecord| {
            // A misplaced quote is reported first: it can be the cause of a wrong number of fields.
            rows.next(record).map_err(|wrong| {
                rows.flaw().map_or_else(|| malformed(path, wrong), |flaw| ImageListError::quote(name(), flaw))
            })
        };
        next(&mut rows, &mut record)?;
        let columns = columns(&name, &record)?;
        let (mut images, mut total, mut seen) = (Vec::new(), 0, HashMap::new());
        while let Some(line) = next(&mut rows, &mut record)? {
            let field = |place: usize| match record.get(columns[place]).unwrap_or_default() {
                "" => Err(ImageListError::EmptyField { name: name(), line, column: COLUMNS[place] }),
                text => Ok(text),
            };
            let (label, file) = (field(0)?, field(1)?);
            if label.len() > MAX_LABEL || label.contains(char::is_control) {
                return Err(ImageListError::Label { name: name(), line });
            }
            // Files are named after labels, and some file systems ignore case or normal forms.
            let key = hash::short(normal_name(&label.to_lowercase()).as_bytes());
            if let Some(first) = seen.insert(key, line) {
                return Err(ImageListError::Duplicate { name: name(), line, first, label: label.to_owned() });
            }
            total += 1;
            if shard.is_none_or(|shard| shard.holds(label)) {
                images.push(ListedImage { label: label.to_owned(), path: folder.join(file) });
            }
        }
        if let Some(flaw) = rows.flaw() {
            return Err(ImageListError::quote(name(), flaw));
        }
        if total == 0 {
            return Err(ImageListError::Empty { name: name() });
        }
        Ok(ImageList { images, total })
    }

    /// The images, or those of the shard, in the order of the list.
    pub fn images(&self) -> &[ListedImage] {
        &self.images
    }

    /// Takes the images out.
    pub(crate) fn into_images(self) -> Vec<ListedImage> {
        self.images
    }

    /// Number of images of the whole list, including other shards.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// File stem of a listed image, which depends only on its label: letters, digits, `-`,
/// `_` and `.` (not at the start) are kept, and every other byte of UTF-8 is written as `%` and two hexadecimal digits. A
/// stem longer than 200 bytes is truncated and followed by `-` and 16 digits of the label's SHA-256.
///
/// ```
/// assert_eq!(infomark_infer::file_stem_of("ward-a/001.png"), "ward-a%2F001.png");
/// ```
pub fn file_stem_of(label: &str) -> String {
    let mut stem = String::with_capacity(label.len());
    for (at, letter) in label.char_indices() {
        if letter.is_alphanumeric() || matches!(letter, '-' | '_') || letter == '.' && at > 0 {
            stem.push(letter);
        } else {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).bytes();
            stem.extend(bytes.map(|byte| format!("%{byte:02X}")));
        }
    }
    if stem.len() > MAX_STEM {
        let hash = hash::sha256(label.as_bytes());
        let hash = hash.get(..16).unwrap_or_default();
        let end = (0..MAX_STEM - hash.len()).rev().find(|&end| stem.is_char_boundary(end));
        stem.truncate(end.unwrap_or(0));
        stem = format!("{stem}-{hash}");
    }
    stem
}

/// Indices of the columns.
fn columns(name: &impl Fn() -> String, header: &StringRecord) -> Result<[usize; 2], ImageListError> {
    let mut places = [0; 2];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, field)| field.eq_ignore_ascii_case(column));
        let wrong = |problem| {
            let header: String = header.iter().collect::<Vec<_>>().join(",").chars().take(60).collect();
            ImageListError::Column { name: name(), column, problem, header }
        };
        *place = found.next().ok_or_else(|| wrong("missing"))?.0;
        if found.next().is_some() {
            return Err(wrong("repeated"));
        }
    }
    Ok(places)
}

fn malformed(path: &Path, (line, error): (u64, csv::Error)) -> ImageListError {
    let name = path.display().to_string();
    match error.into_kind() {
        ErrorKind::UnequalLengths { expected_len: expected, len: found, .. } => {
            ImageListError::Fields { name, line, found, expected }
        }
        ErrorKind::Io(source) => FileProblem::Unreadable(source).named(path, MAX_BYTES).into(),
        _ => ImageListError::Encoding { name, line },
    }
}
