//! The optimiser: AdamW (Loshchilov & Hutter, *Decoupled weight decay regularization*, ICLR 2019, algorithm 2).

use std::ops::Range;

use rayon::prelude::*;

use crate::TrainError;
use crate::network::Parameters;
use crate::wire::{Reader, put_f32s, put_u64};

/// Decay of the first and second moments.
const BETAS: [f32; 2] = [0.9, 0.999];
/// Epsilon, added to the root of the second moment.
const EPSILON: f32 = 1e-5;
/// Number of weights per parallel task.
const PART: usize = 1 << 14;
/// Prefixes of the moments' tensors in a file.
const MOMENTS: [&str; 2] = ["moment_1.", "moment_2."];
/// Key of the step count in a file.
const STEPS: &str = "steps";

/// Moments of the gradients of a network's weights.
#[derive(Clone, Debug)]
pub(crate) struct AdamW {
    weight_decay: f32,
    steps: u64,
    moments: [Vec<f32>; 2],
}

impl AdamW {
    /// The optimiser of `len` weights, before the first step.
    pub(crate) fn new(weight_decay: f32, len: usize) -> Self {
        Self { weight_decay, steps: 0, moments: [vec![0.0; len], vec![0.0; len]] }
    }

    /// The weight decay, to be multiplied by the learning rate.
    pub(crate) fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    /// One optimiser step, with a learning rate per range.
    pub(crate) fn step(&mut self, values: &mut [f32], gradient: &[f32], rates: &[(Range<usize>, f64)]) {
        self.steps += 1;
        let [beta_1, beta_2] = BETAS;
        let correction = BETAS.map(|beta| 1.0 - power(beta, self.steps));
        let [first, second] = &mut self.moments;
        for (range, rate) in rates {
            let kept = (1.0 - rate * f64::from(self.weight_decay)) as f32;
            let rate = *rate as f32;
            let values = values[range.clone()].par_chunks_mut(PART);
            let gradient = gradient[range.clone()].par_chunks(PART);
            let first = first[range.clone()].par_chunks_mut(PART);
            let second = second[range.clone()].par_chunks_mut(PART);
            values.zip(gradient).zip(first.zip(second)).for_each(|((values, gradient), (first, second))| {
                let moments = first.iter_mut().zip(second);
                for ((value, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                    *m = *m * beta_1 + g * (1.0 - beta_1);
                    *v = *v * beta_2 + g * g * (1.0 - beta_2);
                    let change = (*m / correction[0]) / ((*v / correction[1]).sqrt() + EPSILON);
                    *value = *value * kept - change * rate;
                }
            });
        }
    }

    /// Appends the number of steps and the moments.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        put_u64(bytes, self.steps);
        self.moments.iter().for_each(|moments| put_f32s(bytes, moments));
    }

    /// Reads what [`put`](Self::put) of an optimiser of as many weights appended.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>) -> Result<(), TrainError> {
        self.steps = reader.u64()?;
        for moments in &mut self.moments {
            *moments = reader.f32s(moments.len())?;
        }
        Ok(())
    }

    /// The moments and the number of steps as a safetensors file.
    pub(crate) fn to_safetensors(
        &self,
        parameters: &Parameters,
    ) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let [first, second] = &self.moments;
        let moments = [(MOMENTS[0], first.as_slice()), (MOMENTS[1], second.as_slice())];
        parameters.to_safetensors(&moments, Some((STEPS, self.steps.to_string())))
    }

    /// Reads a file of [`to_safetensors`](Self::to_safetensors).
    ///
    /// # Errors
    /// The problem, when the file is damaged or its tensors do not match the parameters.
    pub(crate) fn from_safetensors(
        weight_decay: f32,
        parameters: &Parameters,
        bytes: &[u8],
    ) -> Result<Self, String> {
        let (moments, steps) = parameters.read_safetensors(bytes, &MOMENTS, Some(STEPS))?;
        let steps =
            steps.and_then(|steps| steps.parse().ok()).ok_or("it does not say how many steps it took")?;
        let moments = <[_; 2]>::try_from(moments).map_err(|_| "it has no moments")?;
        Ok(Self { weight_decay, steps, moments })
    }
}

/// Clips the norm of a gradient to `limit` (Pascanu, Mikolov & Bengio, *On the difficulty of training recurrent
/// neural networks*, ICML 2013, algorithm 1). One that is not finite is unchanged.
pub(crate) fn clip(gradient: &mut [f32], limit: f32) {
    // Partial sums are added in order, on any number of threads.
    let part = |part: &[f32]| part.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
    let parts: Vec<f64> = gradient.par_chunks(PART).map(part).collect();
    let norm = parts.iter().sum::<f64>().sqrt();
    if norm.is_finite() && norm > f64::from(limit) {
        let factor = (f64::from(limit) / norm) as f32;
        gradient.par_iter_mut().for_each(|g| *g *= factor);
    }
}

/// `base` to an integer power, by squaring: the same on every machine.
fn power(mut base: f32, mut exponent: u64) -> f32 {
    let mut result = 1.0;
    loop {
        if exponent % 2 == 1 {
            result *= base;
        }
        exponent /= 2;
        if exponent == 0 {
            return result;
        }
        base *= base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn steps_are_those_of_the_algorithm_in_double_precision() {
        let (decay, rates) = (0.01, [(0..3, 0.1), (3..5, 0.02)]);
        let mut optimizer = AdamW::new(decay, 5);
        let mut values = noise(5, 1);
        let mut expected: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        let (mut m, mut v) = ([0.0; 5], [0.0; 5]);
        for step in 1..=40 {
            let gradient = noise(5, 100 + step);
            optimizer.step(&mut values, &gradient, &rates);
            for (i, g) in gradient.iter().map(|g| f64::from(*g)).enumerate() {
                let rate = if i < 3 { 0.1 } else { 0.02 };
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (m, v) =
                    (m[i] / (1.0 - 0.9f64.powi(step as i32)), v[i] / (1.0 - 0.999f64.powi(step as i32)));
                expected[i] -= rate * f64::from(decay) * expected[i] + rate * m / (v.sqrt() + 1e-5);
            }
        }
        for (found, expected) in values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_clipped_gradient_keeps_its_direction() {
        let gradient = noise(3 * PART + 5, 4);
        let norm = |of: &[f32]| of.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let long = norm(&gradient);
        let mut clipped = gradient.clone();
        clip(&mut clipped, 0.5);
        assert!((norm(&clipped) - 0.5).abs() < 1e-6);
        for (clipped, whole) in clipped.iter().zip(&gradient) {
            assert!((f64::from(*clipped) - f64::from(*whole) * 0.5 / long).abs() < 1e-7);
        }
        let mut short = gradient.clone();
        clip(&mut short, 2.0 * long as f32);
        assert_eq!(short, gradient);
        let mut broken = vec![1.0, f32::NAN];
        clip(&mut broken, 0.5);
        assert_eq!(broken[0], 1.0);
    }

    #[test]
    fn weights_outside_the_ranges_stay() {
        let mut values = noise(4, 1);
        let before = values.clone();
        AdamW::new(0.1, 4).step(&mut values, &noise(4, 2), &[(1..3, 0.1)]);
        assert_eq!((values[0], values[3]), (before[0], before[3]));
        assert!(values[1] != before[1] && values[2] != before[2]);
    }

    #[test]
    fn a_file_holds_the_optimiser() -> Result<(), Box<dyn std::error::Error>> {
        let mut parameters = Parameters::default();
        let rng = &mut infomark_core::Rng::new(1, 0);
        parameters.normal("a".into(), &[2, 3], 1.0, rng);
        parameters.constant("b".into(), 4, 1.0, rng);
        let mut optimizer = AdamW::new(0.1, 10);
        optimizer.step(&mut parameters.values.clone(), &noise(10, 2), &[(0..10, 0.1)]);
        let bytes = optimizer.to_safetensors(&parameters)?;
        let read = AdamW::from_safetensors(0.1, &parameters, &bytes)?;
        assert_eq!((read.steps, read.moments), (1, optimizer.moments));
        // Tensors of another network, and a truncated file.
        let mut other = Parameters::default();
        other.normal("a".into(), &[3, 2], 1.0, rng);
        other.constant("b".into(), 4, 1.0, rng);
        for (parameters, bytes) in [(&other, &bytes[..]), (&parameters, &bytes[..bytes.len() - 1])] {
            assert!(AdamW::from_safetensors(0.1, parameters, bytes).is_err());
        }
        Ok(())
    }
}
