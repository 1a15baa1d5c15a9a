//! Errors of landmarks, and intervals.

use infomark_core::{
    Interval, Point, Rng, ScoreError, Spacing, Statistic, bootstrap_interval, mean, radial_error_mm, sdr,
};
use proptest::prelude::*;

fn interval(
    errors: &[f64],
    landmarks: usize,
    statistic: Statistic,
    seed: u64,
) -> Result<Interval, ScoreError> {
    bootstrap_interval(errors, landmarks, statistic, 0.95, &mut Rng::new(seed, 0), &mut [0.0; 1000])
}

#[test]
fn errors_are_in_millimetres_along_both_axes() {
    let spacing = Spacing::new(0.5, 2.0).expect("positive");
    let at = |x, y| radial_error_mm(Point::new(x, y), Point::new(1.0, 1.0), spacing);
    assert_eq!(at(7.0, 3.0), 5.0);
    assert_eq!(at(1.0, 1.0), 0.0);
    assert_eq!(at(2.0, 1.0), 0.5);
    assert!(at(f64::NAN, 1.0).is_nan());
}

#[test]
fn a_detection_at_just_the_radius_is_not_successful() {
    let errors = [0.0, 1.0, 2.0, 3.0];
    assert_eq!(sdr(&errors, 2.0), Some(0.5));
    assert_eq!(sdr(&errors, 2.0 + 1e-12), Some(0.75));
    assert_eq!(sdr(&[f64::NAN, 1.0], 2.0), Some(0.5));
    assert_eq!(mean(&errors), Some(1.5));
    assert_eq!((mean(&[]), sdr(&[], 2.0), Statistic::MeanRadialError.of(&[])), (None, None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_interval_contains_the_statistic_and_lies_within_the_errors(
        seed: u64, images in 6usize..20, landmarks in 1usize..5,
    ) {
        let mut rng = Rng::new(seed, 7);
        let errors: Vec<f64> = (0..images * landmarks).map(|_| rng.uniform_in(0.0, 4.0)).collect();
        for statistic in [Statistic::MeanRadialError, Statistic::Sdr { radius_mm: 2.0 }] {
            let found = interval(&errors, landmarks, statistic, seed).expect("good arguments");
            let value = statistic.of(&errors).expect("not empty");
            prop_assert!(found.low <= value && value <= found.high, "{:?} without {}", found, value);
            prop_assert!(found.low >= 0.0 && found.high <= 4.0);
        }
    }

    #[test]
    fn one_seed_gives_one_interval(seed: u64) {
        let errors: Vec<f64> = (0..12).map(f64::from).collect();
        prop_assert_eq!(interval(&errors, 3, Statistic::MeanRadialError, seed), interval(&errors, 3, Statistic::MeanRadialError, seed));
    }

    #[test]
    fn more_confidence_is_wider(seed: u64) {
        let errors: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let at = |confidence| {
            let mut rng = Rng::new(seed, 0);
            bootstrap_interval(&errors, 4, Statistic::MeanRadialError, confidence, &mut rng, &mut [0.0; 400]).expect("good")
        };
        let (narrow, wide) = (at(0.8), at(0.99));
        prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
    }
}

#[test]
fn errors_that_differ_only_between_images_count_as_images() {
    // 8 images of 50 landmarks: as wide as 8 single errors, not as 400 independent ones.
    let single: Vec<f64> = (0..8).map(f64::from).collect();
    let many: Vec<f64> = single.iter().flat_map(|&e| [e; 50]).collect();
    assert_eq!(
        interval(&single, 1, Statistic::MeanRadialError, 3),
        interval(&many, 50, Statistic::MeanRadialError, 3)
    );
    let independent = interval(&many, 1, Statistic::MeanRadialError, 3).expect("good arguments");
    let clustered = interval(&many, 50, Statistic::MeanRadialError, 3).expect("good arguments");
    assert!(clustered.high - clustered.low > 4.0 * (independent.high - independent.low));
}

#[test]
fn the_interval_has_the_width_that_theory_gives() {
    let mut rng = Rng::new(21, 0);
    let errors: Vec<f64> = (0..400).map(|_| 10.0 + rng.normal::<f64>()).collect();
    let found = interval(&errors, 1, Statistic::MeanRadialError, 5).expect("good arguments");
    let width = (found.high - found.low) / (2.0 * 1.96 / 20.0);
    assert!((0.85..1.15).contains(&width), "{width} times what it should be");
}

#[test]
fn one_image_gives_an_interval_of_no_width() {
    let found = interval(&[1.0, 2.0, 6.0], 3, Statistic::MeanRadialError, 1);
    assert_eq!(found, Ok(Interval { low: 3.0, high: 3.0 }));
}

#[test]
fn bad_arguments_are_errors() {
    let call = |errors: &[f64], landmarks, confidence, resamples: usize| {
        let mut scratch = vec![0.0; resamples];
        bootstrap_interval(
            errors,
            landmarks,
            Statistic::MeanRadialError,
            confidence,
            &mut Rng::new(0, 0),
            &mut scratch,
        )
    };
    let errors = [1.0, 2.0, 3.0, 4.0];
    assert!(call(&errors, 2, 0.95, 10).is_ok());
    assert_eq!(call(&errors, 3, 0.95, 10), Err(ScoreError::Shape { len: 4, landmarks: 3 }));
    assert_eq!(call(&errors, 0, 0.95, 10), Err(ScoreError::Shape { len: 4, landmarks: 0 }));
    assert_eq!(call(&[], 2, 0.95, 10), Err(ScoreError::Shape { len: 0, landmarks: 2 }));
    assert_eq!(call(&[1.0, f64::NAN], 2, 0.95, 10), Err(ScoreError::NotFinite { index: 1 }));
    for bad in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
        assert!(matches!(call(&errors, 2, bad, 10), Err(ScoreError::Confidence { .. })), "{bad}");
    }
    assert_eq!(call(&errors, 2, 0.95, 0), Err(ScoreError::Resamples));
    for (x, y) in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        let refused = Spacing::new(x, y).expect_err("not a spacing");
        assert!([refused.x, refused.y].map(f64::to_bits) == [x, y].map(f64::to_bits), "{refused}");
    }
}
