//! Time of an encode: `encode MODEL ROUNDS [LIBRARY]`, with LIBRARY also on that library of ONNX Runtime, in turns.
//!
//! Prints the least and the median milliseconds of each, on one thread, of an image of the encoder's size, and how far the features are apart.

use std::error::Error;
use std::time::Instant;
use std::{env, fs};

use infomark_core::Rng;
use infomark_infer::{Encoder, Image, OnnxRuntime};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [model, rounds, library @ ..] = &words[..] else {
        return Err("usage: encode MODEL ROUNDS [LIBRARY]".into());
    };
    let (bytes, rounds) = (fs::read(model)?, rounds.parse::<usize>()?.max(1));
    let mut encoders = vec![("ours", Encoder::from_bytes(&bytes, model)?)];
    if let Some(library) = library.first() {
        let runtime = OnnxRuntime::load(library)?;
        encoders.push(("ONNX Runtime", Encoder::from_bytes_on(&runtime, &bytes, model)?));
    }
    let input = encoders[0].1.description().input;
    let mut rng = Rng::new(3, 0);
    let pixels = (0..input.area()).map(|_| rng.uniform_in(0.0, 1.0)).collect();
    let image = Image::new("noise", input.width(), input.height(), pixels)?;
    let mut times = vec![Vec::new(); encoders.len()];
    let mut features = vec![Vec::new(); encoders.len()];
    for _ in 0..rounds {
        for (i, (_, encoder)) in encoders.iter().enumerate() {
            let start = Instant::now();
            let encoding = encoder.encode(&image)?;
            times[i].push(start.elapsed().as_secs_f64() * 1e3);
            features[i] = encoding.levels().iter().flat_map(|level| level.data().to_vec()).collect();
        }
    }
    for ((name, _), times) in encoders.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.1} ms at least, median {:.1} ms", times[0], times[times.len() / 2]);
    }
    if let [ours, theirs] = &features[..] {
        let apart = ours.iter().zip(theirs).map(|(a, b): (&f32, &f32)| (a - b).abs()).fold(0.0, f32::max);
        println!("features are {apart:.1e} apart");
    }
    Ok(())
}
