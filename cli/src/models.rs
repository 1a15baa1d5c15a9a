//! Encoders and landmark networks: files, or encoders that come with the program; and how results name them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_infer::{
    Channels, Encoder, Ensemble, LandmarkDescription, LandmarkNet, Member, OnnxRuntime, Origin,
};
use serde::Serialize;

use crate::inputs::hash;
use crate::output::file_name;

/// What runs encoders.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct RuntimeOptions {
    /// What runs the encoder: own (the layers of infomark, else tract), or onnxruntime, whose results are the same but for
    /// rounding
    #[arg(long, value_enum, default_value_t = Runtime::Own)]
    runtime: Runtime,
    /// The library of ONNX Runtime 1.17 or later, e.g. libonnxruntime.so [default: where the system looks for libraries]
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH", hide_env_values = true)]
    onnxruntime_library: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
enum Runtime {
    #[default]
    Own,
    Onnxruntime,
}

impl RuntimeOptions {
    /// ONNX Runtime, where it is asked for.
    pub(crate) fn load(&self) -> Result<Option<OnnxRuntime>> {
        match self.runtime {
            Runtime::Own => Ok(None),
            Runtime::Onnxruntime => {
                let name =
                    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
                let library = self.onnxruntime_library.clone().unwrap_or_else(|| PathBuf::from(name));
                Ok(Some(OnnxRuntime::load(library)?))
            }
        }
    }

    /// Refuses a runtime for landmark networks, which infomark runs itself.
    pub(crate) fn check_for_network(&self) -> Result<()> {
        match self.runtime {
            Runtime::Own => Ok(()),
            Runtime::Onnxruntime => {
                bail!("--runtime onnxruntime: it runs encoders; leave it out with --landmark-model")
            }
        }
    }

    /// The encoder of a file, or one that comes with the program.
    pub(crate) fn encoder(&self, path: &Path) -> Result<Encoder> {
        Ok(match self.load()? {
            None => infomark_models::load_encoder(path)?,
            Some(runtime) => infomark_models::load_encoder_on(&runtime, path)?,
        })
    }
}

/// An encoder, told apart by its hash.
#[derive(Clone, Serialize)]
pub(crate) struct Model {
    file: String,
    sha256: String,
    version: String,
    #[serde(flatten)]
    origin: Origin,
    input: [usize; 2],
    strides: Vec<usize>,
    channels: Channels,
    temperature: f32,
    /// What ran it.
    runtime: &'static str,
}

impl Model {
    pub(crate) fn of(encoder: &Encoder, path: &Path) -> Self {
        let description = encoder.description();
        Self {
            file: file_name(path),
            sha256: encoder.sha256().to_owned(),
            version: description.version.clone(),
            origin: description.origin.clone(),
            input: [description.input.width(), description.input.height()],
            strides: description.strides.clone(),
            channels: description.channels.clone(),
            temperature: description.temperature,
            runtime: encoder.runtime(),
        }
    }
}

/// A landmark network, told apart by its hash.
#[derive(Clone, Serialize)]
pub(crate) struct NetworkModel {
    file: String,
    sha256: String,
    #[serde(flatten)]
    description: LandmarkDescription,
}

impl NetworkModel {
    pub(crate) fn of(net: &LandmarkNet, path: &Path) -> Self {
        let (sha256, description) = (net.sha256().to_owned(), net.description().clone());
        Self { file: file_name(path), sha256, description }
    }
}

/// An ensemble, told apart by its hash.
#[derive(Clone, Serialize)]
pub(crate) struct EnsembleModel {
    file: String,
    sha256: String,
    encoder_sha256: String,
    networks_sha256: Vec<String>,
    /// Images of the templates.
    templates: Vec<String>,
    landmarks: Vec<String>,
    /// What places each landmark.
    members: Vec<Member>,
    /// Fraction of errors that the bounds hold for; none without bounds.
    coverage: Option<f64>,
}

impl EnsembleModel {
    /// Whether a path names a file of an ensemble.
    pub(crate) fn is_file(path: &Path) -> bool {
        let mut first = [0; 16];
        let read =
            path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok();
        read && Ensemble::is_file(&first)
    }

    /// Reads the file of an ensemble.
    pub(crate) fn load(path: &Path) -> Result<(Ensemble, EnsembleModel)> {
        let ensemble = Ensemble::load(path)?;
        let templates = ensemble.matcher().templates().iter();
        let model = EnsembleModel {
            file: file_name(path),
            sha256: hash(path)?,
            encoder_sha256: ensemble.matcher().encoder().sha256().to_owned(),
            networks_sha256: ensemble.networks().iter().map(|net| net.sha256().to_owned()).collect(),
            templates: templates.map(|template| template.image().to_owned()).collect(),
            landmarks: ensemble.landmarks().to_vec(),
            members: ensemble.members().to_vec(),
            coverage: ensemble.bounds().map(|bounds| bounds.coverage),
        };
        Ok((ensemble, model))
    }
}
