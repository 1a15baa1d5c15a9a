//! Exported encoders.

mod encoding;
mod error;
#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
mod foreign;
pub(crate) mod graph;
mod layers;
mod limits;
mod network;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod operation;
pub(crate) mod plan;
#[cfg(feature = "onnx")]
mod tract;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub use encoding::Encoding;
pub use error::{BackboneError, GraphError, ModelError, ModelOutputError, RuntimeError};
#[cfg(any(feature = "onnx", feature = "onnxruntime"))]
pub use foreign::{DescribedEncoder, ForeignEncoder, ForeignError, InputScaling, UnknownScaling};
#[cfg(feature = "onnxruntime")]
pub use onnxruntime::OnnxRuntime;

use crate::description;
use crate::encoder::plan::Plan;
use crate::file::{self, FileProblem};
use crate::onnx::Model;
use crate::{Description, DescriptionError, Image, InputSize, Letterbox, LetterboxError, sha256};

/// Maximum size of a model file, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// Expected inputs and outputs of a model's graph: one image in; name and shape of each output.
pub(crate) struct Interface {
    pub(crate) input: InputSize,
    pub(crate) outputs: Vec<(String, [usize; 4])>,
}

/// Interface of an encoder.
fn interface(description: &Description) -> Interface {
    let (width, height) = (description.input.width(), description.input.height());
    let channels = description.channels.by_level(description.strides.len()).unwrap_or_default();
    let map = |(&stride, channels): (&usize, usize)| {
        (Description::output_name(stride), [1, channels, height / stride, width / stride])
    };
    Interface {
        input: description.input,
        outputs: description.strides.iter().zip(channels).map(map).collect(),
    }
}

/// Reads the bytes of an encoder or landmark network, for [`Encoder::from_bytes`] or
/// [`LandmarkNet::from_bytes`](crate::LandmarkNet::from_bytes) here or on another machine.
///
/// # Errors
/// [`ModelError::Missing`], [`ModelError::NotAFile`], [`ModelError::Empty`], [`ModelError::TooLarge`], [`ModelError::Unreadable`].
pub fn read_model(path: impl AsRef<Path>) -> Result<Vec<u8>, ModelError> {
    let path = path.as_ref();
    let name = || path.display().to_string();
    file::read(path, MAX_BYTES).map_err(|problem| match problem {
        FileProblem::Missing => ModelError::Missing { name: name() },
        FileProblem::NotAFile => ModelError::NotAFile { name: name() },
        FileProblem::Empty => ModelError::Empty { name: name() },
        FileProblem::TooLarge { bytes } => ModelError::TooLarge { name: name(), bytes },
        FileProblem::Unreadable(source) => ModelError::Unreadable { name: name(), source },
    })
}

/// Parses a file into graph and description, and checks its seal.
pub(crate) fn open<D>(
    bytes: &[u8],
    name: &str,
    describe: impl FnOnce(&[(&str, &str)]) -> Result<D, DescriptionError>,
) -> Result<(Model, D), ModelError> {
    let name = || name.to_owned();
    if bytes.is_empty() {
        return Err(ModelError::Empty { name: name() });
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ModelError::TooLarge { name: name(), bytes: bytes.len() as u64 });
    }
    if file::is_ensemble(bytes) {
        return Err(ModelError::Ensemble { name: name() });
    }
    let model = graph::parse(bytes, &name())?;
    let entries = model.metadata_props.iter();
    let properties: Vec<_> = entries.map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
    let description =
        describe(&properties).map_err(|source| ModelError::Description { name: name(), source })?;
    if !description::is_intact(properties.iter().copied(), || graph::bytes(&model)) {
        return Err(ModelError::Damaged { name: name() });
    }
    Ok((model, description))
}

/// Checks the graph and prepares it for running.
pub(crate) fn prepare(model: &Model, interface: &Interface, name: &str) -> Result<Plan, ModelError> {
    let outputs = graph::check(model, interface, name)?;
    Plan::new(model, interface, &outputs, name)
}

/// Encoder: a network from images to feature maps.
///
/// It can be shared between threads. A run uses only the calling thread and gives the same bits for
/// the same image, whatever runs concurrently; on another type of processor the last bits may differ.
#[derive(Clone)]
pub struct Encoder {
    name: String,
    sha256: Arc<str>,
    description: Description,
    plan: Plan,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("name", &self.name)
            .field("sha256", &self.sha256)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// Loads an ONNX file with a [`Description`].
    ///
    /// # Errors
    /// [`ModelError`]: every case names the file and what to do.
    ///
    /// ```no_run
    /// let encoder = infomark_infer::Encoder::load("encoder.onnx")?;
    /// println!("features at the strides {:?}", encoder.description().strides);
    /// # Ok::<(), infomark_infer::ModelError>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        Encoder::from_bytes(&read_model(path)?, name)
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<Encoder, ModelError> {
        let name = name.into();
        let (model, description) =
            open(bytes, &name, |properties| Description::from_properties(properties.iter().copied()))?;
        let plan = prepare(&model, &interface(&description), &name)?;
        Ok(Encoder { sha256: sha256(bytes).into(), name, description, plan })
    }

    /// [`from_bytes`](Self::from_bytes) with ONNX Runtime: same checks, same results up to rounding
    /// (features of length 1 differ by less than 0.001), one thread per run, and support for all of its operators. The
    /// deadline is checked before and after a run; the memory of a run is not bounded.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[cfg(feature = "onnxruntime")]
    pub fn from_bytes_on(
        runtime: &OnnxRuntime,
        bytes: &[u8],
        name: impl Into<String>,
    ) -> Result<Encoder, ModelError> {
        let name = name.into();
        let (model, description) =
            open(bytes, &name, |properties| Description::from_properties(properties.iter().copied()))?;
        let interface = interface(&description);
        graph::check(&model, &interface, &name)?;
        let plan = Plan::on(runtime, bytes, &interface, &name)?;
        Ok(Encoder { sha256: sha256(bytes).into(), name, description, plan })
    }

    /// [`load`](Self::load) with ONNX Runtime, as [`from_bytes_on`](Self::from_bytes_on).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[cfg(feature = "onnxruntime")]
    pub fn load_on(runtime: &OnnxRuntime, path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
        let path = path.as_ref();
        Encoder::from_bytes_on(runtime, &read_model(path)?, path.display().to_string())
    }

    /// Name in messages: the path, if it was read from a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The runtime: `infomark` (our own layers), `tract` or `onnxruntime`.
    pub fn runtime(&self) -> &'static str {
        self.plan.runtime()
    }

    /// The description in the file.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Computes the features of an image at every stride.
    ///
    /// # Errors
    /// [`ModelError::Run`] when the graph fails, [`ModelError::Features`] when features are NaN or longer than 1.
    pub fn encode(&self, image: &Image) -> Result<Encoding, ModelError> {
        self.encode_until(image, None)
    }

    /// [`encode`](Self::encode), aborted after the `deadline`. The clock is checked between the operations of the graph, each of
    /// which takes milliseconds in encoders of infomark.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and [`ModelError::TimeLimit`].
    pub fn encode_until(&self, image: &Image, deadline: Option<Instant>) -> Result<Encoding, ModelError> {
        let (fit, canvas) = Letterbox::new(image.width(), image.height(), self.description.input)
            .and_then(|fit| Ok((fit, fit.apply(image, self.description.normalisation)?)))
            .map_err(|source| ModelError::Letterbox { name: image.name().to_owned(), source })?;
        let levels = self.plan.run(&canvas, &self.name, image.name(), deadline)?;
        self.encoding(image.name(), fit, &canvas, levels)
    }

    fn encoding(
        &self,
        image: &str,
        fit: Letterbox,
        canvas: &[f32],
        levels: Vec<Vec<f32>>,
    ) -> Result<Encoding, ModelError> {
        Encoding::new(image.to_owned(), Arc::clone(&self.sha256), fit, &self.description, canvas, levels)
            .map_err(|problem| ModelError::Features { name: self.name.clone(), problem })
    }

    /// Computes the features of a model input: pixels of its size, row by row, normalised as its description says. `name`
    /// is used in errors.
    ///
    /// # Errors
    /// [`ModelError::Letterbox`] when the number of pixels is not that of the input, and as [`encode`](Self::encode).
    pub fn encode_input(&self, name: &str, pixels: &[f32]) -> Result<Encoding, ModelError> {
        let input = self.description.input;
        let fit = Letterbox::new(input.width(), input.height(), input).and_then(|fit| match pixels.len() {
            len if len == input.area() => Ok(fit),
            len => Err(LetterboxError::OtherSize {
                width: len,
                height: 1,
                expected_width: input.width(),
                expected_height: input.height(),
            }),
        });
        let fit = fit.map_err(|source| ModelError::Letterbox { name: name.to_owned(), source })?;
        let levels = self.plan.run(pixels, &self.name, name, None)?;
        self.encoding(name, fit, pixels, levels)
    }
}
