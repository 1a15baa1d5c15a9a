//! Millimetres per pixel, and how far they can be trusted.

use std::fmt;

use infomark_core::Spacing;

/// Size of an image's pixels, with where it was taken from.
///
/// Nothing is guessed: an image whose file states no size has none. The resolution fields of PNG, JPEG and TIFF hold what a
/// program or printer put there, so they are no source. What 3D Slicer takes for the size of a pixel is
/// [`ItkGeometry`](crate::ItkGeometry).
#[derive(Clone, Debug, PartialEq)]
pub struct PixelSpacing {
    /// Millimetres per pixel.
    pub mm: Spacing,
    /// What states it.
    pub source: SpacingSource,
    /// Where in the beam, or in the body, these millimetres hold.
    pub calibration: Calibration,
}

/// Source of a pixel size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpacingSource {
    /// DICOM Pixel Spacing (0028,0030).
    PixelSpacing,
    /// DICOM Imager Pixel Spacing (0018,1164): of the detector.
    ImagerPixelSpacing,
    /// DICOM Nominal Scanned Pixel Spacing (0018,2010): of the film that was digitised.
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
/// A radiograph shows what is nearer to the tube larger: millimetres of the detector are more than millimetres of the
/// anatomy unless the spacing was corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// At the detector or film; not corrected for magnification.
    Detector,
    /// In the body, for a slice through it.
    Slice,
    /// Corrected by the known geometry of tube, body and detector (Calibration Type GEOMETRY).
    Geometry {
        /// Pixel Spacing Calibration Description; free text of the file, not for reports.
        description: Option<String>,
    },
    /// Measured with an object of known size (Calibration Type FIDUCIAL).
    Fiducial {
        /// Pixel Spacing Calibration Description; free text of the file, not for reports.
        description: Option<String>,
    },
    /// It differs from the detector's, so somebody calibrated it, but the file does not say how.
    TypeNotStated,
    /// Nothing is said about it.
    NotStated,
}

impl PixelSpacing {
    /// A spacing that somebody gave.
    pub fn given(mm: Spacing) -> PixelSpacing {
        PixelSpacing { mm, source: SpacingSource::User, calibration: Calibration::NotStated }
    }

    /// Millimetres per pixel whatever the direction: the geometric mean of both.
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

/// Such as `0.143 x 0.143 mm, DICOM Imager Pixel Spacing (0018,1164), at the detector, not corrected for magnification`.
impl fmt::Display for PixelSpacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spacing { x, y } = self.mm;
        write!(f, "{x} x {y} mm, {}, {}", self.source, self.calibration)
    }
}
