//! The entropy map, on request, for `benches/peers/run`.
//!
//! `entropy_peer IMAGE WIDTH HEIGHT OUT` reads raw 8-bit pixels; then, for every window side on a
//! line of standard input, it computes the map once, writes it to OUT (`f64`, little-endian) and
//! answers with the nanoseconds that the map alone took.

use infomark_core::{Plane, PlaneMut, entropy_map, entropy_scratch_len};
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [image, width, height, out] = args.as_slice() else {
        return Err("usage: entropy_peer IMAGE WIDTH HEIGHT OUT".into());
    };
    let (width, height): (usize, usize) = (width.parse()?, height.parse()?);
    let pixels = fs::read(image)?;
    let image = Plane::new(&pixels, width, height)?;
    // The caller's buffers, as an embedder keeps them from image to image.
    let (mut map, mut scratch) = (vec![0f64; width * height], Vec::new());
    for line in io::stdin().lock().lines() {
        let k: usize = line?.trim().parse()?;
        scratch.resize(entropy_scratch_len(k, width, height), 0);
        let start = Instant::now();
        entropy_map(image, k, PlaneMut::new(&mut map, width, height)?, &mut scratch)?;
        let took = start.elapsed();
        fs::write(out, map.iter().flat_map(|h| h.to_le_bytes()).collect::<Vec<_>>())?;
        println!("{}", took.as_nanos());
        io::stdout().flush()?;
    }
    Ok(())
}
