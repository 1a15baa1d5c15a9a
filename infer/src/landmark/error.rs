//! What can be wrong with a landmark file.

/// Why a landmark file could not be read, used or written; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkError {
    /// There is no such file.
    #[error("{name}: no such file; check the spelling and the folder it is looked up in")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// A folder, a device or a pipe where a file is wanted.
    #[error("{name}: not a file; name a CSV file with the columns image,landmark,x,y")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// The operating system refused to read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operating system refused to write.
    #[error("{name}: cannot be written ({source}); check the folder, its permissions and the disk")]
    Unwritable {
        /// The path as given.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// No rows.
    #[error(
        "{name}: the file is empty or has a header alone; it needs the line image,landmark,x,y and a row per point"
    )]
    Empty {
        /// The path as given.
        name: String,
    },
    /// Beyond what a landmark file may hold.
    #[error("{name}: {bytes} bytes are more than a landmark file may have (64 MiB); split it")]
    TooLarge {
        /// The path as given.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// Bytes that are no UTF-8.
    #[error("{name}, line {line}: not UTF-8 text; save the table as `CSV UTF-8`")]
    Encoding {
        /// The path as given.
        name: String,
        /// Line of the first such byte, from 1.
        line: u64,
    },
    /// A row of another length than the header.
    #[error("{name}, line {line}: {found} fields where the header has {expected}; fill or remove the row")]
    Fields {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: u64,
        /// Fields in the row.
        found: u64,
        /// Fields in the header.
        expected: u64,
    },
    /// The header lacks a column, or names one twice.
    #[error(
        "{name}, line 1: column `{column}` is {problem} in the header ({header}); the first line has to name image,landmark,x,y, separated by commas"
    )]
    Column {
        /// The path as given.
        name: String,
        /// The column.
        column: &'static str,
        /// `missing` or `repeated`.
        problem: &'static str,
        /// The header found, cut to its first part.
        header: String,
    },
    /// A name left empty.
    #[error("{name}, line {line}: the field `{column}` is empty; fill it or remove the row")]
    EmptyField {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// A coordinate that is no finite number.
    #[error(
        "{name}, line {line}: {column} is `{value}`, no finite number; write pixels with a decimal point, such as 274.5"
    )]
    Number {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The field, cut to its first part.
        value: String,
    },
    /// The same landmark of the same image twice.
    #[error(
        "{name}, line {line}: landmark {landmark} of {image} is given a second time (first in line {first}); remove one of the rows"
    )]
    Duplicate {
        /// The path as given.
        name: String,
        /// Line of the second row, from 1.
        line: u64,
        /// Line of the first row.
        first: u64,
        /// The image.
        image: String,
        /// The landmark.
        landmark: String,
    },
    /// Rows for an image that is not there.
    #[error(
        "{name}, line {line}: there is no image {image}; correct the name (file name with its ending, no folder), add the image or remove its rows"
    )]
    UnknownImage {
        /// The path as given.
        name: String,
        /// Line of its first row, from 1.
        line: u64,
        /// The image.
        image: String,
    },
    /// An image without rows.
    #[error("{name}: no rows for image {image} (it has {known}); add them, or name an image that has rows")]
    NoRows {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// The first images that the file has.
        known: String,
    },
    /// A point beyond its image.
    #[error(
        "{name}, line {line}: landmark {landmark} at ({x}, {y}) lies outside {image}, which has {width} x {height} pixels; give pixels of this image, the centre of the first at (0, 0)"
    )]
    Outside {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: u64,
        /// The landmark.
        landmark: String,
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// The image.
        image: String,
        /// Its width in pixels.
        width: usize,
        /// Its height in pixels.
        height: usize,
    },
    /// A coordinate to be written is NaN or infinite.
    #[error(
        "{name}: landmark {landmark} of {image} is not at a finite place; nothing was written, leave it out"
    )]
    NotFinite {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// The landmark.
        landmark: String,
    },
}
