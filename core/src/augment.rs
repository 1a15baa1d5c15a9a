//! Views of an image: changes of tone, and rotated, scaled and shifted parts.

mod policy;
mod tone;
mod warp;

pub use policy::{IntensityRange, TierPolicy};
pub use tone::Tone;
pub use warp::Warp;
pub(crate) use warp::{clamped_neighbours, mix};

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
        "a view of {width} x {height} pixels at scale {scale}: neither may be 0, and centre, angle and scale have to be finite"
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
}
