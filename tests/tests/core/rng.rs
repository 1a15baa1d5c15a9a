//! Random numbers: published vectors, reproducibility, distributions.

use infomark_core::{Rng, philox4x32};
use proptest::prelude::*;

#[test]
fn the_blocks_are_those_of_the_published_vectors() {
    // Known answers of the authors' library Random123 for philox4x32 with 10 rounds.
    let vectors = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, expected) in vectors {
        assert_eq!(philox4x32(counter, key), expected);
    }
}

#[test]
fn a_stream_is_the_blocks_one_after_the_other() {
    let mut rng = Rng::new(0x0000_0002_0000_0001, 0x0000_0004_0000_0003);
    for block in 0..3 {
        for word in philox4x32([block, 0, 3, 4], [1, 2]) {
            assert_eq!(rng.next_u32(), word);
        }
    }
}

proptest! {
    #[test]
    fn a_position_can_be_saved_and_restored(seed: u64, stream: u64, skip in 0usize..40) {
        let mut rng = Rng::new(seed, stream);
        for _ in 0..skip {
            rng.next_u32();
        }
        prop_assert_eq!(rng.counter(), skip as u64);
        let mut again = Rng::new(seed, stream);
        again.seek(rng.counter());
        prop_assert_eq!(&again, &rng);
        for _ in 0..9 {
            prop_assert_eq!(again.next_u64(), rng.next_u64());
        }
    }

    #[test]
    fn numbers_stay_in_their_range(seed: u64, n in 1u64.., low in -1e3f32..1e3, size in 0f32..1e3) {
        let mut rng = Rng::new(seed, 0);
        for _ in 0..20 {
            prop_assert!(rng.below(n) < n);
            prop_assert!((0.0..1.0).contains(&rng.uniform::<f32>()));
            prop_assert!((0.0..1.0).contains(&rng.uniform::<f64>()));
            prop_assert!((low..=low + size).contains(&rng.uniform_in(low, low + size)));
            prop_assert!(rng.normal::<f32>().is_finite());
        }
    }

    #[test]
    fn both_precisions_take_the_same_words(seed: u64) {
        let (mut single, mut double) = (Rng::new(seed, 1), Rng::new(seed, 1));
        for _ in 0..5 {
            let (a, b) = (single.uniform::<f32>(), double.uniform::<f64>());
            prop_assert!((f64::from(a) - b).abs() <= 2f64.powi(-24));
            let (a, b) = (single.normal::<f32>(), double.normal::<f64>());
            prop_assert!((f64::from(a) - b).abs() < 1e-5);
        }
        prop_assert_eq!(single, double);
    }
}

#[test]
fn nothing_is_below_0() {
    assert_eq!(Rng::new(1, 1).below(0), 0);
}

#[test]
fn streams_and_seeds_differ() {
    let first = |seed, stream| Rng::new(seed, stream).next_u64();
    let all = [first(0, 0), first(0, 1), first(1, 0), first(1, 1), first(1 << 32, 0), first(0, 1 << 32)];
    for (i, a) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|b| a != b));
    }
}

#[test]
fn integers_below_seven_are_equally_frequent() {
    let mut rng = Rng::new(11, 0);
    let mut counts = [0f64; 7];
    for _ in 0..70_000 {
        counts[rng.below(7) as usize] += 1.0;
    }
    let chi: f64 = counts.iter().map(|c| (c - 1e4).powi(2) / 1e4).sum();
    // The quantile 1 - 1e-4 of chi-square with 6 degrees of freedom.
    assert!(chi < 27.86, "chi-square {chi}");
}

#[test]
fn normal_numbers_have_the_moments_of_the_normal_distribution() {
    let mut rng = Rng::new(12, 0);
    let n = 100_000;
    let mut sums = [0f64; 4];
    for _ in 0..n {
        let v: f64 = rng.normal();
        for (power, sum) in (1..).zip(&mut sums) {
            *sum += v.powi(power) / f64::from(n);
        }
    }
    for ((moment, expected), allowed) in
        sums.into_iter().zip([0.0, 1.0, 0.0, 3.0]).zip([0.015, 0.02, 0.05, 0.15])
    {
        assert!((moment - expected).abs() < allowed, "{moment} is not {expected}");
    }
}

#[test]
fn the_rand_crates_see_the_same_stream() {
    use rand_core::Rng as _;
    fn draw(rng: &mut impl rand_core::Rng) -> (u32, u64, [u8; 6]) {
        let mut bytes = [0; 6];
        let numbers = (rng.next_u32(), rng.next_u64());
        rng.fill_bytes(&mut bytes);
        (numbers.0, numbers.1, bytes)
    }
    let mut own = Rng::new(5, 9);
    let expected = (own.next_u32(), own.next_u64());
    let words = [own.next_u32(), own.next_u32()].map(u32::to_le_bytes).concat();
    let (first, second, bytes) = draw(&mut Rng::new(5, 9));
    assert_eq!((first, second), expected);
    assert_eq!(bytes[..], words[..6]);
    // A word is drawn for each four bytes that are begun.
    let mut rng = Rng::new(5, 9);
    rng.fill_bytes(&mut [0; 5]);
    assert_eq!(rng.counter(), 2);
}
