//! Shared information of patches against its definition, and its laws.

use infomark_core::{
    Binning, Grey, JointEntropy, MutualError, Plane, PlaneMut, Real, Rng, entropy_map, entropy_scratch_len,
    joint_entropy, joint_entropy_scratch_len, mutual_information, mutual_information_scratch_len,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

/// Two patches of one size, with gaps between their rows; the second resembles the first or not.
#[derive(Clone, Debug)]
struct Pair<G> {
    first: Vec<G>,
    second: Vec<G>,
    width: usize,
    height: usize,
    stride: usize,
}

impl<G: Grey> Pair<G> {
    fn planes(&self) -> (Plane<'_, G>, Plane<'_, G>) {
        let plane = |pixels| Plane::with_stride(pixels, self.width, self.height, self.stride);
        (plane(&self.first).expect("made to fit"), plane(&self.second).expect("made to fit"))
    }

    fn map(&self, first: impl Fn(G) -> G, second: impl Fn(G) -> G) -> Self {
        let mut pair = self.clone();
        pair.first.iter_mut().for_each(|v| *v = first(*v));
        pair.second.iter_mut().for_each(|v| *v = second(*v));
        pair
    }
}

fn pairs(most: usize) -> impl Strategy<Value = Pair<u8>> {
    (1..=most, 1..=most, 0usize..4, 0u32..8, 0u32..8).prop_flat_map(|(width, height, gap, noise, shift)| {
        let stride = width + gap;
        let pixels = prop::collection::vec(any::<(u8, u8)>(), stride * height);
        pixels.prop_map(move |pixels| Pair {
            first: pixels.iter().map(|p| p.0 >> shift).collect(),
            second: pixels.iter().map(|p| (p.0 >> shift).wrapping_add(p.1 >> noise)).collect(),
            width,
            height,
            stride,
        })
    })
}

fn wide_pairs(most: usize) -> impl Strategy<Value = Pair<u16>> {
    let low = |v: u8, noise: u8| u16::from_le_bytes([noise, v]);
    pairs(most).prop_map(move |pair| Pair {
        first: pair.first.iter().zip(&pair.second).map(|(&a, &b)| low(a, b)).collect(),
        second: pair.second.iter().zip(&pair.first).map(|(&a, &b)| low(a, b)).collect(),
        width: pair.width,
        height: pair.height,
        stride: pair.stride,
    })
}

fn joint<T: Real, G: Grey, const BINS: usize>(
    pair: &Pair<G>,
    binning: [Binning<BINS>; 2],
) -> JointEntropy<T> {
    let (first, second) = pair.planes();
    // What the scratch holds before does not matter.
    let mut scratch = vec![u32::MAX; joint_entropy_scratch_len(BINS, pair.width, pair.height)];
    joint_entropy(first, second, binning, &mut scratch).expect("good arguments")
}

fn bytes(pair: &Pair<u8>) -> JointEntropy<f64> {
    joint(pair, [Binning::<256>::new(0, 255).expect("good bins"); 2])
}

fn shared(pair: &Pair<u8>) -> f64 {
    let (first, second) = pair.planes();
    let mut scratch = vec![7; mutual_information_scratch_len(pair.width, pair.height)];
    mutual_information(first, second, &mut scratch).expect("good arguments")
}

fn check_definition<G: Grey, const BINS: usize>(
    pair: &Pair<G>,
    binning: [Binning<BINS>; 2],
) -> Result<(), TestCaseError> {
    let (first, second) = pair.planes();
    let [a, b] = binning;
    let [h_first, h_second, h_joint] = core_oracle::joint_entropy(first, second, |v| a.bin(v), |v| b.bin(v));
    let both: JointEntropy<f64> = joint(pair, binning);
    let close = |value: f64, naive: f64| (value - naive).abs() <= tolerance::ENTROPY_F64;
    prop_assert!(close(both.first(), h_first), "{} is not {h_first}", both.first());
    prop_assert!(close(both.second(), h_second), "{} is not {h_second}", both.second());
    prop_assert!(close(both.joint(), h_joint), "{} is not {h_joint}", both.joint());
    let naive = h_first + h_second - h_joint;
    prop_assert!(close(both.mutual_information(), naive), "{} is not {naive}", both.mutual_information());
    prop_assert!(close(both.conditional_first_given_second(), h_joint - h_second));
    prop_assert!(close(both.conditional_second_given_first(), h_joint - h_first));
    prop_assert!(close(both.variation_of_information(), 2.0 * h_joint - h_first - h_second));
    // Quotients are compared with the divisor multiplied out, since that may be small.
    let ratio =
        |value: f64, over: f64, under: f64| (value * under - over).abs() <= 4.0 * tolerance::ENTROPY_F64;
    if h_joint > 1e-9 {
        prop_assert!(ratio(both.normalized_mutual_information(), 2.0 * naive, h_first + h_second));
        prop_assert!(ratio(both.studholme(), h_first + h_second, h_joint));
    }
    let single: JointEntropy<f32> = joint(pair, binning);
    let near = (f64::from(single.mutual_information()) - naive).abs();
    prop_assert!(near <= tolerance::ENTROPY_F32);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn entropies_equal_the_definition_for_bytes(pair in pairs(24), low in 0u16..200, span in 0u16..300) {
        check_definition(&pair, [Binning::<256>::new(0, 255).expect("good bins"); 2])?;
        let cut = Binning::<16>::new(low, low + span).expect("good bins");
        check_definition(&pair, [cut, Binning::new(0, 255).expect("good bins")])?;
    }

    #[test]
    fn entropies_equal_the_definition_for_words(
        pair in wide_pairs(20), low in 0u16..30_000, span in 0u16..30_000,
    ) {
        let cut = Binning::<37>::new(low, low + span).expect("good bins");
        check_definition(&pair, [cut, Binning::new(0, u16::MAX).expect("good bins")])?;
    }

    #[test]
    fn exchanging_the_patches_changes_no_bit(pair in pairs(24)) {
        let both = bytes(&pair);
        let back = Pair { first: pair.second.clone(), second: pair.first.clone(), ..pair };
        let back = bytes(&back);
        prop_assert_eq!(both.mutual_information(), back.mutual_information());
        prop_assert_eq!(both.joint(), back.joint());
        prop_assert_eq!((both.first(), both.second()), (back.second(), back.first()));
        prop_assert_eq!(both.conditional_first_given_second(), back.conditional_second_given_first());
    }

    #[test]
    fn information_lies_between_0_and_the_smaller_entropy(pair in pairs(24)) {
        let both = bytes(&pair);
        let shared = both.mutual_information();
        prop_assert!(shared >= 0.0 && shared <= both.first() && shared <= both.second());
        prop_assert!(both.joint() >= both.first() && both.joint() >= both.second());
        prop_assert!((0.0..=1.0).contains(&both.normalized_mutual_information()));
        prop_assert!((1.0..=2.0).contains(&both.studholme()));
    }

    #[test]
    fn a_patch_shares_its_whole_entropy_with_itself(pair in pairs(24)) {
        let own = bytes(&Pair { second: pair.first.clone(), ..pair });
        prop_assert_eq!(own.mutual_information(), own.first());
        prop_assert_eq!(own.joint(), own.first());
        prop_assert_eq!(own.variation_of_information(), 0.0);
        prop_assert_eq!((own.normalized_mutual_information(), own.studholme()), (1.0, 2.0));
    }

    #[test]
    fn renaming_the_grey_levels_changes_no_bit(pair in pairs(24), a in any::<u8>(), b in any::<u8>()) {
        let renamed = pair.map(|v| v.wrapping_mul(77).wrapping_add(a), |v| v.wrapping_mul(13) ^ b);
        prop_assert_eq!(bytes(&pair), bytes(&renamed));
    }

    #[test]
    fn shuffling_the_pixels_of_both_patches_alike_changes_no_bit(pair in pairs(24), seed in any::<u64>()) {
        let (mut shuffled, mut rng) = (pair.clone(), Rng::new(seed, 0));
        for i in (1..pair.width * pair.height).rev() {
            let place = |i: usize| i / pair.width * pair.stride + i % pair.width;
            let other = place(rng.below(i as u64 + 1) as usize);
            shuffled.first.swap(place(i), other);
            shuffled.second.swap(place(i), other);
        }
        prop_assert_eq!(bytes(&pair), bytes(&shuffled));
    }

    #[test]
    fn merging_grey_levels_never_adds_information(pair in pairs(24), shift in 0u32..8) {
        let merged = pair.map(|v| v, |v| v >> shift);
        // The inequality is that of the exact values.
        prop_assert!(shared(&merged) <= shared(&pair) + tolerance::ENTROPY_F64);
    }

    #[test]
    fn the_short_form_is_the_long_one_with_a_bin_for_each_level(pair in pairs(24)) {
        prop_assert_eq!(shared(&pair), bytes(&pair).mutual_information());
    }

    #[test]
    fn the_entropy_of_a_patch_is_that_of_the_entropy_map(pair in pairs(24)) {
        let (first, _) = pair.planes();
        let k = 2 * pair.width.max(pair.height) + 1;
        let mut out = vec![0.0; pair.width * pair.height];
        let mut scratch = vec![0; entropy_scratch_len(k, pair.width, pair.height)];
        let plane = PlaneMut::new(&mut out, pair.width, pair.height).expect("made to fit");
        entropy_map(first, k, plane, &mut scratch).expect("good arguments");
        prop_assert!((bytes(&pair).first() - out[0]).abs() <= tolerance::ENTROPY_F64);
    }
}

#[test]
fn many_pixels_of_one_level_are_counted_right() {
    // More than the table of small counts holds, in a quarter each.
    let (width, height) = (128, 128);
    let first: Vec<u8> = (0..width * height).map(|i| (i % 2) as u8).collect();
    let second: Vec<u8> = (0..width * height).map(|i| (i / 2 % 2) as u8).collect();
    let both = bytes(&Pair { first, second, width, height, stride: width });
    assert_eq!(both.mutual_information(), 0.0);
    assert!((both.joint() - 4f64.ln()).abs() < 1e-9);
}

#[test]
fn a_flat_patch_shares_nothing() {
    let pair = Pair { first: vec![3; 12], second: (0..12).collect(), width: 4, height: 3, stride: 4 };
    let both = bytes(&pair);
    assert_eq!((both.mutual_information(), both.normalized_mutual_information()), (0.0, 0.0));
    assert_eq!(both.studholme(), 1.0);
    let flat = bytes(&Pair { second: vec![9; 12], ..pair });
    assert_eq!((flat.joint(), flat.normalized_mutual_information(), flat.studholme()), (0.0, 1.0, 2.0));
}

#[test]
fn normalised_information_is_that_of_scikit_learn() {
    // normalized_mutual_info_score([0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]), by hand: the mutual
    // information is ln 3 + ln 2 - H(1/3, 1/6, 1/6, 1/3).
    let pair = Pair {
        first: vec![0, 0, 1, 1, 2, 2],
        second: vec![0, 0, 0, 1, 1, 1],
        width: 6,
        height: 1,
        stride: 6,
    };
    let joint = 2.0 / 3.0 * 3f64.ln() + 1.0 / 3.0 * 6f64.ln();
    let expected = 2.0 * (6f64.ln() - joint) / 6f64.ln();
    assert!((bytes(&pair).normalized_mutual_information() - expected).abs() < 1e-7);
}

#[test]
fn bad_arguments_are_errors() {
    let data = [1u8, 2, 3, 4];
    let plane = |w, h| Plane::new(&data[..w * h], w, h).expect("made to fit");
    let mut scratch = [0; mutual_information_scratch_len(2, 2)];
    let mut shared = |a, b| mutual_information::<f64>(a, b, &mut scratch);
    let size = MutualError::Size { width: 2, height: 2, other_width: 4, other_height: 1 };
    assert_eq!(shared(plane(2, 2), plane(4, 1)), Err(size));
    assert_eq!(shared(plane(0, 2), plane(0, 2)), Err(MutualError::Empty));
    let short = mutual_information::<f64>(plane(2, 2), plane(2, 2), &mut scratch[1..]);
    assert_eq!(short, Err(MutualError::Scratch { len: 771, needed: 772 }));
    assert_eq!(joint_entropy_scratch_len(256, usize::MAX, 2), usize::MAX);
}
