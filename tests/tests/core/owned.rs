//! Owned results are those of the functions that take buffers.

use infomark_core::{
    ContrastRule, KeyPoint, KeyPointRule, Plane, PlaneMut, Rng, Weighting, entropy_map, entropy_scratch_len,
    key_points, key_points_scratch_len, local_contrast, local_contrast_scratch_len, mutual_information,
    mutual_information_scratch_len, owned, sample_spaced, sample_spaced_scratch_len, weight_map,
};
use proptest::prelude::*;

/// Pixels of two images of one size.
fn images() -> impl Strategy<Value = (usize, usize, Vec<u8>, Vec<u8>)> {
    (1usize..24, 1usize..24).prop_flat_map(|(width, height)| {
        let pixels = || prop::collection::vec(any::<u8>(), width * height);
        (Just(width), Just(height), pixels(), pixels())
    })
}

proptest! {
    #[test]
    fn owned_results_have_the_bits_of_buffers((width, height, first, second) in images(), k in 1usize..8, seed: u64) {
        let k = 2 * k - 1;
        let (image, other) = (Plane::new(&first, width, height).unwrap(), Plane::new(&second, width, height).unwrap());
        let floats: Vec<f32> = first.iter().map(|&value| f32::from(value) / 255.0).collect();
        let float = Plane::new(&floats, width, height).unwrap();
        let mut out = vec![0f32; width * height];
        macro_rules! out { () => { PlaneMut::new(&mut out, width, height).unwrap() } }

        let entropy = owned::entropy_map::<f32>(image, k);
        let expected = entropy_map(image, k, out!(), &mut vec![0; entropy_scratch_len(k, width, height)]);
        prop_assert_eq!(entropy.as_ref().err(), expected.as_ref().err());
        let Ok(entropy) = entropy else { return Ok(()) };
        prop_assert_eq!((entropy.width(), entropy.height()), (width, height));
        prop_assert_eq!(&entropy.clone().into_vec(), &out);

        let weighting = Weighting::Piecewise { threshold: 0.5 };
        weight_map(entropy.as_plane(), weighting, out!()).unwrap();
        let weights = owned::weight_map(entropy.as_plane(), weighting).unwrap();
        prop_assert_eq!(&weights.clone().into_vec(), &out);

        let mut drawn = vec![(0, 0); 5.min(width * height)];
        let mut scratch = vec![0.0; sample_spaced_scratch_len(width, height)];
        let count = sample_spaced(weights.as_plane(), 2.0, &mut Rng::new(seed, 0), &mut drawn, &mut scratch);
        let owned = owned::sample_spaced(weights.as_plane(), 2.0, 5, &mut Rng::new(seed, 0));
        prop_assert_eq!(owned.as_deref(), count.as_ref().map(|&count| &drawn[..count]));

        let mut scratch = vec![0; mutual_information_scratch_len(width, height)];
        let expected: f32 = mutual_information(image, other, &mut scratch).unwrap();
        prop_assert_eq!(owned::mutual_information(image, other), Ok(expected));

        let rule = ContrastRule { sigma_px: 3.0, gain: 0.2, floor: 0.02 };
        let mut scratch = vec![0.0; local_contrast_scratch_len(width, height, f64::from(rule.sigma_px))];
        local_contrast(float, out!(), rule, &mut scratch).unwrap();
        prop_assert_eq!(&owned::local_contrast(float, rule).unwrap().into_vec(), &out);

        let mut found = vec![KeyPoint::default(); 4];
        let mut scratch = vec![0.0; key_points_scratch_len(width, height)];
        let count = key_points(float, KeyPointRule::default(), &mut found, &mut scratch).unwrap();
        let owned = owned::key_points(float, KeyPointRule::default(), 4).unwrap();
        prop_assert_eq!(owned, &found[..count]);
    }
}

#[test]
fn sizes_that_no_memory_holds_are_errors() {
    let image = Plane::new(&[0.1f32, 0.2, 0.3, 0.4], 2, 2).unwrap();
    for sigma_px in [1e18, f32::INFINITY] {
        assert!(owned::local_contrast(image, ContrastRule { sigma_px, gain: 0.2, floor: 0.02 }).is_err());
    }
}
