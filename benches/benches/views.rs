//! How long views of a 384 x 384 image take.
#![allow(clippy::expect_used, missing_docs)] // A benchmark may stop; criterion's macros write functions.

use criterion::{Criterion, criterion_group, criterion_main};
use infomark_benches::{SIDE, image};
use infomark_core::{
    Affine, Border, Elastic, IntensityJitter, Interpolation, Pixel, Plane, PlaneMut, Point, Rng, View, Warp,
    elastic_controls_len,
};
use std::hint::black_box;

const CROP: usize = 192;

fn turned(width: usize, height: usize) -> View<f32> {
    let turn = Affine::rotation(0.3).expect("finite");
    View::around(Point::new(190.0, 195.0), &turn, width, height).expect("near")
}

/// Rotation, brightness and contrast: a crop of 192 x 192.
fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("rotated view of 192x192 with brightness and contrast");
    let bytes = image();
    let floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
    let view = turned(CROP, CROP);
    let tone = IntensityJitter { brightness: 1.2f32, contrast: 0.8, gamma: 1.0 };
    let linear = Interpolation::Bilinear;
    let mut out = vec![0u8; CROP * CROP];
    group.bench_function("u8", |b| {
        b.iter(|| {
            let source = Plane::new(black_box(&bytes), SIDE, SIDE).expect("fits");
            let mut out = PlaneMut::new(&mut out, CROP, CROP).expect("fits");
            view.resample(source, out.reborrow(), linear, Border::Value(0)).expect("fits");
            tone.apply_u8_in_place(out)
        });
    });
    let mut out = vec![0f32; CROP * CROP];
    group.bench_function("f32", |b| {
        b.iter(|| {
            let source = Plane::new(black_box(&floats), SIDE, SIDE).expect("fits");
            let mut out = PlaneMut::new(&mut out, CROP, CROP).expect("fits");
            view.resample(source, out.reborrow(), linear, Border::Value(0.0)).expect("fits");
            tone.apply_in_place(out)
        });
    });
    let warp = Warp::new(Point::new(190.0, 195.0), 0.3f32, 1.0, CROP, CROP).expect("finite");
    group.bench_function("f32, warp", |b| {
        b.iter(|| {
            let source = Plane::new(black_box(&floats), SIDE, SIDE).expect("fits");
            let mut out = PlaneMut::new(&mut out, CROP, CROP).expect("fits");
            warp.resample(source, out.reborrow(), 0.0).expect("fits");
            tone.apply_in_place(out)
        });
    });
}

fn kind<P: Pixel>(c: &mut Criterion, name: &str, source: &[P]) {
    let mut group = c.benchmark_group(format!("384x384, {name}"));
    group.sample_size(20);
    let source = Plane::new(source, SIDE, SIDE).expect("fits");
    let mut out = vec![P::WHITE; SIDE * SIDE];
    let view = turned(SIDE, SIDE);
    for (name, interpolation) in [
        ("affine, nearest", Interpolation::Nearest),
        ("affine, bilinear", Interpolation::Bilinear),
        ("affine, bicubic", Interpolation::Bicubic),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let out = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
                view.resample(black_box(source), out, interpolation, Border::Mirror)
            });
        });
    }
    const SPACING: usize = 32;
    let view = View::new(Affine::identity(), SIDE, SIDE).expect("near");
    let mut controls = vec![Point::new(0f32, 0.0); elastic_controls_len(SIDE, SIDE, SPACING)];
    let elastic = Elastic::draw(view, SPACING, 6.0, &mut Rng::new(1, 0), &mut controls).expect("smooth");
    group.bench_function("elastic, bilinear", |b| {
        b.iter(|| {
            let out = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
            elastic.resample(black_box(source), out, Interpolation::Bilinear, Border::Mirror)
        });
    });
}

fn kinds(c: &mut Criterion) {
    let bytes = image();
    let floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
    kind(c, "u8", &bytes);
    kind(c, "f32", &floats);
    let mut group = c.benchmark_group("tone 384x384");
    group.sample_size(20);
    let tone = IntensityJitter { brightness: 1.2f32, contrast: 0.8, gamma: 1.0 };
    let mut out = vec![0; SIDE * SIDE];
    group.bench_function("u8", |b| {
        b.iter(|| {
            let source = Plane::new(black_box(&bytes), SIDE, SIDE).expect("fits");
            tone.apply_u8(source, PlaneMut::new(&mut out, SIDE, SIDE).expect("fits"))
        });
    });
    let mut out = vec![0f32; SIDE * SIDE];
    group.bench_function("f32", |b| {
        b.iter(|| {
            let source = Plane::new(black_box(&floats), SIDE, SIDE).expect("fits");
            tone.apply(source, PlaneMut::new(&mut out, SIDE, SIDE).expect("fits"))
        });
    });
}

criterion_group!(benches, whole, kinds);
criterion_main!(benches);
