//! What the training of a landmark network leaves on disk to go on from.

use std::path::Path;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use infomark_infer::{InputSize, Normalisation};
use serde::{Deserialize, Serialize};

use super::LandmarkConfig;
use super::net::Net;
use crate::checkpoint::{INDEX, keep, kept, read_index_bytes, remove, tensors, write_atomically};
use crate::encoder::{values, with_values};
use crate::{CheckpointError, TrainError};

/// Layout of the index.
const FORMAT: u32 = 1;
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
    pub(crate) average: Vec<Vec<f32>>,
    pub(crate) optimizer: ModuleOptimizer,
}

/// Saves a step; the previous one stays valid until this one is complete, and is removed then.
pub(crate) fn save(dir: &Path, position: &Position, state: &State) -> Result<(), TrainError> {
    let record = |net: Net| net.into_record().into_bytes();
    let parts = [
        ("network", record(state.net.clone())),
        ("average", record(with_values(state.net.clone(), &state.average))),
        ("optimizer", state.optimizer.into_bytes()),
    ];
    let mut files = Vec::with_capacity(parts.len());
    for (name, bytes) in parts {
        let bytes: Bytes = bytes.map_err(TrainError::internal("checkpoint"))?;
        files.push(keep(dir, name, position.step, &bytes)?);
    }
    let files = <[_; 3]>::try_from(files).map_err(|_| TrainError::internal("checkpoint")("three files"))?;
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

/// The tensors of the run in a folder; `fresh` has the shapes they must have.
pub(crate) fn load(dir: &Path, fresh: State) -> Result<State, TrainError> {
    let index = read_index(dir)?;
    let parts = index.files.iter().map(|file| kept(dir, file)).collect::<Result<Vec<_>, _>>()?;
    let [net, average, optimizer] =
        <[_; 3]>::try_from(parts).map_err(|_| TrainError::internal("checkpoint")("three files"))?;
    let module = |(path, bytes): (std::path::PathBuf, Bytes)| {
        ModuleRecord::from_bytes(bytes)
            .and_then(|record| fresh.net.clone().try_load_record(record))
            .map_err(tensors(path))
    };
    let average = values(&module(average)?);
    let (path, bytes) = optimizer;
    let loaded = fresh.optimizer.from_bytes(bytes);
    let optimizer = loaded.map_err(tensors(path))?;
    Ok(State { net: module(net)?, average, optimizer })
}
