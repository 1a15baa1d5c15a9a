//! Inference with ONNX Runtime (optional library).

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use prost::Message;

use super::{Interface, ModelError, RuntimeError};
use crate::onnx::Model;
use crate::{Description, InputSize};

/// The process-wide environment of ONNX Runtime.
static LOADED: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, from the shared library of an installation (1.17 or later), e.g. `libonnxruntime.so` of the Python package. It is
/// neither linked nor downloaded.
#[derive(Clone, Debug)]
pub struct OnnxRuntime {
    environment: Environment,
}

impl OnnxRuntime {
    /// Loads the library. A process uses the first one that it loads; the path of a second one is ignored.
    ///
    /// # Errors
    ///
    /// [`ModelError::Runtime`] when the library is missing, another one or too old.
    ///
    /// ```no_run
    /// use infomark_infer::{Encoder, OnnxRuntime};
    ///
    /// let runtime = OnnxRuntime::load("libonnxruntime.so")?;
    /// let encoder = Encoder::from_bytes_on(&runtime, &std::fs::read("encoder.onnx")?, "encoder.onnx")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(library: impl AsRef<Path>) -> Result<OnnxRuntime, ModelError> {
        let library = library.as_ref();
        let refuse = |reason: String| ModelError::Runtime { library: library.display().to_string(), reason };
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(environment) = &*loaded {
            return Ok(OnnxRuntime { environment: environment.clone() });
        }
        let builder = ort::init_from(library).map_err(|error| refuse(error.to_string()))?;
        let environment = builder.with_telemetry(false).build().map_err(|error| refuse(error.to_string()))?;
        *loaded = Some(environment.clone());
        Ok(OnnxRuntime { environment })
    }

    /// The shapes of a model's outputs, of 32-bit floats, for an input size.
    pub(super) fn shapes(&self, model: &Model, input: InputSize) -> Result<Vec<Vec<usize>>, RuntimeError> {
        let outputs = model.graph.iter().flat_map(|graph| &graph.output).map(|output| output.name.clone());
        let sessions = Sessions {
            environment: self.environment.clone(),
            bytes: model.encode_to_vec().into(),
            outputs: outputs.collect(),
            idle: Mutex::default(),
        };
        let canvas = vec![0.5; input.area()];
        let shape = [1, 1, input.height(), input.width()];
        let maps = sessions.run_on(&mut sessions.open()?, &canvas, shape)?;
        Ok(maps.into_iter().map(|(shape, _)| shape).collect())
    }

    pub(super) fn sessions(&self, bytes: &[u8], interface: &Interface) -> Result<Sessions, RuntimeError> {
        let sessions = Sessions {
            environment: self.environment.clone(),
            bytes: bytes.into(),
            outputs: interface.outputs.iter().map(|(name, _)| name.clone()).collect(),
            idle: Mutex::default(),
        };
        let first = sessions.open()?;
        sessions.give_back(first);
        Ok(sessions)
    }
}

/// Shape and elements of an output.
type Output = (Vec<usize>, Vec<f32>);

/// A model's sessions, as many as there were concurrent runs.
pub(super) struct Sessions {
    environment: Environment,
    bytes: Box<[u8]>,
    outputs: Vec<String>,
    idle: Mutex<Vec<Session>>,
}

impl Sessions {
    fn open(&self) -> Result<Session, RuntimeError> {
        let builder = Session::builder(&self.environment).map_err(backend)?;
        let builder = builder.with_intra_threads(1).map_err(backend)?;
        let mut builder = builder.with_inter_threads(1).map_err(backend)?;
        builder.commit_from_memory(&self.bytes).map_err(backend)
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Computes the outputs, each of its expected length, for a model input of `[height, width]`.
    pub(super) fn run(
        &self,
        canvas: &[f32],
        [height, width]: [usize; 2],
        lengths: &[usize],
    ) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = idle.map_or_else(|| self.open(), Ok)?;
        let maps = self.run_on(&mut session, canvas, [1, 1, height, width])?;
        self.give_back(session);
        let level = |((name, &length), (_, values)): ((&String, &usize), (_, Vec<f32>))| {
            if values.len() == length {
                Ok(values)
            } else {
                Err(RuntimeError::OutputLength {
                    output: name.clone(),
                    found: values.len(),
                    expected: length,
                })
            }
        };
        self.outputs.iter().zip(lengths).zip(maps).map(level).collect()
    }

    fn run_on(
        &self,
        session: &mut Session,
        canvas: &[f32],
        shape: [usize; 4],
    ) -> Result<Vec<Output>, RuntimeError> {
        let canvas = TensorRef::from_array_view((shape, canvas)).map_err(backend)?;
        let maps = session.run(ort::inputs![Description::INPUT_NAME => canvas]).map_err(backend)?;
        let output = |name: &String| {
            let map = maps.get(name).ok_or_else(|| RuntimeError::MissingOutput { output: name.clone() })?;
            let (shape, values) = map.try_extract_tensor::<f32>().map_err(backend)?;
            let shape = shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
            Ok((shape, values.to_vec()))
        };
        self.outputs.iter().map(output).collect()
    }
}

fn backend(error: impl ToString) -> RuntimeError {
    RuntimeError::Backend { message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoder, Image};
    use std::error::Error;

    #[test]
    fn a_missing_library_is_refused_by_name() {
        let error = OnnxRuntime::load("no-such-library.so").err();
        assert!(
            matches!(&error, Some(ModelError::Runtime { library, .. }) if library == "no-such-library.so"),
            "{error:?}"
        );
    }

    #[test]
    #[ignore = "needs ONNX Runtime: INFOMARK_ONNXRUNTIME=$(infer/fetch-onnxruntime)"]
    fn the_features_are_those_of_our_runtime() -> Result<(), Box<dyn Error>> {
        let library =
            std::env::var_os("INFOMARK_ONNXRUNTIME").ok_or("INFOMARK_ONNXRUNTIME names no library")?;
        let runtime = OnnxRuntime::load(library)?;
        // The path of a second library is ignored.
        OnnxRuntime::load("no-such-library.so")?;
        let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ceph/ceph.onnx"))?;
        let (ours, theirs) =
            (Encoder::from_bytes(&bytes, "ceph")?, Encoder::from_bytes_on(&runtime, &bytes, "ceph")?);
        let mut rng = infomark_core::Rng::new(3, 0);
        let pixels = (0..300 * 400).map(|_| rng.uniform_in(0.0, 1.0)).collect();
        let image = Image::new("noise", 300, 400, pixels)?;
        let both = std::thread::scope(|scope| {
            let other = scope.spawn(|| theirs.encode(&image));
            (theirs.encode(&image), other.join())
        });
        let (theirs, other) = (both.0?, both.1.map_err(|_| "a thread panicked")??);
        for ((ours, theirs), other) in
            ours.encode(&image)?.levels().iter().zip(theirs.levels()).zip(other.levels())
        {
            assert_eq!(theirs.data(), other.data());
            assert_eq!(ours.data().len(), theirs.data().len());
            let apart = ours.data().iter().zip(theirs.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-3, "{apart} at stride {}", ours.stride());
        }
        Ok(())
    }
}
