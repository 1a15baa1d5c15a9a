//! Positive similarity (PSI) as a function of entropy: feature stability under augmentation.

mod cut;

pub use cut::{CurveCut, DipRule};

use crate::{FeatureMap, Positive, Real};
use thiserror::Error;

/// Errors of similarities and curves.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum CurveError {
    /// The features have different lengths.
    #[error("features of {first} and {second} channels: they have to be equal")]
    Channels {
        /// Channels of the first.
        first: usize,
        /// Channels of the second.
        second: usize,
    },
    /// A positive is not finite.
    #[error("positive {index} has a coordinate that is not finite")]
    Positive {
        /// Its index in the list.
        index: usize,
    },
    /// The output's length is not the number of positives.
    #[error("the output has {len} elements for {needed} positives")]
    Output {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// There are no positives to average over.
    #[error("there are no positives")]
    Empty,
    /// The range of entropies cannot be divided into bins.
    #[error("{bins} bins from {low} to {high}: the ends have to be finite and in order, with at least 1 bin")]
    Range {
        /// Number of bins.
        bins: usize,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// An entropy or similarity is not finite.
    #[error("the pair of entropy {entropy} and similarity {similarity} is not finite")]
    NotFinite {
        /// The entropy.
        entropy: f64,
        /// The similarity.
        similarity: f64,
    },
    /// The curves to merge have different bins.
    #[error(
        "{bins} bins from {low} to {high} and {other_bins} from {other_low} to {other_high} do not match"
    )]
    Merge {
        /// Number of bins.
        bins: usize,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Number of bins of the other curve.
        other_bins: usize,
        /// Lower end of the other curve.
        other_low: f64,
        /// Upper end of the other curve.
        other_high: f64,
    },
    /// A setting of the dip search is unusable.
    #[error("{name} {value}: it has to be finite and at least {least}")]
    Rule {
        /// Name of the setting.
        name: &'static str,
        /// The rejected value.
        value: f64,
        /// The minimum.
        least: f64,
    },
}

/// Cosine similarity of two features: `a·b / (|a| |b|)`, from -1 to 1; 0 when one has length 0, NaN
/// when an element is not finite. Sums are in `f64`, in order.
///
/// # Errors
/// When the features have different lengths.
///
/// ```
/// use infomark_core::cosine_similarity;
/// assert_eq!(cosine_similarity(&[1.0f32, 0.0], &[3.0, 0.0]), Ok(1.0));
/// assert_eq!(cosine_similarity(&[1.0f32, 0.0], &[0.0, 0.5]), Ok(0.0));
/// ```
pub fn cosine_similarity<T: Real>(first: &[T], second: &[T]) -> Result<T, CurveError> {
    if first.len() != second.len() {
        return Err(CurveError::Channels { first: first.len(), second: second.len() });
    }
    Ok(cosine(first.iter().zip(second).map(|(&a, &b)| (a, b))))
}

fn cosine<T: Real>(pairs: impl Iterator<Item = (T, T)>) -> T {
    let (mut product, mut first, mut second) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a.as_f64(), b.as_f64());
        product += a * b;
        first += a * a;
        second += b * b;
    }
    let lengths = libm::sqrt(first) * libm::sqrt(second);
    if lengths == 0.0 {
        return T::zero();
    }
    T::from_f64((product / lengths).clamp(-1.0, 1.0))
}

/// Cosine similarity `f(x)·f(x+)` of each positive, between the feature of the view's cell
/// that holds `positive.view` and that of the image's cell that holds `positive.image`. Points
/// outside a map belong to its nearest cell.
///
/// # Errors
/// When the maps differ in channels, a positive is not finite, or `out` does not have one element per
/// positive.
pub fn positive_similarities<T: Real>(
    view: FeatureMap<'_, T>,
    image: FeatureMap<'_, T>,
    positives: &[Positive<T>],
    out: &mut [T],
) -> Result<(), CurveError> {
    check(view, image, positives)?;
    if out.len() != positives.len() {
        return Err(CurveError::Output { len: out.len(), needed: positives.len() });
    }
    for (to, positive) in out.iter_mut().zip(positives) {
        *to = similarity_of(view, image, positive);
    }
    Ok(())
}

/// Positive similarity indicator (PSI), `S = E[f(x)·f(x+)]`: the mean of
/// [`positive_similarities`], from -1 to 1, NaN when a feature is not finite.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), the indicator PSI.
///
/// # Errors
/// When there are no positives, the maps differ in channels, or a positive is not finite.
///
/// ```
/// use infomark_core::{FeatureMap, Point, Positive, positive_similarity};
/// // One channel more than cells: the features (1, 0) and (0, 1), and the same exchanged.
/// let view = FeatureMap::new(&[1.0, 0.0, 0.0, 1.0], 2, 2, 1, 1)?;
/// let image = FeatureMap::new(&[0.0, 1.0, 1.0, 0.0], 2, 2, 1, 1)?;
/// let pair = |a, b| Positive { view: Point::new(a, 0.0), image: Point::new(b, 0.0) };
/// let psi: f64 = positive_similarity(view, image, &[pair(0.0, 1.0), pair(1.0, 1.0)])?;
/// assert_eq!(psi, 0.5);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub fn positive_similarity<T: Real>(
    view: FeatureMap<'_, T>,
    image: FeatureMap<'_, T>,
    positives: &[Positive<T>],
) -> Result<T, CurveError> {
    check(view, image, positives)?;
    if positives.is_empty() {
        return Err(CurveError::Empty);
    }
    let sum: f64 = positives.iter().map(|p| similarity_of(view, image, p).as_f64()).sum();
    Ok(T::from_f64(sum / positives.len() as f64))
}

fn check<T: Real>(
    view: FeatureMap<'_, T>,
    image: FeatureMap<'_, T>,
    positives: &[Positive<T>],
) -> Result<(), CurveError> {
    if view.channels() != image.channels() {
        return Err(CurveError::Channels { first: view.channels(), second: image.channels() });
    }
    match positives.iter().position(|p| !(p.view.is_finite() && p.image.is_finite())) {
        Some(index) => Err(CurveError::Positive { index }),
        None => Ok(()),
    }
}

fn similarity_of<T: Real>(view: FeatureMap<'_, T>, image: FeatureMap<'_, T>, positive: &Positive<T>) -> T {
    let a = feature(view, view.cell(positive.view));
    cosine(a.zip(feature(image, image.cell(positive.image))))
}

fn feature<T: Real>(map: FeatureMap<'_, T>, (column, row): (usize, usize)) -> impl Iterator<Item = T> {
    let start = row * map.width() + column;
    map.data()[start..].iter().step_by(map.cells()).copied()
}

/// The fixed-point 1 of similarities.
const ONE: f64 = (1u64 << 30) as f64;

/// Statistics of the similarities in one entropy bin of a [`SimilarityCurve`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimilarityBin {
    count: u64,
    sum: i128,
    squares: u128,
}

impl SimilarityBin {
    /// Number of pairs in the bin.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean similarity, within 1e-9; `None` for an empty bin.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / ONE / self.count as f64)
    }

    /// Population variance of the similarities; `None` for an empty bin.
    pub fn variance(&self) -> Option<f64> {
        let mean = self.mean()?;
        Some((self.squares as f64 / (ONE * ONE) / self.count as f64 - mean * mean).max(0.0))
    }
}

/// Curve of PSI against information (IIE): mean similarity of positives per entropy bin.
///
/// Bin `i` of `n` holds entropies from `low + (high - low) i / n` to the next edge; those
/// outside the range belong to the first or last bin. Similarities are clamped to -1..1 and summed as
/// integers, so that the order of pairs and merges changes no bit.
///
/// ```
/// use infomark_core::{CurveCut, DipRule, SimilarityBin, SimilarityCurve, Thresholds};
/// let mut bins = [SimilarityBin::default(); 12];
/// let mut curve = SimilarityCurve::new(&mut bins, 0.0, 6.0)?;
/// for i in 0..6000 {
///     let entropy = f64::from(i) * 0.001;
///     let similarity = if (2.0..4.5).contains(&entropy) { 0.6 } else { 0.9 };
///     curve.add(entropy, similarity)?;
/// }
/// let cut = Thresholds::from_similarity_curve(&curve, DipRule::default())?;
/// assert_eq!(cut.thresholds(), Some(Thresholds { medium: 2.0, high: 4.5 }));
/// # Ok::<(), infomark_core::CurveError>(())
/// ```
#[derive(Debug)]
pub struct SimilarityCurve<'a> {
    bins: &'a mut [SimilarityBin],
    low: f64,
    high: f64,
}

impl<'a> SimilarityCurve<'a> {
    /// An empty curve over entropies from `low` to `high`, in nats; `bins` is cleared.
    ///
    /// # Errors
    /// When there are no bins, or the ends are not finite and in order.
    pub fn new(bins: &'a mut [SimilarityBin], low: f64, high: f64) -> Result<Self, CurveError> {
        if bins.is_empty() || !(low < high && (high - low).is_finite()) {
            return Err(CurveError::Range { bins: bins.len(), low, high });
        }
        bins.fill(SimilarityBin::default());
        Ok(Self { bins, low, high })
    }

    /// Adds the similarity of a positive whose pixel has this entropy.
    ///
    /// # Errors
    /// When either is not finite; the curve is then unchanged.
    pub fn add<T: Real>(&mut self, entropy: T, similarity: T) -> Result<(), CurveError> {
        let (entropy, similarity) = (entropy.as_f64(), similarity.as_f64());
        if !(entropy.is_finite() && similarity.is_finite()) {
            return Err(CurveError::NotFinite { entropy, similarity });
        }
        let fixed = libm::round(similarity.clamp(-1.0, 1.0) * ONE) as i64;
        let index = self.bin_of(entropy);
        let bin = &mut self.bins[index];
        bin.count = bin.count.saturating_add(1);
        bin.sum = bin.sum.saturating_add(i128::from(fixed));
        bin.squares = bin.squares.saturating_add(u128::from(fixed.unsigned_abs().pow(2)));
        Ok(())
    }

    /// The bin of an entropy, such that `edge(bin) <= entropy < edge(bin + 1)` within the range.
    fn bin_of(&self, entropy: f64) -> usize {
        let last = self.bins.len() - 1;
        let share = (entropy - self.low) / (self.high - self.low);
        let mut bin = ((share * self.bins.len() as f64) as usize).min(last);
        // The edges are rounded, too.
        while bin > 0 && entropy < self.edge(bin) {
            bin -= 1;
        }
        while bin < last && entropy >= self.edge(bin + 1) {
            bin += 1;
        }
        bin
    }

    /// Adds the pairs of another curve over the same bins.
    ///
    /// # Errors
    /// When the number of bins or the range differ.
    pub fn merge(&mut self, other: &SimilarityCurve<'_>) -> Result<(), CurveError> {
        if (self.bins.len(), self.low, self.high) != (other.bins.len(), other.low, other.high) {
            return Err(CurveError::Merge {
                bins: self.bins.len(),
                low: self.low,
                high: self.high,
                other_bins: other.bins.len(),
                other_low: other.low,
                other_high: other.high,
            });
        }
        for (bin, other) in self.bins.iter_mut().zip(&*other.bins) {
            bin.count = bin.count.saturating_add(other.count);
            bin.sum = bin.sum.saturating_add(other.sum);
            bin.squares = bin.squares.saturating_add(other.squares);
        }
        Ok(())
    }

    /// The bins, from low to high entropy.
    pub fn bins(&self) -> &[SimilarityBin] {
        self.bins
    }

    /// Lower edge of bin `i`, in nats; `i = n` gives the end of the range.
    pub fn edge(&self, i: usize) -> f64 {
        if i >= self.bins.len() {
            return self.high;
        }
        self.low + (self.high - self.low) * (i as f64 / self.bins.len() as f64)
    }
}
