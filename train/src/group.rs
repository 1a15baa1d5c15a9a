//! Group of the processes of a training: agreement on data, and propagation of failures.
//!
//! A rank that fails sends its error instead of its data in the next call, so that every call is made by all ranks: none waits for
//! a failed one.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use infomark_infer::with_causes;

use crate::exchange::{Alone, Exchange, ExchangeError};
use crate::wire::{Reader, put_u64};
use crate::{RunError, TrainError};

/// Status of a rank's message: data, or an error.
const DONE: u8 = 0;
const FAILED: u8 = 1;

/// The processes of a training.
pub(crate) struct Group<'a> {
    exchange: &'a dyn Exchange,
    rank: usize,
    size: usize,
    /// Number of calls so far, to detect ranks that are out of step.
    calls: AtomicU64,
}

impl<'a> Group<'a> {
    /// The processes of an exchange.
    ///
    /// # Errors
    /// When its rank is not below its size.
    pub(crate) fn new(exchange: &'a dyn Exchange) -> Result<Self, TrainError> {
        let (rank, size) = (exchange.rank(), exchange.size());
        if rank >= size {
            let problem = format!("rank {rank} of {size} processes: ranks are 0 to size - 1");
            return Err(RunError::Exchange(ExchangeError::new(problem)).into());
        }
        Ok(Self { exchange, rank, size, calls: AtomicU64::new(0) })
    }

    /// A group of this process alone.
    pub(crate) fn alone() -> Self {
        Self { exchange: &Alone, rank: 0, size: 1, calls: AtomicU64::new(0) }
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.size == 1
    }

    /// Whether this is rank 0, the only one that writes.
    pub(crate) fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Rank of this process.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// Number of processes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// This rank's part of `count` items; the parts of all ranks, in rank order, are all items in order.
    pub(crate) fn share(&self, count: usize) -> Range<usize> {
        self.share_of(self.rank, count)
    }

    /// A rank's part of `count` items.
    pub(crate) fn share_of(&self, rank: usize, count: usize) -> Range<usize> {
        // In 128 bits, so that the product cannot overflow.
        let from = |rank: usize| (rank as u128 * count as u128 / self.size as u128) as usize;
        from(rank)..from(rank + 1)
    }

    /// Sends this rank's result to all ranks; returns it, and the bytes of all ranks in rank order.
    ///
    /// # Errors
    /// Its own if this rank failed, else that of the first failed rank.
    pub(crate) fn gather<T>(
        &self,
        own: Result<T, TrainError>,
        encode: impl FnOnce(&T) -> Vec<u8>,
    ) -> Result<(T, Vec<Vec<u8>>), TrainError> {
        if self.is_alone() {
            let own = own?;
            let bytes = encode(&own);
            return Ok((own, vec![bytes]));
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let frame = match &own {
            Ok(own) => frame(call, Ok(&encode(own))),
            Err(error) => frame(call, Err(&with_causes(error))),
        };
        let sent = self.exchange.all_gather(&frame);
        let frames = sent.map_err(RunError::Exchange);
        // This rank's own error is more informative than a failure of communication.
        let own = own?;
        Ok((own, self.received(call, frames?)?))
    }

    /// Sends `parts[i]` to rank `i`; returns the bytes of each rank for this one, in rank order.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub(crate) fn swap(&self, parts: Result<Vec<Vec<u8>>, TrainError>) -> Result<Vec<Vec<u8>>, TrainError> {
        if self.is_alone() {
            return parts;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let frames = match &parts {
            Ok(parts) => parts.iter().map(|part| frame(call, Ok(part))).collect(),
            Err(error) => vec![frame(call, Err(&with_causes(error))); self.size],
        };
        let frames = self.exchange.all_to_all(frames).map_err(RunError::Exchange);
        parts?;
        self.received(call, frames?)
    }

    /// Distributes the bytes of rank 0 to all ranks.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub(crate) fn broadcast(
        &self,
        make: impl FnOnce() -> Result<Vec<u8>, TrainError>,
    ) -> Result<Vec<u8>, TrainError> {
        let own = if self.is_first() { make() } else { Ok(Vec::new()) };
        let (_, all) = self.gather(own, Vec::clone)?;
        all.into_iter().next().ok_or_else(|| TrainError::internal("no rank 0"))
    }

    /// This rank's result, if all ranks have one.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub(crate) fn agree<T>(&self, own: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.is_alone() {
            return own;
        }
        self.gather(own, |_| Vec::new()).map(|(own, _)| own)
    }

    /// Whether any rank returned true.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub(crate) fn any(&self, own: Result<bool, TrainError>) -> Result<bool, TrainError> {
        if self.is_alone() {
            return own;
        }
        let (_, all) = self.gather(own, |own| vec![u8::from(*own)])?;
        Ok(all.iter().any(|flag| flag.first() == Some(&1)))
    }

    /// Fails if ranks differ in one of several named texts. A single process does not compute them.
    ///
    /// # Errors
    /// [`RunError::RanksDiffer`] for the first that differs, else as [`gather`](Self::gather).
    pub(crate) fn same(
        &self,
        own: impl FnOnce() -> Result<Vec<(String, String)>, TrainError>,
    ) -> Result<(), TrainError> {
        if self.is_alone() {
            return Ok(());
        }
        let encode = |own: &Vec<(String, String)>| {
            let mut bytes = Vec::new();
            for (name, value) in own {
                crate::wire::put_text(&mut bytes, name);
                crate::wire::put_text(&mut bytes, value);
            }
            bytes
        };
        let (own, all) = self.gather(own(), encode)?;
        let mut readers: Vec<Reader<'_>> = all.iter().map(|bytes| Reader(bytes)).collect();
        for (name, _) in &own {
            let mut values = Vec::with_capacity(readers.len());
            for reader in &mut readers {
                // Other names belong to other versions, which differ in their first value.
                let (_, value) = if reader.is_empty() {
                    (String::new(), "nothing".to_owned())
                } else {
                    (reader.text()?, reader.text()?)
                };
                values.push(value);
            }
            if values.iter().any(|value| *value != values[0]) {
                return Err(RunError::RanksDiffer { what: name.clone(), values: by_value(&values) }.into());
            }
        }
        Ok(())
    }

    /// Extracts the bytes of the frames of all ranks.
    fn received(&self, call: u64, frames: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, TrainError> {
        let exchange = |problem: String| TrainError::Run(RunError::Exchange(ExchangeError::new(problem)));
        if frames.len() != self.size {
            return Err(exchange(format!("{} parts arrived from {} ranks", frames.len(), self.size)));
        }
        let mut all = Vec::with_capacity(frames.len());
        let mut failed = None;
        for (rank, mut bytes) in frames.into_iter().enumerate() {
            let mut reader = Reader(&bytes);
            let (Ok(of), Ok([status])) = (reader.u64(), reader.bytes(1)) else {
                return Err(exchange(format!("{} bytes arrived from rank {rank}", bytes.len())));
            };
            if of != call {
                let problem = format!("this rank is at call {call}, and rank {rank} at call {of}");
                return Err(exchange(problem));
            }
            if *status == DONE {
                bytes.drain(..9);
            } else {
                let message = String::from_utf8_lossy(reader.0).into_owned();
                failed.get_or_insert(RunError::OtherRank { rank, message });
            }
            all.push(bytes);
        }
        failed.map_or(Ok(all), |error| Err(error.into()))
    }
}

/// Message of a call: its number, whether it is a failure, and bytes or message.
fn frame(call: u64, content: Result<&[u8], &str>) -> Vec<u8> {
    let (status, content) = match content {
        Ok(bytes) => (DONE, bytes),
        Err(message) => (FAILED, message.as_bytes()),
    };
    let mut bytes = Vec::with_capacity(9 + content.len());
    put_u64(&mut bytes, call);
    bytes.push(status);
    bytes.extend(content);
    bytes
}

/// The ranks of each value: "ranks 0 and 2: A; rank 1: B".
fn by_value(values: &[String]) -> String {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (rank, value) in values.iter().enumerate() {
        match groups.iter_mut().find(|(known, _)| known == value) {
            Some((_, ranks)) => ranks.push(rank),
            None => groups.push((value, vec![rank])),
        }
    }
    let groups = groups.iter().map(|(value, ranks)| {
        let shown: Vec<String> = ranks.iter().take(SHOWN).map(usize::to_string).collect();
        let more = ranks.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let ranks_of = if ranks.len() == 1 { "rank" } else { "ranks" };
        format!("{ranks_of} {}{more}: {value}", shown.join(", "))
    });
    groups.collect::<Vec<_>>().join("; ")
}

/// Maximum number of ranks named per value.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_order_and_differ_by_one_at_most() {
        for size in 1..9 {
            for count in [0, 1, 5, 8, 100, usize::MAX - 1] {
                let group = Group { exchange: &Alone, rank: 0, size, calls: AtomicU64::new(0) };
                let shares: Vec<_> = (0..size).map(|rank| group.share_of(rank, count)).collect();
                assert_eq!((shares[0].start, shares[size - 1].end), (0, count));
                assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
                let lengths = shares.iter().map(ExactSizeIterator::len);
                assert!(lengths.clone().max() <= lengths.min().map(|least| least + 1), "{shares:?}");
            }
        }
    }

    #[test]
    fn values_are_told_with_their_ranks() {
        let values = ["A", "B", "A"].map(str::to_owned);
        assert_eq!(by_value(&values), "ranks 0, 2: A; rank 1: B");
        let many: Vec<String> = (0..12).map(|rank| if rank == 3 { "B" } else { "A" }.to_owned()).collect();
        assert_eq!(by_value(&many), "ranks 0, 1, 2, 4, 5, 6, 7, 8 and 3 more: A; rank 3: B");
    }
}
