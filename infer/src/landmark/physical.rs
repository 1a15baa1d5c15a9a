//! Conversion between positions in millimetres, as in files of 3D Slicer, and pixels.

use infomark_core::Point;

use super::{Annotated, ImageContext, LandmarkError, LandmarkFormat, Place, cut};
use crate::{ItkGeometry, Unplaced};

/// Image plane of a file's positions.
pub(super) struct Plane<'a> {
    /// The image.
    pub(super) image: &'a str,
    /// Name of the landmark file in messages.
    name: &'a str,
    geometry: ItkGeometry,
}

impl<'a> Plane<'a> {
    /// The plane of the image of a landmark file.
    pub(super) fn of(
        subject: &ImageContext<'a>,
        name: &'a str,
        format: LandmarkFormat,
    ) -> Result<Plane<'a>, LandmarkError> {
        let image =
            subject.image.ok_or_else(|| LandmarkError::WhichImage { name: name.to_owned(), format })?;
        let geometry = subject.placement.unwrap_or(Err(Unplaced::NoImage));
        Ok(Plane { image, name, geometry: geometry.map_err(|reason| unplaced(name, image, reason))? })
    }

    /// The pixel at a position (LPS).
    pub(super) fn pixel(
        &self,
        position_mm: [f64; 3],
        landmark: &str,
        place: Place,
    ) -> Result<Point<f64>, LandmarkError> {
        let (at, off_plane_mm) = self.geometry.pixel(position_mm);
        if self.geometry.is_in_slice(off_plane_mm) {
            return Ok(at);
        }
        let [.., thickness_mm] = self.geometry.spacing_mm();
        Err(LandmarkError::OffPlane {
            name: self.name.to_owned(),
            place,
            landmark: cut(landmark),
            off_plane_mm,
            thickness_mm,
        })
    }
}

/// The geometry of an image for writing.
pub(super) fn geometry(image: &Annotated<'_>, name: &str) -> Result<ItkGeometry, LandmarkError> {
    let placement = image.placement.unwrap_or(Err(Unplaced::NoImage));
    placement.map_err(|reason| unplaced(name, image.image, reason))
}

fn unplaced(name: &str, image: &str, reason: Unplaced) -> LandmarkError {
    LandmarkError::Unplaced { name: name.to_owned(), image: image.to_owned(), reason }
}

/// Note on the millimetres in a point's description.
pub(super) fn note(image: &Annotated<'_>, geometry: &ItkGeometry) -> String {
    // Seven digits, the precision of 32-bit floats.
    let [x, y, _] = geometry.spacing_mm().map(|mm| mm as f32);
    match image.spacing {
        Some(spacing) if geometry.agrees_with(spacing) => format!("pixel size {spacing}"),
        Some(spacing) => format!(
            "3D Slicer takes {x} x {y} mm a pixel, but the pixel size is {spacing}: do not measure lengths in 3D Slicer"
        ),
        None => format!("pixel size not known; 3D Slicer takes {x} x {y} mm: no lengths can be measured"),
    }
}
