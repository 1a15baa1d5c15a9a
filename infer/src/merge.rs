//! Merging of partial results: which part contains which image of a list.

use std::collections::HashMap;

use crate::hash;

/// Why parts cannot be merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// An image in two parts.
    #[error("the image {label} is in two parts")]
    Twice {
        /// The image.
        label: String,
        /// The first part with the image.
        first: usize,
    },
    /// Images of the list that are in no part.
    #[error("{count} of {listed} images of the list are missing, the first is {first}")]
    Missing {
        /// Number of missing images.
        count: usize,
        /// Number of images of the list.
        listed: usize,
        /// Label of the first missing image in the order of the list.
        first: String,
    },
    /// Images of a part that are not in the list.
    #[error("{count} images are not in the list")]
    Unlisted {
        /// Number of such images, of all parts.
        count: usize,
        /// The first part with such an image.
        part: usize,
    },
}

/// Index of the images in partial results, each with an item, such as its offset in a file.
///
/// Labels are stored as 128 bits of their SHA-256: an image takes about 40 bytes plus its item, whatever its label.
///
/// ```
/// use infomark_infer::{MergeError, PartIndex};
///
/// let mut index = PartIndex::new();
/// *index.slot(0, "b.png")? = "first of part 0";
/// *index.slot(1, "a.png")? = "first of part 1";
/// let order = index.in_order(["a.png", "b.png"])?;
/// assert_eq!(order, [(1, "first of part 1"), (0, "first of part 0")]);
/// # Ok::<(), MergeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PartIndex<T> {
    slots: HashMap<[u64; 2], (u32, T)>,
}

impl<T: Default> PartIndex<T> {
    /// An empty index.
    pub fn new() -> PartIndex<T> {
        PartIndex { slots: HashMap::new() }
    }

    /// The item of an image of a part, made by [`Default`] for a new image.
    ///
    /// # Errors
    /// [`MergeError::Twice`] where another part has the image.
    pub fn slot(&mut self, part: u32, label: &str) -> Result<&mut T, MergeError> {
        let (owner, item) =
            self.slots.entry(hash::short(label.as_bytes())).or_insert_with(|| (part, T::default()));
        if *owner != part {
            return Err(MergeError::Twice { label: label.to_owned(), first: *owner as usize });
        }
        Ok(item)
    }

    /// Part and item of each image of a list, in the order of the list, whose labels are unique.
    ///
    /// # Errors
    /// [`MergeError::Missing`] where an image of the list is in no part, [`MergeError::Unlisted`] where a part has others.
    pub fn in_order<'a>(
        mut self,
        labels: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<(usize, T)>, MergeError> {
        let (mut found, mut missing, mut first) = (Vec::new(), 0, None);
        for label in labels {
            match self.slots.remove(&hash::short(label.as_bytes())) {
                Some((part, item)) => found.push((part as usize, item)),
                None => {
                    missing += 1;
                    first.get_or_insert_with(|| label.to_owned());
                }
            }
        }
        if let Some(first) = first {
            return Err(MergeError::Missing { count: missing, listed: found.len() + missing, first });
        }
        match self.slots.values().map(|(part, _)| *part as usize).min() {
            Some(part) => Err(MergeError::Unlisted { count: self.slots.len(), part }),
            None => Ok(found),
        }
    }
}
