//! Every convolution of the default encoder on an image of 384 x 480 pixels, direct and by minimal filtering, and its weight gradients.
//! Throughput counts the direct sum's multiplications and additions, whichever routine runs.
#![allow(missing_docs)] // criterion's macros write functions.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use infomark_core::Rng;
use infomark_kernels::conv::{self, Packed, Padded};
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::{self, Weights, Workspace};

/// Channels at strides 2 to 32.
const CHANNELS: [usize; 5] = [16, 32, 64, 96, 128];
/// Size at stride 2.
const SIZE: (usize, usize) = (192, 240);

/// A convolution at a level: channels of its own size, and coarser ones.
struct Layer {
    level: usize,
    inputs: usize,
    coarse: usize,
}

fn layers() -> Vec<Layer> {
    let mut layers = Vec::new();
    for level in 0..5 {
        let inputs = if level == 0 { 4 } else { CHANNELS[level - 1] };
        layers.push(Layer { level, inputs, coarse: 0 });
        layers.push(Layer { level, inputs: CHANNELS[level], coarse: 0 });
    }
    for level in 0..4 {
        layers.push(Layer { level, inputs: CHANNELS[level], coarse: CHANNELS[level + 1] });
    }
    layers
}

fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, 0);
    (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
}

fn convolutions(c: &mut Criterion) {
    let mut workspace = Workspace::default();
    for Layer { level, inputs, coarse } in layers() {
        let (w, h, outputs) = (SIZE.0 >> level, SIZE.1 >> level, CHANNELS[level]);
        let all = inputs + coarse;
        let (fine, below) = (noise(inputs * w * h, 1), noise(coarse * w * h / 4, 2));
        let (weight, grad) = (noise(outputs * all * 9, 3), noise(outputs * w * h, 4));
        let planes = || Planes::joined(&fine, inputs, &below, coarse, w, h);
        let planes = || if coarse == 0 { Planes::new(&fine, inputs, w, h) } else { planes() };
        let mut out = vec![0.0; outputs * w * h];
        let mut gradient = vec![0.0; weight.len()];
        let (packed, weights) =
            (Packed::forward(&weight, outputs, all), Weights::forward(&weight, outputs, all));
        let mut group = c.benchmark_group(format!("{inputs} + {coarse} -> {outputs}, {w} x {h}"));
        group.sample_size(10).throughput(Throughput::Elements((2 * 9 * all * outputs * w * h) as u64));
        group.bench_function("direct", |b| {
            b.iter(|| conv::convolve(&Padded::from(&planes()), &packed, &mut out));
        });
        group.bench_function("winograd", |b| {
            b.iter(|| winograd::convolve(&planes(), &weights, &mut workspace, &mut out));
        });
        group.bench_function("direct weight gradient", |b| {
            b.iter(|| {
                let grad = Padded::new(&grad, outputs, w, h);
                conv::weight_gradient(&Padded::from(&planes()), &grad, &mut gradient);
            });
        });
        group.bench_function("winograd weight gradient", |b| {
            b.iter(|| {
                winograd::weight_gradient(&planes(), &grad, outputs, &mut workspace, &mut gradient);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
