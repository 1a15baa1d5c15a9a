//! Reproducibility of a training's bits: they depend on its options and images, the processor, and the arithmetic chosen for it.

use infomark_core::Rng;
use infomark_infer::sha256;
use infomark_kernels::instructions;

use crate::TrainConfig;
use crate::encoder::{Encoder, STRIDES};
use crate::network::{Pass, Scratch};
use crate::optimizer::AdamW;
use crate::wire::put_f32s;

/// The processor type, by architecture and the vector instructions used, such as `x86_64 with AVX-512`.
pub(crate) fn processor() -> String {
    format!("{} with {}", std::env::consts::ARCH, instructions())
}

/// Side of the test image, halved.
const SIDE: usize = 32;
/// Length of the embeddings.
const EMBEDDING: usize = 8;

/// SHA-256 of the results of a step of a small network, and of the system's elementary functions that trainings use. Processes in which
/// it differs would not give the same encoder.
pub(crate) fn fingerprint() -> String {
    let config = TrainConfig::default().with(|o| {
        o.model.channels = [16, 16, 24, 24, 24];
        o.model.embedding = EMBEDDING;
    });
    let (encoder, mut parameters) = Encoder::new(&config);
    let mut rng = Rng::new(0, 0);
    let image: Vec<f32> = (0..4 * SIDE * SIDE).map(|_| rng.uniform_in(0.0, 1.0)).collect();
    let (pass, scratch) = (&mut Pass::default(), &mut Scratch::default());
    let mut features = STRIDES.map(|stride| vec![0.0; EMBEDDING * (2 * SIDE / stride) * (2 * SIDE / stride)]);
    let weights = encoder.weights(&parameters.values);
    let mut out: Vec<&mut [f32]> = features.iter_mut().map(Vec::as_mut_slice).collect();
    encoder.forward(&weights, &image, (SIDE, SIDE), pass, scratch, &mut out);
    pass.clear_gradient(parameters.values.len());
    // A gradient not parallel to the features, for which it would be zero.
    let back: Vec<Vec<f32>> = features.iter().map(|map| map.iter().rev().copied().collect()).collect();
    let back: Vec<&[f32]> = back.iter().map(Vec::as_slice).collect();
    encoder.backward(&weights, &image, (SIDE, SIDE), pass, scratch, &back);
    drop(weights);
    let all = 0..parameters.len();
    AdamW::new(1e-4, parameters.len()).step(&mut parameters.values, &pass.gradient, &[(all, 4e-3)]);
    let mut bytes = Vec::new();
    features.iter().for_each(|map| put_f32s(&mut bytes, map));
    put_f32s(&mut bytes, &parameters.values);
    for i in 1..200 {
        let x = i as f32 * 0.02;
        put_f32s(&mut bytes, &[x.exp(), (-x).exp(), x.ln(), x.sqrt()]);
        bytes.extend(f64::from(x).ln().to_le_bytes());
    }
    sha256(&bytes)
}
