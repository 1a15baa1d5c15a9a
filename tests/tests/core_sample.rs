//! Tiers, weights and the sampler.
#![allow(clippy::expect_used, clippy::panic)] // A test may stop.

use infomark_core::{
    Plane, PlaneMut, Rng, SampleError, Sampler, Thresholds, Tier, TierError, Weighting, tier_map, weight_map,
};
use proptest::prelude::*;

/// An entropy map of any small size.
fn maps() -> impl Strategy<Value = (Vec<f64>, usize)> {
    (1usize..9, 1usize..9).prop_flat_map(|(w, h)| (prop::collection::vec(0.0f64..5.5, w * h), Just(w)))
}

fn plane(values: &[f64], width: usize) -> Plane<'_, f64> {
    Plane::new(values, width, values.len() / width).expect("made to fit")
}

fn weights(values: &[f64], width: usize, weighting: Weighting<f64>) -> Result<Vec<f64>, SampleError> {
    let mut out = vec![f64::NAN; values.len()];
    let to = PlaneMut::new(&mut out, width, values.len() / width).expect("made to fit");
    weight_map(plane(values, width), weighting, to)?;
    Ok(out)
}

/// The quantile of sorted values, linear between neighbours.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * (sorted.len() - 1) as f64;
    let next = sorted[(place.ceil() as usize).min(sorted.len() - 1)];
    let low = sorted[place.floor() as usize];
    low + place.fract() * (next - low)
}

proptest! {
    #[test]
    fn thresholds_are_the_quantiles((values, width) in maps(), a in 0.0f64..=1.0, b in 0.0f64..=1.0) {
        let (low, high) = (a.min(b), a.max(b));
        let mut scratch = vec![f64::NAN; values.len() + 3];
        let t = Thresholds::from_quantiles(plane(&values, width), low, high, &mut scratch).expect("good arguments");
        prop_assert!((t.medium - quantile(&values, low)).abs() < 1e-12);
        prop_assert!((t.high - quantile(&values, high)).abs() < 1e-12);
        let below = values.iter().filter(|&&h| t.tier(h) == Tier::Low).count() as f64;
        prop_assert!(below <= low * (values.len() - 1) as f64 + 1.0);
    }

    #[test]
    fn tiers_rise_with_entropy((values, width) in maps()) {
        let t = Thresholds::new(1.5, 3.5).expect("in order");
        let mut out = vec![Tier::Low; values.len()];
        let to = PlaneMut::new(&mut out, width, values.len() / width).expect("made to fit");
        tier_map(plane(&values, width), t, to).expect("good arguments");
        for (i, a) in values.iter().enumerate() {
            prop_assert_eq!(out[i], t.tier(*a));
            for (j, b) in values.iter().enumerate() {
                prop_assert!(a > b || out[i] <= out[j]);
            }
        }
    }

    #[test]
    fn exponential_weights_are_powers((values, width) in maps(), alpha in 0.0f64..3.0) {
        let out = weights(&values, width, Weighting::Exponential { alpha }).expect("good arguments");
        for (w, h) in out.iter().zip(&values) {
            prop_assert!((w - h.powf(alpha)).abs() <= 1e-13 * w.max(1.0));
        }
    }

    #[test]
    fn piecewise_weights_are_0_and_1((values, width) in maps(), threshold in -1.0f64..6.0) {
        let out = weights(&values, width, Weighting::Piecewise { threshold }).expect("good arguments");
        for (w, h) in out.iter().zip(&values) {
            prop_assert_eq!(*w, if *h >= threshold { 1.0 } else { 0.0 });
        }
    }

    #[test]
    fn pixels_of_weight_0_are_never_drawn((values, width) in maps(), seed: u64) {
        let weights = weights(&values, width, Weighting::Piecewise { threshold: 2.5 }).expect("good arguments");
        let mut sums = vec![0.0; values.len()];
        match Sampler::new(plane(&weights, width), &mut sums) {
            Err(error) => {
                prop_assert_eq!(error, SampleError::Empty);
                prop_assert!(values.iter().all(|&h| h < 2.5));
            }
            Ok(sampler) => {
                let mut rng = Rng::new(seed, 0);
                for _ in 0..50 {
                    let (x, y) = sampler.draw(&mut rng);
                    prop_assert!(values[y * width + x] >= 2.5);
                }
            }
        }
    }
}

#[test]
fn a_threshold_belongs_to_the_tier_above() {
    let t = Thresholds::new(1.0, 2.0).expect("in order");
    let tiers = [0.999, 1.0, 1.999, 2.0, f64::INFINITY, f64::NAN].map(|h| t.tier(h));
    assert_eq!(tiers, [Tier::Low, Tier::Medium, Tier::Medium, Tier::High, Tier::High, Tier::Low]);
    assert!(Tier::ALL.is_sorted());
}

#[test]
fn an_exponent_of_0_is_uniform_even_where_there_is_no_information() {
    let out = weights(&[0.0, 1.0, 5.0], 3, Weighting::Exponential { alpha: 0.0 });
    assert_eq!(out, Ok(vec![1.0; 3]));
}

#[test]
fn pixels_are_drawn_in_proportion_to_their_weights() {
    let weights: Vec<f64> = (0..30).map(|i| f64::from(i % 7) * f64::from(i % 3)).collect();
    let mut sums = vec![0.0; 30];
    let sampler = Sampler::new(plane(&weights, 6), &mut sums).expect("positive weights");
    let (mut rng, mut counts) = (Rng::new(4, 2), vec![0.0; 30]);
    let draws = 200_000.0;
    for _ in 0..200_000 {
        let (x, y) = sampler.draw(&mut rng);
        counts[y * 6 + x] += 1.0;
    }
    let (mut chi, mut cells) = (0.0, 0);
    for (count, weight) in counts.iter().zip(&weights) {
        let expected = draws * weight / sampler.total();
        if expected > 0.0 {
            chi += (count - expected).powi(2) / expected;
            cells += 1;
        } else {
            assert_eq!(*count, 0.0);
        }
    }
    // 17 pixels have a weight; the quantile 1 - 1e-4 with 16 degrees of freedom.
    assert_eq!(cells, 17);
    assert!(chi < 45.92, "chi-square {chi}");
}

#[test]
fn one_heavy_pixel_among_zeros_is_always_drawn() {
    for place in [0, 4, 8] {
        let mut weights = [0.0; 9];
        weights[place] = 1e-300;
        let mut sums = [0.0; 9];
        let sampler = Sampler::new(plane(&weights, 3), &mut sums).expect("positive weights");
        let mut rng = Rng::new(9, 9);
        for _ in 0..100 {
            assert_eq!(sampler.draw(&mut rng), (place % 3, place / 3));
        }
    }
}

#[test]
fn bad_arguments_are_errors() {
    let values = [1.0, 2.0, 3.0, 4.0];
    let map = plane(&values, 2);
    let mut scratch = [0.0; 4];
    for (a, b) in [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (f64::NAN, 0.5), (0.5, f64::NAN)] {
        let refused = Thresholds::from_quantiles(map, a, b, &mut scratch);
        assert!(matches!(refused, Err(TierError::Quantiles { .. })), "{a} {b}");
    }
    let short = Thresholds::from_quantiles(map, 0.1, 0.9, &mut scratch[..3]);
    assert_eq!(short, Err(TierError::Scratch { len: 3, needed: 4 }));
    let empty = Plane::new(&[], 0, 3).expect("empty");
    assert_eq!(Thresholds::from_quantiles(empty, 0.1, 0.9, &mut scratch), Err(TierError::Empty));
    assert!(matches!(Thresholds::new(2.0, 1.0), Err(TierError::Order { .. })));
    assert!(matches!(Thresholds::new(f64::NAN, 1.0), Err(TierError::Order { .. })));

    let alpha = |alpha| weights(&values, 2, Weighting::Exponential { alpha });
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(alpha(bad), Err(SampleError::Parameter { .. })), "{bad}");
    }
    let mut out = [0.0; 4];
    let to = PlaneMut::new(&mut out, 4, 1).expect("made to fit");
    let size = weight_map(map, Weighting::Piecewise { threshold: 1.0 }, to);
    assert!(matches!(size, Err(SampleError::Size { .. })));

    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let values = [1.0, 1.0, bad, 1.0];
        let refused = Sampler::new(plane(&values, 2), &mut scratch);
        assert!(matches!(refused, Err(SampleError::Value { x: 0, y: 1, .. })), "{bad}");
        let refused = weights(&values, 2, Weighting::Exponential { alpha: 0.3 });
        assert!(matches!(refused, Err(SampleError::Value { x: 0, y: 1, .. })), "{bad}");
        let refused = Thresholds::from_quantiles(plane(&[1.0, f64::NAN], 2), 0.1, 0.9, &mut scratch);
        assert!(matches!(refused, Err(TierError::NotFinite { x: 1, y: 0 })));
    }
    let huge = [f64::MAX; 4];
    assert!(matches!(Sampler::new(plane(&huge, 2), &mut scratch), Err(SampleError::Overflow)));
    assert!(matches!(Sampler::new(map, &mut scratch[..3]), Err(SampleError::Scratch { .. })));
    assert!(matches!(Sampler::new(empty, &mut scratch), Err(SampleError::Empty)));
}
