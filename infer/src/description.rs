//! Description of an encoder in its file.

mod backbone;
mod error;

use serde::{Deserialize, Serialize};

pub use backbone::{BackboneDescription, BackboneLevel, JoinedBackbone};
pub use error::{DescriptionError, ValueError};

use crate::causes::said;
use crate::{InputSize, Normalisation, sha256};

/// Key of the ONNX metadata with the version of the description's format.
pub const FORMAT_KEY: &str = "infomark.format";
/// Key of the ONNX metadata with the description.
pub const DESCRIPTION_KEY: &str = "infomark.description";
/// Key of the ONNX metadata with a hash of description and graph; files without it are not checked.
pub const SEAL_KEY: &str = "infomark.seal";
/// Key of the ONNX metadata with the kind of model: `landmarks` for a [`LandmarkNet`](crate::LandmarkNet);
/// encoders have none.
pub const KIND_KEY: &str = "infomark.kind";
/// Version of the format that is read and written.
pub const FORMAT: &str = "1";

/// Maximum number of channels of a feature map.
const MAX_CHANNELS: usize = 4096;
/// Maximum length of a description, in bytes.
const MAX_LENGTH: usize = 1 << 16;

/// Resizing of images to the encoder's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InputPolicy {
    /// Letterboxing as by [`Letterbox`](crate::Letterbox): aspect ratio kept, centred, edge pixels repeated.
    #[default]
    FitCentredEdgeRepeated,
}

/// Channels of an encoder's feature maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Channels {
    /// The same number at every stride.
    Same(usize),
    /// One number per stride, finest first.
    PerStride(Vec<usize>),
}

impl Channels {
    /// The channels of the levels, finest first.
    pub fn of(levels: &[usize]) -> Channels {
        match levels {
            [first, rest @ ..] if rest.iter().all(|channels| channels == first) => Channels::Same(*first),
            _ => Channels::PerStride(levels.to_vec()),
        }
    }

    /// The channels of each of `levels` levels, finest first; `None` where the number of levels differs.
    pub fn by_level(&self, levels: usize) -> Option<Vec<usize>> {
        match self {
            Channels::Same(channels) => Some(vec![*channels; levels]),
            Channels::PerStride(each) => (each.len() == levels).then(|| each.clone()),
        }
    }
}

/// Origin of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Origin {
    /// Trained by infomark.
    Trained {
        /// [`sha256_files`](crate::sha256_files) of the training images.
        training_data_sha256: String,
        /// Number of training images.
        training_images: usize,
        /// Steps of the optimiser.
        steps: u64,
        /// Seed of the training.
        seed: u64,
    },
    /// An ONNX file of another program, whose training is unknown.
    Foreign {
        /// SHA-256 of that file.
        source_sha256: String,
        /// The program that wrote it, by the file's metadata.
        producer: String,
    },
}

/// Description of an encoder: how to run it, and its origin.
///
/// Stored in the ONNX file's `metadata_props`, as JSON under [`DESCRIPTION_KEY`], with [`FORMAT_KEY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Size of the model input.
    pub input: InputSize,
    /// How images are letterboxed to the model input.
    #[serde(default)]
    pub input_policy: InputPolicy,
    /// Normalisation of grey values.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Stride of each feature map in pixels of the model input, finest first.
    pub strides: Vec<usize>,
    /// Number of channels of the feature maps.
    pub channels: Channels,
    /// Divisor of the cosines in training and matching.
    pub temperature: f32,
    /// Origin of the encoder.
    #[serde(flatten)]
    pub origin: Origin,
    /// Pretrained backbone that is joined to the trained features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<JoinedBackbone>,
    /// Version of infomark that trained or described it.
    pub version: String,
}

/// Whether the seal among a file's properties, if any, matches its description and graph.
pub(crate) fn is_intact<'a>(
    properties: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    graph: impl FnOnce() -> Vec<u8>,
) -> bool {
    let value = |wanted: &str| properties.clone().find(|(key, _)| *key == wanted).map(|(_, value)| value);
    match value(SEAL_KEY) {
        None => true,
        Some(found) => found == seal(value(DESCRIPTION_KEY).unwrap_or(""), &graph()),
    }
}

/// Value of [`KIND_KEY`] for landmark networks.
pub(crate) const LANDMARKS: &str = "landmarks";

/// The value of a key among properties.
pub(crate) fn value<'a>(properties: &[(&'a str, &'a str)], key: &str) -> Option<&'a str> {
    properties.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

/// The properties that hold a description.
pub(crate) fn properties(description: &impl Serialize) -> Result<Vec<(String, String)>, DescriptionError> {
    let json = serde_json::to_string(description)
        .map_err(|error| DescriptionError::Json { reason: error.to_string() })?;
    Ok(vec![(FORMAT_KEY.to_owned(), FORMAT.to_owned()), (DESCRIPTION_KEY.to_owned(), json)])
}

/// Parses the description among properties, without checking its values.
pub(crate) fn parsed<D: serde::de::DeserializeOwned>(
    properties: &[(&str, &str)],
) -> Result<D, DescriptionError> {
    let missing = |key| DescriptionError::Missing { key };
    let format = value(properties, FORMAT_KEY).ok_or(missing(FORMAT_KEY))?;
    if format != FORMAT {
        return Err(DescriptionError::Format { found: format.chars().take(20).collect() });
    }
    let json = value(properties, DESCRIPTION_KEY).ok_or(missing(DESCRIPTION_KEY))?;
    if json.len() > MAX_LENGTH {
        return Err(DescriptionError::Json {
            reason: format!("{} bytes, at most {MAX_LENGTH} are allowed", json.len()),
        });
    }
    serde_json::from_str(json).map_err(|error| DescriptionError::Json { reason: said(error) })
}

/// Adds the seal of description and encoded graph to properties.
pub(crate) fn sealed(mut properties: Vec<(String, String)>, graph: &[u8]) -> Vec<(String, String)> {
    let json = properties.iter().find(|(key, _)| key == DESCRIPTION_KEY).map_or("", |(_, json)| json);
    let seal = seal(json, graph);
    properties.push((SEAL_KEY.to_owned(), seal));
    properties
}

fn seal(json: &str, graph: &[u8]) -> String {
    sha256(&[json.as_bytes(), &[0], graph].concat())
}

impl Description {
    /// The metadata properties for the ONNX file.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] as [`check`](Self::check).
    pub fn to_properties(&self) -> Result<Vec<(String, String)>, DescriptionError> {
        self.check()?;
        properties(self)
    }

    /// [`to_properties`](Self::to_properties) with a hash of them and of the encoded graph, so that readers detect
    /// damage.
    ///
    /// # Errors
    /// As [`to_properties`](Self::to_properties).
    pub fn to_sealed_properties(&self, graph: &[u8]) -> Result<Vec<(String, String)>, DescriptionError> {
        Ok(sealed(self.to_properties()?, graph))
    }

    /// Reads the description from the metadata properties of an ONNX file; other properties are ignored.
    ///
    /// # Errors
    /// Every case of [`DescriptionError`].
    pub fn from_properties<'a>(
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Description, DescriptionError> {
        let properties: Vec<_> = properties.into_iter().collect();
        if value(&properties, KIND_KEY) == Some(LANDMARKS) {
            return Err(DescriptionError::Kind {
                found: "this is a landmark network, not an encoder",
                fix: "give it as --landmark-model, or name an encoder, which `infomark train` writes",
            });
        }
        let description: Description = parsed(&properties)?;
        description.check()?;
        Ok(description)
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] unless there are 1 to 8 strides, ascending, each of which divides both sides of the
    /// model input, 1 to 4096 channels at each, a finite temperature above 0, and a valid normalisation.
    pub fn check(&self) -> Result<(), DescriptionError> {
        self.check_values().map_err(DescriptionError::Value)
    }

    pub(crate) fn check_values(&self) -> Result<(), ValueError> {
        let wrong = Err;
        self.normalisation.check().or_else(|source| wrong(ValueError::Normalisation { source }))?;
        let strides = &self.strides;
        if strides.is_empty() || strides.len() > 8 {
            return wrong(ValueError::StrideCount { found: strides.len() });
        }
        if !strides.is_sorted_by(|a, b| a < b) || strides.first() == Some(&0) {
            return wrong(ValueError::Strides { strides: strides.clone() });
        }
        let (width, height) = (self.input.width(), self.input.height());
        if let Some(&stride) =
            strides.iter().find(|&&s| !width.is_multiple_of(s) || !height.is_multiple_of(s))
        {
            return wrong(ValueError::Input { width, height, stride });
        }
        let channels = self.channels.by_level(strides.len());
        if channels.is_none_or(|all| !all.iter().all(|channels| (1..=MAX_CHANNELS).contains(channels))) {
            return wrong(ValueError::Channels { found: self.channels.clone() });
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return wrong(ValueError::Temperature { found: self.temperature });
        }
        Ok(())
    }

    /// Name of the ONNX graph's only input, `[1, 1, height, width]`.
    pub const INPUT_NAME: &str = "image";

    /// Name of the ONNX graph's output of a stride, `[1, channels, height / stride, width / stride]`.
    pub fn output_name(stride: usize) -> String {
        format!("stride_{stride}")
    }
}
