//! Radial errors of landmarks and their statistics.

use crate::{Point, Rng, Spacing};
use thiserror::Error;

/// Errors of a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The number of errors is not a multiple of the landmarks.
    #[error("{len} errors do not make whole images of {landmarks} landmarks, at least one")]
    Shape {
        /// Errors given.
        len: usize,
        /// Landmarks of each image.
        landmarks: usize,
    },
    /// An error is not finite.
    #[error("error {index} is not a finite number")]
    NotFinite {
        /// Its index in the list.
        index: usize,
    },
    /// The confidence is not between 0 and 1.
    #[error("confidence {confidence}: it has to be between 0 and 1, such as 0.95")]
    Confidence {
        /// The rejected value.
        confidence: f64,
    },
    /// The scratch is empty.
    #[error("the scratch is empty: its length is the number of resamples, such as 2000")]
    Resamples,
}

/// Radial error: the distance between a predicted landmark and the true one, in millimetres.
///
/// Both points are in pixels of the original image. Not finite when a coordinate is not.
pub fn radial_error_mm(found: Point<f64>, truth: Point<f64>, spacing: Spacing) -> f64 {
    libm::hypot((found.x - truth.x) * spacing.x, (found.y - truth.y) * spacing.y)
}

/// Arithmetic mean; of radial errors, the mean radial error (MRE). `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Successful detection rate (SDR): the fraction of errors strictly below a radius, in `[0, 1]`;
/// `None` when there are none. NaN is not below any radius.
pub fn sdr(errors: &[f64], radius_mm: f64) -> Option<f64> {
    if errors.is_empty() {
        return None;
    }
    let below = errors.iter().filter(|&&e| e < radius_mm).count();
    Some(below as f64 / errors.len() as f64)
}

/// Statistic of radial errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Mean radial error (MRE): [`mean`] of the errors.
    MeanRadialError,
    /// Successful detection rate, as [`sdr`].
    Sdr {
        /// The radius in millimetres.
        radius_mm: f64,
    },
}

impl Statistic {
    /// Computes the statistic; `None` when there are no errors.
    pub fn of(self, errors: &[f64]) -> Option<f64> {
        match self {
            Self::MeanRadialError => mean(errors),
            Self::Sdr { radius_mm } => sdr(errors, radius_mm),
        }
    }
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Cluster bootstrap interval of a statistic over **images**: the errors within an image are not
/// independent, so whole images are drawn, with replacement.
///
/// `errors` holds `landmarks` errors per image, image after image. `scratch` holds one element
/// per resample, such as 2000. The ends are the quantiles `(1 ± confidence) / 2` of the
/// resampled statistics (the percentile interval), linear between neighbours. The same `rng` gives
/// the same interval.
///
/// Source: Efron and Tibshirani, *An introduction to the bootstrap* (1993), chapter 13; Davison
/// and Hinkley, *Bootstrap methods and their application* (1997), section 3.8, on clusters.
///
/// # Errors
/// When the errors do not make at least one whole image, one is not finite, the confidence is not
/// in `(0, 1)`, or the scratch is empty.
pub fn bootstrap_interval(
    errors: &[f64],
    landmarks: usize,
    statistic: Statistic,
    confidence: f64,
    rng: &mut Rng,
    scratch: &mut [f64],
) -> Result<Interval, ScoreError> {
    let len = errors.len();
    if landmarks == 0 || len == 0 || !len.is_multiple_of(landmarks) {
        return Err(ScoreError::Shape { len, landmarks });
    }
    if let Some(index) = errors.iter().position(|e| !e.is_finite()) {
        return Err(ScoreError::NotFinite { index });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(ScoreError::Confidence { confidence });
    }
    if scratch.is_empty() {
        return Err(ScoreError::Resamples);
    }
    let images = len / landmarks;
    for value in scratch.iter_mut() {
        // All images have the same number of landmarks: the mean of their statistics is the
        // statistic of all their errors.
        let mut sum = 0.0;
        for _ in 0..images {
            let image = rng.below(images as u64) as usize;
            let errors = &errors[image * landmarks..][..landmarks];
            sum += statistic.of(errors).unwrap_or(0.0);
        }
        *value = sum / images as f64;
    }
    scratch.sort_unstable_by(f64::total_cmp);
    let quantile = |q: f64| {
        let place = q * (scratch.len() - 1) as f64;
        let below = (place as usize).min(scratch.len() - 1);
        let above = (below + 1).min(scratch.len() - 1);
        let (low, high) = (scratch[below], scratch[above]);
        low + (place - below as f64) * (high - low)
    };
    Ok(Interval { low: quantile((1.0 - confidence) / 2.0), high: quantile((1.0 + confidence) / 2.0) })
}
