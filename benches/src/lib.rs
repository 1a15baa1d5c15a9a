//! What the benchmarks share.

use infomark_core::Rng;

/// Side of the test image.
pub const SIDE: usize = 384;

/// Waves and a little noise: about as rough as a radiograph.
pub fn image() -> Vec<u8> {
    let mut rng = Rng::new(1, 0);
    let pixel = |i: usize| {
        let (x, y) = ((i % SIDE) as f64, (i / SIDE) as f64);
        let wave = 128.0 + 80.0 * (x / 31.0).sin() * (y / 23.0).cos();
        (wave + 4.0 * rng.normal::<f64>()).clamp(0.0, 255.0) as u8
    };
    (0..SIDE * SIDE).map(pixel).collect()
}
