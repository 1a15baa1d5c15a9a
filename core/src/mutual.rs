//! Mutual information and joint entropy of two patches.

mod fixed;

use crate::{Binning, Grey, Plane, Real};
use core::marker::PhantomData;
use fixed::{ONE, fixed};
use thiserror::Error;

/// Errors of a joint entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MutualError {
    /// The patches have different sizes.
    #[error("the patches have {width} x {height} and {other_width} x {other_height} pixels")]
    Size {
        /// Width of the first patch.
        width: usize,
        /// Height of the first patch.
        height: usize,
        /// Width of the second patch.
        other_width: usize,
        /// Height of the second patch.
        other_height: usize,
    },
    /// The patches have no pixels.
    #[error("the patches are empty")]
    Empty,
    /// A patch holds more pixels than can be counted.
    #[error("patches of {pixels} pixels are too large")]
    TooLarge {
        /// Pixels of a patch.
        pixels: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see joint_entropy_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Marginal and joint entropies of two patches, in nats.
///
/// With `P(a, b)` the fraction of the pixels in bin `a` of the first patch and in bin
/// `b` of the second: `H(A, B) = -sum of P(a, b) ln P(a, b)`, and `H(A)`, `H(B)` of the sums of
/// `P` over `b` and over `a`. Each entropy is stored as an integer, within 1e-6 of the exact value, so
/// the following holds bit for bit in any precision:
/// `0 <= I <= min(H(A), H(B)) <= max(H(A), H(B)) <= H(A, B)`; `I` of a patch with itself is its
/// entropy; swapping the patches swaps `H(A)` and `H(B)` and changes nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointEntropy<T> {
    first: u64,
    second: u64,
    joint: u64,
    /// Nats per unit of these integers.
    nats: f64,
    precision: PhantomData<T>,
}

impl<T: Real> JointEntropy<T> {
    fn nats(&self, value: u64) -> T {
        T::from_f64(value as f64 * self.nats)
    }

    fn shared(&self) -> u64 {
        self.first + self.second - self.joint
    }

    /// `H(A)`, entropy of the first patch.
    pub fn first(&self) -> T {
        self.nats(self.first)
    }

    /// `H(B)`, entropy of the second patch.
    pub fn second(&self) -> T {
        self.nats(self.second)
    }

    /// `H(A, B)`, joint entropy.
    pub fn joint(&self) -> T {
        self.nats(self.joint)
    }

    /// `I(A; B) = H(A) + H(B) - H(A, B) = sum of P(a, b) ln(P(a, b) / (P(a) P(b)))`.
    pub fn mutual_information(&self) -> T {
        self.nats(self.shared())
    }

    /// `H(A | B) = H(A, B) - H(B)`, conditional entropy of the first patch given the second.
    pub fn conditional_first_given_second(&self) -> T {
        self.nats(self.joint - self.second)
    }

    /// `H(B | A) = H(A, B) - H(A)`, conditional entropy of the second patch given the first.
    pub fn conditional_second_given_first(&self) -> T {
        self.nats(self.joint - self.first)
    }

    /// Variation of information, `H(A | B) + H(B | A)`: a distance between partitions of the pixels.
    ///
    /// Source: Meilă, *Comparing clusterings: an information based distance* (J. Multivariate
    /// Analysis 2007).
    pub fn variation_of_information(&self) -> T {
        self.nats(2 * self.joint - self.first - self.second)
    }

    /// Normalised mutual information, `2 I(A; B) / (H(A) + H(B))`, from 0 to 1: normalised by the arithmetic
    /// mean of the entropies, the default of scikit-learn's `normalized_mutual_info_score`. Two constant patches
    /// give 1, as there.
    pub fn normalized_mutual_information(&self) -> T {
        let sum = self.first + self.second;
        if sum == 0 { T::one() } else { T::from_f64((2 * self.shared()) as f64 / sum as f64) }
    }

    /// Studholme's normalised mutual information, `(H(A) + H(B)) / H(A, B)`, from 1 (independent) to 2 (each patch
    /// determines the other). Two constant patches determine each other: 2.
    ///
    /// Source: Studholme, Hill, Hawkes, *An overlap invariant entropy measure of 3D medical image
    /// alignment* (Pattern Recognition 1999).
    pub fn studholme(&self) -> T {
        if self.joint == 0 {
            return T::from_f64(2.0);
        }
        T::from_f64((self.first + self.second) as f64 / self.joint as f64)
    }
}

/// Elements of scratch that [`joint_entropy`] needs for patches of `width` by `height` pixels in
/// `bins` bins; saturates on overflow.
pub const fn joint_entropy_scratch_len(bins: usize, width: usize, height: usize) -> usize {
    bins.saturating_mul(3).saturating_add(width.saturating_mul(height))
}

/// Marginal and joint entropies of two patches of the same size.
///
/// `binning` holds the bins of the grey levels of the first and of the second patch. The
/// joint histogram is never stored: the pixels are sorted by their first bin, and each group
/// is counted by its second, so the cost is a few passes over the pixels and the bins.
/// All sums are in integers (fixed point of `c * log2(c)`), so neither the order of the pixels nor
/// a permutation of the bins changes a bit.
///
/// `scratch` holds at least [`joint_entropy_scratch_len`]`(BINS, width, height)` elements of any
/// content.
///
/// # Errors
/// When the patches differ in size, are empty or hold 2^32 pixels or more, or the scratch is too
/// short.
///
/// ```
/// use infomark_core::{Binning, JointEntropy, Plane, joint_entropy, joint_entropy_scratch_len};
/// let (a, b) = ([0u16, 0, 900, 900], [10u16, 500, 10, 500]);
/// let binning = Binning::<4>::new(0, 999)?;
/// let mut scratch = [0; joint_entropy_scratch_len(4, 2, 2)];
/// let both: JointEntropy<f64> =
///     joint_entropy(Plane::new(&a, 2, 2)?, Plane::new(&b, 2, 2)?, [binning; 2], &mut scratch)?;
/// assert!((both.joint() - 4f64.ln()).abs() < 1e-6);
/// assert_eq!(both.mutual_information(), 0.0);
/// assert_eq!(both.studholme(), 1.0);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn joint_entropy<T: Real, G: Grey, const BINS: usize>(
    first: Plane<'_, G>,
    second: Plane<'_, G>,
    binning: [Binning<BINS>; 2],
    scratch: &mut [u32],
) -> Result<JointEntropy<T>, MutualError> {
    let [a, b] = binning;
    joint_entropy_by::<T, G, BINS>(first, second, |v| a.bin(v), |v| b.bin(v), scratch)
}

/// Elements of scratch that [`mutual_information`] needs for patches of `width` by `height` pixels.
pub const fn mutual_information_scratch_len(width: usize, height: usize) -> usize {
    joint_entropy_scratch_len(256, width, height)
}

/// Mutual information, in nats, of two patches of the same size with 256 grey levels each: the
/// indicator MI of IGU-Aug, `I = sum P(a, b) ln(P(a, b) / (P(a) P(b)))`.
///
/// Shorthand for [`joint_entropy`] with a bin per level; `scratch` holds at least
/// [`mutual_information_scratch_len`]`(width, height)` elements of any content.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025).
///
/// # Errors
/// As [`joint_entropy`].
///
/// ```
/// use infomark_core::{Plane, mutual_information, mutual_information_scratch_len};
/// let (patch, brighter, flat) = ([3, 5, 5, 8], [13, 15, 15, 18], [7; 4]);
/// let plane = |data| Plane::new(data, 2, 2);
/// let mut scratch = [0; mutual_information_scratch_len(2, 2)];
/// let own: f32 = mutual_information(plane(&patch)?, plane(&patch)?, &mut scratch)?;
/// let other: f32 = mutual_information(plane(&patch)?, plane(&brighter)?, &mut scratch)?;
/// assert_eq!(own, other);
/// assert_eq!(mutual_information(plane(&patch)?, plane(&flat)?, &mut scratch), Ok(0.0));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn mutual_information<T: Real>(
    first: Plane<'_, u8>,
    second: Plane<'_, u8>,
    scratch: &mut [u32],
) -> Result<T, MutualError> {
    let both = joint_entropy_by::<T, u8, 256>(first, second, usize::from, usize::from, scratch)?;
    Ok(both.mutual_information())
}

/// Fixed-point arithmetic of [`mutual_information`], for reimplementations, e.g. on a GPU: fills in
/// `f(c) = c * log2(c)` of the counts `c` from 0 on and returns the value of one unit in nats,
/// before the division by the patch's pixels.
///
/// An entropy is `f(pixels)` less the sum of `f` over a histogram, at least 0, and so is the joint one of the joint
/// histogram, which is then clamped to at least either and at most their sum.
pub fn mutual_information_terms(terms: &mut [u64]) -> f64 {
    for (term, count) in terms.iter_mut().zip(0..) {
        *term = fixed(count);
    }
    core::f64::consts::LN_2 / ONE
}

fn joint_entropy_by<T: Real, G: Grey, const BINS: usize>(
    first: Plane<'_, G>,
    second: Plane<'_, G>,
    bin_first: impl Fn(G) -> usize,
    bin_second: impl Fn(G) -> usize,
    scratch: &mut [u32],
) -> Result<JointEntropy<T>, MutualError> {
    let (width, height) = (first.width(), first.height());
    if (second.width(), second.height()) != (width, height) {
        let (other_width, other_height) = (second.width(), second.height());
        return Err(MutualError::Size { width, height, other_width, other_height });
    }
    if first.is_empty() {
        return Err(MutualError::Empty);
    }
    let pixels = width.saturating_mul(height);
    if u32::try_from(pixels).is_err() {
        return Err(MutualError::TooLarge { pixels });
    }
    let (len, needed) = (scratch.len(), joint_entropy_scratch_len(BINS, width, height));
    let Some(([ends, columns, row], sorted)) = split::<BINS>(scratch, pixels) else {
        return Err(MutualError::Scratch { len, needed });
    };

    // Histogram of each patch.
    ends.fill(0);
    columns.fill(0);
    for (a, b) in first.rows().zip(second.rows()) {
        for (&a, &b) in a.iter().zip(b) {
            ends[bin_first(a)] += 1;
            columns[bin_second(b)] += 1;
        }
    }
    let top = fixed(pixels as u32);
    let entropy = |counts: &[u32; BINS]| top.saturating_sub(counts.iter().map(|&c| fixed(c)).sum());
    let (h_first, h_second) = (entropy(ends), entropy(columns));
    let nats = core::f64::consts::LN_2 / (pixels as f64 * ONE);
    let found =
        |joint| JointEntropy { first: h_first, second: h_second, joint, nats, precision: PhantomData };
    if h_first == 0 || h_second == 0 {
        // A constant patch adds nothing to the joint entropy.
        return Ok(found(h_first.max(h_second)));
    }

    // The second bins of the pixels, grouped by their first bin.
    let mut start = 0;
    for end in ends.iter_mut() {
        start += *end;
        *end = start - *end;
    }
    for (a, b) in first.rows().zip(second.rows()) {
        for (&a, &b) in a.iter().zip(b) {
            let place = &mut ends[bin_first(a)];
            sorted[*place as usize] = bin_second(b) as u32;
            *place += 1;
        }
    }

    // The row of the joint histogram of each first bin, cleared on the second pass.
    row.fill(0);
    let (mut sum, mut start) = (0, 0);
    for &mut end in ends {
        let group = &sorted[start..end as usize];
        start = end as usize;
        if group.len() < 2 {
            // f(1) = 0
            continue;
        }
        for &b in group {
            row[b as usize] += 1;
        }
        for &b in group {
            let count = core::mem::take(&mut row[b as usize]);
            sum += fixed(count);
        }
    }
    // Corrects rounding: max(H(A), H(B)) <= H(A, B) <= H(A) + H(B).
    Ok(found(top.saturating_sub(sum).max(h_first).max(h_second).min(h_first + h_second)))
}

/// Splits the scratch into three histograms and the sorted pixels; `None` when it is too short.
fn split<const BINS: usize>(
    scratch: &mut [u32],
    pixels: usize,
) -> Option<([&mut [u32; BINS]; 3], &mut [u32])> {
    let (ends, rest) = scratch.split_first_chunk_mut()?;
    let (columns, rest) = rest.split_first_chunk_mut()?;
    let (row, rest) = rest.split_first_chunk_mut()?;
    Some(([ends, columns, row], rest.get_mut(..pixels)?))
}
