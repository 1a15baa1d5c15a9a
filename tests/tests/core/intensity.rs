//! The search for the strength of an augmentation.

use infomark_core::{
    Binning, IntensityError, IntensityJitter, IntensityRange, Plane, PlaneMut, Rng, SearchOutcome,
    SearchRule, Strength, ToneSearch, ToneSearchScratch, intensity_range, mutual_information,
    mutual_information_scratch_len, search_strength, search_tone, tone_path, tone_search_scratch_len,
};
use proptest::prelude::*;

const SIDE: usize = 24;

fn fine(steps: usize) -> SearchRule<f64> {
    SearchRule { steps, tolerance: 1e-10, max_bisections: 60 }
}

fn search(
    target: f64,
    rule: SearchRule<f64>,
    f: impl Fn(f64) -> f64,
) -> Result<Strength<f64>, IntensityError> {
    search_strength(target, rule, |t| Ok(f(t)))
}

/// A patch of texture: smooth, with noise.
fn texture(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, 0);
    let (fx, fy, noise) = (rng.uniform_in(0.1, 0.5), rng.uniform_in(0.1, 0.5), rng.uniform_in(2.0, 25.0));
    let value = |x: usize, y: usize, rng: &mut Rng| {
        let wave = (x as f64 * fx).sin() + (y as f64 * fy).cos();
        (120.0 + 45.0 * wave + noise * rng.normal::<f64>()).clamp(0.0, 255.0) as u8
    };
    (0..SIDE * SIDE).map(|i| value(i % SIDE, i / SIDE, &mut rng)).collect()
}

/// Calls a search with scratch of any content.
fn with_scratch<R>(run: impl FnOnce(&mut ToneSearchScratch<'_, f64>) -> R) -> R {
    let needed = tone_search_scratch_len(SIDE, SIDE);
    let (mut a, mut b, mut c) = (vec![f64::NAN; needed.0], vec![77; needed.1], vec![u32::MAX; needed.2]);
    run(&mut ToneSearchScratch { pixels: &mut a, levels: &mut b, counts: &mut c })
}

fn tone(patch: &[u8], limit: IntensityJitter<f64>, target: f64, rule: SearchRule<f64>) -> ToneSearch<f64> {
    let patch = Plane::new(patch, SIDE, SIDE).expect("made to fit");
    with_scratch(|scratch| search_tone(patch, levels(), limit, target, rule, scratch))
        .expect("good arguments")
}

/// Every grey level a bin of its own.
fn levels() -> Binning<256> {
    Binning::new(0, 255).expect("in order")
}

/// What a patch shares with its change, step by step.
fn shared(patch: &[u8], tone: IntensityJitter<f64>) -> f64 {
    let mut pixels: Vec<f64> = patch.iter().map(|&v| f64::from(v) / 255.0).collect();
    tone.apply_in_place(PlaneMut::new(&mut pixels, SIDE, SIDE).expect("fits")).expect("good factors");
    let changed: Vec<u8> = pixels.iter().map(|v| (v * 255.0).round() as u8).collect();
    let mut scratch = vec![0; mutual_information_scratch_len(SIDE, SIDE)];
    let plane = |p| Plane::new(p, SIDE, SIDE).expect("made to fit");
    mutual_information(plane(patch), plane(&changed), &mut scratch).expect("good arguments")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_crossing_of_a_falling_function_is_found(
        at in 0.001f64..0.999, power in 0.3f64..4.0, steps in 1usize..40,
    ) {
        let f = |t: f64| 5.0 - 4.0 * t.powf(power);
        let found = search(f(at), fine(steps), f).expect("good arguments");
        prop_assert_eq!(found.reached, SearchOutcome::Target);
        prop_assert!((found.strength - at).abs() < 1e-8, "{found:?} is not {at}");
        prop_assert_eq!(found.information, f(found.strength));
    }

    #[test]
    fn the_answer_is_the_nearer_end_of_the_last_bracket(at in 0.01f64..0.99, tolerance in 0.0f64..0.2) {
        let rule = SearchRule { steps: 8, tolerance, max_bisections: 50 };
        let f = |t: f64| 2.0 - t;
        let found = search(f(at), rule, f).expect("good arguments");
        prop_assert!((found.strength - at).abs() <= tolerance.max(1e-12) / 2.0 + 1e-12, "{found:?}");
    }

    #[test]
    fn a_search_never_asks_more_often_than_it_says(
        values in prop::collection::vec(0.0f64..3.0, 64), target in 0.0f64..3.0, steps in 1usize..20,
        tolerance in 0.0f64..0.1, max_bisections in 0usize..30,
    ) {
        let mut calls = 0;
        let value = |t: f64| values[((t * 64.0) as usize).min(63)];
        let rule = SearchRule { steps, tolerance, max_bisections };
        let found = search_strength(target, rule, |t| {
            calls += 1;
            Ok::<_, IntensityError>(value(t))
        });
        prop_assert!(calls <= 1 + steps + max_bisections);
        let found = found.expect("good arguments");
        // Where the first step with an end at or below the target lies.
        let ends = (0..=steps).map(|i| if i == steps { 1.0 } else { i as f64 / steps as f64 });
        match ends.clone().position(|t| value(t) <= target) {
            None => prop_assert_eq!((found.reached, found.strength), (SearchOutcome::Limit, 1.0)),
            Some(0) => prop_assert_eq!((found.reached, found.strength), (SearchOutcome::Identity, 0.0)),
            Some(i) => {
                let ends: Vec<f64> = ends.collect();
                prop_assert_eq!(found.reached, SearchOutcome::Target);
                prop_assert!((ends[i - 1]..=ends[i]).contains(&found.strength));
                prop_assert_eq!(found.information, value(found.strength));
            }
        }
    }

    #[test]
    fn of_several_crossings_the_first_is_found(first in 0.1f64..0.4) {
        // Below the target from `first` to 0.6, above to 0.8, below again.
        let f = |t: f64| if (first..0.6).contains(&t) || t > 0.8 { 1.0 } else { 3.0 };
        let found = search(2.0, fine(16), f).expect("good arguments");
        prop_assert!((found.strength - first).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_tone_that_was_found_shares_what_it_says(
        seed: u64, which in 0usize..3, up: bool, loss in 0.1f64..0.9,
    ) {
        let patch = texture(seed);
        let factor = if up { 4.0 } else { 0.25 };
        let mut limit = IntensityJitter::identity();
        *[&mut limit.brightness, &mut limit.contrast, &mut limit.gamma][which] = factor;
        let own = shared(&patch, IntensityJitter::identity());
        let target = own * (1.0 - loss);
        let found = tone(&patch, limit, target, fine(32));
        prop_assert_eq!(found.tone, tone_path(limit, found.found.strength));
        prop_assert_eq!(found.found.information, shared(&patch, found.tone));
        match found.found.reached {
            SearchOutcome::Target => {
                // One grey level more or less is a jump.
                prop_assert!((found.found.information - target).abs() < 0.35, "{found:?} for {target}");
            }
            SearchOutcome::Limit => prop_assert!(found.found.information > target && found.tone == limit),
            SearchOutcome::Identity => panic!("the patch shares {own} with itself"),
        }
    }

    #[test]
    fn less_information_takes_a_stronger_change(seed: u64, less in 0.1f64..0.5) {
        let patch = texture(seed);
        let limit = IntensityJitter { contrast: 0.01, ..IntensityJitter::identity() };
        let own = shared(&patch, IntensityJitter::identity());
        let weak = tone(&patch, limit, own * 0.8, fine(64)).found.strength;
        let strong = tone(&patch, limit, own * (0.8 - less), fine(64)).found.strength;
        prop_assert!(strong >= weak, "{strong} {weak}");
    }

    #[test]
    fn the_path_of_a_tone_starts_at_the_identity_and_multiplies(
        b in 0.1f64..10.0, c in 0.1f64..10.0, g in 0.1f64..10.0, t in 0.0f64..=1.0, u in 0.0f64..=1.0,
    ) {
        let mut limit = IntensityJitter::identity();
        (limit.brightness, limit.contrast, limit.gamma) = (b, c, g);
        prop_assert_eq!(tone_path(limit, 0.0), IntensityJitter::identity());
        prop_assert_eq!(tone_path(limit, f64::NAN), IntensityJitter::identity());
        prop_assert_eq!(tone_path(limit, 1.0), limit);
        prop_assert_eq!(tone_path(limit, 7.0), limit);
        let (part, rest) = (tone_path(limit, t), tone_path(limit, u));
        let sum = tone_path(limit, (t + u) / 2.0);
        prop_assert!((part.contrast * rest.contrast / sum.contrast.powi(2) - 1.0).abs() < 1e-12);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_range_of_a_set_is_made_of_the_quantiles_of_its_patches(
        seeds in prop::collection::vec(any::<u64>(), 1..5),
    ) {
        let patches: Vec<Vec<u8>> = seeds.iter().map(|&seed| texture(seed)).collect();
        let planes: Vec<Plane<'_, u8>> =
            patches.iter().map(|p| Plane::new(p, SIDE, SIDE).expect("made to fit")).collect();
        let limits = IntensityRange::new((0.2, 5.0), (0.1, 1.0), (1.0, 1.0)).expect("in order");
        let rule = SearchRule::default();
        let (target, mut strengths) = (3.0, vec![f64::NAN; patches.len()]);
        for q in [0.0, 0.5, 1.0] {
            let (range, met) = with_scratch(|scratch| {
                intensity_range(&planes, levels(), limits, target, q, rule, &mut strengths, scratch)
            }).expect("good arguments");
            prop_assert!(met <= 3 * patches.len());
            prop_assert_eq!((range.contrast.1, range.gamma), (1.0, (1.0, 1.0)));
            let quantile = |limit: IntensityJitter<f64>, factor: fn(IntensityJitter<f64>) -> f64| {
                let mut all: Vec<f64> =
                    patches.iter().map(|p| tone(p, limit, target, rule).found.strength).collect();
                all.sort_by(f64::total_cmp);
                let place = q * (all.len() - 1) as f64;
                let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
                factor(tone_path(limit, low + place.fract() * (high - low)))
            };
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
            let brightness =
                |limit| quantile(IntensityJitter { brightness: limit, ..IntensityJitter::identity() }, |t| t.brightness);
            prop_assert!(close(range.brightness.0, brightness(0.2)));
            prop_assert!(close(range.brightness.1, brightness(5.0)));
            let contrast = quantile(IntensityJitter { contrast: 0.1, ..IntensityJitter::identity() }, |t| t.contrast);
            prop_assert!(close(range.contrast.0, contrast));
        }
    }
}

#[test]
fn several_operations_together_need_less_strength_than_each() {
    let patch = texture(4);
    let target = 0.6 * shared(&patch, IntensityJitter::identity());
    let dark = IntensityJitter { brightness: 0.02, ..IntensityJitter::identity() };
    let faint = IntensityJitter { contrast: 0.02, ..IntensityJitter::identity() };
    let both = IntensityJitter { brightness: 0.02, ..faint };
    let strength = |limit| tone(&patch, limit, target, fine(64)).found.strength;
    assert!(strength(both) < strength(dark) && strength(both) < strength(faint));
}

#[test]
fn single_precision_finds_nearly_the_same() {
    let patch = texture(9);
    let target = 0.7 * shared(&patch, IntensityJitter::identity());
    let double = tone(
        &patch,
        IntensityJitter { brightness: 0.1, ..IntensityJitter::identity() },
        target,
        SearchRule::default(),
    );
    let needed = tone_search_scratch_len(SIDE, SIDE);
    let (mut a, mut b, mut c) = (vec![0f32; needed.0], vec![0; needed.1], vec![0; needed.2]);
    let mut scratch = ToneSearchScratch { pixels: &mut a, levels: &mut b, counts: &mut c };
    let plane = Plane::new(&patch, SIDE, SIDE).expect("made to fit");
    let limit = IntensityJitter { brightness: 0.1f32, ..IntensityJitter::identity() };
    let single = search_tone(plane, levels(), limit, target as f32, SearchRule::default(), &mut scratch)
        .expect("good");
    assert!(
        (double.tone.brightness - f64::from(single.tone.brightness)).abs() < 0.01,
        "{double:?} {single:?}"
    );
}

#[test]
fn bad_arguments_are_errors() {
    let rule = fine(4);
    for bad in [
        SearchRule { steps: 0, ..rule },
        SearchRule { tolerance: -1.0, ..rule },
        SearchRule { tolerance: f64::NAN, ..rule },
    ] {
        assert!(matches!(search(1.0, bad, |t| t), Err(IntensityError::Setting { .. })), "{bad:?}");
    }
    assert!(matches!(search(f64::NAN, rule, |t| t), Err(IntensityError::Setting { .. })));
    let broken = |t: f64| if t > 0.3 { f64::NAN } else { 2.0 };
    assert_eq!(search(1.0, rule, broken), Err(IntensityError::NotANumber { strength: 0.5 }));
    let fails = search_strength(1.0, rule, |_: f64| Err(IntensityError::Empty));
    assert_eq!(fails, Err(IntensityError::Empty));

    let patch = texture(1);
    let plane = Plane::new(&patch, SIDE, SIDE).expect("made to fit");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let limit = IntensityJitter { gamma: bad, ..IntensityJitter::identity() };
        let refused = with_scratch(|scratch| search_tone(plane, levels(), limit, 1.0, rule, scratch));
        assert!(matches!(refused, Err(IntensityError::Setting { .. })), "{bad}");
    }
    let limit = IntensityJitter { gamma: 2.0, ..IntensityJitter::identity() };
    let short = with_scratch(|scratch| {
        let counts = &mut scratch.counts[1..];
        let mut scratch = ToneSearchScratch { pixels: scratch.pixels, levels: scratch.levels, counts };
        search_tone(plane, levels(), limit, 1.0, rule, &mut scratch)
    });
    assert!(matches!(short, Err(IntensityError::Scratch { name: "counts", .. })));
    let empty = Plane::new(&[], 0, 0).expect("empty");
    let refused = with_scratch(|scratch| search_tone(empty, levels(), limit, 1.0, rule, scratch));
    assert!(matches!(refused, Err(IntensityError::Mutual(_))), "{refused:?}");

    let one = (1.0, 1.0);
    let range = |patches: &[Plane<'_, u8>], limits, q| {
        with_scratch(|scratch| {
            intensity_range(patches, levels(), limits, 1.0, q, rule, &mut [0.0; 1], scratch)
        })
    };
    let limits = IntensityRange::identity();
    assert_eq!(range(&[], limits, 0.5), Err(IntensityError::Empty));
    assert_eq!(range(&[plane], limits, 0.5), Ok((limits, 0)));
    assert!(matches!(
        range(&[plane; 2], limits, 0.5),
        Err(IntensityError::Scratch { name: "strengths", .. })
    ));
    for q in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(range(&[plane], limits, q), Err(IntensityError::Setting { name: "quantile", .. })));
    }
    for (low, high) in [(1.1, 2.0), (0.1, 0.9), (0.0, 1.0)] {
        let limits = IntensityRange::new((low, high), one, one).expect("in order");
        assert!(matches!(range(&[plane], limits, 0.5), Err(IntensityError::Setting { .. })), "{low} {high}");
    }
}
