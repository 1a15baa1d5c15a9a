//! Search for intensity jitter.

use super::{IntensityError, SearchOutcome, SearchRule, Strength, check, search_strength};
use crate::tier::quantile;
use crate::{
    Binning, IntensityJitter, IntensityRange, Plane, PlaneMut, Real, joint_entropy,
    mutual_information_scratch_len,
};

/// The jitter at strength `t` between the identity and `limit`: each factor is that of the
/// limit to the power of `t`, so equal steps of strength multiply the factors by equal amounts.
///
/// A limit that differs from 1 in one factor varies one operation, upward or downward; one
/// that differs in several varies them jointly (brightness, then contrast, then gamma, as [`IntensityJitter`]
/// applies them). Strengths 0 and 1 are the identity and the limit, bit for bit; others are clamped to
/// that range, NaN counts as 0.
///
/// ```
/// use infomark_core::{IntensityJitter, tone_path};
/// let limit = IntensityJitter { brightness: 4.0, contrast: 0.25, ..IntensityJitter::identity() };
/// let half = tone_path(limit, 0.5f64);
/// assert!((half.brightness - 2.0).abs() < 1e-15 && (half.contrast - 0.5).abs() < 1e-15);
/// assert_eq!(half.gamma, 1.0);
/// ```
pub fn tone_path<T: Real>(limit: IntensityJitter<T>, t: T) -> IntensityJitter<T> {
    let t = t.max(T::zero()).min(T::one());
    let factor = |limit: T| match t {
        t if t == T::one() => limit,
        t if t > T::zero() => limit.pow(t),
        _ => T::one(),
    };
    let mut tone = limit;
    tone.brightness = factor(limit.brightness);
    tone.contrast = factor(limit.contrast);
    tone.gamma = factor(limit.gamma);
    tone
}

/// Scratch of the search for an intensity jitter; any content. [`tone_search_scratch_len`] gives the length of each
/// part.
#[derive(Debug)]
pub struct ToneSearchScratch<'a, T> {
    /// The augmented patch.
    pub pixels: &'a mut [T],
    /// The augmented patch in 256 grey levels.
    pub levels: &'a mut [u8],
    /// For the mutual information.
    pub counts: &'a mut [u32],
}

/// Elements of `pixels`, `levels` and `counts` of a [`ToneSearchScratch`] for patches of
/// `width` by `height` pixels; saturates on overflow.
pub const fn tone_search_scratch_len(width: usize, height: usize) -> (usize, usize, usize) {
    let pixels = width.saturating_mul(height);
    (pixels, pixels, mutual_information_scratch_len(width, height))
}

/// Result of a search for an intensity jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneSearch<T> {
    /// The intensity jitter.
    pub tone: IntensityJitter<T>,
    /// Its strength, and how the search ended.
    pub found: Strength<T>,
}

/// The intensity jitter towards `limit` at which a patch shares `target` nats of mutual information
/// with its original: [`search_strength`] along [`tone_path`].
///
/// The patch's levels 0 to 255 are scaled to 0 to 1, jittered, and rounded to the nearest of 256
/// levels again; the information is [`mutual_information`](crate::mutual_information) of both, with their levels in
/// `BINS` bins. With few pixels, many bins bias the information upward by about
/// `(BINS - 1)^2 / 2` nats divided by the pixels. The target has to be measured with the same bins.
///
/// # Errors
/// When a factor of the limit is not finite or not above 0, the target is NaN, the rule is
/// unusable, the patch is empty, or the scratch is too short.
///
/// ```
/// use infomark_core::{
///     Binning, Plane, SearchOutcome, SearchRule, IntensityJitter, ToneSearchScratch, search_tone, tone_search_scratch_len,
/// };
/// let patch: Vec<u8> = (0..=255).collect();
/// let (pixels, levels, counts) = tone_search_scratch_len(16, 16);
/// let (mut pixels, mut levels, mut counts) = (vec![0f32; pixels], vec![0; levels], vec![0; counts]);
/// let mut scratch =
///     ToneSearchScratch { pixels: &mut pixels, levels: &mut levels, counts: &mut counts };
/// // Of 256 equally frequent levels, half the contrast leaves 128: ln 2 less.
/// let limit = IntensityJitter { contrast: 0.1, ..IntensityJitter::identity() };
/// let target = 128f32.ln();
/// let (patch, levels) = (Plane::new(&patch, 16, 16)?, Binning::<256>::new(0, 255)?);
/// let found = search_tone(patch, levels, limit, target, SearchRule::default(), &mut scratch)?;
/// assert_eq!(found.found.reached, SearchOutcome::Target);
/// assert!((0.48..0.52).contains(&found.tone.contrast), "{found:?}");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn search_tone<T: Real, const BINS: usize>(
    patch: Plane<'_, u8>,
    binning: Binning<BINS>,
    limit: IntensityJitter<T>,
    target: T,
    rule: SearchRule<T>,
    scratch: &mut ToneSearchScratch<'_, T>,
) -> Result<ToneSearch<T>, IntensityError> {
    for (name, value) in [
        ("brightness of the limit", limit.brightness),
        ("contrast of the limit", limit.contrast),
        ("gamma of the limit", limit.gamma),
    ] {
        if !(value.is_finite() && value > T::zero()) {
            return Err(IntensityError::Setting {
                name,
                value: value.as_f64(),
                needed: "finite and above 0",
            });
        }
    }
    check(target, rule)?;
    let (width, height) = (patch.width(), patch.height());
    let needed = tone_search_scratch_len(width, height);
    let pixels = part(scratch.pixels, "pixels", needed.0)?;
    let levels = part(scratch.levels, "levels", needed.1)?;
    let counts = part(scratch.counts, "counts", needed.2)?;
    let shared = |t: T| {
        shared_information(patch, binning, tone_path(limit, t), &mut *pixels, &mut *levels, &mut *counts)
    };
    let found = search_strength(target, rule, shared)?;
    Ok(ToneSearch { tone: tone_path(limit, found.strength), found })
}

fn part<'s, V>(slice: &'s mut [V], name: &'static str, needed: usize) -> Result<&'s mut [V], IntensityError> {
    let len = slice.len();
    slice.get_mut(..needed).ok_or(IntensityError::Scratch { name, len, needed })
}

/// Mutual information of a patch and its augmented copy; all slices fit.
fn shared_information<T: Real, const BINS: usize>(
    patch: Plane<'_, u8>,
    binning: Binning<BINS>,
    tone: IntensityJitter<T>,
    pixels: &mut [T],
    levels: &mut [u8],
    counts: &mut [u32],
) -> Result<T, IntensityError> {
    let (width, height) = (patch.width(), patch.height());
    let top = T::from_f64(255.0);
    if width > 0 {
        for (to, from) in pixels.chunks_exact_mut(width).zip(patch.rows()) {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = T::from_usize(usize::from(from)) / top;
            }
        }
    }
    let misfit = |_| IntensityError::Empty;
    tone.apply_in_place(PlaneMut::new(pixels, width, height).map_err(misfit)?)?;
    for (to, &from) in levels.iter_mut().zip(&*pixels) {
        *to = (from * top + T::from_f64(0.5)).floor_to_i64().clamp(0, 255) as u8;
    }
    let changed = Plane::new(&*levels, width, height).map_err(misfit)?;
    Ok(joint_entropy(patch, changed, [binning; 2], counts)?.mutual_information())
}

/// Range of intensities for the key patches of a tier: how far each factor may be changed, upward
/// and downward, until a patch shares `target` nats with its original.
///
/// For each factor (brightness, contrast, gamma) and each end of its range in `limits` (the lower
/// one at most 1, the upper one at least 1), each patch is searched from the identity towards that
/// end ([`search_tone`]); the result is the quantile `q` of the patches' factors in order of
/// **strength**, linear between neighbours, so 0.5 is the median and a larger `q` allows stronger
/// changes. A patch that never falls to the target counts with the limit, one that starts
/// below it with 1. An end of exactly 1 is not searched: for a range without gamma
/// set its limits to `(1, 1)`. Also returns how many of the searches met the target.
///
/// `strengths` holds at least one element for each patch.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), augmentation intensity by InfoMin.
///
/// # Errors
/// When there are no patches, `q` is not from 0 to 1, a range does not hold 1, or as
/// [`search_tone`].
#[allow(clippy::too_many_arguments)]
pub fn intensity_range<T: Real, const BINS: usize>(
    patches: &[Plane<'_, u8>],
    binning: Binning<BINS>,
    limits: IntensityRange<T>,
    target: T,
    q: f64,
    rule: SearchRule<T>,
    strengths: &mut [T],
    scratch: &mut ToneSearchScratch<'_, T>,
) -> Result<(IntensityRange<T>, usize), IntensityError> {
    if !(0.0..=1.0).contains(&q) {
        return Err(IntensityError::Setting { name: "quantile", value: q, needed: "from 0 to 1" });
    }
    check(target, rule)?;
    if patches.is_empty() {
        return Err(IntensityError::Empty);
    }
    let strengths = part(strengths, "strengths", patches.len())?;
    let mut met = 0;
    let mut end = |name, limit: T, downward: bool, set: fn(&mut IntensityJitter<T>, T)| {
        let one = T::one();
        let fits = if downward { limit <= one && limit > T::zero() } else { limit >= one };
        if !(fits && limit.is_finite()) {
            let needed = "the end of a range that holds 1 and nothing of 0 or below";
            return Err(IntensityError::Setting { name, value: limit.as_f64(), needed });
        }
        if limit == one {
            return Ok(one);
        }
        let mut tone = IntensityJitter::identity();
        set(&mut tone, limit);
        for (strength, &patch) in strengths.iter_mut().zip(patches) {
            let found = search_tone(patch, binning, tone, target, rule, scratch)?.found;
            met += usize::from(found.reached == SearchOutcome::Target);
            *strength = found.strength;
        }
        // Strength is the common scale of all paths to an end.
        Ok(tone_path(
            IntensityJitter { brightness: limit, ..IntensityJitter::identity() },
            quantile(strengths, q),
        )
        .brightness)
    };
    let mut range = IntensityRange::identity();
    let brightness = |tone: &mut IntensityJitter<T>, v| tone.brightness = v;
    range.brightness.0 = end("lower brightness", limits.brightness.0, true, brightness)?;
    range.brightness.1 = end("upper brightness", limits.brightness.1, false, brightness)?;
    let contrast = |tone: &mut IntensityJitter<T>, v| tone.contrast = v;
    range.contrast.0 = end("lower contrast", limits.contrast.0, true, contrast)?;
    range.contrast.1 = end("upper contrast", limits.contrast.1, false, contrast)?;
    let gamma = |tone: &mut IntensityJitter<T>, v| tone.gamma = v;
    range.gamma.0 = end("lower gamma", limits.gamma.0, true, gamma)?;
    range.gamma.1 = end("upper gamma", limits.gamma.1, false, gamma)?;
    Ok((range, met))
}
