//! Shards of an image list, for parallel processes.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::hash;

/// Shard `index` of `count` of an image list, numbered from 1; written `2/8`.
///
/// The shard of an image depends only on its label and `count` ([`Shard::number_of`]), so adding or removing images
/// does not move others. Sizes of shards vary randomly, by about the square root of their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// Why a shard is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A text of the wrong form.
    #[error("{text:?} is no shard; write I/N, such as 2/8: the second of 8")]
    Form {
        /// The text.
        text: String,
        /// The problem of a number; `None` where there are not two of them.
        source: Option<ParseIntError>,
    },
    /// An index outside 1 to count, or too many shards.
    #[error("there is no shard {index} of {count}; shards are numbered from 1, and at most {max} are possible", max = Shard::MAX_COUNT)]
    Range {
        /// Number of the shard.
        index: u32,
        /// Number of shards.
        count: u32,
    },
}

impl Shard {
    /// Maximum number of shards of a list.
    pub const MAX_COUNT: u32 = 1_000_000;

    /// Shard `index`, from 1, of `count`.
    ///
    /// # Errors
    /// [`ShardError::Range`].
    pub fn new(index: u32, count: u32) -> Result<Shard, ShardError> {
        if index == 0 || index > count || count > Shard::MAX_COUNT {
            return Err(ShardError::Range { index, count });
        }
        Ok(Shard { index, count })
    }

    /// Number of the shard, from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Number of shards.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Number, from 1, of the shard of an image among `count`: 1 + (first 8 bytes of the SHA-256 of the label in UTF-8, as a big-endian
    /// number) mod `count`; a `count` of 0 counts as 1.
    ///
    /// ```
    /// assert_eq!(infomark_infer::Shard::number_of("001.png", 8), 7);
    /// ```
    pub fn number_of(label: &str, count: u32) -> u32 {
        let [a, b, c, d, e, f, g, h, ..] = hash::digest(label.as_bytes());
        let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        // A remainder by a `u32` fits one.
        1 + (start % u64::from(count.max(1))) as u32
    }

    /// Whether an image belongs to this shard.
    pub fn holds(self, label: &str) -> bool {
        Shard::number_of(label, self.count) == self.index
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let wrong = |source| ShardError::Form { text: text.to_owned(), source };
        let (index, count) = text.split_once('/').ok_or_else(|| wrong(None))?;
        let number = |text: &str| text.parse::<u32>().map_err(|error| wrong(Some(error)));
        Shard::new(number(index)?, number(count)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}
