//! What an encoder file says of itself.

mod backbone;
mod error;

use serde::{Deserialize, Serialize};

pub use backbone::{BackboneDescription, BackboneLevel, JoinedBackbone};
pub use error::{DescriptionError, ValueError};

use crate::causes::said;
use crate::{InputSize, Normalisation, sha256};

/// Key of the ONNX metadata that tells the layout of the description.
pub const FORMAT_KEY: &str = "infomark.format";
/// Key of the ONNX metadata that holds the description.
pub const DESCRIPTION_KEY: &str = "infomark.description";
/// Key of the ONNX metadata that holds a hash of description and graph; files without it are read unchecked.
pub const SEAL_KEY: &str = "infomark.seal";
/// Key of the ONNX metadata that tells models that are no encoders apart: `landmarks` for a
/// [`LandmarkNet`](crate::LandmarkNet); encoders have none.
pub const KIND_KEY: &str = "infomark.kind";
/// The layout that this version reads and writes.
pub const FORMAT: &str = "1";

/// Most channels of a feature map.
const MAX_CHANNELS: usize = 4096;
/// Longest description that is read, in bytes.
const MAX_LENGTH: usize = 1 << 16;

/// Resizing of images to the encoder's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum InputPolicy {
    /// As [`Letterbox`](crate::Letterbox) does: aspect kept, centred, edge pixels repeated.
    #[default]
    FitCentredEdgeRepeated,
}

/// Channels of an encoder's feature maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Channels {
    /// The same at every stride.
    Same(usize),
    /// One number for each stride, the finest first.
    PerStride(Vec<usize>),
}

impl Channels {
    /// The channels of the levels, the finest first.
    pub fn of(levels: &[usize]) -> Channels {
        match levels {
            [first, rest @ ..] if rest.iter().all(|channels| channels == first) => Channels::Same(*first),
            _ => Channels::PerStride(levels.to_vec()),
        }
    }

    /// Those of each of so many levels, the finest first; none where they are of another number of levels.
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
    /// A training of infomark's.
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
    /// An ONNX file of another program's, of whose training nothing is known.
    Foreign {
        /// SHA-256 of that file.
        source_sha256: String,
        /// The program that wrote it, as the file says.
        producer: String,
    },
}

/// All that a reader of an encoder file needs to know, and where the file comes from.
///
/// It is stored in the ONNX file's `metadata_props`, as JSON under [`DESCRIPTION_KEY`] beside [`FORMAT_KEY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The canvas that the encoder reads.
    pub input: InputSize,
    /// How images are letterboxed to the model input.
    #[serde(default)]
    pub input_policy: InputPolicy,
    /// How grey values are scaled.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Canvas pixels per cell of each feature map, finest first.
    pub strides: Vec<usize>,
    /// Length of a feature.
    pub channels: Channels,
    /// Divisor of the cosines in training and matching.
    pub temperature: f32,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The pretrained backbone whose features are joined to the trained ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<JoinedBackbone>,
    /// Version of the program that trained or described it.
    pub version: String,
}

/// Whether the seal among a file's properties, if there is one, is that of its description and its graph.
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

/// The kind under [`KIND_KEY`] of a landmark network.
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

/// The description that properties hold, its values unchecked.
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

/// Properties with the seal of their description and of the encoded graph.
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
    /// The metadata properties to write into the ONNX file.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] as [`check`](Self::check).
    pub fn to_properties(&self) -> Result<Vec<(String, String)>, DescriptionError> {
        self.check()?;
        properties(self)
    }

    /// [`to_properties`](Self::to_properties), and a hash of them and of the encoded graph by which a reader notices
    /// damage.
    ///
    /// # Errors
    /// As [`to_properties`](Self::to_properties).
    pub fn to_sealed_properties(&self, graph: &[u8]) -> Result<Vec<(String, String)>, DescriptionError> {
        Ok(sealed(self.to_properties()?, graph))
    }

    /// The description among the metadata properties of an ONNX file; other properties are ignored.
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

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] unless there are 1 to 8 strides, ascending, of which each divides both sides of the
    /// canvas, 1 to 4096 channels at each, a finite temperature above 0, and a normalisation with usable numbers.
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

    /// Name of the ONNX graph's one input, `[1, 1, height, width]`.
    pub const INPUT_NAME: &str = "image";

    /// Name of the ONNX graph's output of a stride, `[1, channels, height / stride, width / stride]`.
    pub fn output_name(stride: usize) -> String {
        format!("stride_{stride}")
    }
}
