//! Runtime and loading of encoders, from files or bundled.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_infer::{Encoder, OnnxRuntime};

/// Runtime of encoders.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct RuntimeOptions {
    /// Runtime of the encoder: own (infomark's layers, else tract), or onnxruntime, with the same results up to
    /// rounding
    #[arg(long, value_enum, default_value_t = Runtime::Own)]
    runtime: Runtime,
    /// The library of ONNX Runtime 1.17 or later, e.g. libonnxruntime.so [default: the system's library path]
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
    /// ONNX Runtime, if requested.
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

    /// Rejects another runtime for landmark networks, which only run on infomark's own.
    pub(crate) fn check_for_network(&self) -> Result<()> {
        match self.runtime {
            Runtime::Own => Ok(()),
            Runtime::Onnxruntime => {
                bail!("--runtime onnxruntime: it runs encoders; leave it out with --landmark-model")
            }
        }
    }

    /// Loads the encoder from a file, or a bundled one.
    pub(crate) fn encoder(&self, path: &Path) -> Result<Encoder> {
        Ok(match self.load()? {
            None => infomark_models::load_encoder(path)?,
            Some(runtime) => infomark_models::load_encoder_on(&runtime, path)?,
        })
    }
}
