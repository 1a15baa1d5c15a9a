//! How far a training is, what learning rate that gives, and the average of its weights.

use crate::Budget;

/// Part of the budget that is used.
pub(crate) fn fraction(budget: Budget, step: u64, seconds: f64) -> f64 {
    match budget {
        Budget::Steps(all) => step as f64 / all as f64,
        Budget::Minutes(all) => seconds / (all * 60.0),
    }
}

/// Linear warm-up, then a cosine down to a fiftieth, as a factor.
pub(crate) fn schedule(warm_up: u64, step: u64, fraction: f64) -> f64 {
    let warm = ((step + 1) as f64 / warm_up.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * fraction.min(1.0)));
    warm * (0.98 * cosine + 0.02)
}

/// Adds the weights of now to their average. The first steps count for more, so that the random start is soon forgotten.
pub(crate) fn blend(average: &mut [f32], now: &[f32], decay: f32, step: u64) {
    let decay = decay.min((1 + step) as f32 / (10 + step) as f32);
    for (average, now) in average.iter_mut().zip(now) {
        *average = decay * *average + (1.0 - decay) * now;
    }
}
