//! Errors of descriptions.

use super::{Channels, FORMAT};

/// Why a description cannot be used; the messages end in what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// A metadata key is missing.
    #[error(
        "it has no `{key}` in its metadata; use a file written by `infomark train`, or add the description when exporting"
    )]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The format has another version.
    #[error(
        "its description has format `{found}`, and this version reads `{FORMAT}`; update infomark or train the encoder again"
    )]
    Format {
        /// The version found.
        found: String,
    },
    /// The JSON is too long or invalid.
    #[error("its description cannot be read ({reason}); train the encoder again with this version")]
    Json {
        /// The parser's message.
        reason: String,
    },
    /// The model is of another kind.
    #[error("{found}; {fix}")]
    Kind {
        /// Its kind.
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
    /// Numbers that [`Normalisation::check`](crate::Normalisation::check) rejects.
    #[error("{source}")]
    Normalisation {
        /// Which value, and what was expected.
        source: crate::NormalisationError,
    },
    /// No strides, or too many.
    #[error("{found} strides where 1 to 8 are expected")]
    StrideCount {
        /// Strides found.
        found: usize,
    },
    /// Strides that are not ascending, or 0.
    #[error("strides {strides:?} where ascending numbers above 0 are expected")]
    Strides {
        /// The strides.
        strides: Vec<usize>,
    },
    /// A side of the model input that a stride does not divide.
    #[error("an input of {width} x {height} pixels is no multiple of its stride {stride}")]
    Input {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The stride.
        stride: usize,
    },
    /// Too few or too many channels, or a number of them that is not that of the strides.
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
    /// A stride of a landmark network that is not a power of two, or does not divide its input.
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
        /// Maximum number of landmarks.
        most: usize,
    },
    /// A repeated landmark name.
    #[error("the landmark {landmark} twice")]
    RepeatedLandmark {
        /// The landmark.
        landmark: String,
    },
}
