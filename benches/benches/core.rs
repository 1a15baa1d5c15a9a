//! How long the routines of the core take at the sizes of training.
#![allow(clippy::expect_used, missing_docs)] // A benchmark may stop; criterion's macros write functions.

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use infomark_benches::{SIDE, image};
use infomark_core::{
    FeatureMap, IntensityJitter, Negatives, Plane, PlaneMut, Point, Positive, Rng, Warp, entropy_map,
    entropy_scratch_len, info_nce, info_nce_scratch_len, similarity, similarity_scratch_len,
};
use std::hint::black_box;

const CHANNELS: usize = 32;

fn features(seed: u64, cells: usize) -> Vec<f32> {
    let mut rng = Rng::new(seed, 1);
    let length = (CHANNELS as f32).sqrt();
    (0..CHANNELS * cells).map(|_| rng.normal::<f32>() / length).collect()
}

fn entropy(c: &mut Criterion) {
    let mut group = c.benchmark_group("entropy_map 384x384");
    group.sample_size(20);
    let pixels = image();
    let mut out = vec![0f32; SIDE * SIDE];
    for k in [9, 10, 32, 64] {
        let mut scratch = vec![0; entropy_scratch_len(k, SIDE, SIDE)];
        group.bench_function(BenchmarkId::from_parameter(k), |b| {
            b.iter(|| {
                let image = Plane::new(black_box(&pixels), SIDE, SIDE).expect("fits");
                let out = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
                entropy_map(image, k, out, &mut scratch).expect("good arguments");
            });
        });
    }
}

fn loss(c: &mut Criterion) {
    let mut group = c.benchmark_group("info_nce, 96 positives");
    group.sample_size(20);
    let window = Negatives::Window { radius: 9 };
    for (name, side, stride, negatives) in [
        ("stride 32, whole map", 12, 32, Negatives::WholeMap),
        ("stride 16, whole map", 24, 16, Negatives::WholeMap),
        ("stride 8, window", 48, 8, window),
        ("stride 4, window", 96, 4, window),
        ("stride 2, window", 192, 2, window),
    ] {
        let (a, b) = (features(1, side * side), features(2, side * side));
        let view = FeatureMap::new(&a, CHANNELS, side, side, stride).expect("fits");
        let image = FeatureMap::new(&b, CHANNELS, side, side, stride).expect("fits");
        let mut rng = Rng::new(3, 0);
        let mut point = || Point::new(rng.uniform_in(0.0, 383.0), rng.uniform_in(0.0, 383.0));
        let positives: Vec<_> = (0..96).map(|_| Positive { view: point(), image: point() }).collect();
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        let mut scratch = vec![0.0; info_nce_scratch_len(image, negatives)];
        group.bench_function(name, |b| {
            b.iter(|| {
                let positives = black_box(&positives);
                info_nce(view, image, positives, negatives, 0.1, &mut da, &mut db, &mut scratch)
            });
        });
    }
}

fn views(c: &mut Criterion) {
    let mut group = c.benchmark_group("views 384x384");
    group.sample_size(20);
    let pixels: Vec<f32> = image().iter().map(|&v| f32::from(v) / 255.0).collect();
    let src = Plane::new(&pixels, SIDE, SIDE).expect("fits");
    let warp = Warp::new(Point::new(190.0, 195.0), 0.3f32, 1.1, SIDE, SIDE).expect("finite");
    let mut out = vec![0f32; SIDE * SIDE];
    group.bench_function("warp", |b| {
        b.iter(|| {
            let out = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
            warp.resample(black_box(src), out, 0.0)
        });
    });
    for (name, gamma) in [("tone", 1.0), ("tone with gamma", 1.2)] {
        let tone = IntensityJitter { brightness: 1.2f32, contrast: 0.8, gamma };
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || pixels.clone(),
                |pixels| tone.apply_in_place(PlaneMut::new(pixels, SIDE, SIDE).expect("fits")),
                BatchSize::LargeInput,
            );
        });
    }
}

fn locate(c: &mut Criterion) {
    let mut group = c.benchmark_group("similarity");
    group.sample_size(20);
    let shapes = [(192, 2), (96, 4), (48, 8), (24, 16), (12, 32)];
    let data: Vec<_> = shapes.iter().map(|(side, _)| features(5, side * side)).collect();
    let levels: Vec<_> = shapes
        .iter()
        .zip(&data)
        .map(|(&(side, stride), data)| FeatureMap::new(data, CHANNELS, side, side, stride).expect("fits"))
        .collect();
    let feature = features(6, 1);
    let template = [feature.as_slice(); 5];
    let mut out = vec![0f32; 192 * 192];
    let mut scratch = vec![0f32; similarity_scratch_len(&levels)];
    group.bench_function("five levels, 192x192", |b| {
        b.iter(|| {
            let out = PlaneMut::new(&mut out, 192, 192).expect("fits");
            similarity(black_box(&levels), &template, 0.1, out, &mut scratch)
        });
    });
}

criterion_group!(benches, entropy, loss, views, locate);
criterion_main!(benches);
