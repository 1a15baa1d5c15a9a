//! What tests share.

use infomark_core::Rng;

/// Uniform values in [-1, 1).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, 0);
    (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
}
