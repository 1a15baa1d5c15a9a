//! How strong an augmentation has to be: until an augmented patch shares just so much information
//! with its original.

mod tone;

pub use tone::{
    ToneSearch, ToneSearchScratch, intensity_range, search_tone, tone_path, tone_search_scratch_len,
};

use crate::{AugmentError, MutualError, Real};
use thiserror::Error;

/// Why an intensity could not be searched.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum IntensityError {
    /// A setting of the search is unusable.
    #[error("{name} {value}: it has to be {needed}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// The refused value.
        value: f64,
        /// The condition, in words.
        needed: &'static str,
    },
    /// The shared information is NaN.
    #[error("the shared information at strength {strength} is not a number")]
    NotANumber {
        /// Where.
        strength: f64,
    },
    /// There are no patches.
    #[error("there are no patches to find a range from")]
    Empty,
    /// Too little scratch.
    #[error("the scratch {name} has {len} elements and needs {needed}: see tone_search_scratch_len")]
    Scratch {
        /// Which part of the scratch.
        name: &'static str,
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// The patch could not be changed.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The information could not be measured.
    #[error(transparent)]
    Mutual(#[from] MutualError),
}

/// Options of the search of strengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchRule<T> {
    /// Steps of equal size from strength 0 to 1 at which a crossing is looked for; at least 1.
    pub steps: usize,
    /// The strength is found to within this; at least 0.
    pub tolerance: T,
    /// Most bisections of the step with the crossing.
    pub max_bisections: usize,
}

impl<T: Real> Default for SearchRule<T> {
    /// 16 steps, a tolerance of 0.001 and at most 24 bisections.
    fn default() -> Self {
        Self { steps: 16, tolerance: T::from_f64(1e-3), max_bisections: 24 }
    }
}

/// Outcome of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SearchOutcome {
    /// At a strength where the information crosses the target.
    Target,
    /// At strength 1: up to there the information stays above the target.
    Limit,
    /// At strength 0: even without a change the information is not above the target.
    Identity,
}

/// The strength of an augmentation at which the information is just the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength<T> {
    /// From 0, no change, to 1, the limit.
    pub strength: T,
    /// The information that is shared at this strength.
    pub information: T,
    /// Whether the target was met.
    pub reached: SearchOutcome,
}

/// `argmin over t of |I(t) - target|` next to the first crossing: the least strength `t` in `[0, 1]`
/// at which the shared information `I(t)` has fallen to `target`.
///
/// From 0 outward in equal steps, the first step is taken at whose end `I <= target`; within it the
/// strength is bisected, and of the last two ends the one with `I` nearer to the target is the
/// answer (the weaker one when both are as near). Where `I` falls monotonically that is the minimum
/// to within the tolerance. Where it does not, the answer is still defined: a crossing in the first
/// step whose end is not above the target; what lies further out is not searched, and neither is a
/// dip within a step. When `I(0) <= target`, the answer is 0 ([`SearchOutcome::Identity`]); when `I`
/// is above the target at the end of each step, it is 1 ([`SearchOutcome::Limit`]).
///
/// `information` is called at most `1 + steps + max_bisections` times.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), `A = argmin |I[l; A(l)] - mu|`.
///
/// # Errors
/// When the rule has no step or a tolerance that is negative or NaN, the target or the information
/// is NaN, or `information` fails.
///
/// ```
/// use infomark_core::{IntensityError, SearchOutcome, SearchRule, search_strength};
/// let falls = |t: f64| Ok::<_, IntensityError>(5.0 - 4.0 * t * t);
/// let found = search_strength(4.0, SearchRule { tolerance: 1e-9, max_bisections: 60, steps: 8 }, falls)?;
/// assert_eq!(found.reached, SearchOutcome::Target);
/// assert!((found.strength - 0.5).abs() < 1e-9);
/// # Ok::<(), IntensityError>(())
/// ```
pub fn search_strength<T: Real, E: From<IntensityError>>(
    target: T,
    rule: SearchRule<T>,
    mut information: impl FnMut(T) -> Result<T, E>,
) -> Result<Strength<T>, E> {
    check(target, rule)?;
    let (zero, one) = (T::zero(), T::one());
    let mut at = |strength: T| -> Result<Strength<T>, E> {
        let information = information(strength)?;
        if information.is_nan() {
            return Err(IntensityError::NotANumber { strength: strength.as_f64() }.into());
        }
        Ok(Strength { strength, information, reached: SearchOutcome::Target })
    };
    let mut above = at(zero)?;
    if above.information <= target {
        return Ok(Strength { reached: SearchOutcome::Identity, ..above });
    }
    let mut below = None;
    for step in 1..=rule.steps {
        let strength = if step == rule.steps { one } else { T::from_f64(step as f64 / rule.steps as f64) };
        let next = at(strength)?;
        if next.information <= target {
            below = Some(next);
            break;
        }
        above = next;
    }
    let Some(mut below) = below else {
        return Ok(Strength { reached: SearchOutcome::Limit, ..above });
    };
    for _ in 0..rule.max_bisections {
        let middle = (above.strength + below.strength) / T::from_f64(2.0);
        let small = below.strength - above.strength <= rule.tolerance;
        if small || middle <= above.strength || middle >= below.strength {
            break;
        }
        let next = at(middle)?;
        if next.information <= target {
            below = next;
        } else {
            above = next;
        }
    }
    let nearer = target - below.information < above.information - target;
    Ok(if nearer { below } else { above })
}

fn check<T: Real>(target: T, rule: SearchRule<T>) -> Result<(), IntensityError> {
    let refused = |name, value, needed| Err(IntensityError::Setting { name, value, needed });
    if rule.steps == 0 {
        return refused("number of steps", 0.0, "at least 1");
    }
    if rule.tolerance.is_nan() || rule.tolerance < T::zero() {
        return refused("tolerance", rule.tolerance.as_f64(), "at least 0");
    }
    if target.is_nan() {
        return refused("target", target.as_f64(), "a number");
    }
    Ok(())
}
