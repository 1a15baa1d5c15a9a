//! Entropy maps against their definition.
#![allow(clippy::expect_used, clippy::panic)] // A test may stop.

use infomark_core::{EntropyError, Plane, PlaneMut, Rng, entropy_map, entropy_scratch_len};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

/// An image with its size, and elements from a row to the next.
#[derive(Clone, Debug)]
struct Image {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    stride: usize,
}

impl Image {
    fn plane(&self) -> Plane<'_, u8> {
        Plane::with_stride(&self.pixels, self.width, self.height, self.stride).expect("made to fit")
    }
}

/// Images of any size up to `most`, with few grey levels or with many.
fn images(most: usize) -> impl Strategy<Value = Image> {
    (1..=most, 1..=most, 0usize..4, 0u8..=8).prop_flat_map(|(width, height, gap, shift)| {
        let stride = width + gap;
        prop::collection::vec(any::<u8>(), stride * height).prop_map(move |pixels| Image {
            pixels: pixels.iter().map(|v| v.checked_shr(shift.into()).unwrap_or(0)).collect(),
            width,
            height,
            stride,
        })
    })
}

fn map(image: Plane<'_, u8>, k: usize) -> Vec<f64> {
    let (width, height) = (image.width(), image.height());
    let mut out = vec![f64::NAN; width * height];
    // What the scratch holds before does not matter.
    let mut scratch = vec![u32::MAX; entropy_scratch_len(k, width, height)];
    let plane = PlaneMut::new(&mut out, width, height).expect("made to fit");
    entropy_map(image, k, plane, &mut scratch).expect("good arguments");
    out
}

fn noise(width: usize, height: usize, levels: u64) -> Image {
    let mut rng = Rng::new(5, levels);
    let pixels = (0..width * height).map(|_| rng.below(levels) as u8).collect();
    Image { pixels, width, height, stride: width }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_map_equals_the_definition_for_any_size_and_window(image in images(14), k in 1usize..40) {
        for (i, h) in map(image.plane(), k).into_iter().enumerate() {
            let naive = core_oracle::entropy(image.plane(), k, i % image.width, i / image.width);
            prop_assert!((h - naive).abs() <= tolerance::ENTROPY_F64, "{h} is not {naive}");
        }
    }

    #[test]
    fn entropy_lies_between_0_and_the_logarithm_of_levels_and_of_pixels(image in images(24), k in 1usize..30) {
        for (i, h) in map(image.plane(), k).into_iter().enumerate() {
            let columns = core_oracle::window(i % image.width, k, image.width).len();
            let rows = core_oracle::window(i / image.width, k, image.height).len();
            let most = ((columns * rows).min(256) as f64).ln();
            prop_assert!((0.0..=most + tolerance::ENTROPY_F64).contains(&h), "{h} above {most}");
        }
    }

    #[test]
    fn renaming_the_grey_levels_changes_no_bit(image in images(20), k in 1usize..25, shift in any::<u8>()) {
        let mut renamed = image.clone();
        for pixel in &mut renamed.pixels {
            *pixel = pixel.wrapping_mul(77).wrapping_add(shift);
        }
        prop_assert_eq!(map(image.plane(), k), map(renamed.plane(), k));
    }

    #[test]
    fn shuffling_the_pixels_of_one_window_changes_no_bit(image in images(16), seed in any::<u64>()) {
        // A window twice as large as the image covers it from every pixel.
        let k = 2 * image.width.max(image.height) + 1;
        let before = map(image.plane(), k);
        let mut rng = Rng::new(seed, 0);
        let mut shuffled = image.clone();
        for i in (1..image.width * image.height).rev() {
            let place = |i: usize| i / image.width * image.stride + i % image.width;
            shuffled.pixels.swap(place(i), place(rng.below(i as u64 + 1) as usize));
        }
        prop_assert_eq!(before, map(shuffled.plane(), k));
    }

    #[test]
    fn a_mirrored_image_has_the_mirrored_map_for_odd_windows(image in images(20), half in 0usize..9) {
        let k = 2 * half + 1;
        let mut mirrored = image.clone();
        for row in mirrored.pixels.chunks_mut(image.stride) {
            row[..image.width].reverse();
        }
        let mut expected = map(image.plane(), k);
        for row in expected.chunks_mut(image.width) {
            row.reverse();
        }
        prop_assert_eq!(expected, map(mirrored.plane(), k));
    }

    #[test]
    fn a_crop_has_the_same_map_where_its_windows_are_whole(image in images(24), k in 1usize..8) {
        let (before, after) = (k / 2, (k - 1) / 2);
        let (x, y) = (image.width / 3, image.height / 3);
        let (width, height) = (image.width - x, image.height - y);
        let part = image.plane().crop(x, y, width, height).expect("inside");
        let (whole, cut) = (map(image.plane(), k), map(part, k));
        for row in before..height.saturating_sub(after) {
            for column in before..width.saturating_sub(after) {
                prop_assert_eq!(cut[row * width + column], whole[(y + row) * image.width + x + column]);
            }
        }
    }
}

/// Compares a sample of pixels, and the corners, with the definition.
fn check_some(width: usize, height: usize, levels: u64, k: usize) {
    let image = noise(width, height, levels);
    let mut out = vec![0f32; width * height];
    let mut scratch = vec![0; entropy_scratch_len(k, width, height)];
    let plane = PlaneMut::new(&mut out, width, height).expect("made to fit");
    entropy_map(image.plane(), k, plane, &mut scratch).expect("good arguments");
    for i in (0..out.len()).step_by(4999).chain([0, width - 1, out.len() - 1]) {
        let naive = core_oracle::entropy(image.plane(), k, i % width, i / width);
        let h = f64::from(out[i]);
        assert!((h - naive).abs() <= tolerance::ENTROPY_F32, "k {k}, {levels} levels: {h} is not {naive}");
    }
}

#[test]
fn large_windows_equal_the_definition() {
    for (levels, k) in [(256, 63), (256, 64), (7, 127), (256, 128), (2, 129), (256, 255), (256, 1000)] {
        check_some(170, 150, levels, k);
    }
}

#[test]
fn no_count_overflows() {
    // One level fills windows of 225 and 256, of 65025 and 65536 pixels: counts of 8, 16 and 32 bits.
    for k in [15, 16, 255, 256, 257, 400] {
        for levels in [1, 2] {
            check_some(290, 270, levels, k);
        }
    }
}

#[test]
fn a_flat_image_has_no_entropy_at_all() {
    for k in [1, 2, 9, 10, 33] {
        let image = Image { pixels: vec![77; 23 * 17], width: 23, height: 17, stride: 23 };
        assert!(map(image.plane(), k).iter().all(|&h| h == 0.0));
    }
}

#[test]
fn all_256_levels_once_have_the_highest_entropy() {
    let pixels: Vec<u8> = (0..=255).collect();
    let image = Image { pixels, width: 16, height: 16, stride: 16 };
    for h in map(image.plane(), 33) {
        assert!((h - 256f64.ln()).abs() < tolerance::ENTROPY_F64);
    }
}

#[test]
fn a_window_of_even_side_reaches_further_up_and_left() {
    let mut pixels = vec![0; 25];
    pixels[12] = 1;
    let image = Image { pixels, width: 5, height: 5, stride: 5 };
    let touched: Vec<_> = (0..25).filter(|&i| map(image.plane(), 2)[i] > 0.0).collect();
    assert_eq!(touched, [12, 13, 17, 18]);
}

#[test]
fn the_map_is_the_same_to_the_bit_as_when_it_was_first_computed() {
    let bits = map(noise(40, 30, 200).plane(), 9)
        .iter()
        .fold(0u64, |sum, h| sum.rotate_left(5).wrapping_add(h.to_bits()));
    assert_eq!(bits, FIRST);
}

const FIRST: u64 = 5_901_978_130_546_468_704;

#[test]
fn bad_arguments_are_errors() {
    let pixels = [0; 12];
    let image = Plane::new(&pixels, 4, 3).expect("made to fit");
    let mut out = [0f32; 12];
    let mut scratch = vec![0; entropy_scratch_len(3, 4, 3)];
    let plane = PlaneMut::new(&mut out, 4, 3).expect("made to fit");
    assert_eq!(entropy_map(image, 0, plane, &mut scratch), Err(EntropyError::Window));
    let plane = PlaneMut::new(&mut out, 3, 4).expect("made to fit");
    assert!(matches!(entropy_map(image, 3, plane, &mut scratch), Err(EntropyError::Size { .. })));
    let plane = PlaneMut::new(&mut out, 4, 3).expect("made to fit");
    scratch.pop();
    assert!(matches!(entropy_map(image, 3, plane, &mut scratch), Err(EntropyError::Scratch { .. })));
    assert_eq!(out, [0.0; 12], "the output is left alone");
}

#[test]
fn an_empty_image_is_left_as_it_is() {
    for (width, height) in [(0, 0), (5, 0), (0, 5)] {
        let image = Plane::new(&[], width, height).expect("empty");
        let out = PlaneMut::<f64>::new(&mut [], width, height).expect("empty");
        let mut scratch = vec![0; entropy_scratch_len(9, width, height)];
        assert_eq!(entropy_map(image, 9, out, &mut scratch), Ok(()));
    }
}
