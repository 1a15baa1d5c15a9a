//! Exported encoders, run with tract.

mod encoding;
mod error;
mod graph;
mod plan;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub use encoding::Encoding;
pub use error::ModelError;

use crate::description;
use crate::encoder::plan::Plan;
use crate::file::{self, FileProblem};
use crate::threads::Threads;
use crate::{Description, Fit, Image, sha256};

/// Largest encoder file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// An encoder: images in, feature maps out.
///
/// It can be shared between threads. A run uses the thread that it is called on and no other, unless
/// `with_threads` (feature `threads`) gave it some, and gives the same bits for the same image on any number of threads and
/// whatever else runs beside; on another kind of processor the last bits may differ.
pub struct Encoder {
    name: String,
    sha256: Arc<str>,
    description: Description,
    plan: Plan,
    threads: Threads,
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
    /// Loads an ONNX file that carries a [`Description`].
    ///
    /// # Errors
    ///
    /// [`ModelError`]: every case names the file and the fix.
    ///
    /// ```no_run
    /// let encoder = infomark_infer::Encoder::load("encoder.onnx")?;
    /// println!("trained on {} images", encoder.description().training_images);
    /// # Ok::<(), infomark_infer::ModelError>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        match file::read(path, MAX_BYTES) {
            Ok(bytes) => Encoder::from_bytes(&bytes, name),
            Err(problem) => Err(match problem {
                FileProblem::Missing => ModelError::Missing { name },
                FileProblem::NotAFile => ModelError::NotAFile { name },
                FileProblem::Empty => ModelError::Empty { name },
                FileProblem::TooLarge { bytes } => ModelError::TooLarge { name, bytes },
                FileProblem::Unreadable(source) => ModelError::Unreadable { name, source },
            }),
        }
    }

    /// [`load`](Self::load) for a file that is in memory already; `name` stands for it in messages.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<Encoder, ModelError> {
        let name = name.into();
        if bytes.is_empty() {
            return Err(ModelError::Empty { name });
        }
        let model = graph::parse(bytes, &name)?;
        let description = Description::from_properties(
            model.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())),
        )
        .map_err(|source| ModelError::Description { name: name.clone(), source })?;
        let properties = model.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str()));
        if !description::is_intact(properties, || graph::bytes(&model)) {
            return Err(ModelError::Damaged { name });
        }
        let outputs = graph::check(&model, &description, &name)?;
        let plan = Plan::new(&model, &description, outputs, &name)?;
        Ok(Encoder { sha256: sha256(bytes).into(), name, description, plan, threads: Threads::default() })
    }

    /// Gives the encoder threads of its own, which share the work on one image and the search in it; the results stay the
    /// same to the bit. Who has many images spreads the images over threads instead, which costs less.
    ///
    /// # Errors
    ///
    /// [`ModelError::Threads`] when the system starts no more threads.
    #[cfg(feature = "threads")]
    pub fn with_threads(mut self, threads: usize) -> Result<Encoder, ModelError> {
        self.threads =
            Threads::new(threads).map_err(|reason| ModelError::Threads { count: threads, reason })?;
        Ok(self)
    }

    /// What messages call this encoder: its path, where it was read from a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the file says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The features of an image, at every stride of the encoder.
    ///
    /// # Errors
    ///
    /// [`ModelError::Run`] when tract fails, [`ModelError::Features`] when features come out NaN or longer than 1.
    pub fn encode(&self, image: &Image) -> Result<Encoding, ModelError> {
        self.run(image, None)
    }

    /// [`encode`](Self::encode), given up when `deadline` has passed. The clock is looked at between the operations of the
    /// graph, each of which takes milliseconds in encoders of infomark.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode), and [`ModelError::TimeLimit`].
    pub fn encode_until(&self, image: &Image, deadline: Instant) -> Result<Encoding, ModelError> {
        self.run(image, Some(deadline))
    }

    fn run(&self, image: &Image, deadline: Option<Instant>) -> Result<Encoding, ModelError> {
        let resized = Fit::new(image.width(), image.height(), self.description.input)
            .and_then(|fit| Ok((fit, fit.apply(image)?)));
        let (fit, canvas) =
            resized.map_err(|source| ModelError::Fit { name: image.name().to_owned(), source })?;
        let levels = self.plan.run(&canvas, &self.name, &self.threads, deadline);
        let levels = levels.map_err(|error| match error {
            ModelError::TimeLimit { .. } => ModelError::TimeLimit { name: image.name().to_owned() },
            error => error,
        })?;
        let model = Arc::clone(&self.sha256);
        let encoding = Encoding::new(image.name().to_owned(), model, fit, &self.description, &canvas, levels)
            .map_err(|problem| ModelError::Features { name: self.name.clone(), problem })?;
        Ok(encoding.with_threads(self.threads.clone()))
    }
}
