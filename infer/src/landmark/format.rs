//! Which format a landmark file has, and reading and writing in any of them.

use std::fmt;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Landmark, LandmarkError, LandmarkFile, coco, cut, isbi, labelme, physical, slicer, table};
use crate::file::{self, FileProblem};
use crate::{PixelSpacing, Placement};

/// Longest landmark file, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A kind of landmark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LandmarkFormat {
    /// A table with the columns `image,landmark,x,y` (`.csv`): pixels, the centre of the first at `(0, 0)`.
    Csv,
    /// 3D Slicer markups (`.mrk.json`): millimetres in the coordinate system that the file names, one image a file.
    Slicer,
    /// COCO key points (`.json`): pixels, the centre of the first at `(0, 0)`, with visibility.
    Coco,
    /// LabelMe points (`.json`): pixels, the **corner** of the first at `(0, 0)`, one image a file.
    LabelMe,
    /// Text of the ISBI 2015 cephalogram challenge (`.txt`): a line `x,y` for each landmark, in an agreed order and without
    /// names; pixels, the centre of the first at `(0, 0)`, one image a file.
    Isbi,
}

impl LandmarkFormat {
    /// All of them.
    pub const ALL: [LandmarkFormat; 5] = [
        LandmarkFormat::Csv,
        LandmarkFormat::Slicer,
        LandmarkFormat::Coco,
        LandmarkFormat::LabelMe,
        LandmarkFormat::Isbi,
    ];

    pub(super) const LIST: &str =
        "CSV (.csv), 3D Slicer markups (.mrk.json), COCO (.json), LabelMe (.json) and ISBI text (.txt)";

    /// Whether a file holds the landmarks of one image only.
    pub fn is_of_one_image(self) -> bool {
        !matches!(self, LandmarkFormat::Csv | LandmarkFormat::Coco)
    }

    /// How names of such files end.
    pub fn ending(self) -> &'static str {
        match self {
            LandmarkFormat::Csv => "csv",
            LandmarkFormat::Slicer => "mrk.json",
            LandmarkFormat::Coco | LandmarkFormat::LabelMe => "json",
            LandmarkFormat::Isbi => "txt",
        }
    }

    /// The format that a file's name tells; none for `.json`, which several share, and for other endings.
    pub fn of_name(path: impl AsRef<Path>) -> Option<LandmarkFormat> {
        let name = path.as_ref().file_name()?.to_string_lossy().to_lowercase();
        let told = [LandmarkFormat::Csv, LandmarkFormat::Slicer, LandmarkFormat::Isbi];
        told.into_iter().find(|format| name.ends_with(&format!(".{}", format.ending())))
    }

    /// The format of a file's content: JSON by its fields, text by its first line.
    fn of_content(text: &str, name: &str) -> Result<LandmarkFormat, LandmarkError> {
        if text.trim_start().starts_with('{') {
            let unknown = |problem| LandmarkError::UnknownFormat { name: name.to_owned(), problem };
            let fields: Fields =
                serde_json::from_str(text).map_err(|_| unknown("JSON that is damaged or ends early"))?;
            return match fields {
                Fields { markups: Some(_), .. } => Ok(LandmarkFormat::Slicer),
                Fields { annotations: Some(_), .. } => Ok(LandmarkFormat::Coco),
                Fields { shapes: Some(_), .. } => Ok(LandmarkFormat::LabelMe),
                _ => Err(unknown("JSON without `markups`, `annotations` or `shapes`")),
            };
        }
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        Ok(if isbi::pair(first).is_some() { LandmarkFormat::Isbi } else { LandmarkFormat::Csv })
    }
}

impl fmt::Display for LandmarkFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LandmarkFormat::Csv => "CSV",
            LandmarkFormat::Slicer => "3D Slicer markups",
            LandmarkFormat::Coco => "COCO",
            LandmarkFormat::LabelMe => "LabelMe",
            LandmarkFormat::Isbi => "ISBI text",
        })
    }
}

/// The fields that tell one JSON format from another.
#[derive(Deserialize)]
struct Fields {
    markups: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
    shapes: Option<IgnoredAny>,
}

/// What a file with the landmarks of one image may leave open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The image that 3D Slicer markups and ISBI text belong to: its file name without folder. The other formats name theirs.
    pub image: Option<&'a str>,
    /// Where 3D Slicer places the image, which its markups need: [`ImageHeader::placement`](crate::ImageHeader::placement).
    pub placement: Option<Placement>,
    /// Names of the landmarks of ISBI text, in its order; without them, they are called `1`, `2`, and so on.
    pub names: &'a [String],
}

/// An image with its landmarks, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Annotated<'a> {
    /// File name without folder.
    pub image: &'a str,
    /// Width and height in pixels, which COCO and LabelMe state.
    pub size: (usize, usize),
    /// True size of its pixels, if it is known: 3D Slicer markups say where Slicer takes another.
    pub spacing: Option<&'a PixelSpacing>,
    /// Where 3D Slicer places the image, which its markups need: [`ImageHeader::placement`](crate::ImageHeader::placement).
    pub placement: Option<Placement>,
    /// Its landmarks.
    pub landmarks: &'a [Landmark],
}

/// Reads a CSV file with the columns `image`, `landmark`, `x` and `y` in any order; other columns are ignored.
///
/// `image` is a file name without folder, `x` and `y` are pixels of that image, the centre of the first at `(0, 0)`. UTF-8
/// with or without a byte-order mark; spaces around a field are dropped. Whether images exist and points lie on them is for
/// [`LandmarkFile::check_images`] and [`LandmarkFile::on_image`] to say.
///
/// # Errors
///
/// Every case of [`LandmarkError`] for CSV but those that need to know the images.
pub fn read_landmarks(path: impl AsRef<Path>) -> Result<LandmarkFile, LandmarkError> {
    let (bytes, name) = read_bytes(path.as_ref())?;
    parse_landmarks(&bytes, name)
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
    table::parse(bytes, &name.into())
}

/// Reads a landmark file of any [`LandmarkFormat`], told by its content; all points become pixels, the centre of the first at
/// `(0, 0)`.
///
/// Left out are what a format marks as not there (COCO visibility 0, Slicer's points without a defined position) and LabelMe's
/// shapes other than points.
///
/// # Errors
///
/// Every case of [`LandmarkError`] but those of writing and those that need to know the images.
pub fn read_landmarks_of(
    path: impl AsRef<Path>,
    subject: &Subject<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let (bytes, name) = read_bytes(path.as_ref())?;
    parse_landmarks_of(&bytes, name, subject)
}

/// [`read_landmarks_of`] for a file that is in memory already; `name` stands for it in messages.
///
/// # Errors
///
/// As [`read_landmarks_of`].
///
/// ```
/// use infomark_infer::{LandmarkFormat, Subject, parse_landmarks_of};
///
/// let names = ["sella".to_owned()];
/// let subject = Subject { image: Some("001.png"), names: &names, ..Subject::default() };
/// let file = parse_landmarks_of(b"274.5,330.5\n", "001.txt", &subject)?;
/// assert_eq!(file.format(), LandmarkFormat::Isbi);
/// assert_eq!(file.get("001.png")[0].name, "sella");
/// # Ok::<(), infomark_infer::LandmarkError>(())
/// ```
pub fn parse_landmarks_of(
    bytes: &[u8],
    name: impl Into<String>,
    subject: &Subject<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let name = name.into();
    let text = table::utf8(bytes, &name)?;
    match LandmarkFormat::of_content(text, &name)? {
        LandmarkFormat::Csv => table::parse(bytes, &name),
        LandmarkFormat::Slicer => slicer::parse(text, &name, subject),
        LandmarkFormat::Coco => coco::parse(text, &name),
        LandmarkFormat::LabelMe => labelme::parse(text, &name),
        LandmarkFormat::Isbi => isbi::parse(text, &name, subject),
    }
}

/// Writes a CSV file: the given images in order, each with its landmarks in order.
///
/// The file appears whole or not at all. Coordinates are written so that reading gives the same numbers.
///
/// # Errors
///
/// [`LandmarkError::NotFinite`] for a coordinate that is NaN or infinite, [`LandmarkError::Unwritable`].
///
/// ```
/// use infomark_core::Point;
/// use infomark_infer::{Landmark, read_landmarks, write_landmarks};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("points.csv");
/// let points = [Landmark::new("sella", Point::new(274.5, 330.25))];
/// write_landmarks(&path, [("001.png", &points[..])])?;
/// assert_eq!(read_landmarks(&path)?.get("001.png"), &points);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_landmarks<'a>(
    path: impl AsRef<Path>,
    images: impl IntoIterator<Item = (&'a str, &'a [Landmark])>,
) -> Result<(), LandmarkError> {
    let images = images.into_iter();
    let images = images.map(|(image, landmarks)| Annotated {
        image,
        size: (0, 0),
        spacing: None,
        placement: None,
        landmarks,
    });
    write_landmarks_as(path, LandmarkFormat::Csv, &images.collect::<Vec<_>>())
}

/// Writes a landmark file in a format, all or nothing.
///
/// CSV, COCO and ISBI text hold the same numbers as the points, to the bit; LabelMe's are shifted by half a pixel, Slicer's
/// are positions in millimetres. ISBI text holds no names, and only COCO what is hidden.
///
/// # Errors
///
/// [`LandmarkError::NotFinite`] for a coordinate that is NaN or infinite, [`LandmarkError::OneImage`],
/// [`LandmarkError::Unplaced`], [`LandmarkError::Unwritable`].
pub fn write_landmarks_as(
    path: impl AsRef<Path>,
    format: LandmarkFormat,
    images: &[Annotated<'_>],
) -> Result<(), LandmarkError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let bytes = encode_landmarks(format, images, &name)?;
    file::write(path, &bytes).map_err(|source| LandmarkError::Unwritable { name, source })
}

/// The bytes that [`write_landmarks_as`] writes; `name` stands for the file in messages.
///
/// # Errors
///
/// As [`write_landmarks_as`].
pub fn encode_landmarks(
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    name: &str,
) -> Result<Vec<u8>, LandmarkError> {
    for Annotated { image, landmarks, .. } in images {
        if let Some(landmark) = landmarks.iter().find(|landmark| !landmark.at.is_finite()) {
            return Err(LandmarkError::NotFinite {
                name: name.to_owned(),
                image: (*image).to_owned(),
                landmark: landmark.name.clone(),
            });
        }
    }
    let unwritable = |source| LandmarkError::Unwritable { name: name.to_owned(), source };
    match format {
        LandmarkFormat::Csv => return table::encode(images).map_err(unwritable),
        LandmarkFormat::Coco => return coco::encode(images).map_err(|error| unwritable(error.into())),
        LandmarkFormat::Slicer | LandmarkFormat::LabelMe | LandmarkFormat::Isbi => {}
    }
    let [image] = images else {
        return Err(LandmarkError::OneImage { name: name.to_owned(), format, count: images.len() });
    };
    let bytes = match format {
        LandmarkFormat::Slicer => slicer::encode(image, &physical::geometry(image, name)?),
        LandmarkFormat::LabelMe => labelme::encode(image),
        _ => Ok(isbi::encode(image)),
    };
    bytes.map_err(|error| unwritable(error.into()))
}

/// JSON of a format as one of its types.
pub(super) fn from_json<'a, T: Deserialize<'a>>(
    text: &'a str,
    name: &str,
    format: LandmarkFormat,
) -> Result<T, LandmarkError> {
    serde_json::from_str(text).map_err(|error| LandmarkError::Malformed {
        name: name.to_owned(),
        format,
        reason: format!("line {}, column {}: {}", error.line(), error.column(), cut(&error.to_string())),
    })
}

/// The bytes of a JSON file.
pub(super) fn to_json(object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(object)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_bytes(path: &Path) -> Result<(Vec<u8>, String), LandmarkError> {
    let name = path.display().to_string();
    match file::read(path, MAX_BYTES) {
        Ok(bytes) => Ok((bytes, name)),
        Err(problem) => Err(match problem {
            FileProblem::Missing => LandmarkError::Missing { name },
            FileProblem::NotAFile => LandmarkError::NotAFile { name },
            FileProblem::Empty => LandmarkError::Empty { name },
            FileProblem::TooLarge { bytes } => LandmarkError::TooLarge { name, bytes },
            FileProblem::Unreadable(source) => LandmarkError::Unreadable { name, source },
        }),
    }
}
