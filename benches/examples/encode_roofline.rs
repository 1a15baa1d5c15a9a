//! Roofline of an encode: `encode_roofline [ROUNDS]`.
//!
//! Measures, on one thread and in the widest instructions that the processor has, the rate of multiply-adds in registers and the bandwidth of
//! reading from each level of memory; then every stage of the default encoder on an image of 384 x 480 pixels, least of ROUNDS: its
//! time, the arithmetic and the bytes that its routine needs at least, and which share of either limit that is.
//! Source: Williams, Waterman & Patterson, *Roofline*, CACM 52(4), 2009.

use std::hint::black_box;
use std::time::Instant;
use std::{array, env};

use infomark_core::{FeatureMap, PlaneMut, Rng, similarities, similarities_scratch_len};
use infomark_kernels::filter::{Filter, prefers_winograd};
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::Workspace;
use infomark_kernels::{head, norm, resample, widest};
use pulp::{Arch, Simd, WithSimd};

/// Channels at strides 2 to 32, and of an embedding.
const CHANNELS: [usize; 5] = [16, 32, 64, 96, 128];
const EMBEDDING: usize = 32;
/// Size at stride 2.
const SIZE: (usize, usize) = (192, 240);
const GROUPS: usize = 8;
/// Features searched together.
const TOGETHER: usize = 8;

/// Independent sums: more than a processor's multiply-adds in flight.
const SUMS: usize = 10;

/// Multiply-adds in registers; their number.
struct Peak(usize);

impl WithSimd for Peak {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (a, b) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [simd.splat_f32s(0.5); SUMS];
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, a, b);
            }
        }
        black_box(sums);
        self.0 * SUMS * S::F32_LANES
    }
}

/// Reads all values.
struct Read<'a>(&'a [f32]);

impl WithSimd for Read<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (vectors, _) = S::as_simd_f32s(self.0);
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for chunk in vectors.chunks_exact(SUMS) {
            for (sum, &v) in sums.iter_mut().zip(chunk) {
                *sum = simd.add_f32s(*sum, v);
            }
        }
        black_box(sums);
    }
}

fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, 0);
    (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
}

/// Least seconds of some calls.
fn least(rounds: usize, mut call: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(once).fold(f64::INFINITY, f64::min)
}

/// What a stage did, of all its layers together.
#[derive(Clone, Copy, Default)]
struct Work {
    seconds: f64,
    /// Multiplications and additions of the routine that ran.
    operations: f64,
    /// Those of the direct sum.
    direct: f64,
    /// Bytes read and written at least.
    bytes: f64,
}

impl Work {
    fn add(&mut self, other: Work) {
        self.seconds += other.seconds;
        self.operations += other.operations;
        self.direct += other.direct;
        self.bytes += other.bytes;
    }

    fn print(&self, name: &str, peak: f64, bandwidth: f64) {
        let Work { seconds, operations, direct, bytes } = self;
        let limit = (operations / peak).max(bytes / bandwidth);
        println!(
            "| {name} | {:.2} | {:.3} | {:.0} | {:.0} | {:.0} % | {:.1} | {:.1} | {:.0} % | {} |",
            seconds * 1e3,
            operations / 1e9,
            operations / seconds / 1e9,
            direct / seconds / 1e9,
            100.0 * operations / seconds / peak,
            bytes / 1e6,
            bytes / seconds / 1e9,
            100.0 * limit / seconds,
            if operations / peak > bytes / bandwidth { "arithmetic" } else { "memory" }
        );
    }
}

/// Bytes of so many values.
fn bytes_of(values: usize) -> f64 {
    (values * size_of::<f32>()) as f64
}

/// A convolution with `coarse` of its channels enlarged, then normalisation and ReLU.
fn layer(rounds: usize, level: usize, fine: usize, coarse: usize, workspace: &mut Workspace) -> [Work; 2] {
    let (w, h, outputs) = (SIZE.0 >> level, SIZE.1 >> level, CHANNELS[level]);
    let inputs = fine + coarse;
    let (x, below) = (noise(fine * w * h, 1), noise(coarse * w * h / 4, 2));
    let planes = match coarse {
        0 => Planes::new(&x, fine, w, h),
        _ => Planes::joined(&x, fine, &below, coarse, w, h),
    };
    let filter = Filter::forward(noise(outputs * inputs * 9, 3), outputs, inputs);
    let mut out = vec![0.0; outputs * w * h];
    let seconds = least(rounds, || filter.convolve(&planes, workspace, &mut out));
    let direct = (2 * 9 * inputs * outputs * w * h) as f64;
    // Products at 36 places of a tile, of enlarged channels at 25.
    let tiles = w.div_ceil(4) * h.div_ceil(4);
    let filtered = (2 * tiles * outputs * (36 * fine + 25 * coarse)) as f64;
    let operations = if prefers_winograd(inputs, outputs, w, h) { filtered } else { direct };
    let bytes = bytes_of(x.len() + below.len() + out.len() + outputs * inputs * 9);
    let convolution = Work { seconds, operations, direct, bytes };

    let (gamma, beta) = (noise(outputs, 5), noise(outputs, 6));
    let seconds = least(rounds, || norm::in_place(&mut out, &gamma, &beta, GROUPS, w * h));
    // Sum, square and its sum; then a multiplication, an addition and a maximum.
    let operations = (6 * out.len()) as f64;
    [convolution, Work { seconds, operations, direct: operations, bytes: bytes_of(3 * out.len()) }]
}

fn main() {
    let rounds = env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(25_usize).max(1);
    let arch = Arch::new();

    const STEPS: usize = 1 << 20;
    let mut count = 0;
    let seconds = least(rounds, || count = arch.dispatch(Peak(STEPS)));
    let peak = 2.0 * count as f64 / seconds;
    println!("multiply-adds in registers: {:.1} GFLOP/s ({} lanes)\n", peak / 1e9, count / STEPS / SUMS);

    println!("| reading | KiB | GB/s |\n| --- | --- | --- |");
    let mut bandwidths = Vec::new();
    for (name, kib) in [("level 1", 16), ("level 2", 256), ("level 3", 4 << 10), ("memory", 256 << 10)] {
        let data = noise(kib << 8, 7);
        let times = ((64 << 10) / kib).max(1);
        let seconds = least(rounds.min(9), || {
            for _ in 0..times {
                arch.dispatch(Read(black_box(&data)));
            }
        });
        let bandwidth = bytes_of(data.len()) * times as f64 / seconds;
        println!("| {name} | {kib} | {:.0} |", bandwidth / 1e9);
        bandwidths.push(bandwidth);
    }
    // Feature maps of the finest strides are megabytes.
    let bandwidth = bandwidths[2];

    let mut workspace = Workspace::default();
    let (mut convolutions, mut norms) = (Work::default(), Work::default());
    let mut layers = Vec::new();
    for level in 0..CHANNELS.len() {
        layers.push((level, if level == 0 { 4 } else { CHANNELS[level - 1] }, 0));
        layers.push((level, CHANNELS[level], 0));
    }
    for level in (0..CHANNELS.len() - 1).rev() {
        layers.push((level, CHANNELS[level], CHANNELS[level + 1]));
        layers.push((level, CHANNELS[level], 0));
    }
    println!(
        "\n| stage | ms | GFLOP | GFLOP/s | as the direct sum | of peak | MB | GB/s | of the roofline | bound by |\n{}",
        "| --- ".repeat(10) + "|"
    );
    for (level, fine, coarse) in layers {
        let [convolution, norm] = layer(rounds, level, fine, coarse, &mut workspace);
        let inputs = if coarse == 0 { fine.to_string() } else { format!("{fine} + {coarse}") };
        convolution.print(
            &format!("{inputs} to {} at stride {}", CHANNELS[level], 2 << level),
            peak,
            bandwidth,
        );
        convolutions.add(convolution);
        norms.add(norm);
    }
    convolutions.print("**convolutions**", peak, bandwidth);
    norms.print("**normalisation and ReLU**", peak, bandwidth);

    let (mut heads, mut pools) = (Work::default(), Work::default());
    let mut features = Vec::new();
    for (level, &inputs) in CHANNELS.iter().enumerate() {
        let (w, h) = (SIZE.0 >> level, SIZE.1 >> level);
        let shape = head::HeadShape { inputs, outputs: EMBEDDING, area: w * h };
        let (x, weight, bias) = (noise(inputs * w * h, 1), noise(EMBEDDING * inputs, 2), noise(EMBEDDING, 3));
        let mut out = vec![0.0; EMBEDDING * w * h];
        let seconds = least(rounds, || head::forward(&x, &weight, &bias, shape, &mut out));
        // The projection, the squared length and the division by the length.
        let operations = (w * h * EMBEDDING * (2 * inputs + 3)) as f64;
        let bytes = bytes_of(x.len() + out.len());
        heads.add(Work { seconds, operations, direct: operations, bytes });
        if level + 1 < CHANNELS.len() {
            let mut small = vec![0.0; x.len() / 4];
            let seconds = least(rounds, || resample::max_pool(&x, w, &mut small));
            let (operations, bytes) = ((3 * small.len()) as f64, bytes_of(x.len() + small.len()));
            pools.add(Work { seconds, operations, direct: operations, bytes });
        }
        features.push(out);
    }
    heads.print("**heads**", peak, bandwidth);
    pools.print("**pooling**", peak, bandwidth);

    let maps = features
        .iter()
        .enumerate()
        .map(|(level, data)| FeatureMap::new(data, EMBEDDING, SIZE.0 >> level, SIZE.1 >> level, 2 << level));
    let maps: Vec<FeatureMap<'_, f32>> = maps.collect::<Result<_, _>>().unwrap_or_default();
    let feature = noise(EMBEDDING, 9);
    let template: Vec<&[f32]> = vec![&feature; maps.len()];
    let templates = [template.as_slice(); TOGETHER];
    let mut scores: [Vec<f32>; TOGETHER] = array::from_fn(|_| vec![0.0; SIZE.0 * SIZE.1]);
    let mut scratch = vec![0.0; similarities_scratch_len(&maps, TOGETHER)];
    let seconds = least(rounds, || {
        let planes = scores.iter_mut().map(|map| PlaneMut::new(map, SIZE.0, SIZE.1));
        let Ok(mut planes) = planes.collect::<Result<Vec<_>, _>>() else { return };
        let found = widest(
            #[inline(always)]
            || similarities(&maps, &templates, 0.1, &mut planes, &mut scratch),
        );
        black_box(found.is_ok());
    });
    let cells: usize = maps.iter().map(FeatureMap::cells).sum();
    // Products, then the interpolation of the coarser levels: eight operations a pixel of the finest.
    let operations = (TOGETHER * (2 * EMBEDDING * cells + 8 * (maps.len() - 1) * SIZE.0 * SIZE.1)) as f64;
    let bytes = bytes_of(EMBEDDING * cells + TOGETHER * SIZE.0 * SIZE.1 * (1 + maps.len()));
    Work { seconds, operations, direct: operations, bytes }.print(
        &format!("**search of {TOGETHER} features**"),
        peak,
        bandwidth,
    );
}
