//! Ranking of errors by the uncertainty.

use serde::Serialize;

use crate::Run;
use crate::statistics::rounded;

/// Number of groups of points by uncertainty.
const BINS: usize = 10;
/// Threshold of a large error, in mm.
const LARGE_MM: f64 = 4.0;

/// How well the uncertainty of points ranks their errors, over all images and templates; needs no calibration.
/// Values are rounded to four decimals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UncertaintyRanking {
    /// Threshold of a large error, in mm.
    pub large_mm: f64,
    /// Fraction of large errors, 0 to 1.
    pub large: f64,
    /// Area under the ROC curve of detecting large errors by the uncertainty: the probability that a point with a large
    /// error is less certain than one without, 0 to 1; 0.5 by chance. None where all errors are large, or none is.
    pub auroc: Option<f64>,
    /// Errors of the most certain points, in steps of a tenth.
    pub kept: Vec<MostCertain>,
}

/// The most certain points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MostCertain {
    /// Fraction of all points, above 0, to 1.
    pub share: f64,
    /// Largest uncertainty among them.
    pub uncertainty: f64,
    /// Mean radial error.
    pub mre_mm: f64,
}

/// Uncertainty of a point, and its error in mm.
type Ranked = (f64, f64);

impl UncertaintyRanking {
    /// Computes the ranking of runs. Scores without confidence are omitted.
    pub(crate) fn of(runs: &[Run]) -> Self {
        let scores =
            runs.iter().flat_map(|run| &run.images).flat_map(|scored| scored.scores.iter().flatten());
        Self::of_points(
            scores.filter_map(|score| Some((score.confidence?.uncertainty, score.error_mm))).collect(),
        )
    }

    fn of_points(mut points: Vec<Ranked>) -> Self {
        points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let count = points.len();
        let kept = |part: usize| {
            let most = points.get(..count * part / BINS)?;
            let (uncertainty, _) = *most.last()?;
            let errors: Vec<f64> = most.iter().map(|(_, error)| *error).collect();
            let mre_mm = rounded(infomark_core::mean(&errors)?);
            Some(MostCertain { share: part as f64 / BINS as f64, uncertainty: rounded(uncertainty), mre_mm })
        };
        let large = points.iter().filter(|point| is_large(point)).count();
        Self {
            large_mm: LARGE_MM,
            large: rounded(large as f64 / count.max(1) as f64),
            auroc: auroc(&points).map(rounded),
            kept: (1..=BINS).filter_map(kept).collect(),
        }
    }
}

fn is_large((_, error_mm): &Ranked) -> bool {
    *error_mm > LARGE_MM
}

/// Area under the ROC curve of points in ascending order of uncertainty, by the Mann-Whitney statistic; ties count
/// half.
fn auroc(sorted: &[Ranked]) -> Option<f64> {
    let (mut small_before, mut large_so_far, mut pairs) = (0, 0, 0.0);
    for equal in sorted.chunk_by(|(a, _), (b, _)| a == b) {
        let large = equal.iter().filter(|point| is_large(point)).count();
        let small = equal.len() - large;
        pairs += large as f64 * (small_before as f64 + 0.5 * small as f64);
        small_before += small;
        large_so_far += large;
    }
    (small_before > 0 && large_so_far > 0).then(|| pairs / (small_before as f64 * large_so_far as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition: all pairs of a large and a small error.
    fn naive(points: &[Ranked]) -> f64 {
        let (large, small): (Vec<&Ranked>, Vec<&Ranked>) = points.iter().partition(|point| is_large(point));
        let wins = large.iter().flat_map(|(a, _)| {
            small.iter().map(move |(b, _)| match a.total_cmp(b) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            })
        });
        wins.sum::<f64>() / (large.len() * small.len()) as f64
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        // Uncertainties with ties, errors on both sides of the threshold.
        let points: Vec<Ranked> =
            (0_u32..60).map(|i| (f64::from(i * 37 % 11), f64::from(i * 53 % 17) / 2.0)).collect();
        let ranking = UncertaintyRanking::of_points(points.clone());
        assert_eq!(ranking.auroc, Some(rounded(naive(&points))));
        let perfect = vec![(1.0, 1.0), (2.0, 2.0), (3.0, 9.0)];
        assert_eq!(UncertaintyRanking::of_points(perfect).auroc, Some(1.0));
        let equal = vec![(1.0, 1.0), (1.0, 9.0)];
        assert_eq!(UncertaintyRanking::of_points(equal).auroc, Some(0.5));
    }

    #[test]
    fn errors_on_one_side_of_the_threshold_have_no_area() {
        assert_eq!(UncertaintyRanking::of_points(vec![(1.0, 1.0), (2.0, 4.0)]).auroc, None);
        assert_eq!(UncertaintyRanking::of_points(vec![(1.0, 5.0)]).auroc, None);
        let none = UncertaintyRanking::of_points(Vec::new());
        assert_eq!((none.large, none.auroc, none.kept), (0.0, None, Vec::new()));
    }

    #[test]
    fn the_most_certain_points_are_kept_first() {
        let points: Vec<Ranked> = (0_u32..20).rev().map(|i| (f64::from(i), f64::from(i))).collect();
        let kept = UncertaintyRanking::of_points(points).kept;
        assert_eq!(kept.len(), 10);
        assert_eq!(kept[4], MostCertain { share: 0.5, uncertainty: 9.0, mre_mm: 4.5 });
        assert_eq!(kept[9].mre_mm, 9.5);
    }
}
