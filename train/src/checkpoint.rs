//! What a run leaves on disk to go on from: `checkpoint.json` names the files of one step and their hashes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use infomark_infer::{read_file, sha256};
use serde::{Deserialize, Serialize};

use crate::encoder::Encoders;
use crate::network::Parameters;
use crate::optimizer::AdamW;
use crate::stall::Stall;
use crate::{CheckpointError, TrainConfig, TrainError};

/// Name of the file that points to the others.
pub(crate) const INDEX: &str = "checkpoint.json";
/// Layout of [`INDEX`].
const FORMAT: u32 = 4;

/// Where a training stands, beside the tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) config: TrainConfig,
    /// Steps done.
    pub(crate) step: u64,
    /// Seconds spent on them.
    pub(crate) seconds: f64,
    pub(crate) training_data_sha256: String,
    #[serde(default)]
    pub(crate) stall: Stall,
    /// What computed entropies, weights, drawn pixels, views and the loss of the latest steps: "CPU" or "CUDA device NAME".
    #[serde(default)]
    pub(crate) scoring_and_loss: String,
}

#[derive(Serialize, Deserialize)]
struct Index {
    format: u32,
    version: String,
    #[serde(flatten)]
    position: Position,
    /// Name and hash of the encoder's, the average's and the optimiser's file.
    files: [(String, String); 3],
}

/// The tensors of a training.
pub(crate) struct State {
    pub(crate) encoders: Encoders,
    pub(crate) parameters: Parameters,
    /// Of the parameters' values.
    pub(crate) average: Vec<f32>,
    pub(crate) optimizer: AdamW,
}

/// Writes a file whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the user's mask
    let mut file = builder.tempfile_in(dir).map_err(TrainError::file(path, "can't write"))?;
    file.write_all(bytes).map_err(TrainError::file(path, "can't write"))?;
    file.as_file().sync_all().map_err(TrainError::file(path, "can't write"))?;
    file.persist(path).map_err(|e| TrainError::file(path, "can't write")(e.error))?;
    Ok(())
}

/// Writes a file of a step; its name and hash.
pub(crate) fn keep(dir: &Path, name: &str, step: u64, bytes: &[u8]) -> Result<(String, String), TrainError> {
    let file = format!("{name}-{step:08}.safetensors");
    write_atomically(&dir.join(&file), bytes)?;
    Ok((file, sha256(bytes)))
}

/// A file of a step, with its path.
pub(crate) fn kept(dir: &Path, (name, hash): &(String, String)) -> Result<(PathBuf, Vec<u8>), TrainError> {
    let path = dir.join(name);
    let bytes = read_bytes(&path).map_err(TrainError::file(&path, "can't read the checkpoint"))?;
    if sha256(&bytes) != *hash {
        return Err(TrainError::Checkpoint { path, problem: CheckpointError::Damaged });
    }
    Ok((path, bytes))
}

/// Removes the files of an earlier step that the present one has no use for.
pub(crate) fn remove<'a>(
    dir: &Path,
    earlier: impl Iterator<Item = &'a String>,
    now: impl Fn(&String) -> bool,
) {
    for old in earlier {
        if !now(old) && !old.contains(['/', '\\']) {
            // A file that stays behind costs a few MiB and harms nothing.
            let _ = fs::remove_file(dir.join(old));
        }
    }
}

/// Longest file of a run that is read, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// All bytes of a file of a run, or that a run is begun from.
pub(crate) fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    Ok(read_file(path, MAX_BYTES)?)
}

/// The bytes of `checkpoint.json` in a folder.
pub(crate) fn read_index_bytes(dir: &Path) -> Result<Vec<u8>, TrainError> {
    let path = dir.join(INDEX);
    read_bytes(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            TrainError::Checkpoint { path: path.clone(), problem: CheckpointError::Missing }
        }
        _ => TrainError::file(&path, "can't read the checkpoint")(error),
    })
}

/// Saves a step; the previous one stays valid until this one is complete, and is removed then.
pub(crate) fn save(dir: &Path, position: &Position, state: &State) -> Result<(), TrainError> {
    let State { parameters, average, optimizer, .. } = state;
    let files = keep_tensors(dir, "encoder", position.step, (parameters, average, optimizer))?;
    let previous = read_index(dir).ok();
    let index = Index {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        position: position.clone(),
        files,
    };
    let json = serde_json::to_vec_pretty(&index).map_err(TrainError::internal("checkpoint"))?;
    write_atomically(&dir.join(INDEX), &json)?;
    let earlier = previous.iter().flat_map(|index| index.files.iter().map(|(name, _)| name));
    remove(dir, earlier, |old| index.files.iter().any(|(new, _)| new == old));
    Ok(())
}

/// Writes weights (to a file of that name), their average and the optimiser of a step; names and hashes of the files.
pub(crate) fn keep_tensors(
    dir: &Path,
    name: &str,
    step: u64,
    (parameters, average, optimizer): (&Parameters, &[f32], &AdamW),
) -> Result<[(String, String); 3], TrainError> {
    let keep = |name: &str, bytes: Result<Vec<u8>, _>| {
        keep(dir, name, step, &bytes.map_err(TrainError::internal("checkpoint"))?)
    };
    Ok([
        keep(name, parameters.to_safetensors(&[("", &parameters.values)], None))?,
        keep("average", parameters.to_safetensors(&[("", average)], None))?,
        keep("optimizer", optimizer.to_safetensors(parameters))?,
    ])
}

/// Reads what [`keep_tensors`] wrote into the weights, their average and the optimiser.
pub(crate) fn kept_tensors(
    dir: &Path,
    files: &[(String, String); 3],
    (parameters, average, optimizer): (&mut Parameters, &mut Vec<f32>, &mut AdamW),
) -> Result<(), TrainError> {
    let read = |file| {
        let (path, bytes) = kept(dir, file)?;
        let refuse = |reason| TrainError::Checkpoint { path, problem: CheckpointError::Tensors { reason } };
        Ok::<_, TrainError>((bytes, refuse))
    };
    let vector = |file| {
        let (bytes, refuse) = read(file)?;
        let vectors = parameters.read_safetensors(&bytes, &[""], None).map_err(refuse)?.0;
        Ok::<_, TrainError>(vectors.into_iter().flatten().collect())
    };
    let [of_weights, of_average, of_optimizer] = files;
    let (values, averaged) = (vector(of_weights)?, vector(of_average)?);
    let (bytes, refuse) = read(of_optimizer)?;
    *optimizer = AdamW::from_safetensors(optimizer.weight_decay(), parameters, &bytes).map_err(refuse)?;
    (parameters.values, *average) = (values, averaged);
    Ok(())
}

/// Whether a folder holds a checkpoint.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(INDEX).is_file()
}

fn read_index(dir: &Path) -> Result<Index, TrainError> {
    let path = dir.join(INDEX);
    let refuse = |problem| TrainError::Checkpoint { path: path.clone(), problem };
    let bytes = read_index_bytes(dir)?;
    /// What every version's checkpoint says.
    #[derive(Deserialize)]
    struct Kind {
        format: u32,
    }
    let unknown = |e: serde_json::Error| {
        refuse(CheckpointError::Json { expected: "a checkpoint of this version", reason: e.to_string() })
    };
    let Kind { format } = serde_json::from_slice(&bytes).map_err(unknown)?;
    if format != FORMAT {
        return Err(refuse(CheckpointError::Format { found: format, expected: FORMAT }));
    }
    let index: Index = serde_json::from_slice(&bytes).map_err(unknown)?;
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
