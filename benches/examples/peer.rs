//! The core's routines, on request, for `benches/peers/run`.
//!
//! `peer DIR` answers every line of standard input, `ROUTINE INPUT ARGUMENTS...`, with the nanoseconds that one call
//! took. INPUT is a file of raw little-endian numbers in DIR; results go to `DIR/out`. Buffers are made before the clock
//! starts, as an embedder keeps them from image to image.

use infomark_core::{
    Affine, ElasticField, EntropyMap, FeatureMap, InfoNce, LossLevel, Negatives, Plane, PlaneMut, Point,
    Positive, Rng, Tone, Warp, info_nce_levels, mutual_information, mutual_information_scratch_len,
};
use rayon::prelude::*;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
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
        _ => Err(format!("{routine} with {} arguments is not known", arguments.len()).into()),
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
    let mut out = vec![0f64; width * height];
    let rows = height.div_ceil(threads);
    let mut scratch = vec![vec![0; map.scratch_len(width, height)]; threads];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let start = Instant::now();
    pool.install(|| {
        let bands = out.par_chunks_mut(rows * width).zip(&mut scratch).enumerate();
        bands.try_for_each(|(i, (band, scratch))| {
            let band = PlaneMut::new(band, width, band.len() / width).map_err(|e| e.to_string())?;
            map.compute_region(image, 0, i * rows, band, scratch).map_err(|e| e.to_string())
        })
    })?;
    let took = start.elapsed();
    write_floats(dir, &out)?;
    Ok(took.as_nanos())
}
