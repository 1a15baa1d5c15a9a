//! What `benches/peers/cuda` times PyTorch against, on the same device and data: entropy maps of a batch, and InfoNCE with its
//! gradient over whole maps and windows. Writes inputs and results into a folder and prints microseconds.
//!
//! ```sh
//! cargo run --release -p infomark-cuda --example times -- FOLDER [small]
//! ```

use infomark_core::{InfoNce, Negatives, PatchBorder, Point, Positive, Rng};
use infomark_cuda::{Buffer, CudaError, Device, Features, Gradients, Images, Level, PointPair};
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const TEMPERATURE: f32 = 0.1;

/// Sizes of the batches: large ones to time, small ones to compare results where a CPU stands in for the device.
struct Sizes {
    images: usize,
    side: usize,
    patch: usize,
    maps: usize,
    channels: usize,
    positives: usize,
    coarse: usize,
    fine: usize,
    radius: usize,
    runs: u32,
}

const LARGE: Sizes = Sizes {
    images: 64,
    side: 384,
    patch: 9,
    maps: 32,
    channels: 64,
    positives: 64,
    coarse: 24,
    fine: 96,
    radius: 9,
    runs: 50,
};
const SMALL: Sizes = Sizes {
    images: 2,
    side: 40,
    patch: 9,
    maps: 2,
    channels: 8,
    positives: 5,
    coarse: 6,
    fine: 12,
    radius: 3,
    runs: 1,
};

struct Peer {
    device: Device,
    folder: PathBuf,
    sizes: Sizes,
}

impl Peer {
    fn write(&self, name: &str, bytes: Vec<u8>) -> std::io::Result<()> {
        fs::write(self.folder.join(name), bytes)
    }

    fn write_floats(&self, name: &str, values: &[f32]) -> std::io::Result<()> {
        self.write(name, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// Prints the time of a run, with its allocations and launches; the result of the last.
    fn time<T>(&self, name: &str, run: impl Fn() -> Result<T, CudaError>) -> Result<T, CudaError> {
        let mut result = run()?;
        self.device.synchronize()?;
        let start = Instant::now();
        for _ in 0..self.sizes.runs {
            result = run()?;
        }
        self.device.synchronize()?;
        println!("{name} {:.2}", start.elapsed().as_secs_f64() * 1e6 / f64::from(self.sizes.runs));
        Ok(result)
    }

    fn entropy(&self, rng: &mut Rng) -> Outcome {
        let Sizes { images, side, patch, .. } = self.sizes;
        // Waves and noise: neither few levels nor all of them in a patch.
        let pixels: Vec<u8> = (0..images * side * side)
            .map(|i| ((i % side) as f64 / 31.0).sin().mul_add(80.0, 128.0) as u8 ^ rng.below(16) as u8)
            .collect();
        let on_device = self.device.upload(&pixels)?;
        let batch = Images::new(&on_device, images, side, side)?;
        let map = self.time("entropy", || self.device.entropy_map(batch, patch, PatchBorder::Cut))?;
        self.write_floats("entropy", &self.device.download(&map)?)?;
        Ok(self.write("pixels", pixels)?)
    }

    fn features(&self, rng: &mut Rng, side: usize) -> Vec<f32> {
        let (channels, cells) = (self.sizes.channels, side * side);
        let mut values: Vec<f32> = (0..self.sizes.maps * channels * cells).map(|_| rng.normal()).collect();
        for map in values.chunks_exact_mut(channels * cells) {
            for cell in 0..cells {
                let length = (0..channels).map(|c| map[c * cells + cell].powi(2)).sum::<f32>().sqrt();
                (0..channels).for_each(|c| map[c * cells + cell] /= length);
            }
        }
        values
    }

    /// The loss and both gradients; views are half as wide and high as images.
    fn info_nce(&self, rng: &mut Rng, name: &str, side: usize, negatives: Negatives) -> Outcome {
        let Sizes { maps, channels, positives, .. } = self.sizes;
        let (views, images) = (self.features(rng, side / 2), self.features(rng, side));
        let mut point = |side: usize| {
            let mut at = || rng.uniform_in(0.0, side as f32 * 4.0 - 1.0);
            Point::new(at(), at())
        };
        let points: Vec<Positive<f32>> =
            (0..maps * positives).map(|_| Positive { view: point(side / 2), image: point(side) }).collect();
        let flat: Vec<f32> = points.iter().flat_map(|p| [p.view.x, p.view.y, p.image.x, p.image.y]).collect();
        self.write_floats(&format!("{name}-views"), &views)?;
        self.write_floats(&format!("{name}-images"), &images)?;
        self.write_floats(&format!("{name}-points"), &flat)?;

        let pairs: Vec<PointPair> = points.into_iter().map(PointPair::from).collect();
        let device = &self.device;
        let (pairs, views, images) =
            (device.upload(&pairs)?, device.upload(&views)?, device.upload(&images)?);
        let level = Level {
            views: Features::new(&views, maps, channels, side / 2, side / 2, 4)?,
            images: Features::new(&images, maps, channels, side, side, 4)?,
            loss: InfoNce { negatives, temperature: TEMPERATURE, exclusion_radius: 0 },
        };
        let levels = [level];
        // Fresh gradients each time, as autograd makes them.
        let run = || -> Result<[Buffer<f32>; 3], CudaError> {
            let (mut by_views, mut by_images) = (device.zeros(views.len())?, device.zeros(images.len())?);
            let mut gradients = [Gradients { views: &mut by_views, images: &mut by_images }];
            let loss = device.info_nce_backward(&levels, &pairs, &mut gradients, 1.0)?;
            Ok([loss, by_views, by_images])
        };
        self.time(&format!("{name}-forward"), || device.info_nce(&levels, &pairs))?;
        let [loss, by_views, by_images] = self.time(name, run)?;
        self.write_floats(&format!("{name}-loss"), &device.download(&loss)?)?;
        self.write_floats(&format!("{name}-by-views"), &device.download(&by_views)?)?;
        Ok(self.write_floats(&format!("{name}-by-images"), &device.download(&by_images)?)?)
    }
}

fn main() -> Outcome {
    let folder = env::args().nth(1).ok_or("give a folder to write to")?.into();
    let small = env::args().nth(2).is_some_and(|size| size == "small");
    let peer = Peer { device: Device::open()?, folder, sizes: if small { SMALL } else { LARGE } };
    let Sizes { images, side, patch, maps, channels, positives, coarse, fine, radius, .. } = peer.sizes;
    println!("device {}", peer.device.name()?);
    println!("sizes {images} {side} {patch} {maps} {channels} {positives} {coarse} {fine} {radius}");
    let mut rng = Rng::new(1, 0);
    peer.entropy(&mut rng)?;
    peer.info_nce(&mut rng, "whole", coarse, Negatives::WholeMap)?;
    peer.info_nce(&mut rng, "window", fine, Negatives::Window { radius })
}
