//! Import of encoders of other programs: their ONNX files become files like our own.
//!
//! Nodes around the foreign graph provide what a [`Description`](crate::Description) promises: before it, the one channel is
//! replicated and scaled as in its training; after it, tokens become maps and features unit vectors. Any runtime runs these, too.

mod error;
mod external;
mod wrap;

use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use error::ForeignError;
use wrap::Wrapped;

#[cfg(feature = "onnxruntime")]
use super::OnnxRuntime;
use super::{Encoder, ModelError, read_model};
use crate::{InputSize, file};

/// First operator set with the semantics used by the nodes around the graph.
const FIRST_OPSET: i64 = 11;

/// Scaling of grey values in `[0, 1]` to the input of a foreign encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputScaling {
    /// Unchanged.
    #[default]
    UnitRange,
    /// [`Normalisation::LOCAL_CONTRAST`](crate::Normalisation::LOCAL_CONTRAST), the default of `infomark train` and of the guided views.
    LocalContrast,
    /// ImageNet normalisation, as in torchvision: less the mean, over the standard deviation of each of three channels.
    ImageNet,
}

impl InputScaling {
    /// All scalings, by name.
    pub const NAMED: [(&str, InputScaling); 3] = [
        ("unit-range", InputScaling::UnitRange),
        ("local-contrast", InputScaling::LocalContrast),
        ("imagenet", InputScaling::ImageNet),
    ];
}

/// An unknown name of an [`InputScaling`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no normalisation is called `{name}`; use one of {}", InputScaling::NAMED.map(|(known, _)| known).join(", "))]
pub struct UnknownScaling {
    /// The name.
    pub name: String,
}

impl FromStr for InputScaling {
    type Err = UnknownScaling;

    fn from_str(name: &str) -> Result<Self, UnknownScaling> {
        let named = InputScaling::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, scaling)| *scaling).ok_or_else(|| UnknownScaling { name: name.to_owned() })
    }
}

/// Properties of another program's encoder that its ONNX file does not state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ForeignEncoder {
    /// Size of the model input, which images are letterboxed to. It has to match the size in the file, if any.
    pub input: InputSize,
    /// Stride of each output in pixels of the input, in the order of [`outputs`](Self::outputs).
    pub strides: Vec<usize>,
    /// Channels of the input, 1 or 3: needed where the file leaves them open.
    pub channels: Option<usize>,
    /// Scaling of grey values.
    pub scaling: InputScaling,
    /// Names of the graph's values with the features: maps `[1, C, h, w]`, or tokens `[1, n, C]` row by row. Empty:
    /// the outputs of the graph, in their order.
    pub outputs: Vec<String>,
    /// Number of tokens before those of the cells (class token, registers), which are dropped.
    pub leading_tokens: usize,
    /// Divisor of the cosines in matching, as that of [`Description`](crate::Description).
    pub temperature: f32,
}

impl ForeignEncoder {
    /// An encoder of this input size, whose outputs have these strides.
    pub fn new(input: InputSize, strides: impl Into<Vec<usize>>) -> ForeignEncoder {
        ForeignEncoder {
            input,
            strides: strides.into(),
            channels: None,
            scaling: InputScaling::default(),
            outputs: Vec::new(),
            leading_tokens: 0,
            temperature: 0.1,
        }
    }

    /// Sets the number of input channels.
    #[must_use]
    pub fn with_channels(self, channels: Option<usize>) -> ForeignEncoder {
        ForeignEncoder { channels, ..self }
    }

    /// Sets the scaling of grey values.
    #[must_use]
    pub fn with_scaling(self, scaling: InputScaling) -> ForeignEncoder {
        ForeignEncoder { scaling, ..self }
    }

    /// Sets the names of the values with the features.
    #[must_use]
    pub fn with_outputs(self, outputs: impl Into<Vec<String>>) -> ForeignEncoder {
        ForeignEncoder { outputs: outputs.into(), ..self }
    }

    /// Sets the number of leading tokens to drop.
    #[must_use]
    pub fn with_leading_tokens(self, leading_tokens: usize) -> ForeignEncoder {
        ForeignEncoder { leading_tokens, ..self }
    }

    /// Sets the temperature.
    #[must_use]
    pub fn with_temperature(self, temperature: f32) -> ForeignEncoder {
        ForeignEncoder { temperature, ..self }
    }

    /// Converts the ONNX file of another program to an encoder like our own.
    ///
    /// The foreign graph is kept. Nodes before it compute its input from one channel in `[0, 1]`; nodes after it turn its outputs into
    /// feature maps of unit vectors. The result is prepared and run once. External weights are embedded.
    ///
    /// # Errors
    ///
    /// [`ModelError`]: among others [`ModelError::Foreign`] where the graph does not match the stated properties.
    ///
    /// ```no_run
    /// use infomark_infer::{ForeignEncoder, InputScaling, InputSize};
    ///
    /// let resnet = ForeignEncoder::new(InputSize::new(384, 480)?, [4, 8, 16]).with_scaling(InputScaling::ImageNet);
    /// resnet.describe("resnet.onnx")?.save("encoder.onnx")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "onnx")]
    pub fn describe(&self, path: impl AsRef<Path>) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = model(path.as_ref())?;
        self.describe_bytes(&bytes, name, folder.as_deref())
    }

    /// [`describe`](Self::describe) for a file in memory; `name` is its name in messages, `folder` contains its
    /// external weights, if any.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnx")]
    pub fn describe_bytes(
        &self,
        bytes: &[u8],
        name: impl Into<String>,
        folder: Option<&Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let name = name.into();
        let wrapped = Wrapped::new(self, bytes, &name, folder)?;
        let shapes = crate::contain::contain(|| super::tract::shapes(&wrapped.raw(), self.input))
            .unwrap_or_else(|panic| Err(panic.into()));
        let described = wrapped.finish(shapes)?;
        let encoder = Encoder::from_bytes(&described, name)?;
        DescribedEncoder::tried(described, encoder)
    }

    /// [`describe`](Self::describe) with ONNX Runtime, for graphs that tract does not support.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnxruntime")]
    pub fn describe_on(
        &self,
        runtime: &OnnxRuntime,
        path: impl AsRef<Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = model(path.as_ref())?;
        let wrapped = Wrapped::new(self, &bytes, &name, folder.as_deref())?;
        let shapes = runtime.shapes(&wrapped.raw(), self.input);
        let described = wrapped.finish(shapes)?;
        let encoder = Encoder::from_bytes_on(runtime, &described, name)?;
        DescribedEncoder::tried(described, encoder)
    }
}

/// Encoder of another program, converted to a file of ours.
#[derive(Clone, Debug)]
pub struct DescribedEncoder {
    bytes: Vec<u8>,
    encoder: Encoder,
}

impl DescribedEncoder {
    /// Runs the encoder once and checks its features.
    fn tried(bytes: Vec<u8>, encoder: Encoder) -> Result<DescribedEncoder, ModelError> {
        let input = encoder.description().input;
        let mut rng = infomark_core::Rng::new(0, 0);
        let pixels: Vec<f32> = (0..input.area()).map(|_| rng.uniform()).collect();
        let encoding = encoder.encode_input("noise", &pixels)?;
        match encoding.levels().iter().find(|map| map.data().iter().all(|value| *value == 0.0)) {
            None => Ok(DescribedEncoder { bytes, encoder }),
            Some(map) => Err(ModelError::Foreign {
                name: encoder.name().to_owned(),
                problem: ForeignError::Zero { stride: map.stride() },
            }),
        }
    }

    /// The bytes of the file, for [`Encoder::load`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoder, under the name of the foreign file.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    ///
    /// [`ModelError::Unwritable`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let path = path.as_ref();
        file::write_file(path, &self.bytes)
            .map_err(|source| ModelError::Unwritable { name: path.display().to_string(), source })
    }
}

/// The bytes, the name and the folder of a model.
fn model(path: &Path) -> Result<(Vec<u8>, String, Option<PathBuf>), ModelError> {
    Ok((read_model(path)?, path.display().to_string(), path.parent().map(Path::to_owned)))
}
