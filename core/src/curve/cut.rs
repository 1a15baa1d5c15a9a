//! Tier thresholds from the dip of a similarity curve.

use super::{CurveError, SimilarityBin, SimilarityCurve};
use crate::{Real, Thresholds};

/// Criteria for a dip of a [`SimilarityCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DipRule {
    /// Minimum depth of the dip below each side, as a difference of cosines.
    pub margin: f64,
    /// Minimum depth in standard errors.
    pub significance: f64,
    /// Bins with fewer pairs count as empty; at least 1.
    pub least_count: u64,
    /// Minimum number of non-empty bins in each of the three parts; at least 1.
    pub least_bins: usize,
}

impl Default for DipRule {
    /// A depth of 0.01 and of 5 standard errors; 8 pairs for a bin and 2 bins for a part.
    fn default() -> Self {
        Self { margin: 0.01, significance: 5.0, least_count: 8, least_bins: 2 }
    }
}

impl DipRule {
    fn check(&self) -> Result<(), CurveError> {
        for (name, value, least) in [
            ("margin", self.margin, 0.0),
            ("significance", self.significance, 0.0),
            ("least count of pairs", self.least_count as f64, 1.0),
            ("least number of bins", self.least_bins as f64, 1.0),
        ] {
            if !(value.is_finite() && value >= least) {
                return Err(CurveError::Rule { name, value, least });
            }
        }
        Ok(())
    }
}

/// Result of cutting a curve: tier thresholds, or why there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CurveCut<T> {
    /// High similarity, a dip, and high similarity again.
    Dip {
        /// Start and end of the dip.
        thresholds: Thresholds<T>,
        /// Mean similarity of the low, medium and high parts.
        levels: [T; 3],
        /// Depth of the dip below the nearer side.
        depth: T,
        /// Standard error of the depth.
        error: T,
    },
    /// The best fit has no dip, or not a deep enough one: use quantiles instead.
    NoDip {
        /// Depth of the middle below the nearer side; 0 when no fit has its middle below both sides.
        depth: T,
        /// Depth needed.
        needed: T,
    },
    /// Too few non-empty bins.
    TooFew {
        /// Bins with enough pairs.
        bins: usize,
        /// Bins needed.
        needed: usize,
    },
}

impl<T: Real> CurveCut<T> {
    /// The thresholds, when there is a dip.
    pub fn thresholds(&self) -> Option<Thresholds<T>> {
        match *self {
            Self::Dip { thresholds, .. } => Some(thresholds),
            Self::NoDip { .. } | Self::TooFew { .. } => None,
        }
    }
}

/// One part of the curve.
#[derive(Clone, Copy, Default)]
struct Part {
    bins: usize,
    weight: f64,
    sum: f64,
}

impl Part {
    fn add(&mut self, bin: Bin) {
        self.bins += 1;
        self.weight += bin.weight;
        self.sum += bin.weight * bin.mean;
    }

    fn level(&self) -> f64 {
        self.sum / self.weight
    }

    /// Sum of squares explained by the level.
    fn gain(&self) -> f64 {
        self.sum * self.sum / self.weight
    }
}

#[derive(Clone, Copy)]
struct Bin {
    index: usize,
    weight: f64,
    mean: f64,
    /// Variance of the mean.
    variance: f64,
}

/// The non-empty bins, weighted by at most the mean count of a bin.
fn filled(bins: &[SimilarityBin], least: u64) -> impl Iterator<Item = Bin> + Clone {
    let counts = bins.iter().map(|bin| bin.count).filter(move |&count| count >= least);
    let number = counts.clone().count().max(1) as u128;
    let cap = counts.map(u128::from).sum::<u128>().div_ceil(number) as f64;
    bins.iter().enumerate().filter(move |(_, bin)| bin.count >= least).filter_map(move |(index, bin)| {
        let count = bin.count as f64;
        let (mean, variance) = (bin.mean()?, bin.variance()? / count);
        Some(Bin { index, weight: count.min(cap), mean, variance })
    })
}

impl<T: Real> Thresholds<T> {
    /// Tier thresholds at the dip of the curve of similarity against entropy.
    ///
    /// The curve is fitted by three constant levels: over all pairs of cuts between non-empty bins
    /// whose middle level lies below both others, the least-squares one,
    /// `min sum over bins of w (m - level)^2`, where `m` is a bin's mean and `w` its count, at most the
    /// mean count of the non-empty bins, so that a few crowded bins do not dominate and sparse ones
    /// hardly count. The first of equal fits is taken. Each threshold is the edge between the bins
    /// on both sides of the cut, or the middle of the gap when empty bins lie between.
    ///
    /// The fit is a dip ([`CurveCut::Dip`]) when the middle lies below *each* side by at least
    /// `rule.margin` and by `rule.significance` standard errors. These come from the scatter of
    /// neighbouring bins of one part (a sixth of the mean square of their second differences, so that
    /// a smooth slope does not count as noise; for a part of two bins, half the square of their
    /// difference) and from the variance of the pairs within the bins. Since the
    /// best of many cuts is tested, a significance of 3 is common in pure noise; 5 is rare.
    /// Without a dip, use [`from_quantiles`](Self::from_quantiles).
    ///
    /// The cost grows with the square of the number of bins.
    ///
    /// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), three tiers from the U of PSI against IIE;
    /// scatter from second differences: Gasser, Sroka, Jennen-Steinmetz, *Residual variance and
    /// residual pattern in nonlinear regression* (Biometrika 1986).
    ///
    /// # Errors
    /// When a setting of the rule is negative or not finite, or a minimum count is 0.
    pub fn from_similarity_curve(
        curve: &SimilarityCurve<'_>,
        rule: DipRule,
    ) -> Result<CurveCut<T>, CurveError> {
        rule.check()?;
        let bins = filled(curve.bins(), rule.least_count);
        let mut all = Part::default();
        bins.clone().for_each(|bin| all.add(bin));
        let needed = rule.least_bins.saturating_mul(3);
        if all.bins < needed {
            return Ok(CurveCut::TooFew { bins: all.bins, needed });
        }
        let Some((parts, _)) = best(bins.clone(), all, rule.least_bins) else {
            return Ok(CurveCut::NoDip { depth: T::zero(), needed: T::from_f64(rule.margin) });
        };
        let [low, medium, high] = parts.map(|part| part.level());
        let variances = variances(bins.clone(), parts);
        let error = |side: usize| libm::sqrt(variances[side] + variances[1]);
        let sides = [(low - medium, error(0)), (high - medium, error(2))];
        // The side that falls short by more.
        let lack = |(depth, error): (f64, f64)| rule.margin.max(rule.significance * error) - depth;
        let (depth, error) = if lack(sides[0]) >= lack(sides[1]) { sides[0] } else { sides[1] };
        if lack((depth, error)) > 0.0 {
            let needed = rule.margin.max(rule.significance * error);
            return Ok(CurveCut::NoDip { depth: T::from_f64(depth), needed: T::from_f64(needed) });
        }
        let cut = |filled: usize| {
            let mut around = bins.clone().skip(filled - 1);
            let (before, after) =
                (around.next().map_or(0, |b| b.index), around.next().map_or(0, |b| b.index));
            let (left, right) = (curve.edge(before + 1), curve.edge(after));
            T::from_f64(left + (right - left) / 2.0)
        };
        Ok(CurveCut::Dip {
            thresholds: Thresholds { medium: cut(parts[0].bins), high: cut(parts[0].bins + parts[1].bins) },
            levels: [low, medium, high].map(T::from_f64),
            depth: T::from_f64(depth),
            error: T::from_f64(error),
        })
    }
}

/// The three parts of the best fit with a dip, and the explained sum of squares.
fn best(bins: impl Iterator<Item = Bin> + Clone, all: Part, least: usize) -> Option<([Part; 3], f64)> {
    let mut best: Option<([Part; 3], f64)> = None;
    let mut low = Part::default();
    let mut rest = bins;
    while let Some(bin) = rest.next() {
        low.add(bin);
        if low.bins < least {
            continue;
        }
        let mut medium = Part::default();
        for bin in rest.clone() {
            medium.add(bin);
            let high = Part {
                bins: all.bins - low.bins - medium.bins,
                weight: all.weight - low.weight - medium.weight,
                sum: all.sum - low.sum - medium.sum,
            };
            if high.bins < least {
                break;
            }
            let parts = [low, medium, high];
            let dips = medium.level() < low.level() && medium.level() < high.level();
            if medium.bins >= least && dips {
                let gain = parts.iter().map(Part::gain).sum();
                if best.is_none_or(|(_, most)| gain > most) {
                    best = Some((parts, gain));
                }
            }
        }
    }
    best
}

/// The variance of each part's level.
fn variances(bins: impl Iterator<Item = Bin>, parts: [Part; 3]) -> [f64; 3] {
    let ends = [parts[0].bins, parts[0].bins + parts[1].bins];
    let (mut scatter, mut total) = (0.0, 0.0);
    let (mut squares, mut sampling) = ([0.0; 3], [0.0; 3]);
    // The previous two bins of the part.
    let mut before = [None; 2];
    for (place, bin) in bins.enumerate() {
        let part = usize::from(place >= ends[0]) + usize::from(place >= ends[1]);
        squares[part] += bin.weight * bin.weight;
        sampling[part] += bin.weight * bin.weight * bin.variance;
        if ends.contains(&place) {
            before = [None; 2];
        }
        // At equal variance, first and second differences have 2 and 6 times that of a bin.
        let (difference, factor, weight) = match before {
            [Some(first), Some(last)] => {
                let (first, last): (Bin, Bin) = (first, last);
                let weight = first.weight.min(last.weight).min(bin.weight);
                ((bin.mean - last.mean) - (last.mean - first.mean), 6.0, weight)
            }
            [None, Some(last)] if parts[part].bins == 2 => {
                (bin.mean - last.mean, 2.0, last.weight.min(bin.weight))
            }
            _ => (0.0, 1.0, 0.0),
        };
        scatter += weight * difference * difference / factor;
        total += weight;
        before = [before[1], Some(bin)];
    }
    let scatter = if total > 0.0 { scatter / total } else { 0.0 };
    core::array::from_fn(|part| {
        (scatter * squares[part] + sampling[part]) / (parts[part].weight * parts[part].weight)
    })
}
