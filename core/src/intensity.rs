//! Search for the strength of an augmentation at which an augmented patch shares a target mutual information
//! with its original (InfoMin).

mod tone;

pub use tone::{
    ToneSearch, ToneSearchScratch, intensity_range, search_tone, tone_path, tone_search_scratch_len,
};

use crate::{AugmentError, MutualError, Real};
use thiserror::Error;

/// Errors of an intensity search.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum IntensityError {
    /// A setting of the search is unusable.
    #[error("{name} {value}: it has to be {needed}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The rejected value.
        value: f64,
        /// The condition, in words.
        needed: &'static str,
    },
    /// The mutual information is NaN.
    #[error("the shared information at strength {strength} is not a number")]
    NotANumber {
        /// Strength at which it is NaN.
        strength: f64,
    },
    /// There are no patches.
    #[error("there are no patches to find a range from")]
    Empty,
    /// Too little scratch.
    #[error("the scratch {name} has {len} elements and needs {needed}: see tone_search_scratch_len")]
    Scratch {
        /// Name of the scratch buffer.
        name: &'static str,
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// The patch could not be augmented.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The mutual information could not be computed.
    #[error(transparent)]
    Mutual(#[from] MutualError),
}

/// Options of the strength search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchRule<T> {
    /// Number of equal steps from strength 0 to 1 in the search for a crossing; at least 1.
    pub steps: usize,
    /// Tolerance of the strength; at least 0.
    pub tolerance: T,
    /// Maximum number of bisections within the step of the crossing.
    pub max_bisections: usize,
}

impl<T: Real> Default for SearchRule<T> {
    /// 16 steps, a tolerance of 0.001 and at most 24 bisections.
    fn default() -> Self {
        Self { steps: 16, tolerance: T::from_f64(1e-3), max_bisections: 24 }
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SearchOutcome {
    /// The information crosses the target at the strength found.
    Target,
    /// Strength 1: the information stays above the target throughout.
    Limit,
    /// Strength 0: even unchanged, the information is not above the target.
    Identity,
}

/// Strength of an augmentation at which the information meets the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength<T> {
    /// From 0 (identity) to 1 (the limit).
    pub strength: T,
    /// Mutual information at this strength.
    pub information: T,
    /// How the search ended.
    pub reached: SearchOutcome,
}

/// `argmin over t of |I(t) - target|` next to the first crossing: the least strength `t` in `[0, 1]`
/// at which the shared information `I(t)` has fallen to `target`.
///
/// From 0 upward in equal steps, the first step is taken at whose end `I <= target`; within it the
/// strength is bisected, and of the last two ends the one with `I` nearer to the target is the
/// answer (the weaker one in a tie). Where `I` falls monotonically that is the minimum
/// within the tolerance. Where it does not, the answer is still defined: a crossing in the first
/// step whose end is not above the target; stronger crossings, and dips within a step, are not
/// searched. When `I(0) <= target`, the answer is 0 ([`SearchOutcome::Identity`]); when `I`
/// is above the target at the end of each step, it is 1 ([`SearchOutcome::Limit`]).
///
/// `information` is called at most `1 + steps + max_bisections` times.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), `A = argmin |I[l; A(l)] - mu|`.
///
/// # Errors
/// When the rule has no steps or a tolerance that is negative or NaN, the target or the information
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
