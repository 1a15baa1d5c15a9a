//! Description of a landmark network in its file.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::description::{LANDMARKS, ValueError, parsed, properties, sealed, value};
use crate::{DescriptionError, InputPolicy, InputSize, KIND_KEY, Normalisation};

/// Maximum number of landmarks of a network.
const MAX_LANDMARKS: usize = 1024;

/// Source of the labels that a network was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LabelSource {
    /// Annotated by people in every training image.
    Annotated,
    /// Matched from templates, i.e. annotated images.
    Matched {
        /// SHA-256 of each template's image file.
        templates_sha256: Vec<String>,
        /// Number of rounds of labelling, the first by matching.
        rounds: usize,
        /// Number of labels kept in the last round, and their total.
        kept: [usize; 2],
    },
}

/// Description of a landmark network: how to run it, and its origin.
///
/// It is stored like an encoder's [`Description`](crate::Description), with the kind `landmarks` under [`KIND_KEY`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LandmarkDescription {
    /// Size of the model input.
    pub input: InputSize,
    /// How images are letterboxed to the model input.
    #[serde(default)]
    pub input_policy: InputPolicy,
    /// Normalisation of grey values.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Stride of the maps in pixels of the model input.
    pub stride: usize,
    /// Names of the landmarks, in the order of the maps.
    pub landmarks: Vec<String>,
    /// SHA-256 of the encoder that initialised the training; `None` for random weights.
    pub encoder_sha256: Option<String>,
    /// Source of its training labels.
    pub labels: LabelSource,
    /// SHA-256 of the training labels, as text.
    pub labels_sha256: String,
    /// [`sha256_files`](crate::sha256_files) of the training images.
    pub training_data_sha256: String,
    /// Number of training images.
    pub training_images: usize,
    /// Steps of the optimiser.
    pub steps: u64,
    /// Seed of the training.
    pub seed: u64,
    /// Version of infomark that trained it.
    pub version: String,
}

impl LandmarkDescription {
    /// Name of the ONNX graph's output of heat maps, `[1, landmarks, height / stride, width / stride]`: log-probabilities
    /// over the cells, up to a constant.
    pub const HEAT_NAME: &str = "heat";
    /// Name of the ONNX graph's output of offsets, `[1, 2 * landmarks, height / stride, width / stride]`: x and y of each
    /// landmark from the centre of the cell, in cells.
    pub const OFFSET_NAME: &str = "offset";

    /// The metadata properties for the ONNX file, with a hash of them and of the encoded graph.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] as [`check`](Self::check).
    pub fn to_sealed_properties(&self, graph: &[u8]) -> Result<Vec<(String, String)>, DescriptionError> {
        self.check()?;
        let mut properties = properties(self)?;
        properties.push((KIND_KEY.to_owned(), LANDMARKS.to_owned()));
        Ok(sealed(properties, graph))
    }

    /// Reads the description from the metadata properties of an ONNX file; other properties are ignored.
    ///
    /// # Errors
    /// Every case of [`DescriptionError`].
    pub fn from_properties(properties: &[(&str, &str)]) -> Result<LandmarkDescription, DescriptionError> {
        let described = value(properties, crate::DESCRIPTION_KEY).is_some();
        if described && value(properties, KIND_KEY) != Some(LANDMARKS) {
            return Err(DescriptionError::Kind {
                found: "this is an encoder, not a landmark network",
                fix: "give it as --model with a template, or name a file of `infomark train-landmarks` or \
                    `infomark self-train`",
            });
        }
        let description: LandmarkDescription = parsed(properties)?;
        description.check()?;
        Ok(description)
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`DescriptionError::Value`] unless the stride is a power of two that divides both sides of the model input, there are 1 to
    /// 1024 landmarks of different names, and the normalisation is valid.
    pub fn check(&self) -> Result<(), DescriptionError> {
        let wrong = |value| Err(DescriptionError::Value(value));
        self.normalisation.check().or_else(|source| wrong(ValueError::Normalisation { source }))?;
        let (width, height, stride) = (self.input.width(), self.input.height(), self.stride);
        if !stride.is_power_of_two() || !width.is_multiple_of(stride) || !height.is_multiple_of(stride) {
            return wrong(ValueError::Stride { stride, width, height });
        }
        let found = self.landmarks.len();
        if !(1..=MAX_LANDMARKS).contains(&found) {
            return wrong(ValueError::LandmarkCount { found, most: MAX_LANDMARKS });
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = self.landmarks.iter().find(|name| !names.insert(name.as_str())) {
            return wrong(ValueError::RepeatedLandmark { landmark: twice.clone() });
        }
        Ok(())
    }
}
