//! Whole matches, on request, for `benches/peers/matching`.
//!
//! `matching images DIR COUNT` draws images of 384 x 480 pixels into DIR. `matching MODEL DIR` writes a template and an image
//! (`template`, `image`: raw 32-bit floats, as the encoder's network takes them) and the template's 19 landmarks (`points`: x and y) to DIR, then answers every line of
//! standard input, `own THREADS` or `all THREADS`, by as many matches of the image at once, each on a thread of its own: the milliseconds
//! they took together and where the landmarks are. `own` compares the landmarks' own features, `all` also what lies around them and the
//! rest of the image, as `infomark match` does.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use infomark_core::{ContrastRule, Plane, PlaneMut, Point, local_contrast, local_contrast_scratch_len};
use infomark_infer::{Encoder, Image, Landmark, MatchOptions, Normalisation, Template, match_image};
use infomark_phantom::Phantom;
use rayon::prelude::*;

const WIDTH: usize = 384;
const HEIGHT: usize = 480;
const LANDMARKS: usize = 19;
const SEED: u64 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["images", dir, count] => draw(Path::new(dir), count.parse()?),
        [model, dir] => serve(model, Path::new(dir)),
        _ => Err("usage: matching images DIR COUNT, or matching MODEL DIR".into()),
    }
}

fn draw(dir: &Path, count: u64) -> Result<(), Box<dyn Error>> {
    let phantom = Phantom::new(WIDTH, HEIGHT)?;
    for i in 0..count {
        fs::write(dir.join(format!("{i:04}.pgm")), phantom.image(SEED, i).pgm())?;
    }
    Ok(())
}

fn serve(model: &str, dir: &Path) -> Result<(), Box<dyn Error>> {
    let phantom = Phantom::new(WIDTH, HEIGHT)?;
    let encoder = Encoder::load(model)?;
    let normalisation = encoder.description().normalisation;
    let image = |index: u64, file: &str| -> Result<_, Box<dyn Error>> {
        let drawn = phantom.image(SEED, index);
        let pixels: Vec<f32> = drawn.pixels.iter().map(|&v| f32::from(v) / 255.0).collect();
        let taken = normalised(&pixels, normalisation)?;
        fs::write(dir.join(file), taken.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())?;
        Ok((Image::new(file, WIDTH, HEIGHT, pixels)?, drawn.landmarks))
    };
    let (template, drawn) = image(1 << 40, "template")?;
    let (image, _) = image(1 << 41, "image")?;
    // The made-up anatomy has fewer: the others lie beside them.
    let beside = |i: usize| {
        let (name, at) = drawn[i % drawn.len()];
        let by = (20 * (i / drawn.len())) as f64;
        Landmark::new(format!("{name} {i}"), Point::new((at.x + by).min(380.0), (at.y + by).min(476.0)))
    };
    let landmarks: Vec<Landmark> = (0..LANDMARKS).map(beside).collect();
    let places: Vec<u8> =
        landmarks.iter().flat_map(|l| [l.at.x, l.at.y]).flat_map(|v| (v as f32).to_le_bytes()).collect();
    fs::write(dir.join("points"), places)?;
    let template = Template::new(&encoder, &template, &landmarks)?;
    // Threads that last, so that the caller can read how much time they took.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    println!("ready");
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (kind, threads) = line.split_once(' ').ok_or("a line is KIND THREADS")?;
        let own = MatchOptions { neighbours: false, prior: false, ..MatchOptions::default() };
        let options = if kind == "own" { own } else { MatchOptions::default() };
        let threads: usize = threads.parse()?;
        let start = Instant::now();
        let run = |_| match_image(&encoder, &template, &image, options);
        let found = pool.install(|| (0..threads).into_par_iter().map(run).collect::<Result<Vec<_>, _>>())?;
        let found = found.first().ok_or("no threads")?;
        let took = start.elapsed().as_secs_f64() * 1e3;
        let places: Vec<String> = found.iter().map(|f| format!("{} {}", f.at.x, f.at.y)).collect();
        println!("{took} {}", places.join(" "));
        io::stdout().flush()?;
    }
    Ok(())
}

/// Pixels of an image as the encoder's network takes them.
fn normalised(pixels: &[f32], normalisation: Normalisation) -> Result<Vec<f32>, Box<dyn Error>> {
    let Normalisation::LocalContrast { sigma, gain, floor } = normalisation else {
        return Ok(pixels.to_vec());
    };
    let sigma_px = sigma * WIDTH.max(HEIGHT) as f32;
    let mut scratch = vec![0.0; local_contrast_scratch_len(WIDTH, HEIGHT, f64::from(sigma_px))];
    let mut out = vec![0.0; pixels.len()];
    let rule = ContrastRule { sigma_px, gain, floor };
    local_contrast(
        Plane::new(pixels, WIDTH, HEIGHT)?,
        PlaneMut::new(&mut out, WIDTH, HEIGHT)?,
        rule,
        &mut scratch,
    )?;
    Ok(out)
}
