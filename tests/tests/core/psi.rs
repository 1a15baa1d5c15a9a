//! Positive similarity, its curve against entropy, and the thresholds from the curve's dip.

use infomark_core::{
    CurveCut, CurveError, DipRule, FeatureMap, Point, Positive, Rng, SimilarityBin, SimilarityCurve,
    Thresholds, cosine_similarity, positive_similarities, positive_similarity,
};
use proptest::prelude::*;

const LOW: f64 = 0.0;
const HIGH: f64 = 5.6;

fn cut(pairs: &[(f64, f64)], bins: usize, rule: DipRule) -> CurveCut<f64> {
    let mut bins = vec![SimilarityBin::default(); bins];
    let mut curve = SimilarityCurve::new(&mut bins, LOW, HIGH).expect("a good range");
    for &(entropy, similarity) in pairs {
        curve.add(entropy, similarity).expect("finite");
    }
    Thresholds::from_similarity_curve(&curve, rule).expect("a good rule")
}

/// Pairs whose mean similarity follows a curve, entropies uniform, with noise of its own in each.
fn pairs(seed: u64, number: usize, noise: f64, curve: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut rng = Rng::new(seed, 0);
    let draw = |_| {
        let entropy = rng.uniform_in(LOW, HIGH);
        (entropy, (curve(entropy) + noise * rng.normal::<f64>()).clamp(-1.0, 1.0))
    };
    (0..number).map(draw).collect()
}

/// The same with noise that all pairs of a stretch of entropy share.
fn wavering(seed: u64, bins: usize, each: usize, noise: f64, curve: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let mut rng = Rng::new(seed, 1);
    let mut pairs = Vec::new();
    for bin in 0..bins {
        let entropy = LOW + (HIGH - LOW) * (bin as f64 + 0.5) / bins as f64;
        let level = curve(entropy) + noise * rng.normal::<f64>();
        pairs.extend((0..each).map(|_| (entropy, (level + 0.02 * rng.normal::<f64>()).clamp(-1.0, 1.0))));
    }
    pairs
}

fn features(seed: u64, len: usize) -> Vec<f64> {
    let mut rng = Rng::new(seed, 2);
    (0..len).map(|_| rng.normal()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_cosine_is_that_of_the_definition(a in prop::collection::vec(-5.0f64..5.0, 1..20), seed: u64) {
        let b = features(seed, a.len());
        let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let product: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        let cosine = cosine_similarity(&a, &b).expect("one length");
        prop_assert!((cosine * length(&a) * length(&b) - product).abs() < 1e-10);
        prop_assert!((-1.0..=1.0).contains(&cosine));
        prop_assert_eq!(cosine, cosine_similarity(&b, &a).expect("one length"));
        if length(&a) > 0.0 {
            prop_assert!((cosine_similarity(&a, &a).expect("one length") - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_indicator_is_the_mean_over_the_positives(seed: u64, number in 1usize..20, channels in 1usize..5) {
        let (a, b) = (features(seed, channels * 12), features(seed ^ 1, channels * 30));
        let view = FeatureMap::new(&a, channels, 4, 3, 2).expect("fits");
        let image = FeatureMap::new(&b, channels, 5, 6, 4).expect("fits");
        let mut rng = Rng::new(seed, 3);
        let mut point = |size| Point::new(rng.uniform_in(-2.0, size), rng.uniform_in(-2.0, size));
        let positives: Vec<_> =
            (0..number).map(|_| Positive { view: point(8.0), image: point(22.0) }).collect();
        let mut each = vec![f64::NAN; number];
        positive_similarities(view, image, &positives, &mut each).expect("good arguments");
        let feature = |map: FeatureMap<'_, f64>, at| {
            let (column, row) = map.cell(at);
            let value = |c| map.data()[(c * map.height() + row) * map.width() + column];
            (0..channels).map(value).collect::<Vec<_>>()
        };
        for (s, p) in each.iter().zip(&positives) {
            prop_assert_eq!(Ok(*s), cosine_similarity(&feature(view, p.view), &feature(image, p.image)));
        }
        let mean = each.iter().sum::<f64>() / number as f64;
        let psi = positive_similarity(view, image, &positives).expect("good arguments");
        prop_assert!((psi - mean).abs() < 1e-12);
    }

    #[test]
    fn bins_hold_the_mean_and_variance_of_their_pairs(
        pairs in prop::collection::vec((-1.0f64..7.0, -1.2f64..1.2), 0..200), number in 1usize..20,
    ) {
        let mut bins = vec![SimilarityBin::default(); number];
        let mut curve = SimilarityCurve::new(&mut bins, LOW, HIGH).expect("a good range");
        pairs.iter().for_each(|&(entropy, similarity)| curve.add(entropy, similarity).expect("finite"));
        for (i, bin) in curve.bins().iter().enumerate() {
            let first = if i == 0 { f64::NEG_INFINITY } else { curve.edge(i) };
            let end = if i + 1 == number { f64::INFINITY } else { curve.edge(i + 1) };
            let inside: Vec<f64> =
                pairs.iter().filter(|p| first <= p.0 && p.0 < end).map(|p| p.1.clamp(-1.0, 1.0)).collect();
            prop_assert_eq!(bin.count(), inside.len() as u64);
            if inside.is_empty() {
                prop_assert_eq!((bin.mean(), bin.variance()), (None, None));
                continue;
            }
            let mean = inside.iter().sum::<f64>() / inside.len() as f64;
            let variance = inside.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / inside.len() as f64;
            prop_assert!(bin.mean().is_some_and(|m| (m - mean).abs() < 1e-9));
            prop_assert!(bin.variance().is_some_and(|v| (v - variance).abs() < 1e-8));
        }
    }

    #[test]
    fn neither_the_order_of_pairs_nor_that_of_merging_changes_a_bit(seed: u64, split in 0usize..500) {
        let mut all = pairs(seed, 500, 0.2, |h| h / 6.0);
        let mut bins = [[SimilarityBin::default(); 9]; 3];
        let [whole, left, right] = &mut bins;
        let curve = |bins| SimilarityCurve::new(bins, LOW, HIGH).expect("a good range");
        let (mut whole, mut left, mut right) = (curve(whole), curve(left), curve(right));
        all.iter().for_each(|&(h, s)| whole.add(h, s).expect("finite"));
        all.reverse();
        all[..split].iter().for_each(|&(h, s)| left.add(h, s).expect("finite"));
        all[split..].iter().for_each(|&(h, s)| right.add(h, s).expect("finite"));
        right.merge(&left).expect("the same bins");
        prop_assert_eq!(whole.bins(), right.bins());
    }

    #[test]
    fn the_thresholds_of_a_planted_dip_are_found(
        seed: u64, start in 1.0f64..2.5, len in 1.0f64..2.0, depth in 0.1f64..0.6, bins in 14usize..40,
    ) {
        let end = start + len;
        let curve = |h| if (start..end).contains(&h) { 0.9 - depth } else { 0.9 };
        let found = cut(&pairs(seed, 6000, 0.05, curve), bins, DipRule::default());
        let width = (HIGH - LOW) / bins as f64;
        let CurveCut::Dip { thresholds, levels, depth: found_depth, .. } = found else {
            panic!("{found:?}");
        };
        // Each end falls into a bin, which belongs to either side.
        prop_assert!((thresholds.medium - start).abs() <= width, "{thresholds:?} for {start}");
        prop_assert!((thresholds.high - end).abs() <= width, "{thresholds:?} for {end}");
        prop_assert!((levels[1] - (0.9 - depth)).abs() < 0.35 * depth);
        prop_assert!((found_depth - depth).abs() < 0.5 * depth);
    }

    #[test]
    fn a_smooth_valley_is_cut_on_both_slopes(seed: u64, middle in 2.5f64..3.1, bins in 14usize..40) {
        let valley = |h: f64| 0.4 + 0.08 * (h - middle).powi(2);
        let found = cut(&pairs(seed, 6000, 0.1, valley), bins, DipRule::default());
        let Some(t) = found.thresholds() else {
            panic!("{found:?}");
        };
        prop_assert!(t.medium < middle && middle < t.high, "{t:?} around {middle}");
    }

    #[test]
    fn a_rising_falling_or_flat_curve_has_no_dip(seed: u64, slope in -0.15f64..0.15, bins in 6usize..40) {
        for slope in [slope, 0.0] {
            let found = cut(&pairs(seed, 4000, 0.1, |h| 0.5 + slope * (h - 2.8)), bins, DipRule::default());
            prop_assert!(matches!(found, CurveCut::NoDip { .. }), "{found:?}");
        }
    }

    #[test]
    fn a_hill_has_no_dip(seed: u64, bins in 12usize..40) {
        let hill = |h: f64| 0.9 - 0.08 * (h - 2.8).powi(2);
        let found = cut(&pairs(seed, 4000, 0.1, hill), bins, DipRule::default());
        prop_assert!(matches!(found, CurveCut::NoDip { .. }), "{found:?}");
    }
}

#[test]
fn noise_that_bins_share_hardly_ever_makes_a_dip() {
    for bins in [9, 16, 24, 48] {
        for slope in [0.0, 0.02, 0.1] {
            let dips = |seed: &u64| {
                let pairs = wavering(*seed, bins, 40, 0.05, |h| 0.3 + slope * h);
                cut(&pairs, bins, DipRule::default()).thresholds().is_some()
            };
            let found = (0..500).filter(dips).count();
            assert!(found <= 15, "{found} of 500 for {bins} bins and slope {slope}");
        }
    }
}

#[test]
fn a_dip_in_noise_that_bins_share_is_found() {
    for bins in [16, 24, 48] {
        let valley = |h: f64| if (2.0..4.0).contains(&h) { 0.5 } else { 0.85 };
        let dips = |seed: &u64| {
            cut(&wavering(*seed, bins, 40, 0.05, valley), bins, DipRule::default()).thresholds().is_some()
        };
        let found = (0..500).filter(dips).count();
        assert!(found >= 490, "{found} of 500 for {bins} bins");
    }
}

#[test]
fn sparse_outliers_and_empty_bins_do_not_move_the_thresholds() {
    let valley = |h: f64| if (2.1..4.2).contains(&h) { 0.5 } else { 0.9 };
    let mut all = pairs(3, 8000, 0.05, valley);
    let rule = DipRule::default();
    let clean = cut(&all, 16, rule).thresholds().expect("a dip");
    // No entropy of 1.4 to 1.75, and ten pairs of opposite similarity at either end.
    all.retain(|p| !(1.4..1.75).contains(&p.0));
    all.retain(|p| p.0 < 5.25);
    all.extend((0..10).map(|i| (5.3 + 0.01 * f64::from(i), -1.0)));
    assert_eq!(cut(&all, 16, rule).thresholds(), Some(clean));
}

#[test]
fn a_cut_in_a_gap_lies_in_its_middle() {
    let mut pairs = Vec::new();
    for (entropy, similarity) in [(0.1, 0.9), (0.5, 0.9), (2.5, 0.4), (2.9, 0.4), (4.9, 0.8), (5.5, 0.8)] {
        pairs.extend([(entropy, similarity); 10]);
    }
    let found = cut(&pairs, 14, DipRule::default());
    // Bins of 0.4: filled ones are 0, 1, 6, 7, 12 and 13.
    let thresholds = found.thresholds().expect("a dip");
    assert!((thresholds.medium - 1.6).abs() < 1e-12 && (thresholds.high - 4.0).abs() < 1e-12, "{found:?}");
    let sparse = DipRule { least_count: 11, ..DipRule::default() };
    assert_eq!(cut(&pairs, 14, sparse), CurveCut::TooFew { bins: 0, needed: 6 });
    let deep = DipRule { margin: 0.41, ..DipRule::default() };
    assert!(matches!(cut(&pairs, 14, deep), CurveCut::NoDip { .. }));
}

#[test]
fn bad_arguments_are_errors() {
    assert_eq!(cosine_similarity(&[1.0], &[1.0, 2.0]), Err(CurveError::Channels { first: 1, second: 2 }));
    assert_eq!(cosine_similarity(&[0.0, 0.0], &[1.0, 2.0]), Ok(0.0));
    assert!(cosine_similarity(&[f64::NAN, 0.0], &[1.0, 2.0]).is_ok_and(f64::is_nan));

    let data = [1.0; 4];
    let (one, two) = (
        FeatureMap::new(&data, 1, 2, 2, 1).expect("fits"),
        FeatureMap::new(&data, 2, 2, 1, 1).expect("fits"),
    );
    assert_eq!(positive_similarity(one, two, &[]), Err(CurveError::Channels { first: 1, second: 2 }));
    assert_eq!(positive_similarity(one, one, &[]), Err(CurveError::Empty));
    let at = |x| Point::new(x, 0.0);
    let far = [Positive { view: at(0.0), image: at(f64::NAN) }];
    assert_eq!(positive_similarity(one, one, &far), Err(CurveError::Positive { index: 0 }));
    let near = [Positive { view: at(0.0), image: at(0.0) }];
    let output = positive_similarities(one, one, &near, &mut []);
    assert_eq!(output, Err(CurveError::Output { len: 0, needed: 1 }));

    let mut bins = [SimilarityBin::default(); 3];
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
        let refused = SimilarityCurve::new(&mut bins, low, high);
        assert!(matches!(refused, Err(CurveError::Range { .. })), "{low} {high}");
    }
    assert!(matches!(SimilarityCurve::new(&mut [], 0.0, 1.0), Err(CurveError::Range { .. })));
    let mut others = [SimilarityBin::default(); 3];
    let other = SimilarityCurve::new(&mut others, 0.0, 2.0).expect("a good range");
    let mut curve = SimilarityCurve::new(&mut bins, 0.0, 1.0).expect("a good range");
    assert!(matches!(curve.merge(&other), Err(CurveError::Merge { .. })));
    assert!(matches!(curve.add(f64::NAN, 0.0), Err(CurveError::NotFinite { .. })));
    assert!(matches!(curve.add(0.0f32, f32::INFINITY), Err(CurveError::NotFinite { .. })));
    assert_eq!(curve.bins(), [SimilarityBin::default(); 3]);

    let good = DipRule::default();
    for bad in [
        DipRule { margin: -0.1, ..good },
        DipRule { significance: f64::NAN, ..good },
        DipRule { least_count: 0, ..good },
        DipRule { least_bins: 0, ..good },
    ] {
        let refused = Thresholds::<f64>::from_similarity_curve(&curve, bad);
        assert!(matches!(refused, Err(CurveError::Rule { .. })), "{bad:?}");
    }
}
