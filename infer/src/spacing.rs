//! Pixel spacing in millimetres, with its source and calibration.

use std::fmt;

use infomark_core::Spacing;

/// Pixel size of an image, with its source.
///
/// Nothing is guessed: an image whose file states no size has none. The resolution fields of PNG, JPEG and TIFF describe
/// printing, so they are not a source. The pixel size in 3D Slicer is that of
/// [`ItkGeometry`](crate::ItkGeometry).
#[derive(Clone, Debug, PartialEq)]
pub struct PixelSpacing {
    /// Millimetres per pixel.
    pub mm: Spacing,
    /// Source of the size.
    pub source: SpacingSource,
    /// Whether the millimetres are those of the detector or of the anatomy.
    pub calibration: Calibration,
}

/// Source of a pixel size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpacingSource {
    /// DICOM Pixel Spacing (0028,0030).
    PixelSpacing,
    /// DICOM Imager Pixel Spacing (0018,1164), at the detector.
    ImagerPixelSpacing,
    /// DICOM Nominal Scanned Pixel Spacing (0018,2010), of digitised film.
    NominalScannedPixelSpacing,
    /// The header of a NIfTI file.
    Nifti,
    /// `dataset.toml` of a data folder.
    DataSet,
    /// The user of the program.
    User,
}

/// Calibration of a pixel size: at the detector or in the patient.
///
/// A radiograph magnifies what is nearer to the tube: distances at the detector are larger than in the
/// anatomy, unless the spacing was corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// At the detector or film; not corrected for magnification.
    Detector,
    /// In the body, for a slice through it.
    Slice,
    /// Corrected by the known geometry of tube, patient and detector (Calibration Type GEOMETRY).
    Geometry {
        /// Pixel Spacing Calibration Description; free text of the file, not for reports.
        description: Option<String>,
    },
    /// Measured with an object of known size (Calibration Type FIDUCIAL).
    Fiducial {
        /// Pixel Spacing Calibration Description; free text of the file, not for reports.
        description: Option<String>,
    },
    /// It differs from the detector's, so it was calibrated, but the file does not say how.
    TypeNotStated,
    /// Unknown.
    NotStated,
}

impl PixelSpacing {
    /// A spacing given by the user.
    pub fn given(mm: Spacing) -> PixelSpacing {
        PixelSpacing { mm, source: SpacingSource::User, calibration: Calibration::NotStated }
    }

    /// Isotropic millimetres per pixel: the geometric mean of both directions.
    pub fn mean_mm(&self) -> f64 {
        (self.mm.x * self.mm.y).sqrt()
    }
}

impl fmt::Display for SpacingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpacingSource::PixelSpacing => "DICOM Pixel Spacing (0028,0030)",
            SpacingSource::ImagerPixelSpacing => "DICOM Imager Pixel Spacing (0018,1164)",
            SpacingSource::NominalScannedPixelSpacing => "DICOM Nominal Scanned Pixel Spacing (0018,2010)",
            SpacingSource::Nifti => "NIfTI header",
            SpacingSource::DataSet => "dataset.toml",
            SpacingSource::User => "given by the user",
        })
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Calibration::Detector => "at the detector, not corrected for magnification",
            Calibration::Slice => "in the slice",
            Calibration::Geometry { .. } => "calibrated by geometry",
            Calibration::Fiducial { .. } => "calibrated by an object of known size",
            Calibration::TypeNotStated => "calibrated, type not stated",
            Calibration::NotStated => "calibration not stated",
        })
    }
}

/// E.g. `0.143 x 0.143 mm, DICOM Imager Pixel Spacing (0018,1164), at the detector, not corrected for magnification`.
impl fmt::Display for PixelSpacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spacing { x, y } = self.mm;
        write!(f, "{x} x {y} mm, {}, {}", self.source, self.calibration)
    }
}
