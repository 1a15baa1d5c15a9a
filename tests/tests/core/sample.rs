//! Tiers, weights and the sampler.

use infomark_core::{
    Margin, Plane, PlaneMut, Rng, SampleError, Sampler, Thresholds, Tier, TierError, TierRatios, Tournament,
    Weighting, clear_margin, sample_spaced, sample_spaced_scratch_len, tier_map, tier_weight_map, weight_map,
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

/// Weights of any small size, many of them 0, at least one above.
fn some_weights() -> impl Strategy<Value = (Vec<f64>, usize)> {
    (maps(), 0usize..81).prop_map(|((mut values, width), heavy)| {
        values.iter_mut().for_each(|v| *v = (*v - 2.0).max(0.0));
        let heavy = heavy % values.len();
        values[heavy] = 1.0;
        (values, width)
    })
}

fn apart(
    weights: &[f64],
    width: usize,
    distance: f64,
    rng: &mut Rng,
    most: usize,
) -> Result<Vec<(usize, usize)>, SampleError> {
    let mut scratch = vec![f64::NAN; sample_spaced_scratch_len(width, weights.len() / width)];
    let mut out = vec![(usize::MAX, usize::MAX); most];
    let count = sample_spaced(plane(weights, width), distance, rng, &mut out, &mut scratch)?;
    assert!(out[count..].iter().all(|&pixel| pixel == (usize::MAX, usize::MAX)));
    out.truncate(count);
    Ok(out)
}

fn squared(a: (usize, usize), b: (usize, usize)) -> f64 {
    (a.0.abs_diff(b.0).pow(2) + a.1.abs_diff(b.1).pow(2)) as f64
}

/// Sum of (count - expected)^2 / expected; cells that are never expected must be empty. Also the
/// number of the others.
fn chi_square(counts: &[f64], shares: &[f64]) -> (f64, usize) {
    let draws: f64 = counts.iter().sum();
    let (mut chi, mut cells) = (0.0, 0);
    for (count, share) in counts.iter().zip(shares) {
        if *share > 0.0 {
            chi += (count - draws * share).powi(2) / (draws * share);
            cells += 1;
        } else {
            assert_eq!(*count, 0.0);
        }
    }
    (chi, cells)
}

proptest! {
    #[test]
    fn pixels_that_are_drawn_apart_are_so_and_no_more_would_fit(
        (values, width) in some_weights(), distance in 0.0f64..6.0, seed: u64, most in 0usize..30,
    ) {
        let drawn = apart(&values, width, distance, &mut Rng::new(seed, 0), most).expect("good arguments");
        for (i, &a) in drawn.iter().enumerate() {
            prop_assert!(values[a.1 * width + a.0] > 0.0);
            for &b in &drawn[..i] {
                prop_assert!(a != b && squared(a, b) >= distance * distance);
            }
        }
        if drawn.len() < most {
            for i in (0..values.len()).filter(|&i| values[i] > 0.0) {
                let here = (i % width, i / width);
                prop_assert!(drawn.iter().any(|&a| a == here || squared(a, here) < distance * distance));
            }
        }
    }

    #[test]
    fn without_a_distance_all_pixels_of_weight_are_drawn_once((values, width) in some_weights(), seed: u64) {
        let mut rng = Rng::new(seed, 0);
        let mut drawn = apart(&values, width, 0.0, &mut rng, values.len()).expect("good arguments");
        drawn.sort_unstable_by_key(|&(x, y)| (y, x));
        let all: Vec<_> =
            (0..values.len()).filter(|&i| values[i] > 0.0).map(|i| (i % width, i / width)).collect();
        prop_assert_eq!(drawn, all);
    }

    #[test]
    fn weights_by_tier_add_up_to_the_shares(
        (values, width) in maps(), low in 0.0f64..2.0, medium in 0.0f64..2.0, high in 0.1f64..2.0,
    ) {
        let tiers: Vec<Tier> = values.iter().map(|&h| Tier::ALL[(h * 0.54) as usize]).collect();
        let height = tiers.len() / width;
        let tiers_map = Plane::new(&tiers, width, height).expect("fits");
        let ratios = TierRatios::new(low, medium, high).expect("good shares");
        let mut out = vec![f64::NAN; tiers.len()];
        let to = PlaneMut::new(&mut out, width, height).expect("fits");
        let pixels = tier_weight_map(tiers_map, ratios, to);
        let of = |tier| tiers.iter().zip(&out).filter(move |(t, _)| **t == tier).map(|(_, w)| *w);
        let sum: f64 = Tier::ALL.iter().filter(|&&t| of(t).count() > 0).map(|&t| ratios.share(t)).sum();
        if sum == 0.0 {
            prop_assert_eq!(pixels, Err(SampleError::Empty));
            return Ok(());
        }
        prop_assert_eq!(pixels, Ok(Tier::ALL.map(|t| of(t).count())));
        for tier in Tier::ALL {
            let share = if of(tier).count() > 0 { ratios.share(tier) / sum } else { 0.0 };
            prop_assert!((of(tier).sum::<f64>() - share).abs() < 1e-12);
            prop_assert!(of(tier).all(|w| Some(w) == of(tier).next()));
        }
    }

    #[test]
    fn nothing_is_left_in_the_margin_and_nothing_lost_inside(
        (values, width) in maps(), pixels in 0usize..6, share in 0.0f64..=1.0,
    ) {
        let height = values.len() / width;
        let by_share = |size: usize| (share * size as f64) as usize;
        for (margin, columns, rows) in [
            (Margin::Pixels(pixels), pixels, pixels),
            (Margin::Fraction(share), by_share(width), by_share(height)),
        ] {
            let mut cleared = values.clone();
            let map = PlaneMut::new(&mut cleared, width, height).expect("fits");
            clear_margin(map, margin).expect("good margin");
            for (i, (&new, &old)) in cleared.iter().zip(&values).enumerate() {
                let (x, y) = (i % width, i / width);
                let inside = x >= columns && width - 1 - x >= columns && y >= rows && height - 1 - y >= rows;
                prop_assert_eq!(new, if inside { old } else { 0.0 });
            }
        }
    }

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
fn a_tournament_draws_pixels_as_often_as_its_law_says() {
    let weights: Vec<f64> = (0..24).map(|i| f64::from(i % 5) * f64::from(i % 3)).collect();
    let n = weights.len() as f64;
    let beats = |a: f64, b: f64| match (a, b) {
        (a, b) if a == b => 0.5,
        (a, b) if a > b => 1.0 - b / (2.0 * a),
        (a, b) => a / (2.0 * b),
    };
    // Among the others a pixel also meets itself: one of n^2 cases, in which it wins.
    let share = |&a: &f64| (2.0 * weights.iter().map(|&b| beats(a, b)).sum::<f64>()) / (n * n);
    let shares: Vec<f64> = weights.iter().map(share).collect();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let sampler = Tournament::new(plane(&weights, 6)).expect("positive weights");
    let (mut rng, mut counts) = (Rng::new(11, 0), vec![0.0; 24]);
    for _ in 0..200_000 {
        let (x, y) = sampler.draw(&mut rng);
        counts[y * 6 + x] += 1.0;
    }
    let (chi, cells) = chi_square(&counts, &shares);
    // The quantile 1 - 1e-4 with 23 degrees of freedom.
    assert_eq!(cells, 24);
    assert!(chi < 56.9, "chi-square {chi}");
}

#[test]
fn pixels_apart_are_drawn_in_proportion_to_the_weights_that_are_left() {
    // In a row of six, two at a distance of at least 2: the law of drawing one, and then another.
    let weights = [1.0, 2.0, 0.0, 3.0, 1.5, 0.5];
    let total: f64 = weights.iter().sum();
    let mut shares = vec![0.0; 36];
    for (a, w) in weights.iter().enumerate() {
        let left = |b: usize| if a.abs_diff(b) < 2 { 0.0 } else { weights[b] };
        let rest: f64 = (0..6).map(left).sum();
        (0..6).for_each(|b| shares[a * 6 + b] = w / total * left(b) / rest);
    }
    let (mut rng, mut counts) = (Rng::new(5, 1), vec![0.0; 36]);
    for _ in 0..200_000 {
        let drawn = apart(&weights, 6, 2.0, &mut rng, 2).expect("good arguments");
        counts[drawn[0].0 * 6 + drawn[1].0] += 1.0;
    }
    let (chi, cells) = chi_square(&counts, &shares);
    // Ordered pairs: from 0 three others, from 1 three, from 3 three, from 4 two, from 5 three. The
    // quantile 1 - 1e-4 with 13 degrees of freedom.
    assert_eq!(cells, 14);
    assert!(chi < 40.9, "chi-square {chi}");
}

#[test]
fn shares_of_tiers_are_the_shares_of_the_samples() {
    let tiers: Vec<Tier> = (0..100).map(|i| Tier::ALL[usize::from(i > 60) + usize::from(i > 90)]).collect();
    let map = Plane::new(&tiers, 10, 10).expect("made to fit");
    let mut weights = vec![0.0; 100];
    let ratios = TierRatios::new(1.0, 2.0, 5.0).expect("good shares");
    tier_weight_map(map, ratios, PlaneMut::new(&mut weights, 10, 10).expect("fits")).expect("fits");
    let mut sums = vec![0.0; 100];
    let sampler = Sampler::new(plane(&weights, 10), &mut sums).expect("positive weights");
    let (mut rng, mut counts) = (Rng::new(8, 0), [0.0; 3]);
    for _ in 0..100_000 {
        let (x, y) = sampler.draw(&mut rng);
        counts[tiers[y * 10 + x] as usize] += 1.0;
    }
    let (chi, _) = chi_square(&counts, &[0.125, 0.25, 0.625]);
    // The quantile 1 - 1e-4 with 2 degrees of freedom.
    assert!(chi < 18.4, "chi-square {chi}");

    tier_weight_map(map, TierRatios::only(Tier::High), PlaneMut::new(&mut weights, 10, 10).expect("fits"))
        .expect("fits");
    assert!(weights.iter().zip(&tiers).all(|(&w, &tier)| (w > 0.0) == (tier == Tier::High)));
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

    assert!(matches!(Tournament::new(empty), Err(SampleError::Empty)));
    assert!(matches!(Tournament::new(plane(&[0.0; 4], 2)), Err(SampleError::Empty)));
    assert!(matches!(Tournament::new(plane(&[1.0, -1.0], 2)), Err(SampleError::Value { x: 1, y: 0, .. })));
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(TierRatios::new(1.0, bad, 1.0), Err(SampleError::Ratios { .. })), "{bad}");
        let mut map = values;
        let out = PlaneMut::new(&mut map, 2, 2).expect("made to fit");
        assert!(matches!(clear_margin(out, Margin::Fraction(bad)), Err(SampleError::Margin { .. })), "{bad}");
        let mut rng = Rng::new(1, 1);
        assert!(matches!(apart(&values, 2, bad, &mut rng, 1), Err(SampleError::Distance { .. })), "{bad}");
        assert!(matches!(apart(&[1.0, bad], 2, 1.0, &mut rng, 1), Err(SampleError::Value { x: 1, .. })));
    }
    assert!(matches!(TierRatios::new(0.0, 0.0, 0.0), Err(SampleError::Ratios { .. })));
    let mut rng = Rng::new(1, 1);
    assert_eq!(apart(&[0.0; 4], 2, 1.0, &mut rng, 1), Err(SampleError::Empty));
    assert_eq!(apart(&huge, 2, 1.0, &mut rng, 1), Err(SampleError::Overflow));
    let mut short = [0.0; 7];
    let refused = sample_spaced(map, 1.0, &mut rng, &mut [(0, 0)], &mut short);
    assert_eq!(refused, Err(SampleError::Scratch { len: 7, needed: 8 }));
    let tiers = [Tier::Low; 4];
    let tiers = Plane::new(&tiers, 2, 2).expect("made to fit");
    let mut weights = [0.0; 4];
    let wide = PlaneMut::new(&mut weights, 4, 1).expect("made to fit");
    let size = tier_weight_map(tiers, TierRatios::only(Tier::Low), wide);
    assert!(matches!(size, Err(SampleError::Size { .. })));
}
