//! Checkpoints: `checkpoint.json`, the header, names the tensor files (safetensors) of one step and their
//! hashes.

use std::fs;
use std::path::{Path, PathBuf};

use infomark_infer::sha256;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::early_stopping::EarlyStopping;
use crate::optimizer::AdamW;
use crate::outputs::{read_bytes, write_atomically};
use crate::state::TrainState;
use crate::{CheckpointError, ConfigError, TrainError};

/// Name of the header.
pub(crate) const INDEX: &str = "checkpoint.json";

/// Header of a type of training, besides its [`Position`]: options, and hashes of the training data.
pub(crate) trait Header: Clone + Serialize + DeserializeOwned {
    /// Name of the type.
    const KIND: &'static str;
    /// Version of the header's format.
    const FORMAT: u32;
    /// Name of the weights file.
    const WEIGHTS: &'static str;

    /// Rejects invalid options.
    fn check(&self) -> Result<(), ConfigError>;
}

/// Progress of a training.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Steps done.
    pub(crate) step: u64,
    /// Training time in seconds.
    pub(crate) seconds: f64,
    #[serde(default, rename = "stall")]
    pub(crate) early_stopping: EarlyStopping,
}

/// Name and hash of the files of weights, average and optimiser.
type Files = [(String, String); 3];

/// The header as it is written.
#[derive(Serialize)]
struct Index<'a, H> {
    kind: &'a str,
    format: u32,
    version: &'a str,
    #[serde(flatten)]
    header: &'a H,
    #[serde(flatten)]
    position: &'a Position,
    files: Files,
}

/// A checkpoint in the folder of a run.
pub(crate) struct Checkpoint<H> {
    pub(crate) header: H,
    pub(crate) position: Position,
    dir: PathBuf,
    files: Files,
}

impl<H: Header> Checkpoint<H> {
    /// Reads the header in a folder.
    pub(crate) fn open(dir: &Path) -> Result<Self, TrainError> {
        /// Part of the header common to all versions; in early ones encoders had no kind.
        #[derive(Deserialize)]
        struct Kind {
            #[serde(default = "encoder")]
            kind: String,
            format: u32,
        }
        /// The rest of the header.
        #[derive(Deserialize)]
        struct Rest<H> {
            #[serde(flatten)]
            header: H,
            #[serde(flatten)]
            position: Position,
            files: Files,
        }
        fn encoder() -> String {
            "encoder".into()
        }
        let path = dir.join(INDEX);
        let refuse = |problem| TrainError::Checkpoint { path: path.clone(), problem };
        let bytes = read_bytes(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => refuse(CheckpointError::Missing),
            _ => TrainError::file(&path, "can't read the checkpoint")(error),
        })?;
        let unknown = |e: serde_json::Error| {
            refuse(CheckpointError::Json { expected: "a checkpoint of this version", reason: e.to_string() })
        };
        let Kind { kind, format } = serde_json::from_slice(&bytes).map_err(unknown)?;
        if kind != H::KIND {
            return Err(refuse(CheckpointError::Kind { found: kind, expected: H::KIND }));
        }
        if format != H::FORMAT {
            return Err(refuse(CheckpointError::Format { found: format, expected: H::FORMAT }));
        }
        let Rest { header, position, files } = serde_json::from_slice::<Rest<H>>(&bytes).map_err(unknown)?;
        header.check().map_err(|error| refuse(error.into()))?;
        Ok(Self { header, position, dir: dir.to_owned(), files })
    }

    /// Reads the tensors into a state of the expected shapes.
    pub(crate) fn load(&self, state: &mut TrainState) -> Result<(), TrainError> {
        let TrainState { parameters, average, optimizer } = state;
        let read = |(name, hash): &(String, String)| {
            let path = self.dir.join(name);
            let bytes = read_bytes(&path).map_err(TrainError::file(&path, "can't read the checkpoint"))?;
            if sha256(&bytes) != *hash {
                return Err(TrainError::Checkpoint { path, problem: CheckpointError::Damaged });
            }
            let refuse =
                |reason| TrainError::Checkpoint { path, problem: CheckpointError::Tensors { reason } };
            Ok((bytes, refuse))
        };
        let vector = |file| {
            let (bytes, refuse) = read(file)?;
            let vectors = parameters.read_safetensors(&bytes, &[""], None).map_err(refuse)?.0;
            Ok::<Vec<f32>, TrainError>(vectors.into_iter().flatten().collect())
        };
        let [of_weights, of_average, of_optimizer] = &self.files;
        let (values, averaged) = (vector(of_weights)?, vector(of_average)?);
        let (bytes, refuse) = read(of_optimizer)?;
        *optimizer = AdamW::from_safetensors(optimizer.weight_decay(), parameters, &bytes).map_err(refuse)?;
        (parameters.values, *average) = (values, averaged);
        Ok(())
    }

    /// The error of a checkpoint that does not match the run.
    pub(crate) fn refuse(&self, problem: CheckpointError) -> TrainError {
        TrainError::Checkpoint { path: self.dir.join(INDEX), problem }
    }
}

/// Saves a step; the previous one stays valid until this one is complete, and is then removed.
pub(crate) fn save<H: Header>(
    dir: &Path,
    header: &H,
    position: &Position,
    state: &TrainState,
) -> Result<(), TrainError> {
    #[derive(Deserialize)]
    struct Earlier {
        files: Files,
    }
    let TrainState { parameters, average, optimizer } = state;
    let keep = |name: &str, bytes: Result<Vec<u8>, _>| {
        let bytes = bytes.map_err(TrainError::internal)?;
        let file = format!("{name}-{:08}.safetensors", position.step);
        write_atomically(&dir.join(&file), &bytes)?;
        Ok::<_, TrainError>((file, sha256(&bytes)))
    };
    let vector = |values: &[f32]| parameters.to_safetensors(&[("", values)], None);
    let files = [
        keep(H::WEIGHTS, vector(&parameters.values))?,
        keep("average", vector(average))?,
        keep("optimizer", optimizer.to_safetensors(parameters))?,
    ];
    let path = dir.join(INDEX);
    let earlier = read_bytes(&path).ok().and_then(|bytes| serde_json::from_slice::<Earlier>(&bytes).ok());
    let index = Index {
        kind: H::KIND,
        format: H::FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        header,
        position,
        files,
    };
    let json = serde_json::to_vec_pretty(&index).map_err(TrainError::internal)?;
    write_atomically(&path, &json)?;
    for (old, _) in earlier.iter().flat_map(|earlier| &earlier.files) {
        if !index.files.iter().any(|(new, _)| new == old) && !old.contains(['/', '\\']) {
            // A remaining file costs a few MiB and is harmless.
            let _ = fs::remove_file(dir.join(old));
        }
    }
    Ok(())
}

/// Whether a folder holds a checkpoint.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(INDEX).is_file()
}

/// Refuses to start a run in the folder of another.
pub(crate) fn refuse_existing(dir: &Path) -> Result<(), TrainError> {
    let path = dir.join(INDEX);
    let taken = || TrainError::Checkpoint { path: path.clone(), problem: CheckpointError::Exists };
    if path.is_file() { Err(taken()) } else { Ok(()) }
}
