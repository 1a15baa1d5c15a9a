//! Endless sequence of shuffled epochs of the images.

use std::sync::{Mutex, PoisonError};

use infomark_core::Rng;
use infomark_eval::draw_in_order;

use crate::stream;

/// Order of the images in an epoch.
struct Order {
    seed: u64,
    epoch: u64,
    images: Vec<usize>,
}

/// Maps positions of the sequence to images; the order of the latest epoch is cached, 8 bytes per image.
pub(crate) struct Epochs {
    images: usize,
    latest: Mutex<Option<Order>>,
}

impl Epochs {
    /// The sequence over `images` images.
    pub(crate) fn new(images: usize) -> Self {
        Self { images, latest: Mutex::new(None) }
    }

    /// The images at some positions, preferably ascending: an epoch is shuffled at its first position.
    pub(crate) fn images_at(&self, seed: u64, positions: impl IntoIterator<Item = u64>) -> Vec<usize> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.images.max(1) as u64;
        let at = |position: u64| {
            let (epoch, place) = (position / all, (position % all) as usize);
            let order = match latest.take() {
                Some(order) if (order.seed, order.epoch) == (seed, epoch) => order,
                _ => {
                    let rng = Rng::new(seed, stream::ORDER + epoch);
                    Order { seed, epoch, images: draw_in_order(self.images, self.images, rng) }
                }
            };
            let image = order.images.get(place).copied().unwrap_or_default();
            *latest = Some(order);
            image
        };
        positions.into_iter().map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_have_the_images_of_their_epochs_shuffle_in_any_order() {
        let (images, seed) = (7, 3);
        let naive = |position: u64| {
            let (epoch, place) = (position / 7, (position % 7) as usize);
            draw_in_order(place + 1, images, Rng::new(seed, stream::ORDER + epoch))[place]
        };
        let epochs = Epochs::new(images);
        let expected: Vec<usize> = (0..40).map(naive).collect();
        assert_eq!(epochs.images_at(seed, 0..40), expected);
        let mut back = epochs.images_at(seed, (0..40).rev());
        back.reverse();
        assert_eq!(back, expected);
        let mut first = epochs.images_at(seed, 0..7);
        assert_ne!(first, epochs.images_at(seed + 1, 0..7));
        first.sort_unstable();
        assert_eq!(first, (0..7).collect::<Vec<_>>());
    }
}
