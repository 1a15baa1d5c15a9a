//! Bounds on errors: the promise they make, against simulations and a naive twin.

use infomark_core::{ConformalError, Plane, Point, Rng, conformal_bound, highest_beyond, peak};
use proptest::prelude::*;

/// The definition: the smallest score of which enough are no larger, the new image's counted as infinite.
fn naive(scores: &[f64], landmarks: usize, coverage: f64) -> Option<f64> {
    let images = scores.len() / landmarks;
    let needed = coverage * ((images + 1) * landmarks) as f64;
    let enough = |bound: f64| scores.iter().filter(|score| **score <= bound).count() as f64 >= needed - 1e-9;
    scores.iter().copied().filter(|&bound| enough(bound)).min_by(f64::total_cmp)
}

proptest! {
    #[test]
    fn the_bound_is_the_one_of_the_definition(
        scores in prop::collection::vec(0.0..100.0f64, 1..60),
        landmarks in 1usize..5,
        percent in 1u32..100,
    ) {
        let landmarks = landmarks.min(scores.len());
        let scores = &scores[..scores.len() / landmarks * landmarks];
        let coverage = f64::from(percent) / 100.0;
        let bound = conformal_bound(&mut scores.to_vec(), landmarks, coverage);
        match naive(scores, landmarks, coverage) {
            Some(expected) => prop_assert_eq!(bound, Ok(expected)),
            None => {
                let images = scores.len() / landmarks;
                let Err(ConformalError::TooFew { needed, .. }) = bound else {
                    return Err(TestCaseError::fail(format!("{bound:?}")));
                };
                prop_assert!(images < needed);
                // As many are enough, and one fewer is not.
                let try_with = |images: usize| conformal_bound(&mut vec![1.0; images * landmarks], landmarks, coverage);
                prop_assert!(try_with(needed).is_ok());
                prop_assert!(needed == 1 || try_with(needed - 1).is_err());
            }
        }
    }

    #[test]
    fn more_coverage_never_asks_for_a_smaller_bound(
        scores in prop::collection::vec(0.0..9.0f64, 20..40),
        a in 0.05..0.9f64,
        b in 0.05..0.9f64,
    ) {
        let bound = |coverage| conformal_bound(&mut scores.clone(), 1, coverage).unwrap();
        prop_assert!(bound(a.min(b)) <= bound(a.max(b)));
    }

    #[test]
    fn the_second_peak_is_the_highest_of_what_is_farther_away(
        values in prop::collection::vec(prop_oneof![9 => -5.0..5.0f64, 1 => Just(f64::NAN)], 30),
        radius in 0.0..12.0f64,
        x in 0.0..12.0f64,
        y in 0.0..10.0f64,
    ) {
        let (width, height, stride) = (6, 5, 2);
        let map = Plane::new(&values, width, height).unwrap();
        let at = Point::new(x, y);
        let expected = (0..width * height)
            .filter(|i| {
                let centre = |cell: usize| (cell as f64 + 0.5) * stride as f64 - 0.5;
                let (dx, dy) = (centre(i % width) - x, centre(i / width) - y);
                dx * dx + dy * dy > radius * radius && !values[*i].is_nan()
            })
            .map(|i| values[i])
            .max_by(f64::total_cmp);
        prop_assert_eq!(highest_beyond(map, stride, at, radius), expected);
        if let (Some(first), Some(second)) = (peak(map, stride), expected) {
            prop_assert!(second <= first.value);
        }
    }
}

/// Images whose landmarks share an image's luck: dependent within an image, exchangeable between images.
fn image(rng: &mut Rng, landmarks: usize) -> Vec<f64> {
    let luck: f64 = -rng.uniform_in(1e-9f64, 1.0).ln();
    (0..landmarks).map(|i| luck * (1 + i) as f64 - rng.uniform_in(1e-9f64, 1.0).ln()).collect()
}

#[test]
fn new_images_stay_within_the_bound_as_often_as_promised() {
    for (images, landmarks, coverage) in [(9, 1, 0.9), (19, 1, 0.9), (20, 4, 0.9), (12, 5, 0.8), (30, 3, 0.5)]
    {
        let (mut within, mut all) = (0, 0);
        for draw in 0..3000 {
            let mut rng = Rng::new(11, draw);
            let mut scores: Vec<f64> = (0..images).flat_map(|_| image(&mut rng, landmarks)).collect();
            let bound = conformal_bound(&mut scores, landmarks, coverage).unwrap();
            let new = image(&mut rng, landmarks);
            within += new.iter().filter(|score| **score <= bound).count();
            all += landmarks;
        }
        let share = f64::from(within as u32) / all as f64;
        // Of 3000 images: four standard errors; and no more than one image's worth above what is asked.
        let error = 4.0 * (coverage * (1.0 - coverage) / 3000.0).sqrt();
        assert!(share >= coverage - error, "{images} images: {share} of {coverage}");
        let most = coverage + 1.0 / (images + 1) as f64 + error;
        assert!(share <= most, "{images} images: {share}, at most {most}");
    }
}

#[test]
fn what_promises_nothing_is_refused() {
    let bound =
        |scores: &[f64], landmarks, coverage| conformal_bound(&mut scores.to_vec(), landmarks, coverage);
    assert_eq!(bound(&[], 1, 0.9), Err(ConformalError::Shape { len: 0, landmarks: 1 }));
    assert_eq!(bound(&[1.0; 3], 2, 0.9), Err(ConformalError::Shape { len: 3, landmarks: 2 }));
    assert_eq!(bound(&[1.0; 3], 0, 0.9), Err(ConformalError::Shape { len: 3, landmarks: 0 }));
    assert_eq!(bound(&[1.0, f64::NAN], 1, 0.5), Err(ConformalError::NotFinite { index: 1 }));
    assert_eq!(bound(&[f64::INFINITY], 1, 0.5), Err(ConformalError::NotFinite { index: 0 }));
    for coverage in [0.0, 1.0, -0.1, 1.1] {
        assert_eq!(bound(&[1.0; 99], 1, coverage), Err(ConformalError::Coverage { coverage }));
    }
    assert!(matches!(bound(&[1.0; 99], 1, f64::NAN), Err(ConformalError::Coverage { .. })));
    let few = bound(&[1.0; 8], 1, 0.9);
    assert_eq!(few, Err(ConformalError::TooFew { images: 8, coverage: 0.9, needed: 9 }));
    // As close to certain as a number can be.
    assert!(matches!(bound(&[1.0; 9], 1, 1.0 - f64::EPSILON), Err(ConformalError::TooFew { .. })));
}
