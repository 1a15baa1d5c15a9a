//! Physical space of images in ITK: meaning of the millimetres in files of 3D Slicer.
//!
//! 3D Slicer reads images with ITK, and DICOM with ITK's GDCM. Their pixel size determines what a
//! position in millimetres means, whether or not it is the true one; measurements use the true one, [`PixelSpacing`].

use infomark_core::{Point, Spacing};

use crate::PixelSpacing;

/// Placement of an image by ITK, or why it is unknown.
pub type Placement = Result<ItkGeometry, Unplaced>;

/// Origin, spacing and direction of an image in patient coordinates (LPS), in ITK's terms.
///
/// The image's axes are x (to the right), y (down) and the normal of its plane; the image is one slice. The centre of pixel
/// `(x, y)` is at `origin + direction * spacing * (x, y, 0)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItkGeometry {
    origin_mm: [f64; 3],
    spacing_mm: [f64; 3],
    direction: Matrix,
    /// The inverse of `direction`.
    inverse: Matrix,
}

/// Rows of a 3 x 3 matrix.
type Matrix = [[f64; 3]; 3];

/// Minimum absolute determinant of the directions; those of ITK have 1 or -1.
const MIN_DETERMINANT: f64 = 1e-6;

/// Tolerance for rounding of positions of 3D Slicer, off the plane.
const ROUNDING_MM: f64 = 1e-3;

/// Why the placement of an image in 3D Slicer is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unplaced {
    /// The image is not given.
    #[error("the image is not given")]
    NoImage,
    /// An element of the placement is not numeric, or has too few values.
    #[error("its {0} is not written as the numbers that it has to hold")]
    NotNumbers(&'static str),
    /// A pixel size of zero, or not finite.
    #[error("its pixels or its slice have a size of zero, or none that is finite")]
    Spacing,
    /// An origin that is not finite.
    #[error("its origin is not finite")]
    Origin,
    /// Linearly dependent axes.
    #[error("its axes do not point in three directions")]
    Direction,
    /// NIfTI whose transforms ITK rejects.
    #[error(
        "it has no transform whose axes are at right angles (qform, sform), so that ITK does not read it"
    )]
    NotOrthogonal,
    /// NIfTI with a non-spatial image axis, such as time.
    #[error("one of its axes is not in space")]
    NotSpatial,
    /// A kind of file that ITK rejects.
    #[error("ITK does not read this kind of file: {0}")]
    Unreadable(&'static str),
}

impl ItkGeometry {
    /// A geometry from ITK's three quantities; the columns of `direction` are the axes.
    ///
    /// A negative spacing flips its axis, as in ITK's reader.
    ///
    /// # Errors
    /// [`Unplaced::Spacing`] for a spacing of zero, [`Unplaced::Direction`] for linearly dependent axes, and these and
    /// [`Unplaced::Origin`] for numbers that are not finite.
    ///
    /// ```
    /// use infomark_core::Point;
    /// use infomark_infer::ItkGeometry;
    ///
    /// // A coronal slice: its rows run down the body.
    /// let axes = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]];
    /// let slice = ItkGeometry::new([-100.0, 20.0, 50.0], [0.5, 0.5, 3.0], axes)?;
    /// assert_eq!(slice.physical_point(Point::new(10.0, 4.0)), [-95.0, 20.0, 48.0]);
    /// assert_eq!(slice.pixel([-95.0, 20.75, 48.0]), (Point::new(10.0, 4.0), 0.75));
    /// # Ok::<(), infomark_infer::Unplaced>(())
    /// ```
    pub fn new(origin_mm: [f64; 3], spacing_mm: [f64; 3], direction: [[f64; 3]; 3]) -> Placement {
        if spacing_mm.iter().any(|&mm| mm == 0.0 || !mm.is_finite()) {
            return Err(Unplaced::Spacing);
        }
        if !origin_mm.iter().all(|mm| mm.is_finite()) {
            return Err(Unplaced::Origin);
        }
        let turned = |row: [f64; 3]| [0, 1, 2].map(|axis| row[axis] * spacing_mm[axis].signum());
        let direction = direction.map(turned);
        let inverse = inverse(&direction).ok_or(Unplaced::Direction)?;
        Ok(ItkGeometry { origin_mm, spacing_mm: spacing_mm.map(f64::abs), direction, inverse })
    }

    /// Default geometry of a picture: its first pixel at the origin, x along L, y along P, slice thickness 1 mm.
    ///
    /// # Errors
    /// [`Unplaced::Spacing`] for a pixel size of zero.
    pub fn of_picture(x_mm: f64, y_mm: f64) -> Placement {
        ItkGeometry::new([0.0; 3], [x_mm, y_mm, 1.0], IDENTITY)
    }

    /// The same placement with another pixel size.
    ///
    /// # Errors
    /// [`Unplaced::Spacing`] for a pixel size of zero.
    pub fn with_spacing(&self, x_mm: f64, y_mm: f64) -> Placement {
        ItkGeometry::new(self.origin_mm, [x_mm, y_mm, self.spacing_mm[2]], self.direction)
    }

    /// The centre of the first pixel.
    pub fn origin_mm(&self) -> [f64; 3] {
        self.origin_mm
    }

    /// Pixel spacing across and down, and the slice thickness in ITK.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.spacing_mm
    }

    /// Rows of the direction matrix, whose columns are x, y and the slice's normal.
    pub fn direction(&self) -> [[f64; 3]; 3] {
        self.direction
    }

    /// The position of a pixel, in millimetres (LPS).
    pub fn physical_point(&self, at: Point<f64>) -> [f64; 3] {
        let index = [at.x, at.y, 0.0];
        [0, 1, 2].map(|row| {
            let along = |axis: usize| self.direction[row][axis] * self.spacing_mm[axis] * index[axis];
            self.origin_mm[row] + along(0) + along(1) + along(2)
        })
    }

    /// The pixel of a position (LPS) projected onto the image's plane, with subpixel precision, and the signed distance of the position from
    /// the plane along its normal, in millimetres. Both are rounded to the precision of the computation.
    pub fn pixel(&self, position_mm: [f64; 3]) -> (Point<f64>, f64) {
        (Point::new(self.index(position_mm, 0), self.index(position_mm, 1)), self.along(position_mm, 2))
    }

    /// Whether a position at this distance from the plane is within the slice: half its thickness, or the tolerance of rounding.
    pub fn is_in_slice(&self, off_plane_mm: f64) -> bool {
        off_plane_mm.abs() <= (0.5 * self.spacing_mm[2]).max(ROUNDING_MM)
    }

    /// Whether the pixel size equals the true one, up to rounding.
    pub fn agrees_with(&self, true_spacing: &PixelSpacing) -> bool {
        let Spacing { x, y } = true_spacing.mm;
        let near = |mm: f64, other: f64| (mm - other).abs() <= 1e-6 * other;
        near(self.spacing_mm[0], x) && near(self.spacing_mm[1], y)
    }

    /// The coordinate of a position along an axis, from the origin.
    fn along(&self, position_mm: [f64; 3], axis: usize) -> f64 {
        let part = |row: usize| self.inverse[axis][row] * (position_mm[row] - self.origin_mm[row]);
        part(0) + part(1) + part(2)
    }

    /// That coordinate in pixels.
    fn index(&self, position_mm: [f64; 3], axis: usize) -> f64 {
        let spacing = self.spacing_mm[axis];
        let index = self.along(position_mm, axis) / spacing;
        let of =
            |row: usize| self.inverse[axis][row].abs() * (position_mm[row].abs() + self.origin_mm[row].abs());
        let axes = self.inverse[axis].iter().filter(|&&part| part != 0.0).count();
        let is_exact = spacing == 1.0 && axes == 1 && self.origin_mm == [0.0; 3];
        if is_exact { index } else { rounded(index, 4.0 * f64::EPSILON * (of(0) + of(1) + of(2)) / spacing) }
    }
}

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// A number rounded to the decimals that are meaningful for an error.
fn rounded(number: f64, error: f64) -> f64 {
    let decimals = (-error.log10()).floor();
    if !(0.0..=17.0).contains(&decimals) {
        return number;
    }
    let text = format!("{number:.decimals$}", decimals = decimals as usize);
    // Avoids negative zero.
    text.parse().map_or(number, |rounded: f64| rounded + 0.0)
}

fn inverse(m: &Matrix) -> Option<Matrix> {
    let cofactor = |row: usize, column: usize| {
        let ([r, s], [c, d]) = ([(row + 1) % 3, (row + 2) % 3], [(column + 1) % 3, (column + 2) % 3]);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum::<f64>();
    let spans = determinant.is_finite() && determinant.abs() >= MIN_DETERMINANT;
    spans.then(|| [0, 1, 2].map(|row| [0, 1, 2].map(|column| cofactor(column, row) / determinant)))
}
