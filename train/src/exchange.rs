//! Collective communication of the processes of a distributed training.

/// Failure of an [`Exchange`], with the engine's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExchangeError {
    message: String,
}

impl ExchangeError {
    /// An error with the engine's message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Collective communication of the processes (ranks) of a training: MPI, `torch.distributed`, or any other engine.
///
/// All ranks make the same calls in the same order, one at a time, and a call returns when every rank has made it. The engine only
/// transports bytes: sums are computed by the training, in the order of the images, so that they do not depend on the number of ranks.
/// Messages of any length, including 0, arrive unchanged.
pub trait Exchange: Send + Sync {
    /// Rank of this process: 0 to `size - 1`.
    fn rank(&self) -> usize;

    /// World size: number of processes.
    fn size(&self) -> usize;

    /// Sends the same bytes to all ranks; returns those of each rank, including its own, in rank order.
    ///
    /// # Errors
    /// When communication fails.
    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError>;

    /// Sends `parts[i]` to rank `i`; returns the bytes of each rank for this one, in rank order.
    ///
    /// # Errors
    /// When communication fails.
    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError>;
}

/// A single process: rank 0 of a world of size 1.
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
