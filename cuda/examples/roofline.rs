//! Times of the kernels on your GPU beside the least possible, for the batches in `docs/cuda.md`.
//!
//! ```sh
//! cargo run --release -p infomark-cuda --example roofline -- 3.35   # TB/s of your GPU's memory
//! ```

use half::bf16;
use infomark_core::{
    Affine, Elastic, InfoNce, IntensityJitter, Negatives, PatchBorder, Point, Positive, Rng, Thresholds,
    TierPolicy, View, Weighting, elastic_controls_len,
};
use infomark_cuda::{
    Buffer, CudaError, Device, ElasticView, Features, Gradients, Images, Level, Patch, PointPair,
    SearchLevel, ViewGuide,
};
use std::time::Instant;

const IMAGES: usize = 64;
const SIDE: usize = 384;
const RUNS: u32 = 20;

/// Prints the time of a run, and of moving so many bytes.
fn time<T>(
    device: &Device,
    what: &str,
    bytes: usize,
    tb_s: f64,
    run: impl Fn() -> Result<T, CudaError>,
) -> Result<T, CudaError> {
    let result = run()?;
    device.synchronize()?;
    let start = Instant::now();
    for _ in 0..RUNS {
        run()?;
    }
    device.synchronize()?;
    let us = start.elapsed().as_secs_f64() * 1e6 / f64::from(RUNS);
    let least = bytes as f64 / tb_s / 1e6;
    println!("{what:45} {us:9.1} us, by memory at least {least:7.1} us");
    Ok(result)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tb_s: f64 = std::env::args().nth(1).map_or(Ok(3.35), |text| text.parse())?;
    let device = Device::open()?;
    println!(
        "{}, {tb_s} TB/s; with the launches, uploads of tables and allocations",
        device.stream().context().name()?
    );
    let mut rng = Rng::new(1, 0);
    let pixels = IMAGES * SIDE * SIDE;
    let bytes: Vec<u8> = (0..pixels).map(|_| rng.below(200) as u8).collect();
    let bytes = device.upload(&bytes)?;
    let images = Images::new(&bytes, IMAGES, SIDE, SIDE)?;

    let entropy = time(&device, "entropy map, side 9", 5 * pixels, tb_s, || {
        device.entropy_map(images, 9, PatchBorder::Cut)
    })?;
    let maps = Images::new(&entropy, IMAGES, SIDE, SIDE)?;
    let patch = |rng: &mut Rng| Patch {
        image: rng.below(IMAGES as u64) as usize,
        x: rng.below((SIDE - 63) as u64) as usize,
        y: rng.below((SIDE - 63) as u64) as usize,
    };
    let pairs: Vec<_> = (0..1000).map(|_| (patch(&mut rng), patch(&mut rng))).collect();
    time(&device, "mutual information of 1,000 pairs", 1000 * 2 * 64 * 64, tb_s, || {
        device.mutual_information(images, images, &pairs, 64, 64)
    })?;
    let weights = time(&device, "weight map (waits for the device)", 8 * pixels, tb_s, || {
        device.weight_map(maps, Weighting::Exponential { alpha: 0.3 })
    })?;
    let weights = Images::new(&weights, IMAGES, SIDE, SIDE)?;
    let sampler = time(&device, "pixel sampler (waits for the device)", 16 * pixels, tb_s, || {
        device.pixel_sampler(weights)
    })?;
    let centres = time(&device, "4,096 draws", 0, tb_s, || device.draw_pixels(&sampler, 64, 1, 0, 64))?;
    drop(centres);
    let centres = device.draw_pixels(&sampler, 1, 1, 0, 0)?;
    let guide = ViewGuide {
        thresholds: Thresholds::new(2.0, 4.0)?,
        policy: TierPolicy::published(),
        rotation_rad: 0.35,
        scale: 1.3,
    };
    let plans =
        time(&device, "plans of 64 views", 0, tb_s, || device.plan_views(maps, &centres, &guide, 1, 0))?;
    time(&device, "64 views of 192 x 192", 12 * 64 * 192 * 192 + pixels, tb_s, || {
        device.make_views(images, &plans, 192, 192, 0.0)
    })?;
    elastic(&device, images, tb_s, &mut rng)?;
    loss(&device, tb_s, &mut rng)?;
    search(&device, tb_s, &mut rng)?;
    Ok(())
}

fn elastic(
    device: &Device,
    images: Images<'_, u8>,
    tb_s: f64,
    rng: &mut Rng,
) -> Result<(), Box<dyn std::error::Error>> {
    const VIEW: usize = 192;
    const SPACING: usize = 32;
    let mut controls = vec![[Point::default(); elastic_controls_len(VIEW, VIEW, SPACING)]; IMAGES];
    let mut views = Vec::new();
    for (image, controls) in controls.iter_mut().enumerate() {
        let mut place = || rng.uniform_in(96.0, 288.0);
        let map = Affine::rotation(0.2)?.then(&Affine::scaling(1.2, 0.8)?)?;
        let view = View::around(Point::new(place(), place()), &map, VIEW, VIEW)?;
        let field = Elastic::draw(view, SPACING, 5.0, rng, controls)?;
        views.push(ElasticView {
            image,
            field,
            tone: IntensityJitter { brightness: 1.1, contrast: 0.9, gamma: 1.2 },
        });
    }
    let views = device.upload_elastic_views(&views)?;
    let bytes = 12 * IMAGES * VIEW * VIEW + IMAGES * SIDE * SIDE;
    time(device, "64 elastic views of 192 x 192", bytes, tb_s, || {
        device.make_elastic_views(images, &views, 0.0)
    })?;
    let points: Vec<u32> = (0..64 * IMAGES).map(|_| rng.below((SIDE * SIDE) as u64) as u32).collect();
    let points = device.upload(&points)?;
    time(device, "4,096 points in them", 20 * points.len(), tb_s, || {
        device.push_elastic_points(&points, &views, SIDE)
    })?;
    Ok(())
}

fn features(device: &Device, rng: &mut Rng, count: usize) -> Result<Buffer<bf16>, CudaError> {
    let values: Vec<bf16> = (0..count).map(|_| bf16::from_f32(rng.normal::<f32>() * 0.125)).collect();
    device.upload(&values)
}

fn loss(device: &Device, tb_s: f64, rng: &mut Rng) -> Result<(), CudaError> {
    const COUNT: usize = 32;
    const CHANNELS: usize = 64;
    const POSITIVES: usize = 64;
    let pairs: Vec<PointPair> = (0..COUNT * POSITIVES)
        .map(|_| {
            let mut point = |side| Point::new(rng.uniform_in(0.0, side), rng.uniform_in(0.0, side));
            Positive { view: point(192.0), image: point(384.0) }.into()
        })
        .collect();
    let pairs = device.upload(&pairs)?;
    for (what, side, negatives) in [
        ("whole map of 24 x 24", 24, Negatives::WholeMap),
        ("windows of 19 x 19 in 96 x 96", 96, Negatives::Window { radius: 9 }),
    ] {
        let stride = 384 / side;
        let (view_len, image_len) = (COUNT * CHANNELS * side * side / 4, COUNT * CHANNELS * side * side);
        let (views, images) = (features(device, rng, view_len)?, features(device, rng, image_len)?);
        let levels = [Level {
            views: Features::new(&views, COUNT, CHANNELS, side / 2, side / 2, stride)?,
            images: Features::new(&images, COUNT, CHANNELS, side, side, stride)?,
            loss: InfoNce { negatives, temperature: 0.1, exclusion_radius: 0 },
        }];
        let read = 2 * image_len;
        time(device, &format!("loss, {what}"), read, tb_s, || device.info_nce(&levels, &pairs))?;
        let sums = (device.zeros::<f32>(view_len)?, device.zeros::<f32>(image_len)?);
        let sums = std::cell::RefCell::new(sums);
        time(device, &format!("loss and gradient, {what}"), 2 * read + 8 * image_len, tb_s, || {
            let (views, images) = &mut *sums.borrow_mut();
            device.info_nce_backward(&levels, &pairs, &mut [Gradients { views, images }], 1.0)
        })?;
    }
    Ok(())
}

fn search(device: &Device, tb_s: f64, rng: &mut Rng) -> Result<(), CudaError> {
    const COUNT: usize = 32;
    const CHANNELS: usize = 64;
    const TEMPLATES: usize = 19;
    let sides = [96, 48, 24];
    let mut maps = Vec::new();
    for side in sides {
        let values: Vec<f32> = (0..TEMPLATES * CHANNELS).map(|_| rng.normal()).collect();
        maps.push((features(device, rng, COUNT * CHANNELS * side * side)?, device.upload(&values)?));
    }
    let levels = sides.into_iter().zip(&maps).map(|(side, (map, templates))| {
        let images = Features::new(map, COUNT, CHANNELS, side, side, 384 / side)?;
        Ok(SearchLevel { images, templates })
    });
    let levels = levels.collect::<Result<Vec<_>, CudaError>>()?;
    let cells: usize = sides.iter().map(|side| side * side).sum();
    let bytes = COUNT * cells * (2 * CHANNELS + 8 * TEMPLATES) + COUNT * TEMPLATES * 96 * 96 * 4;
    let similarities =
        time(device, "similarities to 19 templates", bytes, tb_s, || device.similarities(&levels, 0.1))?;
    time(device, "the 5 highest cells of each", 4 * similarities.values.len(), tb_s, || {
        device.highest(&similarities, 5)
    })?;
    Ok(())
}
