//! Error bounds with a guaranteed coverage, from measured errors: split conformal prediction.

use thiserror::Error;

/// Errors of [`conformal_bound`].
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConformalError {
    /// The number of scores is not a multiple of the landmarks.
    #[error("{len} scores do not make whole images of {landmarks} landmarks, at least one")]
    Shape {
        /// Scores given.
        len: usize,
        /// Landmarks of each image.
        landmarks: usize,
    },
    /// A score is not finite.
    #[error("score {index} is not a finite number")]
    NotFinite {
        /// Its index in the list.
        index: usize,
    },
    /// The coverage is not between 0 and 1.
    #[error("coverage {coverage}: it has to be between 0 and 1, such as 0.9")]
    Coverage {
        /// The rejected value.
        coverage: f64,
    },
    /// Too few images for the coverage.
    #[error("{images} images cannot promise a coverage of {coverage}: at least {needed} are needed")]
    TooFew {
        /// Images given.
        images: usize,
        /// The requested coverage.
        coverage: f64,
        /// Images needed.
        needed: usize,
    },
}

/// Bound that the score of a new image's landmark does not exceed, with a probability of at least `coverage`.
///
/// A score is an error divided by its predicted size, or the error itself. `scores` holds `landmarks` scores per image, image
/// after image, and is sorted in place. The images and the new one have to be exchangeable, such as draws from one
/// population; landmarks within an image may be dependent. The guarantee is for a landmark of the new image
/// drawn at random, over draws of all images; with `landmarks` 1 it is for that landmark.
///
/// For `n` images, the bound is the `ceil(coverage (n + 1) landmarks)`-th smallest score: the new image counts as one whose
/// scores are infinite.
///
/// Source: Papadopoulos et al., *Inductive confidence machines for regression* (ECML 2002), as split conformal prediction in
/// Lei et al., *Distribution-free predictive inference for regression* (JASA 2018), algorithm 2; groups pooled as in
/// Dunn, Wasserman and Ramdas, *Distribution-free prediction sets for two-layer hierarchical models* (JASA 2023), section 3.1.
///
/// ```
/// use infomark_core::conformal_bound;
/// // Nine images of one landmark: the largest score bounds a tenth one in nine of ten cases.
/// let mut scores = [0.3, 1.9, 0.7, 1.1, 0.2, 0.9, 2.5, 0.4, 1.4];
/// assert_eq!(conformal_bound(&mut scores, 1, 0.9)?, 2.5);
/// # Ok::<(), infomark_core::ConformalError>(())
/// ```
///
/// # Errors
/// When the scores do not make at least one whole image, one is not finite, the coverage is not in `(0, 1)`, or the
/// images are too few for it: `coverage / (1 - coverage)` are needed.
pub fn conformal_bound(scores: &mut [f64], landmarks: usize, coverage: f64) -> Result<f64, ConformalError> {
    let len = scores.len();
    if landmarks == 0 || len == 0 || !len.is_multiple_of(landmarks) {
        return Err(ConformalError::Shape { len, landmarks });
    }
    if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
        return Err(ConformalError::NotFinite { index });
    }
    if !(coverage > 0.0 && coverage < 1.0) {
        return Err(ConformalError::Coverage { coverage });
    }
    scores.sort_unstable_by(f64::total_cmp);
    let images = len / landmarks;
    match scores.get(rank(images, landmarks, coverage) - 1) {
        Some(&bound) => Ok(bound),
        None => {
            // Rounding may move the quotient by one.
            let quotient = libm::floor(coverage / (1.0 - coverage)).max(1.0) as usize;
            let enough = rank(quotient, 1, coverage) <= quotient;
            let needed = if enough { quotient } else { quotient.saturating_add(1) };
            Err(ConformalError::TooFew { images, coverage, needed })
        }
    }
}

/// The smallest integer, at least 1, that is no less than `coverage (images + 1) landmarks`.
fn rank(images: usize, landmarks: usize, coverage: f64) -> usize {
    let exact = coverage * (images as f64 + 1.0) * landmarks as f64;
    // 0.9 * 10 must give 9, not 10.
    libm::ceil(exact * (1.0 - 4.0 * f64::EPSILON)).max(1.0) as usize
}
