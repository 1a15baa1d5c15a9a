//! What runs encoders: files, or encoders that come with the program.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_infer::{Encoder, OnnxRuntime};

/// What runs encoders.
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
