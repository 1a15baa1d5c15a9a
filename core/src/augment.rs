//! Augmented views of an image: intensity jitter, affine maps, crops and elastic deformation.

mod affine;
mod elastic;
mod gaussian;
mod pixel;
mod policy;
mod resample;
mod tone;
mod tone_grey;
mod view;
mod warp;

pub use affine::Affine;
pub use elastic::{Elastic, elastic_controls_len};
pub(crate) use gaussian::{gaussian, gaussian_scratch_len, mirrored};
pub use pixel::Pixel;
pub use policy::{IntensityRange, TierPolicy};
pub use resample::{Border, Interpolation};
pub use tone::IntensityJitter;
pub use view::View;
pub use warp::Warp;
pub(crate) use warp::{clamped_neighbours, mix};

use crate::Plane;
use thiserror::Error;

/// Errors of making a view.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A factor of an intensity jitter is unusable.
    #[error("{name} factor {value}: it has to be finite and {least}")]
    Factor {
        /// Name of the factor.
        name: &'static str,
        /// The rejected value.
        value: f64,
        /// The condition, in words.
        least: &'static str,
    },
    /// A range of factors is unusable.
    #[error("{name} from {low} to {high}: both ends have to be finite, in order and {least}")]
    Range {
        /// Name of the factor.
        name: &'static str,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// The condition, in words.
        least: &'static str,
    },
    /// The parameters of a warp are unusable.
    #[error(
        "a view of {width} x {height} pixels at scale {scale}: neither may be 0, and \
         centre, angle and scale have to be finite"
    )]
    Warp {
        /// Width of the view.
        width: usize,
        /// Height of the view.
        height: usize,
        /// Source pixels per view pixel.
        scale: f64,
    },
    /// The source has no pixels.
    #[error("the source image is empty")]
    Empty,
    /// The destination has the wrong size.
    #[error("the destination has {out_width} x {out_height} pixels, it has to have {width} x {height}")]
    Size {
        /// Width needed.
        width: usize,
        /// Height needed.
        height: usize,
        /// Width of the destination.
        out_width: usize,
        /// Height of the destination.
        out_height: usize,
    },
    /// A map is not invertible.
    #[error("a map with the determinant {determinant}: it and its inverse have to be finite")]
    Singular {
        /// Determinant of the rejected linear part.
        determinant: f64,
    },
    /// A view has no pixels.
    #[error("a view of {width} x {height} pixels: neither side may be 0")]
    Side {
        /// Width of the view.
        width: usize,
        /// Height of the view.
        height: usize,
    },
    /// A view extends too far from the source's origin.
    #[error("a corner of the view lies {reach} pixels from the origin of the source; 2^29 are possible")]
    Far {
        /// Largest absolute coordinate of a corner.
        reach: f64,
    },
    /// The number of control points does not fit the view.
    #[error("{len} control points every {spacing} pixels: {needed} are needed, and a spacing above 0")]
    Controls {
        /// Distance of neighbouring control points, in pixels.
        spacing: usize,
        /// Control points needed.
        needed: usize,
        /// Control points given.
        len: usize,
    },
    /// Random displacements could fold the image.
    #[error(
        "displacements of up to {amplitude} pixels: 0 to a fifth of the spacing of {spacing} are possible"
    )]
    Amplitude {
        /// The rejected amplitude.
        amplitude: f64,
        /// Distance of neighbouring control points, in pixels.
        spacing: usize,
    },
    /// Displacements are not finite or may fold the image.
    #[error("control points may change the displacement by {steepness} pixels a pixel; {most} are possible")]
    Steep {
        /// Bound of the field's slope.
        steepness: f64,
        /// Largest slope allowed.
        most: f64,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}")]
    Scratch {
        /// Elements needed.
        needed: usize,
        /// Elements given.
        len: usize,
    },
}

/// Checks the size of a destination.
fn check_size<T>((width, height): (usize, usize), dst: &Plane<'_, T>) -> Result<(), AugmentError> {
    let (out_width, out_height) = (dst.width(), dst.height());
    if (out_width, out_height) == (width, height) {
        return Ok(());
    }
    Err(AugmentError::Size { width, height, out_width, out_height })
}
