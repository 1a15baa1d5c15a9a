//! What the training of a landmark network leaves on disk to go on from.

use std::path::Path;

use infomark_infer::{InputSize, Normalisation};
use serde::{Deserialize, Serialize};

use super::LandmarkConfig;
use super::net::Net;
use crate::checkpoint::{INDEX, keep_tensors, kept_tensors, read_index_bytes, remove, write_atomically};
use crate::network::Parameters;
use crate::optimizer::AdamW;
use crate::{CheckpointError, TrainError};

/// Layout of the index.
const FORMAT: u32 = 2;
/// Tells the index from that of an encoder's training.
const KIND: &str = "landmarks";

/// Where a training stands, beside the tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) config: LandmarkConfig,
    pub(crate) input: InputSize,
    pub(crate) normalisation: Normalisation,
    /// SHA-256 of the encoder that it started from.
    pub(crate) encoder_sha256: Option<String>,
    pub(crate) landmarks: Vec<String>,
    pub(crate) labels_sha256: String,
    pub(crate) training_data_sha256: String,
    /// How many of the folder's images, where not all.
    pub(crate) images: Option<usize>,
    /// Steps done.
    pub(crate) step: u64,
    /// Seconds spent on them.
    pub(crate) seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Index {
    kind: String,
    format: u32,
    version: String,
    #[serde(flatten)]
    position: Position,
    /// Name and hash of the network's, the average's and the optimiser's file.
    files: [(String, String); 3],
}

/// The tensors of a training.
pub(crate) struct State {
    pub(crate) net: Net,
    pub(crate) parameters: Parameters,
    /// Of the parameters' values.
    pub(crate) average: Vec<f32>,
    pub(crate) optimizer: AdamW,
}

/// Saves a step; the previous one stays valid until this one is complete, and is removed then.
pub(crate) fn save(dir: &Path, position: &Position, state: &State) -> Result<(), TrainError> {
    let State { parameters, average, optimizer, .. } = state;
    let files = keep_tensors(dir, "network", position.step, (parameters, average, optimizer))?;
    let previous = read_index(dir).ok();
    let version = env!("CARGO_PKG_VERSION").into();
    let index = Index { kind: KIND.into(), format: FORMAT, version, position: position.clone(), files };
    let json = serde_json::to_vec_pretty(&index).map_err(TrainError::internal("checkpoint"))?;
    write_atomically(&dir.join(INDEX), &json)?;
    let earlier = previous.iter().flat_map(|index| index.files.iter().map(|(name, _)| name));
    remove(dir, earlier, |old| index.files.iter().any(|(new, _)| new == old));
    Ok(())
}

fn read_index(dir: &Path) -> Result<Index, TrainError> {
    let path = dir.join(INDEX);
    let refuse = |problem| TrainError::Checkpoint { path: path.clone(), problem };
    let index: Index = serde_json::from_slice(&read_index_bytes(dir)?).map_err(|e| {
        let expected = "a checkpoint of a landmark network of this version";
        refuse(CheckpointError::Json { expected, reason: e.to_string() })
    })?;
    if index.kind != KIND || index.format != FORMAT {
        let (found, format) = (index.kind, index.format);
        let problem = CheckpointError::Kind { found, format, expected: KIND, expected_format: FORMAT };
        return Err(refuse(problem));
    }
    index.position.config.check().map_err(|error| refuse(CheckpointError::Option(Box::new(error))))?;
    Ok(index)
}

/// Where the run in a folder stands.
pub(crate) fn position(dir: &Path) -> Result<Position, TrainError> {
    Ok(read_index(dir)?.position)
}

/// Reads the tensors of the run in a folder into `state`, which has the shapes that they must have.
pub(crate) fn load(dir: &Path, state: &mut State) -> Result<(), TrainError> {
    let State { parameters, average, optimizer, .. } = state;
    kept_tensors(dir, &read_index(dir)?.files, (parameters, average, optimizer))
}
