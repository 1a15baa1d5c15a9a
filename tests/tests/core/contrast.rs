//! Local contrast against its definition and its promises.

use infomark_core::{
    ContrastError, ContrastRule, Plane, PlaneMut, Real, local_contrast, local_contrast_scratch_len,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

fn rule<T: Real>(sigma: f64) -> ContrastRule<T> {
    ContrastRule { sigma_px: T::from_f64(sigma), gain: T::from_f64(0.2), floor: T::from_f64(0.02) }
}

fn normalised<T: Real>(pixels: &[T], width: usize, rule: ContrastRule<T>) -> Vec<T> {
    let height = pixels.len() / width;
    let mut out = vec![T::from_f64(f64::NAN); pixels.len()];
    let mut scratch = out[..1].repeat(local_contrast_scratch_len(width, height, rule.sigma_px.as_f64()));
    let dst = PlaneMut::new(&mut out, width, height).expect("made to fit");
    local_contrast(Plane::new(pixels, width, height).expect("made to fit"), dst, rule, &mut scratch)
        .expect("good");
    out
}

fn images() -> impl Strategy<Value = (Vec<f64>, usize)> {
    (1usize..14, 1usize..14)
        .prop_flat_map(|(width, height)| (prop::collection::vec(0.0f64..1.0, width * height), Just(width)))
}

proptest! {
    #[test]
    fn it_equals_the_definition((pixels, width) in images(), sigma in 0.05f64..9.0) {
        let out = normalised(&pixels, width, rule(sigma));
        let single: Vec<f32> = pixels.iter().map(|&v| v as f32).collect();
        let out_single = normalised(&single, width, rule(sigma));
        let src = Plane::new(&pixels, width, pixels.len() / width).expect("made to fit");
        for (i, naive) in core_oracle::local_contrast(src, rule(sigma)).into_iter().enumerate() {
            prop_assert!((out[i] - naive).abs() < tolerance::CONTRAST.0, "{} is not {}", out[i], naive);
            prop_assert!((f64::from(out_single[i]) - naive).abs() < tolerance::CONTRAST.1);
        }
    }

    #[test]
    fn exposure_drops_out((pixels, width) in images(), gain in 0.2f64..5.0, offset in -1.0f64..1.0) {
        let fine = |floor: f64| ContrastRule { floor, ..rule(3.0) };
        let changed: Vec<f64> = pixels.iter().map(|v| v * gain + offset).collect();
        let (a, b) = (normalised(&pixels, width, fine(0.02)), normalised(&changed, width, fine(0.02 * gain)));
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() < 1e-5, "{a} becomes {b}");
        }
    }

    #[test]
    fn it_commutes_with_mirroring((pixels, width) in images(), sigma in 0.5f64..6.0) {
        let mirror = |image: &[f64]| -> Vec<f64> {
            image.chunks_exact(width).flat_map(|row| row.iter().rev().copied()).collect()
        };
        let (a, b) = (mirror(&normalised(&pixels, width, rule(sigma))), normalised(&mirror(&pixels), width, rule(sigma)));
        for (a, b) in a.iter().zip(&b) {
            prop_assert!((a - b).abs() < tolerance::CONTRAST.0);
        }
    }

    #[test]
    fn a_constant_becomes_the_middle(value in -10.0f32..10.0, width in 1usize..9, height in 1usize..9) {
        let out = normalised(&vec![value; width * height], width, rule(4.0));
        prop_assert!(out.iter().all(|v| (v - 0.5).abs() < 1e-3), "{:?}", out);
    }
}

/// Three running means of 2 r + 1 pixels have the deviation that was asked for, up to what whole pixels allow.
#[test]
fn the_neighbourhood_is_as_wide_as_said() {
    const SIDE: usize = 401;
    for sigma in [2.0, 7.5, 30.0] {
        // What a single bright pixel takes from its surroundings shows the weights of the mean, as the floor is
        // far above the deviation.
        let mut dot = vec![0.0f64; SIDE];
        dot[SIDE / 2] = 1.0;
        let rule = ContrastRule { sigma_px: sigma, gain: 100.0, floor: 1e4 };
        let out = normalised(&dot, SIDE, rule);
        let weights = || {
            out.iter().enumerate().filter(|(x, _)| *x != SIDE / 2).map(|(x, v)| (x as f64 - 200.0, 0.5 - v))
        };
        let variance = weights().map(|(x, w)| x * x * w).sum::<f64>() / 0.01;
        assert!((variance.sqrt() - sigma).abs() < 0.5, "{} for {sigma}", variance.sqrt());
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (image, mut out) = ([0.5f32; 6], [0.0f32; 6]);
    let src = Plane::new(&image, 3, 2).expect("fits");
    let mut scratch = vec![0.0; local_contrast_scratch_len(3, 2, 4.0)];
    for (bad, name) in [
        (ContrastRule { sigma_px: 0.0, ..rule(4.0) }, "sigma"),
        (ContrastRule { sigma_px: f32::NAN, ..rule(4.0) }, "sigma"),
        (ContrastRule { sigma_px: 1025.0, ..rule(4.0) }, "sigma"),
        (ContrastRule { gain: f32::INFINITY, ..rule(4.0) }, "gain"),
        (ContrastRule { floor: 0.0, ..rule(4.0) }, "floor"),
    ] {
        let done = local_contrast(src, PlaneMut::new(&mut out, 3, 2).expect("fits"), bad, &mut scratch);
        assert!(matches!(done, Err(ContrastError::Setting { name: told, .. }) if told == name), "{done:?}");
    }
    let done = local_contrast(src, PlaneMut::new(&mut out, 2, 3).expect("fits"), rule(4.0), &mut scratch);
    assert!(matches!(done, Err(ContrastError::Size { width: 2, height: 3, of_width: 3, of_height: 2 })));
    let short = scratch.len() - 1;
    let done =
        local_contrast(src, PlaneMut::new(&mut out, 3, 2).expect("fits"), rule(4.0), &mut scratch[..short]);
    assert_eq!(done, Err(ContrastError::Scratch { needed: short + 1, len: short }));
    let broken = [0.5, 0.5, 0.5, 0.5, f32::NEG_INFINITY, 0.5];
    let src = Plane::new(&broken, 3, 2).expect("fits");
    let done = local_contrast(src, PlaneMut::new(&mut out, 3, 2).expect("fits"), rule(4.0), &mut scratch);
    assert!(matches!(done, Err(ContrastError::Value { x: 1, y: 1, .. })), "{done:?}");
    assert_eq!(out, [0.0; 6], "an error writes nothing");
}
