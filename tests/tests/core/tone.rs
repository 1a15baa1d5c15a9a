//! Tones and how strongly they are drawn.

use infomark_core::{AugmentError, IntensityJitter, IntensityRange, Plane, PlaneMut, Rng, Tier, TierPolicy};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

fn toned(tone: IntensityJitter<f64>, pixels: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; pixels.len()];
    let height = pixels.len() / width;
    let src = Plane::new(pixels, width, height).expect("made to fit");
    let dst = PlaneMut::new(&mut out, width, height).expect("made to fit");
    tone.apply(src, dst).expect("good factors");
    out
}

fn images() -> impl Strategy<Value = (Vec<f64>, usize, usize)> {
    (1usize..12, 1usize..12)
        .prop_flat_map(|(w, h)| (prop::collection::vec(0.0f64..=1.0, w * h), Just(w), Just(h)))
}

proptest! {
    #[test]
    fn the_identity_changes_no_bit((pixels, width, _) in images()) {
        prop_assert_eq!(toned(IntensityJitter::identity(), &pixels, width), pixels);
    }

    #[test]
    fn tones_follow_their_definition(
        (pixels, width, _) in images(), b in 0.0f64..3.0, c in 0.0f64..3.0, g in 0.2f64..4.0,
    ) {
        let tone = IntensityJitter { brightness: b, contrast: c, gamma: g };
        let (out, expected) = (toned(tone, &pixels, width), core_oracle::tone(tone, &pixels));
        let close = out.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9);
        prop_assert!(close, "{:?} {:?}", out, expected);
    }

    #[test]
    fn tones_stay_between_0_and_1_whatever_the_pixels(
        pixels in prop::collection::vec(any::<f64>(), 12),
        b in 0.0f64..9.0, c in 0.0f64..9.0, g in 0.1f64..9.0,
    ) {
        let out = toned(IntensityJitter { brightness: b, contrast: c, gamma: g }, &pixels, 4);
        prop_assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{:?}", out);
    }

    #[test]
    fn in_place_gives_the_same_and_leaves_the_gaps_alone(
        (pixels, width, height) in images(), b in 0.5f64..2.0,
    ) {
        let tone = IntensityJitter { brightness: b, contrast: 0.8, gamma: 1.1 };
        let expected = toned(tone, &pixels, width);
        let mut gapped: Vec<f64> = pixels.chunks(width).flat_map(|row| [row, &[9.0, 9.0]].concat()).collect();
        let plane = PlaneMut::with_stride(&mut gapped, width, height, width + 2).expect("made to fit");
        tone.apply_in_place(plane).expect("good factors");
        for (row, expected) in gapped.chunks(width + 2).zip(expected.chunks(width)) {
            prop_assert_eq!(&row[..width], expected);
            prop_assert_eq!(&row[width..], [9.0, 9.0]);
        }
    }

    #[test]
    fn tones_are_drawn_from_their_ranges(seed: u64, low in 0.1f64..1.0, size in 0.0f64..2.0) {
        let range = |k: f64| (low * k, (low + size) * k);
        let ranges = IntensityRange::new(range(1.0), range(2.0), range(3.0)).expect("in order");
        let tone = TierPolicy::uniform(ranges).range(Tier::Medium).draw(&mut Rng::new(seed, 0));
        let drawn = [(tone.brightness, 1.0), (tone.contrast, 2.0), (tone.gamma, 3.0)];
        for (value, (low, high)) in drawn.map(|(value, k)| (value, range(k))) {
            prop_assert!((low..=high + 1e-12).contains(&value));
        }
    }

    #[test]
    fn tones_of_integers_are_those_of_floats_rounded(
        (pixels, width, height) in (1usize..12, 1usize..12)
            .prop_flat_map(|(w, h)| (prop::collection::vec(any::<u8>(), w * h), Just(w), Just(h))),
        b in 0.0f64..3.0, c in 0.0f64..3.0, g in prop_oneof![Just(1.0), 0.2f64..4.0],
    ) {
        let tone = IntensityJitter { brightness: b, contrast: c, gamma: g };
        let single = IntensityJitter { brightness: b as f32, contrast: c as f32, gamma: g as f32 };
        let shares: Vec<f64> = pixels.iter().map(|&v| f64::from(v) / 255.0).collect();
        let expected = core_oracle::tone(tone, &shares);
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let mut out = vec![0; pixels.len()];
        for precise in [true, false] {
            let dst = PlaneMut::new(&mut out, width, height).expect("made to fit");
            if precise { tone.apply_u8(src, dst) } else { single.apply_u8(src, dst) }.expect("good factors");
            for (&level, share) in out.iter().zip(&expected) {
                let off = (f64::from(level) - share * 255.0).abs();
                prop_assert!(off <= if precise { 0.5 + 1e-6 } else { tolerance::GREY_U8 }, "{} off", off);
            }
        }
        // The same grey levels, in 16 bits.
        let wide: Vec<u16> = pixels.iter().map(|&v| u16::from(v) * 257).collect();
        let mut out = vec![0; wide.len()];
        let dst = PlaneMut::new(&mut out, width, height).expect("made to fit");
        tone.apply_u16(Plane::new(&wide, width, height).expect("made to fit"), dst).expect("good factors");
        for (&level, share) in out.iter().zip(&expected) {
            prop_assert!((f64::from(level) - share * 65535.0).abs() <= 0.5 + 1e-6);
        }
    }

    #[test]
    fn tones_of_integers_in_place_are_the_same(
        pixels in prop::collection::vec(any::<u16>(), 12), b in 0.0f64..3.0, c in 0.0f64..3.0,
    ) {
        let tone = IntensityJitter { brightness: b, contrast: c, gamma: 1.0 };
        let mut out = vec![0; 12];
        let src = Plane::new(&pixels, 4, 3).expect("made to fit");
        tone.apply_u16(src, PlaneMut::new(&mut out, 4, 3).expect("made to fit")).expect("good factors");
        let mut same = pixels.clone();
        tone.apply_u16_in_place(PlaneMut::new(&mut same, 4, 3).expect("made to fit")).expect("good factors");
        prop_assert_eq!(&same, &out);
        let bytes: Vec<u8> = pixels.iter().map(|&v| (v >> 8) as u8).collect();
        let (mut out, mut same) = (vec![0; 12], bytes.clone());
        let src = Plane::new(&bytes, 4, 3).expect("made to fit");
        tone.apply_u8(src, PlaneMut::new(&mut out, 4, 3).expect("made to fit")).expect("good factors");
        tone.apply_u8_in_place(PlaneMut::new(&mut same, 4, 3).expect("made to fit")).expect("good factors");
        prop_assert_eq!(same, out);
    }

    #[test]
    fn the_identity_changes_no_integer(pixels in prop::collection::vec(any::<u16>(), 12)) {
        let mut same = pixels.clone();
        let image = PlaneMut::new(&mut same, 4, 3).expect("made to fit");
        IntensityJitter::<f32>::identity().apply_u16_in_place(image).expect("good factors");
        prop_assert_eq!(&same, &pixels);
    }
}

#[test]
fn tiers_have_their_own_ranges_weakest_where_there_is_most_information() {
    let policy = TierPolicy::<f64>::published();
    let width = |tier| policy.range(tier).brightness.1 - policy.range(tier).brightness.0;
    assert!(width(Tier::High) < width(Tier::Medium));
    assert_eq!(policy.range(Tier::Low), policy.low);
    assert_eq!(IntensityRange::<f64>::identity().draw(&mut Rng::new(0, 0)), IntensityJitter::default());
}

#[test]
fn empty_images_of_integers_are_left_alone() {
    let tone = IntensityJitter { brightness: 2.0, contrast: 0.5, gamma: 1.0 };
    assert_eq!(tone.apply_u8_in_place(PlaneMut::new(&mut [], 0, 3).expect("empty")), Ok(()));
    assert_eq!(tone.apply_u16_in_place(PlaneMut::new(&mut [], 0, 3).expect("empty")), Ok(()));
}

#[test]
fn bad_policies_are_errors() {
    let good = IntensityRange::<f64>::identity();
    let bad = IntensityRange { gamma: (0.0, 1.0), ..good };
    assert!(matches!(TierPolicy::new(good, bad, good), Err(AugmentError::Range { name: "gamma", .. })));
}

#[test]
fn bad_factors_are_errors() {
    let pixels = [0.5; 6];
    let src = Plane::new(&pixels, 3, 2).expect("made to fit");
    let mut out = [0.0; 6];
    let good = IntensityJitter::identity();
    for bad in [-0.1, f64::NAN, f64::INFINITY] {
        for tone in [
            IntensityJitter { brightness: bad, ..good },
            IntensityJitter { contrast: bad, ..good },
            IntensityJitter { gamma: bad, ..good },
            IntensityJitter { gamma: 0.0, ..good },
        ] {
            let dst = PlaneMut::new(&mut out, 3, 2).expect("made to fit");
            assert!(matches!(tone.apply_in_place(dst), Err(AugmentError::Factor { .. })), "{tone:?}");
        }
        assert!(matches!(
            IntensityRange::new((bad, 1.0), (1.0, 1.0), (1.0, 1.0)),
            Err(AugmentError::Range { name: "brightness", .. })
        ));
    }
    assert!(IntensityRange::new((1.0, 0.9), (1.0, 1.0), (1.0, 1.0)).is_err());
    assert!(IntensityRange::new((1.0, 1.0), (1.0, 1.0), (0.0, 1.0)).is_err());
    let dst = PlaneMut::new(&mut out, 2, 3).expect("made to fit");
    assert!(matches!(good.apply(src, dst), Err(AugmentError::Size { .. })));
}
