//! Device of everything except the network: entropies, weights, drawn pixels, views with their points, and the loss with
//! its gradient. The network is on the CPU.
//!
//! The CPU path is that of `infomark-core`, the CUDA path (feature `cuda`) that of `infomark-cuda`. Entropies and the points of views are
//! equal bit for bit, weights to 5 units in the last place, pixels of views, losses and gradients as stated in `docs/cuda.md`. Each
//! path is deterministic.

mod canvas;
#[cfg(feature = "cuda")]
mod cuda;

use infomark_core::{Plane, PlaneMut, Sampler, Weighting, entropy_map, entropy_scratch_len, weight_map};
use serde::{Deserialize, Serialize};

pub(crate) use canvas::{Canvas, Pixels, Placed};

use crate::{DeviceError, RunError, TrainError};

/// Device for entropies, weights, drawn pixels, views and the loss. The network is on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComputeOn {
    /// A CUDA device if there is one and the build supports it (feature `cuda`), else the CPU. A run started on the
    /// CPU is resumed there.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The first CUDA device; an error if there is none.
    Cuda,
}

/// The name of the CPU path.
pub(crate) const CPU: &str = "CPU";

/// An open path.
pub(crate) enum Compute {
    /// The CPU, and why no device is used although one was sought.
    Cpu(Option<String>),
    /// A device.
    #[cfg(feature = "cuda")]
    Cuda(cuda::Cuda),
}

impl Compute {
    /// Opens the requested path, for entropies of patches of side `patch`.
    ///
    /// # Errors
    /// [`RunError::Cuda`] when a device is requested and unavailable.
    pub(crate) fn open(wanted: ComputeOn, patch: usize) -> Result<Self, TrainError> {
        if wanted == ComputeOn::Cpu {
            return Ok(Self::Cpu(None));
        }
        match Self::device(patch) {
            Ok(device) => Ok(device),
            Err(error) if wanted == ComputeOn::Auto => {
                Ok(Self::Cpu((!error.is_absence()).then(|| error.to_string())))
            }
            Err(error) => Err(RunError::Cuda(error).into()),
        }
    }

    /// Opens a device, or returns why it is unavailable.
    #[cfg(feature = "cuda")]
    fn device(patch: usize) -> Result<Self, DeviceError> {
        cuda::Cuda::open(patch).map(Self::Cuda)
    }

    #[cfg(not(feature = "cuda"))]
    fn device(_: usize) -> Result<Self, DeviceError> {
        Err(DeviceError::NotBuilt)
    }

    /// "CPU" or "CUDA device NAME".
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Cpu(_) => CPU.into(),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.name(),
        }
    }

    /// Why no device is used although one was sought.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Cpu(reason) => reason.as_deref(),
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => None,
        }
    }

    /// Entropy and sampling weight of every pixel of an image of that width.
    pub(crate) fn guidance(
        &self,
        levels: &[u8],
        width: usize,
        patch: usize,
        alpha: f32,
    ) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
        match self {
            Self::Cpu(_) => guidance(levels, width, patch, alpha),
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.guidance(levels, width, patch, alpha),
        }
    }

    /// Sampler of an image's pixels in proportion to their weights, with the random numbers of one stream. `sums` has an element
    /// per pixel.
    pub(crate) fn pixels<'a>(
        &'a self,
        weights: &[f32],
        width: usize,
        (seed, stream): (u64, u64),
        sums: &'a mut Vec<f64>,
    ) -> Result<Pixels<'a>, TrainError> {
        match self {
            Self::Cpu(_) => {
                sums.resize(weights.len(), 0.0);
                let plane = Plane::new(weights, width, weights.len() / width.max(1));
                let plane = plane?;
                let sampler = Sampler::new(plane, sums)?;
                // Only a device draws ahead and needs the stream.
                let _ = (seed, stream);
                Ok(Pixels::Sums(sampler))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => cuda.pixels(weights, width, seed, stream).map(Pixels::Drawn),
        }
    }

    /// An image of grey levels, for making views.
    pub(crate) fn canvas(
        &self,
        levels: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Canvas<'_>, TrainError> {
        match self {
            Self::Cpu(_) => {
                let pixels: Vec<f32> = levels.iter().map(|v| f32::from(*v) / 255.0).collect();
                Ok(Canvas::here(pixels.into(), width, height))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(cuda) => Ok(Canvas::there(cuda.canvas(levels, width, height)?, width, height)),
        }
    }
}

fn guidance(
    levels: &[u8],
    width: usize,
    patch: usize,
    alpha: f32,
) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
    let height = levels.len() / width.max(1);
    let mut entropy = vec![0.0_f32; levels.len()];
    let mut scratch = vec![0; entropy_scratch_len(patch, width, height)];
    let plane = Plane::new(levels, width, height)?;
    let out = PlaneMut::new(&mut entropy, width, height)?;
    entropy_map(plane, patch, out, &mut scratch)?;
    let mut weights = vec![0.0; levels.len()];
    let plane = Plane::new(&entropy, width, height)?;
    let out = PlaneMut::new(&mut weights, width, height)?;
    weight_map(plane, Weighting::Exponential { alpha }, out)?;
    Ok((entropy, weights))
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use infomark_core::{
        Affine, Elastic, InfoNce, IntensityJitter, Negatives, Point, Positive, Rng, View,
        elastic_controls_len,
    };
    use infomark_cuda_sim::{Kind, StandIn};

    use super::*;
    use crate::level::Level;
    use crate::network::ScratchPool;
    use crate::objective;
    use crate::testing::noise;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// Units in the last place between weights: `POWER_ULPS` of `infomark-cuda`'s suite.
    const WEIGHT_ULPS: u32 = 5;
    /// Losses relative to their size and 1, gradients relative to the level's largest: both paths round `f32`, so twice that
    /// suite's `LOSS` and `GRADIENT`, which are against `f64`.
    const LOSS: f32 = 4e-5;
    const GRADIENT: f32 = 6e-5;
    /// Pixels of views whose contrast is changed, and whose gamma is too, before the power: `CONTRAST` and `GAMMA` of that suite.
    const CONTRAST: f64 = 2.4e-7;
    const GAMMA: f64 = 1e-6;

    fn level(items: usize, width: usize, height: usize, stride: usize, loss: InfoNce<f32>) -> Level {
        const CHANNELS: usize = 6;
        let mut data = noise(items * CHANNELS * width * height, (items * width + stride) as u64);
        for map in data.chunks_exact_mut(CHANNELS * width * height) {
            for cell in 0..width * height {
                let of_cell = || (0..CHANNELS).map(move |channel| channel * width * height + cell);
                let length = of_cell().map(|i| map[i] * map[i]).sum::<f32>().sqrt();
                of_cell().for_each(|i| map[i] /= length);
            }
        }
        Level { data, channels: CHANNELS, width, height, stride, loss }
    }

    fn losses_agree(device: &cuda::Cuda) -> Outcome {
        let whole = InfoNce { negatives: Negatives::WholeMap, temperature: 0.1, exclusion_radius: 0 };
        let window = InfoNce { negatives: Negatives::Window { radius: 4 }, exclusion_radius: 1, ..whole };
        let shapes = [(16, 20, 4, window), (8, 10, 8, window), (4, 5, 16, whole)];
        let images: Vec<Level> = shapes.iter().map(|&(w, h, s, loss)| level(2, w, h, s, loss)).collect();
        let views: Vec<Level> = shapes.iter().map(|&(w, _, s, loss)| level(4, w, w, s, loss)).collect();
        let mut rng = Rng::new(3, 0);
        let mut point = || Point::new(rng.uniform_in(0.0, 63.0), rng.uniform_in(0.0, 63.0));
        // Views without points, and with different numbers of them.
        let positives: Vec<Vec<Positive<f32>>> = [9, 0, 1, 14]
            .map(|n| (0..n).map(|_| Positive { view: point(), image: point() }).collect())
            .into();
        for positives in [positives, vec![Vec::new(); 4]] {
            let count = positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
            let (mut images_back, mut views_back) = (images.clone(), views.clone());
            let pool = ScratchPool::default();
            let losses = objective::on_cpu(&mut images_back, &mut views_back, &positives, count, 2, &pool)?;
            let losses = objective::total(&losses, count);
            let (mut images_there, mut views_there) = (images.clone(), views.clone());
            let sums = device.objective(&mut images_there, &mut views_there, &positives, count)?;
            for (found, expected) in sums.map(|sum| sum / count).iter().zip(losses) {
                assert!((found - expected).abs() <= LOSS * (1.0 + expected), "{found} instead of {expected}");
            }
            let expected = images_back.iter().chain(&views_back).map(|level| &level.data);
            for (found, expected) in images_there.iter().chain(&views_there).zip(expected) {
                let found = &found.data;
                assert_eq!(found.len(), expected.len());
                let largest = expected.iter().fold(0.0f32, |m, g| m.max(g.abs()));
                let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
                assert!(off <= GRADIENT * largest, "a gradient is off by {off}, the largest is {largest}");
            }
        }
        Ok(())
    }

    #[track_caller]
    fn pixels_agree(found: &[f32], expected: &[f32], tone: IntensityJitter<f32>) {
        assert_eq!(found.len(), expected.len());
        let before = |v: f32| f64::from(v).powf(1.0 / f64::from(tone.gamma));
        let off =
            found.iter().zip(expected).map(|(&f, &e)| (before(f) - before(e)).abs()).fold(0.0, f64::max);
        let most = match tone {
            IntensityJitter { gamma, .. } if gamma != 1.0 => GAMMA,
            IntensityJitter { contrast, .. } if contrast != 1.0 => CONTRAST,
            _ => 0.0,
        };
        assert!(off <= most, "pixels are off by {off}, {tone:?}");
    }

    /// Views, stretched and deformed, are the CPU's, and show the same pixels at the same places.
    fn views_agree(paths: [&Compute; 2], levels: &[u8], weights: &[f32], width: usize) -> Outcome {
        const SIDE: usize = 48;
        const SPACING: usize = 10;
        let height = levels.len() / width;
        let [device, cpu] = paths;
        let (there, here) = (device.canvas(levels, width, height)?, cpu.canvas(levels, width, height)?);
        assert_eq!((there.width(), there.height()), (here.width(), here.height()));
        let (mut sums, mut no_sums) = (Vec::new(), Vec::new());
        let host = cpu.pixels(weights, width, (8, 3), &mut sums)?;
        let drawn = device.pixels(weights, width, (8, 3), &mut no_sums)?;
        let (mut a, mut b) = (Rng::new(8, 3), Rng::new(8, 3));
        let plain = IntensityJitter::identity();
        let contrast = IntensityJitter { brightness: 1.2, contrast: 0.6, ..plain };
        let mut shown = 0;
        for (view, tone) in
            [plain, contrast, IntensityJitter { gamma: 1.3, ..contrast }].into_iter().enumerate()
        {
            pixels_agree(&there.toned(tone)?, &here.toned(tone)?, tone);
            let stretched = Affine::rotation(0.4)?.then(&Affine::scaling(1.3, 0.7)?)?;
            let centre = Point::new(20.0 + 15.0 * view as f32, 30.0);
            let map = View::around(centre, &stretched, SIDE, SIDE)?;
            let mut controls = vec![Point::default(); elastic_controls_len(SIDE, SIDE, SPACING)];
            let field = Elastic::draw(map, SPACING, 2.0, &mut Rng::new(1, view as u64), &mut controls)?;
            let (mut found, mut expected) = (vec![9.0; SIDE * SIDE], vec![7.0; SIDE * SIDE]);
            let (mut placed, mut on_cpu) = (there.place(field, tone)?, here.place(field, tone)?);
            placed.fill(&mut found)?;
            on_cpu.fill(&mut expected)?;
            pixels_agree(&found, &expected, tone);
            assert!(expected.iter().any(|v| *v > 0.0) && (view > 0 || expected.contains(&0.0)));
            // More draws than are looked for at a time.
            for draw in 0..1500 {
                let wanted = |x: usize, _: usize| draw % 3 > 0 || x.is_multiple_of(2);
                let positive = placed.draw(&drawn, &mut a, wanted)?;
                assert_eq!(positive, on_cpu.draw(&host, &mut b, wanted)?, "draw {draw} of view {view}");
                shown += usize::from(positive.is_some());
            }
        }
        assert!((300..4200).contains(&shown), "{shown} of 4,500 are shown");
        Ok(())
    }

    #[test]
    fn what_a_device_computes_is_the_cpus() -> Outcome {
        if StandIn::load(Kind::Plain)?.is_none() {
            return Ok(());
        }
        let device = Compute::open(ComputeOn::Cuda, 9)?;
        let cpu = Compute::open(ComputeOn::Cpu, 9)?;
        let (width, height) = (70, 50);
        let mut rng = Rng::new(5, 0);
        let levels: Vec<u8> =
            (0..width * height).map(|i| (i % 97) as u8 ^ rng.below(1 + i as u64 % 40) as u8).collect();
        let (entropy, mut weights) = device.guidance(&levels, width, 9, 0.3)?;
        let (expected, expected_weights) = cpu.guidance(&levels, width, 9, 0.3)?;
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&entropy), bits(&expected));
        let apart = bits(&weights).into_iter().zip(bits(&expected_weights)).map(|(a, b)| a.abs_diff(b)).max();
        assert!(apart <= Some(WEIGHT_ULPS), "weights are {apart:?} units apart");

        // More pixels than are drawn at a time, from weights some of which are 0, and between other random numbers.
        weights
            .iter_mut()
            .zip(&entropy)
            .for_each(|(w, h)| *w = if *h < 2.0 { 0.0 } else { (*w * 64.0).round() });
        let (mut sums, mut no_sums) = (Vec::new(), Vec::new());
        let host = cpu.pixels(&weights, width, (7, 11), &mut sums)?;
        let drawn = device.pixels(&weights, width, (7, 11), &mut no_sums)?;
        let (mut a, mut b) = (Rng::new(7, 11), Rng::new(7, 11));
        for draw in 0..5000 {
            assert_eq!(drawn.draw(&mut a)?, host.draw(&mut b)?, "draw {draw}");
            if draw % 100 == 3 {
                assert_eq!(a.uniform::<f32>(), b.uniform::<f32>());
            }
        }
        views_agree([&device, &cpu], &levels, &weights, width)?;
        let Compute::Cuda(device) = &device else { return Err("no device".into()) };
        losses_agree(device)
    }
}
