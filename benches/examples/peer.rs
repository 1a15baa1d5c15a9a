//! The core's routines, on request, for `benches/peers/run`.
//!
//! `peer DIR` answers every line of standard input, `ROUTINE INPUT ARGUMENTS...`, with the nanoseconds that a call took,
//! on average over calls of [`ENOUGH`] together. INPUT is a file of raw little-endian numbers in DIR; results go to `DIR/out`. Buffers are made before the clock
//! starts, as an embedder keeps them from image to image.

use infomark_core::{
    Affine, Border, Elastic, EntropyMap, FeatureMap, InfoNce, IntensityJitter, Interpolation, LossLevel,
    Negatives, Pixel, Plane, PlaneMut, Point, Positive, Rng, View, elastic_controls_len, info_nce_levels,
    mutual_information, mutual_information_scratch_len,
};
use rayon::prelude::*;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let dir = PathBuf::from(env::args().nth(1).ok_or("usage: peer DIR")?);
    let mut inputs = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let (routine, input) =
            words.next().zip(words.next()).ok_or("a line is ROUTINE INPUT ARGUMENTS...")?;
        let arguments = words.map(str::parse).collect::<Result<Vec<usize>, _>>()?;
        let bytes = match inputs.entry(input.to_owned()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => new.insert(fs::read(dir.join(input))?),
        };
        println!("{}", answer(routine, bytes, &arguments, &dir)?);
        io::stdout().flush()?;
    }
    Ok(())
}

/// Runs a routine once; the nanoseconds it took.
fn answer(routine: &str, bytes: &[u8], arguments: &[usize], dir: &Path) -> Outcome<u128> {
    match (routine, arguments) {
        ("entropy", &[width, height, k, threads]) => entropy(bytes, width, height, k, threads, dir),
        ("view_u8", &[width, side, degrees]) => {
            view(bytes, width, side, degrees, |tone, out| tone.apply_u8_in_place(out))
        }
        ("view_f32", &[width, side, degrees]) => {
            view(&floats(bytes), width, side, degrees, |tone, out| tone.apply_in_place(out))
        }
        ("elastic", &[width, seed]) => elastic(bytes, width, seed as u64),
        ("mutual_information", &[side]) => mutual(bytes, side, dir),
        ("info_nce", &[width, height, side, channels, pixels]) => {
            loss(&floats(bytes), [width, height, side, channels, pixels], dir)
        }
        _ => Err(format!("{routine} with {} arguments is not known", arguments.len()).into()),
    }
}

/// As long as a routine runs for one answer, so that the first call's cold caches do not count.
const ENOUGH: Duration = Duration::from_millis(20);

/// What the last call gave, the number of calls, and the nanoseconds of one.
fn timed<R>(mut call: impl FnMut() -> Outcome<R>) -> Outcome<(R, u128, u128)> {
    let start = Instant::now();
    let mut calls = 0;
    loop {
        let result = call()?;
        calls += 1;
        let took = start.elapsed();
        if took >= ENOUGH {
            return Ok((result, calls, took.as_nanos() / calls));
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn write_floats<T: Into<f64> + Copy>(dir: &Path, values: &[T]) -> Outcome<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|&v| v.into().to_le_bytes()).collect();
    Ok(fs::write(dir.join("out"), bytes)?)
}

fn entropy(bytes: &[u8], width: usize, height: usize, k: usize, threads: usize, dir: &Path) -> Outcome<u128> {
    let image = Plane::new(bytes, width, height)?;
    let map = EntropyMap::square(k);
    // Written to once, so that the clock does not pay for fresh pages.
    let mut out = vec![f64::NAN; width * height];
    let rows = height.div_ceil(threads);
    let mut scratch = vec![vec![u64::MAX; map.scratch_len(width, height)]; threads];
    let part = |i: usize, band: &mut [f64], scratch: &mut Vec<u64>| {
        let band_rows = band.len() / width;
        let band = PlaneMut::new(band, width, band_rows).map_err(|e| e.to_string())?;
        map.compute_region(image, 0, i * rows, band, scratch).map_err(|e| e.to_string())
    };
    let ((), _, took) = timed(|| {
        let bands = out.chunks_mut(rows * width).zip(&mut scratch).enumerate();
        if threads > 1 {
            return Ok(bands.par_bridge().try_for_each(|(i, (band, scratch))| part(i, band, scratch))?);
        }
        for (i, (band, scratch)) in bands {
            part(i, band, scratch)?;
        }
        Ok(())
    })?;
    write_floats(dir, &out)?;
    Ok(took)
}

/// Rotation and crop to a square view from the middle of a square image, then brightness and contrast.
fn view<P: Pixel + Default + Clone>(
    pixels: &[P],
    width: usize,
    side: usize,
    degrees: usize,
    tone: impl Fn(&IntensityJitter<f32>, PlaneMut<'_, P>) -> Result<(), infomark_core::AugmentError>,
) -> Outcome<u128> {
    let image = Plane::new(pixels, width, width)?;
    let mut out = vec![P::default(); side * side];
    let centre = Point::new(width as f32 * 0.45, width as f32 * 0.52);
    let ((), _, took) = timed(|| {
        let view = View::around(centre, &Affine::rotation((degrees as f32).to_radians())?, side, side)?;
        let mut out = PlaneMut::new(&mut out, side, side)?;
        view.resample(image, out.reborrow(), Interpolation::Bilinear, Border::Value(P::default()))?;
        Ok(tone(&IntensityJitter { brightness: 1.2, contrast: 0.8, gamma: 1.0 }, out)?)
    })?;
    Ok(took)
}

fn elastic(pixels: &[u8], width: usize, seed: u64) -> Outcome<u128> {
    const SPACING: usize = 48;
    let image = Plane::new(pixels, width, width)?;
    let mut out = vec![0; width * width];
    let mut controls = vec![Point::new(0f32, 0.0); elastic_controls_len(width, width, SPACING)];
    let mut rng = Rng::new(seed, 0);
    let ((), _, took) = timed(|| {
        let view = View::new(Affine::identity(), width, width)?;
        let field = Elastic::draw(view, SPACING, 9.0, &mut rng, &mut controls)?;
        let out = PlaneMut::new(&mut out, width, width)?;
        Ok(field.resample(image, out, Interpolation::Bilinear, Border::Mirror)?)
    })?;
    Ok(took)
}

fn mutual(pixels: &[u8], side: usize, dir: &Path) -> Outcome<u128> {
    let (first, second) = pixels.split_at(pixels.len() / 2);
    let (first, second) = (Plane::new(first, side, side)?, Plane::new(second, side, side)?);
    let mut scratch = vec![u32::MAX; mutual_information_scratch_len(side, side)];
    let (information, _, took) = timed(|| Ok(mutual_information::<f64>(first, second, &mut scratch)?))?;
    write_floats(dir, &[information])?;
    Ok(took)
}

/// Strides of the levels.
const STRIDES: [usize; 5] = [2, 4, 8, 16, 32];

/// The loss of one view and its gradient over five levels. The input holds, level by level, the image's features and the
/// view's, then the points in the view and in the image.
fn loss(numbers: &[f32], shape: [usize; 5], dir: &Path) -> Outcome<u128> {
    let [width, height, side, channels, pixels] = shape;
    let mut rest = numbers;
    let mut take = |len: usize| {
        let (part, after) = rest.split_at(len);
        rest = after;
        part
    };
    let mut maps = Vec::new();
    for stride in STRIDES {
        let image = take(channels * (width / stride) * (height / stride));
        let view = take(channels * (side / stride) * (side / stride));
        maps.push((
            FeatureMap::new(image, channels, width / stride, height / stride, stride)?,
            FeatureMap::new(view, channels, side / stride, side / stride, stride)?,
        ));
    }
    let (view, image) = (take(2 * pixels), take(2 * pixels));
    let points = |all: &[f32]| all.as_chunks().0.iter().map(|&[x, y]| Point::new(x, y)).collect::<Vec<_>>();
    let positives: Vec<_> =
        points(view).into_iter().zip(points(image)).map(|(view, image)| Positive { view, image }).collect();
    let mut grads: Vec<_> =
        maps.iter().map(|(i, v)| (vec![0f32; i.data().len()], vec![0f32; v.data().len()])).collect();
    for (a, b) in &mut grads {
        a.fill(std::hint::black_box(0.0));
        b.fill(std::hint::black_box(0.0));
    }
    let mut levels: Vec<_> = maps
        .iter()
        .zip(&mut grads)
        .map(|(&(image, view), (grad_image, grad_view))| {
            let whole = image.stride() >= 16;
            let negatives = if whole { Negatives::WholeMap } else { Negatives::Window { radius: 9 } };
            let loss = InfoNce { negatives, temperature: 0.1, exclusion_radius: 0 };
            LossLevel { view, image, loss, grad_view, grad_image }
        })
        .collect();
    let needed = levels.iter().map(|level| level.loss.scratch_len(level.image)).max().unwrap_or(0);
    let mut scratch = vec![0f32; needed];
    let (total, calls, took) = timed(|| Ok(info_nce_levels(&mut levels, &positives, &mut scratch)?))?;
    let squares = |part: &[f32]| part.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>();
    let [image, view] = grads.iter().fold([0.0; 2], |[i, v], (a, b)| [i + squares(a), v + squares(b)]);
    // Every call has added its gradient.
    write_floats(dir, &[f64::from(total), image.sqrt() / calls as f64, view.sqrt() / calls as f64])?;
    Ok(took)
}
