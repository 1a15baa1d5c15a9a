//! Inverse discrete cosine transform (ITU-T T.81, A.3.3).
//!
//! Separable, each one-dimensional transform by its even and odd halves, in `f32` without fused multiplication: the same bits everywhere. Within 0.01
//! of the transform in `f64` for coefficients of 12-bit samples, so that rounded samples differ by at most 1, near half-way values.

use super::blocks::Block;
use super::segments::Quantisation;

/// cos(k pi / 16) / 2, for k from 1 to 7; that of 4 is also the DC factor.
const C: [f32; 8] =
    [0.5, 0.490_392_64, 0.461_939_77, 0.415_734_8, 0.353_553_4, 0.277_785_12, 0.191_341_71, 0.097_545_16];

/// The samples of a block of quantised coefficients, `precision` bits each, in rows.
pub(super) fn samples(block: &Block, quantisation: &Quantisation, precision: u32) -> [u16; 64] {
    let (half, most) = ((1_u32 << (precision - 1)) as f32, ((1_u32 << precision) - 1) as f32);
    // A cast from below zero or from beyond the range saturates.
    let sample = |value: f32| (value + half + 0.5).clamp(0.0, most) as u16;
    if block[1..].iter().all(|&coefficient| coefficient == 0) {
        return [sample(block[0] as f32 * f32::from(quantisation[0]) / 8.0); 64];
    }
    let mut values = [0.0; 64];
    for ((value, &coefficient), &step) in values.iter_mut().zip(block).zip(quantisation) {
        *value = coefficient as f32 * f32::from(step);
    }
    inverse(&mut values);
    values.map(sample)
}

/// The inverse transform of coefficients in natural order, in place.
fn inverse(values: &mut [f32; 64]) {
    for column in 0..8 {
        let place = |row: usize| 8 * row + column;
        let line = one_dimension(std::array::from_fn(|row| values[place(row)]));
        for (row, value) in line.into_iter().enumerate() {
            values[place(row)] = value;
        }
    }
    for row in values.as_chunks_mut::<8>().0 {
        *row = one_dimension(*row);
    }
}

fn one_dimension(s: [f32; 8]) -> [f32; 8] {
    let (mean, alternating) = ((s[0] + s[4]) * C[4], (s[0] - s[4]) * C[4]);
    let (rising, falling) = (s[2] * C[2] + s[6] * C[6], s[2] * C[6] - s[6] * C[2]);
    let even = [mean + rising, alternating + falling, alternating - falling, mean - rising];
    let odd = [
        s[1] * C[1] + s[3] * C[3] + s[5] * C[5] + s[7] * C[7],
        s[1] * C[3] - s[3] * C[7] - s[5] * C[1] - s[7] * C[5],
        s[1] * C[5] - s[3] * C[1] + s[5] * C[7] + s[7] * C[3],
        s[1] * C[7] - s[3] * C[5] + s[5] * C[3] - s[7] * C[1],
    ];
    std::array::from_fn(|i| if i < 4 { even[i] + odd[i] } else { even[7 - i] - odd[7 - i] })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T.81, A.3.3, term by term.
    fn naive(values: &[f32; 64]) -> [f64; 64] {
        let c = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let cosine = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
        std::array::from_fn(|place| {
            let (x, y) = (place % 8, place / 8);
            let terms = values.iter().enumerate().map(|(k, &value)| {
                let (u, v) = (k % 8, k / 8);
                c(u) * c(v) * f64::from(value) * cosine(x, u) * cosine(y, v)
            });
            terms.sum::<f64>() / 4.0
        })
    }

    /// Numbers of -1 to 1, each other than the last.
    fn random(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    #[test]
    fn the_transform_is_within_a_hundredth_of_the_definition() {
        // IEEE 1180: 10,000 blocks of each range; here with coefficients of 12-bit samples, 16 times as large.
        let mut state = 1;
        for range in [300.0, 2048.0, 32768.0] {
            let (mut worst, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
            for block in 0..1000 {
                let mut values: [f32; 64] = std::array::from_fn(|place| {
                    let value = (range * random(&mut state)).round();
                    if block % 2 == 0 || place % 7 == block % 7 { value } else { 0.0 }
                });
                let expected = naive(&values);
                inverse(&mut values);
                for (&value, expected) in values.iter().zip(expected) {
                    let error = f64::from(value) - expected;
                    worst = worst.max(error.abs());
                    sum += error;
                    squares += error * error;
                }
            }
            let count = 64_000.0;
            assert!(worst < 0.1 * f64::from(range) / 32768.0 + 1e-3, "{range}: {worst}");
            assert!((sum / count).abs() < 1.5e-3 && squares / count < 0.02, "{range}: {sum}, {squares}");
        }
    }

    #[test]
    fn a_mean_alone_gives_a_flat_block() {
        let mut block = [0; 64];
        let mut values = [0.0; 64];
        for mean in [-9000, -1024, -3, 0, 5, 1016, 9000] {
            (block[0], values[0]) = (mean, mean as f32 * 2.0);
            inverse(&mut values);
            let expected = values.map(|value| (value + 2048.5).clamp(0.0, 4095.0) as u16);
            assert_eq!(samples(&block, &[2; 64], 12), expected);
            values = [0.0; 64];
        }
    }
}
