//! Shared test helpers.

use infomark_core::Rng;
use infomark_infer::{Channels, Description, InputSize, Origin};

use crate::encoder::STRIDES;

/// Uniform values in [-1, 1).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, 0);
    (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
}

/// The description of an encoder with 12 channels.
pub(crate) fn description(input: InputSize) -> Description {
    Description {
        input,
        input_policy: Default::default(),
        normalisation: Default::default(),
        strides: STRIDES.to_vec(),
        channels: Channels::Same(12),
        temperature: 0.1,
        origin: Origin::Trained {
            training_data_sha256: "0".repeat(64),
            training_images: 2,
            steps: 1,
            seed: 3,
        },
        backbone: None,
        version: "0.0.0".into(),
    }
}
