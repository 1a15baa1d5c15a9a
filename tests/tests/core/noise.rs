//! Noise, blur and cutout; the bits of all kinds of views.

use infomark_core::{
    Affine, AugmentError, Border, Cutout, Elastic, Fill, IntensityJitter, Interpolation, Noise, Pixel, Plane,
    PlaneMut, Point, Real, Rng, View, blur, blur_scratch_len, elastic_controls_len, philox4x32,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

fn images() -> impl Strategy<Value = (Vec<f64>, usize, usize)> {
    (1usize..12, 1usize..12)
        .prop_flat_map(|(w, h)| (prop::collection::vec(0.0f64..=1.0, w * h), Just(w), Just(h)))
}

fn sigmas() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.05f64..6.0]
}

fn blurred<P: Pixel>(pixels: &[P], width: usize, sigma: f64) -> Vec<P> {
    let height = pixels.len() / width;
    let mut out = vec![P::WHITE; pixels.len()];
    let mut scratch = vec![P::Work::from_f64(f64::NAN); blur_scratch_len(width, height, sigma)];
    let dst = PlaneMut::new(&mut out, width, height).expect("made to fit");
    blur(Plane::new(pixels, width, height).expect("made to fit"), dst, sigma, &mut scratch).expect("good");
    out
}

proptest! {
    #[test]
    fn noise_does_not_depend_on_the_split(
        (pixels, width, height) in images(), seed: u64, stream: u64, x: u32, y: u32, a: usize, b: usize,
    ) {
        let noise = Noise::new(0.2, seed, stream).expect("finite");
        let mut whole = pixels.clone();
        noise.add(PlaneMut::new(&mut whole, width, height).expect("made to fit"), x, y);
        let (column, row) = (a % width, b % height);
        let mut pieces = pixels.clone();
        let spans = |at: usize, size: usize| [(0, at), (at, size - at)];
        for (top, h) in spans(row, height) {
            for (left, w) in spans(column, width) {
                let plane = PlaneMut::new(&mut pieces, width, height).expect("made to fit");
                let piece = plane.crop(left, top, w, h).expect("inside");
                noise.add(piece, x.wrapping_add(left as u32), y.wrapping_add(top as u32));
            }
        }
        prop_assert_eq!(&whole, &pieces);
        for (i, (value, before)) in whole.iter().zip(&pixels).enumerate() {
            let at = (x.wrapping_add((i % width) as u32), y.wrapping_add((i / width) as u32));
            let expected = (before + 0.2 * noise.normal(at.0, at.1)).clamp(0.0, 1.0);
            prop_assert!((value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn no_noise_changes_no_bit(pixels in prop::collection::vec(any::<u16>(), 12), seed: u64) {
        let noise = Noise::new(0.0, seed, 0).expect("finite");
        let mut same = pixels.clone();
        noise.add(PlaneMut::new(&mut same, 4, 3).expect("made to fit"), 0, 0);
        prop_assert_eq!(same, pixels);
    }

    #[test]
    fn noise_leaves_pixels_in_range(
        pixels in prop::collection::vec(any::<f32>(), 12), sigma in 0.0f64..1e300,
    ) {
        let mut out = pixels;
        let noise = Noise::new(sigma, 1, 0).expect("finite");
        noise.add(PlaneMut::new(&mut out, 4, 3).expect("made to fit"), 0, 0);
        prop_assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{:?}", out);
    }

    #[test]
    fn blur_equals_the_definition((pixels, width, height) in images(), sigma in sigmas()) {
        let out = blurred(&pixels, width, sigma);
        let single: Vec<f32> = pixels.iter().map(|&v| v as f32).collect();
        let bytes: Vec<u8> = pixels.iter().map(|v| (v * 255.0) as u8).collect();
        let (out_single, out_bytes) = (blurred(&single, width, sigma), blurred(&bytes, width, sigma));
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let bytes = Plane::new(&bytes, width, height).expect("made to fit");
        for i in 0..out.len() {
            let naive = core_oracle::blur(src, sigma, i % width, i / width);
            prop_assert!((out[i] - naive).abs() < tolerance::BLUR.0, "{} is not {}", out[i], naive);
            prop_assert!((f64::from(out_single[i]) - naive).abs() < tolerance::BLUR.1);
            let naive = core_oracle::blur(bytes, sigma, i % width, i / width);
            prop_assert!((f64::from(out_bytes[i]) - naive).abs() < tolerance::GREY_U8);
        }
    }

    #[test]
    fn blur_keeps_the_mean((pixels, width, _) in images(), sigma in sigmas()) {
        let mean = |pixels: &[f64]| pixels.iter().sum::<f64>() / pixels.len() as f64;
        let out = blurred(&pixels, width, sigma);
        prop_assert!((mean(&out) - mean(&pixels)).abs() < 1e-12);
    }

    #[test]
    fn blur_leaves_a_constant_as_it_is(
        value in any::<f32>(), width in 1usize..9, height in 1usize..9, sigma in sigmas(),
    ) {
        prop_assume!(value.is_finite());
        let out = blurred(&vec![value; width * height], width, sigma);
        prop_assert!(out.iter().all(|v| *v == value));
    }

    #[test]
    fn cutout_hides_whole_rectangles_inside(
        seed: u64, width in 1usize..20, height in 1usize..20, low in 0usize..9, more in 0usize..30,
    ) {
        let side = (low, low + more);
        let cutout = Cutout::new(1, side, side, Fill::Value(2.0)).expect("in order");
        let mut image = vec![1.0; width * height];
        cutout.apply(PlaneMut::new(&mut image, width, height).expect("fits"), &mut Rng::new(seed, 0));
        let hidden: Vec<_> = (0..image.len()).filter(|&i| image[i] == 2.0).collect();
        let sides = |of: &dyn Fn(usize) -> usize| {
            let (first, last) = (hidden.iter().map(|&i| of(i)).min(), hidden.iter().map(|&i| of(i)).max());
            first.zip(last).map_or(0, |(first, last)| last - first + 1)
        };
        let (w, h) = (sides(&|i| i % width), sides(&|i| i / width));
        prop_assert_eq!(hidden.len(), w * h);
        if low > 0 {
            let possible = |size: usize| low.min(size)..=(low + more).min(size);
            prop_assert!(possible(width).contains(&w) && possible(height).contains(&h));
        }
    }
}

proptest! {
    #[test]
    fn noise_is_the_quantile_of_a_random_word(seed: u64, stream: u64, x: u32, y: u32) {
        let halves = |v: u64| [v as u32, (v >> 32) as u32];
        let [low, high] = halves(stream);
        let word = philox4x32([x / 4, y, low, high], halves(seed))[(x % 4) as usize];
        let share = (f64::from(word) + 0.5) / 2f64.powi(32);
        let z = Noise::new(1.0, seed, stream).expect("finite").normal(x, y);
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let off = (core_oracle::normal_share(z) - share).abs();
        prop_assert!(off <= density * z.abs() * tolerance::QUANTILE + 1e-14, "{} off at {}", off, z);
    }
}

#[test]
fn noise_is_normal() {
    // One million numbers: a mean is off by 0.001, a variance by 0.0014, a fourth moment by 0.01, deviations.
    let noise = Noise::new(1.0, 5, 6).expect("finite");
    let (mut sums, mut beyond) = ([0.0; 5], [0u32; 3]);
    let (mut across, mut down) = (0.0, 0.0);
    for y in 0..1000 {
        for x in 0..1000 {
            let v = noise.normal(x, y);
            for (power, sum) in sums.iter_mut().enumerate() {
                *sum += v.powi(power as i32);
            }
            for (sigma, count) in [1.0, 2.0, 3.0].into_iter().zip(&mut beyond) {
                *count += u32::from(v.abs() > sigma);
            }
            across += v * noise.normal(x + 1, y);
            down += v * noise.normal(x, y + 1);
        }
    }
    let [count, mean, square, cube, fourth] = sums;
    assert!((mean / count).abs() < 0.004 && (square / count - 1.0).abs() < 0.006, "{mean} {square}");
    assert!((cube / count).abs() < 0.016 && (fourth / count - 3.0).abs() < 0.04, "{cube} {fourth}");
    assert!((across / count).abs() < 0.004 && (down / count).abs() < 0.004, "{across} {down}");
    for (count, expected) in beyond.into_iter().zip([317_311.0, 45_500.0, 2_700.0f64]) {
        assert!((f64::from(count) - expected).abs() < 4.0 * expected.sqrt(), "{count} is not {expected}");
    }
}

#[test]
fn noise_of_integers_has_the_deviation_asked_for() {
    let mut image = vec![128u8; 256 * 256];
    Noise::new(0.04, 1, 2).expect("finite").add(PlaneMut::new(&mut image, 256, 256).expect("fits"), 0, 0);
    let count = image.len() as f64;
    let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = image.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    // Rounding adds a variance of 1/12.
    let expected = (0.04f64 * 255.0).powi(2) + 1.0 / 12.0;
    assert!((mean - 128.0).abs() < 0.2 && (variance / expected - 1.0).abs() < 0.03, "{mean} {variance}");
}

#[test]
fn hidden_pixels_can_show_the_mean() {
    let mut image: Vec<u8> = (0..100).collect();
    let cutout = Cutout::new(3, (4, 4), (5, 5), Fill::Mean).expect("in order");
    cutout.apply(PlaneMut::new(&mut image, 10, 10).expect("fits"), &mut Rng::new(1, 0));
    // 49.5 is rounded up.
    let changed = (0..100u8).zip(&image).filter(|(before, after)| before != *after);
    assert!(changed.clone().count() >= 19);
    assert!(changed.into_iter().all(|(_, &after)| after == 50));
    let none = Cutout::new(1, (1, 1), (1, 1), Fill::Value(0u16)).expect("in order");
    none.apply(PlaneMut::new(&mut [], 0, 0).expect("empty"), &mut Rng::new(1, 0));
}

#[test]
fn bad_arguments_are_errors() {
    for sigma in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(Noise::new(sigma, 0, 0), Err(AugmentError::Factor { name: "noise", .. })));
    }
    let cutout = Cutout::new(1, (3, 2), (1, 1), Fill::Value(0u8));
    assert!(matches!(cutout, Err(AugmentError::Range { name: "width", .. })));
    let (pixels, mut out, mut scratch) = ([0u8; 6], [0u8; 6], [0f32; 100]);
    let src = Plane::new(&pixels, 3, 2).expect("fits");
    for sigma in [-0.1, f64::NAN, f64::INFINITY, 1025.0] {
        let dst = PlaneMut::new(&mut out, 3, 2).expect("fits");
        let done = blur(src, dst, sigma, &mut scratch);
        assert!(matches!(done, Err(AugmentError::Factor { name: "blur", .. })));
    }
    let dst = PlaneMut::new(&mut out, 2, 3).expect("fits");
    assert!(matches!(blur(src, dst, 1.0, &mut scratch), Err(AugmentError::Size { .. })));
    let dst = PlaneMut::new(&mut out, 3, 2).expect("fits");
    let needed = blur_scratch_len(3, 2, 1.0);
    let done = blur(src, dst, 1.0, &mut scratch[..needed - 1]);
    assert_eq!(done, Err(AugmentError::Scratch { needed, len: needed - 1 }));
    let empty = Plane::new(&[], 0, 2).expect("empty");
    assert_eq!(blur::<u8>(empty, PlaneMut::new(&mut [], 0, 2).expect("empty"), 1.0, &mut scratch), Ok(()));
}

/// FNV-1a over the bits of all pixels.
fn hash(pixels: &[f32]) -> u64 {
    let bytes = pixels.iter().flat_map(|v| v.to_bits().to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn a_seed_gives_the_same_bits_on_every_machine() {
    const SIDE: usize = 40;
    let mut rng = Rng::new(11, 0);
    let pixels: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.uniform()).collect();
    let src = Plane::new(&pixels, SIDE, SIDE).expect("fits");
    let turn = Affine::rotation(0.4f32).expect("finite");
    let view = View::around(Point::new(18.0, 22.0), &turn, SIDE, SIDE).expect("near");
    let mut controls = vec![Point::new(0.0, 0.0); elastic_controls_len(SIDE, SIDE, 12)];
    let elastic = Elastic::draw(view, 12, 2.0, &mut rng, &mut controls).expect("smooth");
    let mut hashes = Vec::new();
    let mut out = vec![0.0; SIDE * SIDE];
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let dst = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
        view.resample(src, dst, interpolation, Border::Mirror).expect("good sizes");
        hashes.push(hash(&out));
        let dst = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
        elastic.resample(src, dst, interpolation, Border::Value(0.5)).expect("good sizes");
        hashes.push(hash(&out));
    }
    let mut noisy = pixels.clone();
    let noise = Noise::new(0.1, 3, 4).expect("finite");
    noise.add(PlaneMut::new(&mut noisy, SIDE, SIDE).expect("fits"), 0, 0);
    let tone = IntensityJitter { brightness: 1.3, contrast: 0.7, gamma: 1.1 };
    tone.apply_in_place(PlaneMut::new(&mut out, SIDE, SIDE).expect("fits")).expect("good factors");
    hashes.extend([hash(&noisy), hash(&blurred(&pixels, SIDE, 1.3)), hash(&out)]);
    let expected: [u64; 9] = [
        0x042c_12be_3978_685f,
        0x3c4f_178b_2b40_9fe6,
        0xba81_9fe8_62df_6e0a,
        0x597c_6ae8_2db7_3ae8,
        0x4515_9dd0_244d_3c35,
        0x0e27_04ec_4bae_4497,
        0x5d95_39dc_686c_e42e,
        0xef46_f1e0_5c4b_47c9,
        0xd4e2_8942_763a_03e6,
    ];
    assert_eq!(hashes, expected);
}
