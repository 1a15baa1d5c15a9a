//! Collective communication of the processes that train one encoder together.

/// Why an [`Exchange`] could not deliver, in the words of its engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExchangeError {
    message: String,
}

impl ExchangeError {
    /// The error with what the engine said.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Collective communication of the processes (ranks) of a training: MPI, `torch.distributed`, or whatever moves bytes.
///
/// All ranks make the same calls in the same order, one at a time, and a call returns when every rank has made it. The engine only
/// moves bytes: sums are made by the training, in the order of the images, so that they do not depend on the number of ranks.
/// Bytes arrive as they were sent, whatever their length, 0 included.
pub trait Exchange: Send + Sync {
    /// Rank of this process: 0 to `size - 1`.
    fn rank(&self) -> usize;

    /// World size: number of processes.
    fn size(&self) -> usize;

    /// Sends the same bytes to all ranks; returns those of each rank, in the ranks' order, its own included.
    ///
    /// # Errors
    /// When the engine can't deliver.
    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError>;

    /// Sends `parts[i]` to rank `i`; returns what each rank sent to this one, in the ranks' order.
    ///
    /// # Errors
    /// When the engine can't deliver.
    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError>;
}

/// One process alone: rank 0 of a world of size 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alone;

impl Exchange for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError> {
        Ok(vec![bytes.to_vec()])
    }

    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
        Ok(parts)
    }
}
