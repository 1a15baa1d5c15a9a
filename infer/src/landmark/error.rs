//! Errors of landmark files.

use std::fmt;

use super::LandmarkFormat;
use crate::csv_source::QuoteFlaw;
use crate::{FileError, Unplaced};

/// Location in a landmark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// Number of a point in a JSON file, from 1 over the whole file.
    Point(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Point(point) => write!(f, "point {point}"),
        }
    }
}

impl LandmarkError {
    pub(super) fn quote(name: &str, QuoteFlaw { line, problem }: QuoteFlaw) -> LandmarkError {
        LandmarkError::Quote { name: name.to_owned(), line, problem }
    }
}

/// Why a landmark file could not be read, used or written; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A CSV file without rows.
    #[error(
        "{name}: the file is empty or has a header alone; it needs the line image,landmark,x,y and a row per point"
    )]
    Empty {
        /// The path as given.
        name: String,
    },
    /// A file of another format without points.
    #[error("{name}: no landmarks in this {format} file; mark some and save it again")]
    NoPoints {
        /// The path as given.
        name: String,
        /// Its format.
        format: LandmarkFormat,
    },
    /// A file that exceeds the memory budget of the process.
    #[error(
        "{name}: its {rows} rows need about {needed_mib} MiB of memory, and {max_mib} may be used; split it by images, \
         or allow more memory (--memory {needed_mib}M)"
    )]
    TooManyRows {
        /// The path as given.
        name: String,
        /// Rows of the file.
        rows: u64,
        /// Memory of all rows, in MiB.
        needed_mib: u64,
        /// The [`MemoryBudget`](crate::MemoryBudget) of the process, in MiB.
        max_mib: u64,
    },
    /// The text is neither UTF-8 nor UTF-16.
    #[error(
        "{name}, line {line}: not UTF-8 text (perhaps GB18030, Shift JIS or Latin-1); save it in the encoding UTF-8"
    )]
    Encoding {
        /// The path as given.
        name: String,
        /// Line of the first invalid byte, from 1.
        line: u64,
    },
    /// A misplaced quote: not closed, or after a space.
    #[error("{name}, line {line}: a quote is {problem}")]
    Quote {
        /// The path as given.
        name: String,
        /// Line of the quote, from 1.
        line: u64,
        /// The problem, and what to do.
        problem: &'static str,
    },
    /// A row whose number of fields is not that of the header.
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
    /// A column is missing in the header, or repeated.
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
        /// The header found, truncated.
        header: String,
    },
    /// An empty name.
    #[error("{name}, {place}: the field `{column}` is empty; fill it or remove the row")]
    EmptyField {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The column.
        column: &'static str,
    },
    /// A coordinate that is not a finite number.
    #[error(
        "{name}, {place}: {column} is `{value}`, no finite number; write pixels with a decimal point, such as 274.5"
    )]
    Number {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The column.
        column: &'static str,
        /// The field, truncated.
        value: String,
    },
    /// A repeated landmark of an image.
    #[error(
        "{name}, {place}: landmark {landmark} of {image} is given a second time (first in {first}); remove one of them"
    )]
    Duplicate {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// Position of the first occurrence.
        first: Place,
        /// The image.
        image: String,
        /// The landmark.
        landmark: String,
    },
    /// Rows of an image that does not exist.
    #[error(
        "{name}, {place}: there is no image {image}; correct the name (file name with its ending, no folder), add the image or remove its points"
    )]
    UnknownImage {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
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
        /// The first images of the file.
        known: String,
    },
    /// A point outside its image.
    #[error(
        "{name}, {place}: landmark {landmark} at ({x}, {y}) lies outside {image}, which has {width} x {height} pixels; give pixels of this image, the centre of the first at (0, 0)"
    )]
    Outside {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The landmark.
        landmark: String,
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// The image.
        image: String,
        /// Width of the image in pixels.
        width: usize,
        /// Height of the image in pixels.
        height: usize,
    },
    /// A coordinate to write is NaN or infinite.
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
    /// An invalid value in the column `visibility`.
    #[error("{name}, {place}: visibility is `{value}`; write visible, occluded or absent")]
    Visibility {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The field, truncated.
        value: String,
    },
    /// An invalid value in the column `abstain`.
    #[error("{name}, {place}: abstain is `{value}`; write true or false")]
    Abstain {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The field, truncated.
        value: String,
    },
    /// An absent landmark with coordinates.
    #[error(
        "{name}, {place}: an absent landmark has coordinates; leave x and y empty, or change its visibility"
    )]
    AbsentWithPoint {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
    },
    /// A line of ISBI text that is not a pair of numbers.
    #[error(
        "{name}, {place}: `{text}` is not a point `x,y`; ISBI text has a point in each line and no gaps, as it has no names"
    )]
    NotAPair {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The line's text, truncated.
        text: String,
    },
    /// A landmark without a point, in a format without names.
    #[error(
        "{name}: {image} has no point for landmark {landmark}, and ISBI text cannot say so; leave the image or the landmark out, or choose a format with names"
    )]
    MissingPoint {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// The landmark.
        landmark: String,
    },
    /// The image size stated by the file is wrong.
    #[error(
        "{name}: it was made for {image} of {} x {} pixels, but that has {} x {}; use the image that was annotated",
        stated.0, stated.1, size.0, size.1
    )]
    OtherSize {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// Width and height that the file states.
        stated: (usize, usize),
        /// Width and height of the image.
        size: (usize, usize),
    },
    /// An image of unknown size, in a format that states it.
    #[error("{name}: {format} states the size of {image}, which is not known; give the image as well")]
    NoSize {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// The format.
        format: LandmarkFormat,
    },
    /// COCO results without the file that defines their ids.
    #[error(
        "{name}: COCO results name images and key points by the ids of another COCO file; give that one as well"
    )]
    WithoutIndex {
        /// The path as given.
        name: String,
    },
    /// Content that is damaged or does not match the format.
    #[error("{name}: not a {format} file that can be read ({reason}); save it again from its program")]
    Malformed {
        /// The path as given.
        name: String,
        /// The format.
        format: LandmarkFormat,
        /// The problem, truncated.
        reason: String,
    },
    /// JSON of no known kind, or a file name that does not determine the format.
    #[error("{name}: {problem}; known are {}", LandmarkFormat::LIST)]
    UnknownFormat {
        /// The path as given.
        name: String,
        /// Why the format is unknown.
        problem: &'static str,
    },
    /// A file of a format without image names, read without one.
    #[error("{name}: {format} files do not say which image they belong to; name the image")]
    WhichImage {
        /// The path as given.
        name: String,
        /// Its format.
        format: LandmarkFormat,
    },
    /// Several images for a format of one image per file.
    #[error(
        "{name}: a {format} file holds the landmarks of one image, not of {count}; write a file for each"
    )]
    OneImage {
        /// The path as given.
        name: String,
        /// Its format.
        format: LandmarkFormat,
        /// Number of images.
        count: usize,
    },
    /// Markups without a coordinate system, or in an unknown one.
    #[error("{name}: {problem}; save the markups from 3D Slicer in LPS or RAS, in mm")]
    Coordinates {
        /// The path as given.
        name: String,
        /// The problem.
        problem: CoordinateError,
    },
    /// Positions in millimetres of 3D Slicer on an image of unknown placement.
    #[error(
        "{name}: what millimetres are on {image} is not known: {reason}; give the image's file, or use landmarks in pixels, such as CSV"
    )]
    Unplaced {
        /// The path as given.
        name: String,
        /// The image.
        image: String,
        /// The reason.
        reason: Unplaced,
    },
    /// A point outside the image's plane.
    #[error(
        "{name}, {place}: landmark {landmark} lies {off_plane_mm} mm off the plane of the image, whose slice is {thickness_mm} mm thick; mark points on the image itself, and give the image that they were marked on"
    )]
    OffPlane {
        /// The path as given.
        name: String,
        /// Position in the file.
        place: Place,
        /// The landmark.
        landmark: String,
        /// Distance from the plane, along its normal.
        off_plane_mm: f64,
        /// Thickness of the slice in ITK.
        thickness_mm: f64,
    },
    /// Fewer points than names.
    #[error(
        "{name}: {found} points for {expected} names; give as many names as the file has points, or fewer"
    )]
    TooFewPoints {
        /// The path as given.
        name: String,
        /// Points in the file.
        found: usize,
        /// Names given.
        expected: usize,
    },
}

/// Why coordinates of 3D Slicer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinateError {
    /// The coordinate system is missing.
    #[error("no coordinate system is given")]
    Missing,
    /// The coordinate system is neither LPS nor RAS.
    #[error("the coordinate system {found} is not known")]
    System {
        /// The value found, truncated.
        found: String,
    },
    /// The unit is not mm.
    #[error("coordinates in {found}")]
    Units {
        /// The value found, truncated.
        found: String,
    },
}

/// Inconsistency of a COCO file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CocoError {
    #[error("two images have the id {id}")]
    Image { id: String },
    #[error("two categories have the id {id}")]
    Category { id: String },
    #[error("{numbers} numbers for the {key_points} key points of category {category}, not three each")]
    Numbers { numbers: usize, key_points: usize, category: String },
    #[error("no category has the key points {names}")]
    NoCategory { names: String },
    #[error("several categories have the key points {names}")]
    Ambiguous { names: String },
}
