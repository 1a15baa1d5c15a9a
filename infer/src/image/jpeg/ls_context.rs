//! Contexts of JPEG-LS: coding parameters, error statistics and Golomb codes (ITU-T T.87, annex A).

use super::ls_bits::Bits;
use super::{INVALID, Problem};

/// Coding parameters of a scan (A.1, A.2, C.2.4.1.1).
pub(super) struct Parameters {
    /// Maximum sample value (MAXVAL).
    most: i32,
    /// Maximum error (NEAR).
    pub(super) near: i32,
    thresholds: [i32; 3],
    /// Count at which statistics are halved (RESET).
    reset: i32,
    /// Number of quantised errors (RANGE).
    range: i32,
    /// Bits of a quantised error (qbpp).
    range_bits: u32,
    /// Maximum code length (LIMIT).
    limit: u32,
}

impl Parameters {
    /// Parameters of a precision and NEAR, with overrides from the preset parameter segment.
    pub(super) fn new(precision: u32, near: u8, preset: Option<&[u8]>) -> Result<Parameters, Problem> {
        let mut words = [0_i32; 5];
        if let Some(preset) = preset {
            let pairs = preset.as_chunks::<2>().0;
            if pairs.len() < words.len() {
                return Err(INVALID);
            }
            for (word, &pair) in words.iter_mut().zip(pairs) {
                *word = i32::from(u16::from_be_bytes(pair));
            }
        }
        // Zeros stand for the defaults.
        let [most, t1, t2, t3, reset] = words;
        let greatest = (1 << precision) - 1;
        let most = if most == 0 { greatest } else { most };
        let near = i32::from(near);
        if most > greatest || near > (most / 2).min(255) {
            return Err(INVALID);
        }
        let defaults = default_thresholds(most, near);
        let given = [t1, t2, t3];
        let thresholds = std::array::from_fn(|i| if given[i] == 0 { defaults[i] } else { given[i] });
        let reset = if reset == 0 { 64 } else { reset };
        let rising = [near + 1, thresholds[0], thresholds[1], thresholds[2], most];
        if !rising.is_sorted() || !(3..=most.max(255)).contains(&reset) {
            return Err(INVALID);
        }
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let bits = |count: i32| u32::BITS - (count as u32 - 1).leading_zeros();
        let sample_bits = bits(most + 1).max(2);
        Ok(Parameters {
            most,
            near,
            thresholds,
            reset,
            range,
            range_bits: bits(range),
            limit: 2 * (sample_bits + sample_bits.max(8)),
        })
    }

    /// Quantises a gradient to a region, -4 to 4 (A.3.3).
    pub(super) fn quantise(&self, gradient: i32) -> i32 {
        let size = gradient.abs();
        let above = self.thresholds.iter().filter(|&&threshold| size >= threshold).count() as i32;
        if size <= self.near { 0 } else { (1 + above) * gradient.signum() }
    }

    /// The sample of a prediction and an error, modulo RANGE (A.4.4, A.4.5).
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let value = predicted + error * step;
        let value = if value < -self.near {
            value + self.range * step
        } else if value > self.most + self.near {
            value - self.range * step
        } else {
            value
        };
        value.clamp(0, self.most)
    }

    /// Reads a Golomb code of limited length (A.5.3, with the limit of A.7.2).
    fn golomb(&self, bits: &mut Bits<'_>, order: u32, limit: u32) -> Result<i32, Problem> {
        let longest = limit - self.range_bits - 1;
        let zeros = bits.zeros(longest)?;
        let value = match zeros < longest {
            true => (zeros << order) | bits.take(order)?,
            false => bits.take(self.range_bits)? + 1,
        };
        // Mapped errors are at most RANGE.
        if value > 2 * self.range as u32 { Err(INVALID) } else { Ok(value as i32) }
    }
}

/// C.2.4.1.1.1.
fn default_thresholds(most: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, least: i32| if value > most || value < least { least } else { value };
    let [t1, t2, t3] = if most >= 128 {
        let factor = (most.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
    } else {
        let factor = 256 / (most + 1);
        [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
    };
    let t1 = clamp(t1, near + 1);
    let t2 = clamp(t2, t1);
    [t1, t2, clamp(t3, t2)]
}

/// The order of the Golomb code for a sum of magnitudes (A.5.1).
fn order(count: i32, sum: i32) -> Result<u32, Problem> {
    (0..24).find(|&order| i64::from(count) << order >= i64::from(sum)).ok_or(INVALID)
}

/// Initial sum of magnitudes (A.2.1).
fn first_sum(parameters: &Parameters) -> i32 {
    ((parameters.range + 32) / 64).max(2)
}

/// Statistics of a regular context: A, B, C and N of the standard.
#[derive(Clone)]
pub(super) struct Regular {
    magnitudes: i32,
    bias: i32,
    correction: i32,
    count: i32,
}

impl Regular {
    pub(super) fn new(parameters: &Parameters) -> Regular {
        Regular { magnitudes: first_sum(parameters), bias: 0, correction: 0, count: 1 }
    }

    /// Decodes the next sample (A.4 to A.6).
    pub(super) fn decode(
        &mut self,
        bits: &mut Bits<'_>,
        parameters: &Parameters,
        predicted: i32,
        sign: i32,
    ) -> Result<i32, Problem> {
        let predicted = (predicted + sign * self.correction).clamp(0, parameters.most);
        let order = order(self.count, self.magnitudes)?;
        let mapped = parameters.golomb(bits, order, parameters.limit)?;
        let (half, is_odd) = (mapped / 2, mapped % 2 == 1);
        // A.5.2: with a bias to negative errors those are the even ones.
        let is_turned = parameters.near == 0 && order == 0 && 2 * self.bias <= -self.count;
        let error = if is_odd == is_turned { half } else { -half - 1 };
        self.update(parameters, error);
        Ok(parameters.reconstruct(predicted, sign * error))
    }

    /// A.6.1, A.6.2.
    fn update(&mut self, parameters: &Parameters, error: i32) {
        self.bias += error * (2 * parameters.near + 1);
        self.magnitudes = self.magnitudes.saturating_add(error.abs());
        if self.count == parameters.reset {
            self.magnitudes >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(-128);
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(127);
        }
    }
}

/// Statistics of the samples that end runs: A, N and Nn of the standard.
pub(super) struct Run {
    magnitudes: i32,
    count: i32,
    negative: i32,
}

impl Run {
    pub(super) fn new(parameters: &Parameters) -> Run {
        Run { magnitudes: first_sum(parameters), count: 1, negative: 0 }
    }

    /// Decodes the sample that ends a run (A.7.2), whose length was coded with the order `run_order`.
    pub(super) fn decode(
        &mut self,
        bits: &mut Bits<'_>,
        parameters: &Parameters,
        (predicted, sign): (i32, i32),
        is_flat: bool,
        run_order: u32,
    ) -> Result<i32, Problem> {
        let flat = i32::from(is_flat);
        let sum = self.magnitudes.saturating_add(if is_flat { self.count >> 1 } else { 0 });
        let order = order(self.count, sum)?;
        let mapped = parameters.golomb(bits, order, parameters.limit - run_order - 1)?;
        let is_odd = (mapped + flat) % 2 == 1;
        let size = (mapped + flat + 1) / 2;
        let is_negative = (order != 0 || 2 * self.negative >= self.count) == is_odd;
        let error = if is_negative { -size } else { size };
        if error < 0 {
            self.negative += 1;
        }
        self.magnitudes = self.magnitudes.saturating_add((mapped + 1 - flat) >> 1);
        if self.count == parameters.reset {
            self.magnitudes >>= 1;
            self.count >>= 1;
            self.negative >>= 1;
        }
        self.count += 1;
        Ok(parameters.reconstruct(predicted, sign * error))
    }
}
