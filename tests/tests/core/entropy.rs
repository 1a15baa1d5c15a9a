//! Entropy maps against their definition.

use infomark_core::{
    Binning, BinningError, EntropyError, EntropyMap, Neighbourhood, PatchBorder, Plane, PlaneMut, Rng,
    entropy_map, entropy_scratch_len,
};
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
    let mut scratch = vec![u64::MAX; entropy_scratch_len(k, width, height)];
    let plane = PlaneMut::new(&mut out, width, height).expect("made to fit");
    entropy_map(image, k, plane, &mut scratch).expect("good arguments");
    out
}

/// Whatever a map computes, into a buffer of its own.
fn compute(map: EntropyMap, image: Plane<'_, u8>, mask: Option<Plane<'_, bool>>) -> Vec<f64> {
    let (width, height) = map.output_size(image.width(), image.height());
    let mut out = vec![f64::NAN; width * height];
    let mut scratch = vec![u64::MAX; map.scratch_len(image.width(), image.height())];
    let plane = PlaneMut::new(&mut out, width, height).expect("made to fit");
    match mask {
        None => map.compute(image, plane, &mut scratch),
        Some(mask) => map.compute_masked(image, mask, plane, &mut scratch),
    }
    .expect("good arguments");
    out
}

fn neighbourhoods() -> impl Strategy<Value = Neighbourhood> {
    prop_oneof![
        (1usize..24).prop_map(|side| Neighbourhood::Square { side }),
        (0usize..12).prop_map(|radius| Neighbourhood::Disk { radius }),
    ]
}

fn borders() -> impl Strategy<Value = PatchBorder> {
    prop_oneof![Just(PatchBorder::Cut), Just(PatchBorder::Mirror), Just(PatchBorder::Clamp)]
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
    fn every_shape_border_step_and_mask_equals_the_definition(
        image in images(13),
        neighbourhood in neighbourhoods(),
        border in borders(),
        step in 1usize..9,
        kept in prop::option::of(0u64..=4),
        seed in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed, 0);
        let mask: Vec<bool> =
            (0..image.width * image.height).map(|_| rng.below(4) < kept.unwrap_or(4)).collect();
        let mask = kept.map(|_| Plane::new(&mask, image.width, image.height).expect("made to fit"));
        let map = EntropyMap::new(neighbourhood).border(border).step(step);
        let (width, _) = map.output_size(image.width, image.height);
        for (i, h) in compute(map, image.plane(), mask).into_iter().enumerate() {
            let (x, y) = (i % width * step, i / width * step);
            let naive = core_oracle::entropy_of(image.plane(), mask, neighbourhood, border, x, y);
            prop_assert!((h - naive).abs() <= tolerance::ENTROPY_F64, "({x}, {y}): {h} is not {naive}");
        }
    }

    #[test]
    fn a_mask_that_keeps_all_pixels_changes_no_bit(
        image in images(20),
        neighbourhood in neighbourhoods(),
        border in borders(),
    ) {
        let mask = vec![true; image.width * image.height];
        let mask = Plane::new(&mask, image.width, image.height).expect("made to fit");
        let map = EntropyMap::new(neighbourhood).border(border);
        prop_assert_eq!(compute(map, image.plane(), None), compute(map, image.plane(), Some(mask)));
    }

    #[test]
    fn no_split_of_the_work_changes_a_bit(
        image in images(24),
        neighbourhood in neighbourhoods(),
        border in borders(),
        step in 1usize..4,
        at in (0.0..1.0, 0.0..1.0),
    ) {
        let map = EntropyMap::new(neighbourhood).border(border).step(step);
        let whole = compute(map, image.plane(), None);
        let (width, height) = map.output_size(image.width, image.height);
        let (left, top) = ((width as f64 * at.0) as usize, (height as f64 * at.1) as usize);
        let mut scratch = vec![7; map.scratch_len(image.width, image.height)];
        let mut pieces = vec![f64::NAN; width * height];
        for (x, y, w, h) in [
            (0, 0, left, top),
            (left, 0, width - left, top),
            (0, top, left, height - top),
            (left, top, width - left, height - top),
        ] {
            let out = PlaneMut::new(&mut pieces, width, height).and_then(|p| p.crop(x, y, w, h));
            let done = map.compute_region(image.plane(), x, y, out.expect("inside"), &mut scratch);
            prop_assert_eq!(done, Ok(()));
        }
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn bins_have_the_width_they_should(
        low in any::<u16>(),
        more in 0u16..,
        grey in any::<u16>(),
    ) {
        let high = low.saturating_add(more);
        let above = usize::from(grey.clamp(low, high) - low);
        let few = Binning::<16>::new(low, high).expect("in order").bin(grey);
        prop_assert_eq!(few, above * 16 / (usize::from(high - low) + 1));
        let many = Binning::<256>::new(low, high).expect("in order").bin(grey);
        prop_assert_eq!(many, above * 256 / (usize::from(high - low) + 1));
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

/// Smooth, with a border of one level: counts of some levels grow past a byte and shrink again.
fn half_smooth(width: usize, height: usize) -> Image {
    let mut image = noise(width, height, 256);
    for (i, pixel) in image.pixels.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width);
        if x < width / 3 || (60..90).contains(&y) {
            *pixel = 0;
        } else if y > 90 {
            *pixel = (*pixel / 64) + (y / 7) as u8;
        }
    }
    image
}

#[test]
fn counts_that_outgrow_a_byte_and_shrink_again_equal_the_definition() {
    let (width, height) = (230, 240);
    let image = half_smooth(width, height);
    for k in [3, 8, 11, 12, 16, 31, 64, 127, 128, 129] {
        for border in [PatchBorder::Cut, PatchBorder::Mirror] {
            let map = compute(EntropyMap::square(k).border(border), image.plane(), None);
            for i in (0..map.len()).step_by(97) {
                let (x, y, shape) = (i % width, i / width, Neighbourhood::Square { side: k });
                let naive = core_oracle::entropy_of(image.plane(), None, shape, border, x, y);
                assert!((map[i] - naive).abs() <= tolerance::ENTROPY_F64, "k {k}: {} is not {naive}", map[i]);
            }
        }
    }
}

#[test]
fn what_the_tables_are_chosen_by_changes_no_bit() {
    // A strip of the image is too small for the table of pairs.
    let (width, height) = (230, 240);
    let image = half_smooth(width, height);
    for k in [8, 20, 33] {
        let whole = map(image.plane(), k);
        let strip = image.plane().crop(0, 0, width, 120).expect("inside");
        let rows = 120 - k;
        assert_eq!(map(strip, k)[..rows * width], whole[..rows * width]);
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

const FIRST: u64 = 11_617_834_163_231_816_780;

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
fn bad_arguments_of_a_general_map_are_errors() {
    let pixels = [0; 12];
    let image = Plane::new(&pixels, 4, 3).expect("made to fit");
    let mut out = [0f32; 12];
    let mut scratch = vec![0; 4096];
    let mut run = |map: EntropyMap, width, height| {
        let out = PlaneMut::new(&mut out[..width * height], width, height).expect("made to fit");
        map.compute(image, out, &mut scratch)
    };
    assert_eq!(run(EntropyMap::disk(1).step(0), 4, 3), Err(EntropyError::Step));
    assert_eq!(run(EntropyMap::square(0), 4, 3), Err(EntropyError::Window));
    assert!(matches!(run(EntropyMap::disk(1).step(2), 4, 3), Err(EntropyError::Size { width: 2, .. })));
    let endless = EntropyMap::square(usize::MAX);
    assert_eq!(run(endless, 4, 3), Ok(()));
    let endless = endless.border(PatchBorder::Clamp);
    assert!(matches!(run(endless, 4, 3), Err(EntropyError::TooLarge { .. })));
    assert_eq!(run(EntropyMap::disk(usize::MAX), 4, 3), Ok(()));
    let endless = EntropyMap::disk(usize::MAX).border(PatchBorder::Mirror);
    assert!(matches!(run(endless, 4, 3), Err(EntropyError::TooLarge { .. })));
    let map = EntropyMap::square(3);
    let part = PlaneMut::new(&mut out[..6], 3, 2).expect("made to fit");
    let outside = map.compute_region(image, 2, 0, part, &mut scratch);
    assert!(matches!(outside, Err(EntropyError::Size { width: 2, height: 3, .. })));
    let mask = Plane::new(&[true; 6], 3, 2).expect("made to fit");
    let whole = PlaneMut::new(&mut out, 4, 3).expect("made to fit");
    let masked = map.compute_masked(image, mask, whole, &mut scratch);
    assert!(matches!(masked, Err(EntropyError::Mask { mask_width: 3, .. })));
    assert_eq!(Binning::<1>::new(0, 9), Err(BinningError::Bins { bins: 1 }));
    assert_eq!(Binning::<257>::new(0, 9), Err(BinningError::Bins { bins: 257 }));
    assert_eq!(Binning::<16>::new(9, 8), Err(BinningError::Window { low: 9, high: 8 }));
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
