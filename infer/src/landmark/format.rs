//! Formats of landmark files, with their reading and writing options.

use std::fmt;
use std::path::Path;

use super::{CocoIndex, Landmark};
use crate::{PixelSpacing, Placement};

/// Format of a landmark file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LandmarkFormat {
    /// A table with the columns `image,landmark,x,y` and optionally `visibility` (`.csv`): pixels, the centre of the first at
    /// `(0, 0)`.
    Csv,
    /// 3D Slicer markups (`.mrk.json`): millimetres in the coordinate system that the file names, one image per file.
    Slicer,
    /// 3D Slicer fiducials (`.fcsv`), the predecessor of markups: likewise.
    Fcsv,
    /// COCO keypoints (`.json`): pixels, the centre of the first at `(0, 0)`, with visibility.
    Coco,
    /// COCO results (`.json`): keypoints, with ids defined by another COCO file, given as [`CocoIndex`].
    CocoResults,
    /// LabelMe points (`.json`): pixels, the **corner** of the first at `(0, 0)`, one image per file.
    LabelMe,
    /// CVAT for images 1.1 (`.xml`), points and skeletons: pixels, the **corner** of the first at `(0, 0)`.
    Cvat,
    /// Label Studio keypoints (`.json`), exported as JSON or JSON-MIN: per cent of the image from its corner.
    LabelStudio,
    /// Text of the ISBI 2015 cephalogram challenge (`.txt`): a line `x,y` per landmark, in an agreed order and without
    /// names; pixels, the centre of the first at `(0, 0)`, one image per file.
    Isbi,
}

impl LandmarkFormat {
    /// All formats.
    pub const ALL: [LandmarkFormat; 9] = [
        LandmarkFormat::Csv,
        LandmarkFormat::Slicer,
        LandmarkFormat::Fcsv,
        LandmarkFormat::Coco,
        LandmarkFormat::CocoResults,
        LandmarkFormat::LabelMe,
        LandmarkFormat::Cvat,
        LandmarkFormat::LabelStudio,
        LandmarkFormat::Isbi,
    ];

    pub(super) const LIST: &str = "CSV (.csv), 3D Slicer (.mrk.json, .fcsv), COCO (.json), LabelMe (.json), CVAT for images \
                                   (.xml), Label Studio (.json) and ISBI text (.txt)";

    /// Name in options and folders, such as `labelme`.
    pub fn key(self) -> &'static str {
        match self {
            LandmarkFormat::Csv => "csv",
            LandmarkFormat::Slicer => "slicer",
            LandmarkFormat::Fcsv => "fcsv",
            LandmarkFormat::Coco => "coco",
            LandmarkFormat::CocoResults => "coco-results",
            LandmarkFormat::LabelMe => "labelme",
            LandmarkFormat::Cvat => "cvat",
            LandmarkFormat::LabelStudio => "label-studio",
            LandmarkFormat::Isbi => "isbi",
        }
    }

    /// The format with a [`key`](Self::key).
    pub fn of_key(key: &str) -> Option<LandmarkFormat> {
        LandmarkFormat::ALL.into_iter().find(|format| format.key() == key)
    }

    /// Whether a file holds the landmarks of one image only.
    pub fn is_of_one_image(self) -> bool {
        use LandmarkFormat::{Fcsv, Isbi, LabelMe, Slicer};
        matches!(self, Slicer | Fcsv | LabelMe | Isbi)
    }

    /// Whether files state the size of their images, which is then needed for writing.
    pub fn states_size(self) -> bool {
        use LandmarkFormat::{Coco, Cvat, LabelMe, LabelStudio};
        matches!(self, Coco | LabelMe | Cvat | LabelStudio)
    }

    /// Whether a file has one order of the landmarks for all of its images, including those without a point; in the others each
    /// image has its own.
    pub fn has_one_order(self) -> bool {
        use LandmarkFormat::{Coco, CocoResults, Cvat, Isbi, Slicer};
        matches!(self, Slicer | Coco | CocoResults | Cvat | Isbi)
    }

    /// Whether points are in millimetres, in the placement of [`ItkGeometry`](crate::ItkGeometry).
    pub fn is_physical(self) -> bool {
        matches!(self, LandmarkFormat::Slicer | LandmarkFormat::Fcsv)
    }

    /// Whether ids of images and landmarks are defined by another file.
    pub fn needs_index(self) -> bool {
        self == LandmarkFormat::CocoResults
    }

    /// Whether files distinguish occluded landmarks from visible ones.
    pub fn keeps_visibility(self) -> bool {
        !matches!(self, LandmarkFormat::CocoResults | LandmarkFormat::Isbi)
    }

    /// Whether files distinguish absent landmarks from those not annotated.
    pub fn keeps_absent(self) -> bool {
        self.keeps_visibility() && self != LandmarkFormat::Fcsv
    }

    /// File name extension.
    pub fn ending(self) -> &'static str {
        match self {
            LandmarkFormat::Csv => "csv",
            LandmarkFormat::Slicer => "mrk.json",
            LandmarkFormat::Fcsv => "fcsv",
            LandmarkFormat::Cvat => "xml",
            LandmarkFormat::Isbi => "txt",
            LandmarkFormat::Coco
            | LandmarkFormat::CocoResults
            | LandmarkFormat::LabelMe
            | LandmarkFormat::LabelStudio => "json",
        }
    }

    /// The format of a file name; `None` for `.json`, which several share, and for other endings.
    pub fn of_name(path: impl AsRef<Path>) -> Option<LandmarkFormat> {
        let name = path.as_ref().file_name()?.to_string_lossy().to_lowercase();
        let mut told = LandmarkFormat::ALL.into_iter().filter(|format| format.ending() != "json");
        told.find(|format| name.ends_with(&format!(".{}", format.ending())))
    }
}

impl fmt::Display for LandmarkFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LandmarkFormat::Csv => "CSV",
            LandmarkFormat::Slicer => "3D Slicer markups",
            LandmarkFormat::Fcsv => "3D Slicer fiducials",
            LandmarkFormat::Coco => "COCO",
            LandmarkFormat::CocoResults => "COCO results",
            LandmarkFormat::LabelMe => "LabelMe",
            LandmarkFormat::Cvat => "CVAT",
            LandmarkFormat::LabelStudio => "Label Studio",
            LandmarkFormat::Isbi => "ISBI text",
        })
    }
}

/// Context of a landmark file of one image: data that the file does not state.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageContext<'a> {
    /// File name without folder of the image of a 3D Slicer file or ISBI text. The other formats name theirs.
    pub image: Option<&'a str>,
    /// Placement of the image in 3D Slicer, for its markups: [`ImageHeader::placement`](crate::ImageHeader::placement).
    pub placement: Option<Placement>,
    /// Names of the landmarks of ISBI text, in its order; without them, they are named `1`, `2`, and so on.
    pub names: &'a [String],
    /// Images and categories that COCO results refer to.
    pub coco: Option<&'a CocoIndex>,
}

/// Image with its landmarks, for writing.
#[derive(Clone, Copy, Debug)]
pub struct Annotated<'a> {
    /// File name without folder.
    pub image: &'a str,
    /// Width and height in pixels, which [some formats](LandmarkFormat::states_size) state.
    pub size: (usize, usize),
    /// True pixel size, if known: 3D Slicer markups note where Slicer uses another.
    pub spacing: Option<&'a PixelSpacing>,
    /// Placement of the image in 3D Slicer, for its files: [`ImageHeader::placement`](crate::ImageHeader::placement).
    pub placement: Option<Placement>,
    /// Its annotated landmarks.
    pub landmarks: &'a [Landmark],
    /// Names of the absent landmarks.
    pub absent: &'a [String],
}

/// Options of writing landmark files.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions<'a> {
    /// Order of the landmarks. ISBI text has exactly these, and every image needs each; in the other formats other landmarks
    /// follow. Without it, formats with [one order](LandmarkFormat::has_one_order) use the order of first occurrence,
    /// the others that of each image.
    pub names: &'a [String],
    /// Images and categories that COCO results refer to.
    pub coco: Option<&'a CocoIndex>,
}
