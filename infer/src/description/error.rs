//! What can be wrong with a description.

use super::{Channels, FORMAT};

/// Why a description cannot be used; the messages end in the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// A metadata key is not there.
    #[error(
        "it has no `{key}` in its metadata; use a file written by `infomark train`, or add the description when exporting"
    )]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The layout is of another version.
    #[error(
        "its description has format `{found}`, and this version reads `{FORMAT}`; update infomark or train the encoder again"
    )]
    Format {
        /// The format found.
        found: String,
    },
    /// The JSON is too long or says something else.
    #[error("its description cannot be read ({reason}); train the encoder again with this version")]
    Json {
        /// What the parser said.
        reason: String,
    },
    /// A model of another kind.
    #[error("{found}; {fix}")]
    Kind {
        /// What it is.
        found: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A value is out of range.
    #[error("its description is wrong: {0}; train the encoder again with this version")]
    Value(ValueError),
}

/// Value of a description that is out of range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Numbers that [`Normalisation::check`](crate::Normalisation::check) refuses.
    #[error("{source}")]
    Normalisation {
        /// Which, and what was expected.
        source: crate::NormalisationError,
    },
    /// No strides, or too many.
    #[error("{found} strides where 1 to 8 are expected")]
    StrideCount {
        /// Strides found.
        found: usize,
    },
    /// Strides that do not ascend, or of 0.
    #[error("strides {strides:?} where ascending numbers above 0 are expected")]
    Strides {
        /// The strides.
        strides: Vec<usize>,
    },
    /// A side of the encoder's input that a stride does not divide.
    #[error("an input of {width} x {height} pixels is no multiple of its stride {stride}")]
    Input {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The stride.
        stride: usize,
    },
    /// No channels, too many, or of another number of strides.
    #[error("{} where 1 to 4096 channels at each stride are expected", match found {
        Channels::Same(found) => found.to_string(),
        Channels::PerStride(found) => format!("{found:?}"),
    })]
    Channels {
        /// Channels found.
        found: Channels,
    },
    /// A temperature that is not finite and above 0.
    #[error("a temperature of {found} where a finite one above 0 is expected")]
    Temperature {
        /// The temperature.
        found: f32,
    },
    /// A landmark network's stride that is no power of two, or does not divide its input.
    #[error("a stride of {stride} on an input of {width} x {height} pixels")]
    Stride {
        /// The stride.
        stride: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// No landmarks, or too many.
    #[error("{found} landmarks where 1 to {most} are expected")]
    LandmarkCount {
        /// Landmarks found.
        found: usize,
        /// Most that a network may have.
        most: usize,
    },
    /// Two landmarks of one name.
    #[error("the landmark {landmark} twice")]
    RepeatedLandmark {
        /// The landmark.
        landmark: String,
    },
}
