//! Views of an image: changes of tone, and turned, scaled, shifted and deformed parts.

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

/// Why a view could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A factor of a tone is unusable.
    #[error("{name} factor {value}: it has to be finite and {least}")]
    Factor {
        /// Which factor.
        name: &'static str,
        /// The refused value.
        value: f64,
        /// The condition, in words.
        least: &'static str,
    },
    /// A range of factors is unusable.
    #[error("{name} from {low} to {high}: both ends have to be finite, in order and {least}")]
    Range {
        /// Which factor.
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
        /// Source pixels for each pixel of the view.
        scale: f64,
    },
    /// The source has no pixels.
    #[error("the source image is empty")]
    Empty,
    /// The destination has another size than needed.
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
    /// A map cannot be undone.
    #[error("a map with the determinant {determinant}: it and its inverse have to be finite")]
    Singular {
        /// Determinant of the refused matrix, without its translation.
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
    /// A view reaches too far.
    #[error("a corner of the view lies {reach} pixels from the origin of the source; 2^29 are possible")]
    Far {
        /// Greatest coordinate of a corner.
        reach: f64,
    },
    /// The control points of a field are too few or too many.
    #[error("{len} control points every {spacing} pixels: {needed} are needed, and a spacing above 0")]
    Controls {
        /// Pixels from one control point to the next.
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
        /// The refused amplitude.
        amplitude: f64,
        /// Pixels from one control point to the next.
        spacing: usize,
    },
    /// Displacements are not finite or may fold the image.
    #[error("control points may change the displacement by {steepness} pixels a pixel; {most} are possible")]
    Steep {
        /// Bound of the field's slope.
        steepness: f64,
        /// Most slope possible.
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

/// Checks that a destination has the size needed.
fn check_size<T>((width, height): (usize, usize), dst: &Plane<'_, T>) -> Result<(), AugmentError> {
    let (out_width, out_height) = (dst.width(), dst.height());
    if (out_width, out_height) == (width, height) {
        return Ok(());
    }
    Err(AugmentError::Size { width, height, out_width, out_height })
}
