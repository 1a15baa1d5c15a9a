//! Key points of planted blobs, and what must not change them.

use infomark_core::{
    KeyPoint, KeyPointError, KeyPointRule, Margin, Plane, Point, Rng, key_points, key_points_scratch_len,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

const WIDTH: usize = 72;
const HEIGHT: usize = 60;

#[derive(Clone, Copy, Debug)]
struct Blob {
    x: f64,
    y: f64,
    sigma: f64,
    height: f64,
}

/// Blobs whose surroundings hardly meet, bright and dark.
fn blobs(seed: u64, most: usize) -> Vec<Blob> {
    let mut rng = Rng::new(seed, 0);
    let mut blobs: Vec<Blob> = Vec::new();
    for i in 0..200 {
        let blob = Blob {
            x: rng.uniform_in(12.0, WIDTH as f64 - 13.0),
            y: rng.uniform_in(12.0, HEIGHT as f64 - 13.0),
            sigma: rng.uniform_in(2.5, 3.4),
            height: rng.uniform_in(0.25, 0.45) * if i % 2 == 0 { 1.0 } else { -1.0 },
        };
        let far = |other: &Blob| (other.x - blob.x).hypot(other.y - blob.y) > 18.0;
        if blobs.len() < most && blobs.iter().all(far) {
            blobs.push(blob);
        }
    }
    blobs
}

fn draw(blobs: &[Blob]) -> Vec<f64> {
    let value = |x: f64, y: f64| {
        let one =
            |b: &Blob| b.height * (-((x - b.x).powi(2) + (y - b.y).powi(2)) / (2.0 * b.sigma.powi(2))).exp();
        0.5 + blobs.iter().map(one).sum::<f64>()
    };
    (0..WIDTH * HEIGHT).map(|i| value((i % WIDTH) as f64, (i / WIDTH) as f64)).collect()
}

fn noise(seed: u64, width: usize, height: usize) -> Vec<f64> {
    let mut rng = Rng::new(seed, 1);
    (0..width * height).map(|_| rng.uniform()).collect()
}

fn rule() -> KeyPointRule<f64> {
    KeyPointRule { margin: Margin::Pixels(0), ..KeyPointRule::default() }
}

/// Finds many in noise.
fn busy() -> KeyPointRule<f64> {
    KeyPointRule { sigma: 0.8, contrast: 0.001, min_distance: 2.0, ..rule() }
}

fn find(image: &[f64], width: usize, rule: KeyPointRule<f64>, most: usize) -> Vec<KeyPoint<f64>> {
    let height = image.len() / width;
    let mut scratch = vec![f64::NAN; key_points_scratch_len(width, height)];
    let mut out = vec![KeyPoint { response: -1.0, ..KeyPoint::default() }; most];
    let image = Plane::new(image, width, height).expect("made to fit");
    let count = key_points(image, rule, &mut out, &mut scratch).expect("good arguments");
    assert!(out[count..].iter().all(|point| point.response == -1.0));
    out.truncate(count);
    out
}

/// Each image mirrored or transposed, and the key points moved along.
fn moved(
    image: &[f64],
    width: usize,
    pixel: impl Fn(usize, usize) -> (usize, usize),
    new_width: usize,
) -> Vec<f64> {
    let mut out = vec![0.0; image.len()];
    for (i, &value) in image.iter().enumerate() {
        let (x, y) = pixel(i % width, i / width);
        out[y * new_width + x] = value;
    }
    out
}

fn assert_same(found: &[KeyPoint<f64>], expected: &[KeyPoint<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
        let same = near(a.at.x, b.at.x) && near(a.at.y, b.at.y);
        assert!(same && near(a.sigma, b.sigma) && near(a.response, b.response), "{a:?} is not {b:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn key_points_equal_the_definition(
        seed: u64, width in 3usize..26, height in 3usize..26, levels in 1usize..4,
    ) {
        let image = noise(seed, width, height);
        let rule = KeyPointRule { levels, min_distance: 0.0, ..busy() };
        let naive = core_oracle::key_points(&image, width, rule);
        assert_same(&find(&image, width, rule, 500), &naive, tolerance::KEY_POINT);
    }

    #[test]
    fn the_centres_of_planted_blobs_are_the_best_key_points(seed: u64) {
        let blobs = blobs(seed, 5);
        let found = find(&draw(&blobs), WIDTH, rule(), blobs.len());
        prop_assert_eq!(found.len(), blobs.len());
        for blob in &blobs {
            let near = |p: &&KeyPoint<f64>| (p.at.x - blob.x).hypot(p.at.y - blob.y) < 0.3;
            let Some(point) = found.iter().find(near) else {
                panic!("{blob:?} is not among {found:?}");
            };
            prop_assert!((point.sigma / blob.sigma - 1.0).abs() < 0.1, "{point:?} for {blob:?}");
        }
    }

    #[test]
    fn a_mirrored_image_has_the_mirrored_key_points(seed: u64) {
        let image = noise(seed, 40, 33);
        let found = find(&image, 40, busy(), 500);
        prop_assert!(!found.is_empty());
        let across = find(&moved(&image, 40, |x, y| (39 - x, y), 40), 40, busy(), 500);
        let expected: Vec<_> =
            found.iter().map(|p| KeyPoint { at: Point::new(39.0 - p.at.x, p.at.y), ..*p }).collect();
        assert_same(&across, &expected, 1e-12);
        let down = find(&moved(&image, 40, |x, y| (x, 32 - y), 40), 40, busy(), 500);
        let expected: Vec<_> =
            found.iter().map(|p| KeyPoint { at: Point::new(p.at.x, 32.0 - p.at.y), ..*p }).collect();
        assert_same(&down, &expected, 1e-12);
    }

    #[test]
    fn a_transposed_image_has_the_transposed_key_points(seed: u64) {
        let image = noise(seed, 40, 33);
        let turned = find(&moved(&image, 40, |x, y| (y, x), 33), 33, busy(), 500);
        let expected: Vec<_> = find(&image, 40, busy(), 500)
            .iter()
            .map(|p| KeyPoint { at: Point::new(p.at.y, p.at.x), ..*p })
            .collect();
        assert_same(&turned, &expected, 1e-6);
    }

    #[test]
    fn a_negative_has_the_same_key_points(seed: u64) {
        let image = noise(seed, 33, 40);
        let negative: Vec<f64> = image.iter().map(|v| -v).collect();
        prop_assert_eq!(find(&image, 33, busy(), 500), find(&negative, 33, busy(), 500));
    }

    #[test]
    fn key_points_are_sorted_apart_and_inside_the_margin(
        seed: u64, margin in 0usize..12, share in 0.0f64..0.5, min_distance in 0.0f64..12.0,
    ) {
        let image = noise(seed, 48, 40);
        for (margin, columns, rows) in [
            (Margin::Pixels(margin), margin, margin),
            (Margin::Fraction(share), (48.0 * share) as usize, (40.0 * share) as usize),
        ] {
            let found = find(&image, 48, KeyPointRule { margin, min_distance, ..busy() }, 500);
            prop_assert!(found.is_sorted_by(|a, b| a.response >= b.response));
            for (i, p) in found.iter().enumerate() {
                let inside = |p: f64, m: usize, size: usize| {
                    let pixel = (p - 1e-9).round();
                    pixel >= m.max(1) as f64 - 1.0 && pixel <= (size - m.max(1)) as f64
                };
                prop_assert!(inside(p.at.x, columns, 48) && inside(p.at.y, rows, 40), "{p:?}");
                prop_assert!(p.response > busy().contrast);
                for other in &found[..i] {
                    let distance = (p.at.x - other.at.x).hypot(p.at.y - other.at.y);
                    prop_assert!(distance >= min_distance - 2f64.sqrt() - 1e-9);
                }
            }
        }
    }

    #[test]
    fn fewer_places_take_the_best_ones(seed: u64, most in 0usize..20) {
        let image = noise(seed, 48, 40);
        let all = find(&image, 48, busy(), 500);
        let best = find(&image, 48, busy(), most);
        prop_assert_eq!(&all[..most.min(all.len())], &best[..]);
    }

    #[test]
    fn a_least_distance_keeps_the_better_of_two_and_drops_no_more(seed: u64, min_distance in 0.0f64..14.0) {
        // Distances count between pixels, from which the refinement moves both.
        let image = draw(&blobs(seed, 5));
        let all = find(&image, WIDTH, KeyPointRule { min_distance: 0.0, ..rule() }, 500);
        let kept = find(&image, WIDTH, KeyPointRule { min_distance, ..rule() }, 500);
        prop_assert!(kept.iter().all(|p| all.contains(p)));
        for p in &all {
            let near = |k: &&KeyPoint<f64>| {
                let distance = (k.at.x - p.at.x).hypot(k.at.y - p.at.y);
                distance <= min_distance + 2f64.sqrt() && k.response >= p.response
            };
            prop_assert!(kept.contains(p) || kept.iter().any(|k| near(&k)), "{p:?} was dropped for nothing");
        }
    }

    #[test]
    fn brightness_and_contrast_of_the_image_only_scale_the_responses(seed: u64, scale in 0.5f64..2.0) {
        let image = draw(&blobs(seed, 4));
        let changed: Vec<f64> = image.iter().map(|v| v * scale).collect();
        let found = find(&image, WIDTH, rule(), 4);
        let scaled: Vec<_> =
            found.iter().map(|p| KeyPoint { response: p.response * scale, ..*p }).collect();
        assert_same(&find(&changed, WIDTH, rule(), 4), &scaled, 1e-6);
    }
}

#[test]
fn a_straight_edge_has_no_key_points_and_a_corner_has_some() {
    let edge: Vec<f64> = (0..48 * 48).map(|i| if i % 48 < 24 { 0.0 } else { 1.0 }).collect();
    assert_eq!(find(&edge, 48, rule(), 50), []);
    let corner: Vec<f64> = (0..48 * 48).map(|i| if i % 48 < 24 || i / 48 < 24 { 0.0 } else { 1.0 }).collect();
    let found = find(&corner, 48, rule(), 50);
    assert!(found.iter().any(|p| (p.at.x - 24.0).hypot(p.at.y - 24.0) < 6.0), "{found:?}");
}

#[test]
fn flat_and_tiny_images_have_no_key_points() {
    assert_eq!(find(&[0.7; 400], 20, rule(), 9), []);
    for width in [1, 2] {
        assert_eq!(find(&[0.1, 0.9, 0.3, 0.2], width, rule(), 9), []);
    }
    let mut scratch = vec![0.0; key_points_scratch_len(0, 5)];
    let empty = Plane::new(&[], 0, 5).expect("empty");
    assert_eq!(key_points(empty, rule(), &mut [KeyPoint::default()], &mut scratch), Ok(0));
}

#[test]
fn of_equal_key_points_the_first_by_row_comes_first() {
    // The same blob three times, the tile periodic under the mirror at its border.
    let tile = |x: usize, y: usize| {
        let (x, y) = ((x % 24) as f64 - 11.5, (y % 24) as f64 - 11.5);
        (-(x * x + y * y) / 12.0).exp()
    };
    let image: Vec<f64> = (0..48 * 48).map(|i| tile(i % 48, i / 48)).collect();
    let found = find(&image, 48, KeyPointRule { levels: 3, ..rule() }, 4);
    let places: Vec<_> =
        found.iter().map(|p| (p.at.x.round() as usize / 24, p.at.y.round() as usize / 24)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (0, 1), (1, 1)], "{found:?}");
}

#[test]
fn single_precision_finds_the_same_blobs() {
    let blobs = blobs(6, 5);
    let image: Vec<f32> = draw(&blobs).iter().map(|&v| v as f32).collect();
    let mut scratch = vec![0f32; key_points_scratch_len(WIDTH, HEIGHT)];
    let mut out = [KeyPoint::default(); 5];
    let image = Plane::new(&image, WIDTH, HEIGHT).expect("made to fit");
    assert_eq!(key_points(image, KeyPointRule::default(), &mut out, &mut scratch), Ok(blobs.len()));
    for (single, double) in out.iter().zip(find(&draw(&blobs), WIDTH, KeyPointRule::default(), 5)) {
        let at = single.at.cast::<f64>();
        assert!((at.x - double.at.x).hypot(at.y - double.at.y) < 1e-3, "{single:?} {double:?}");
    }
}

#[test]
fn bad_arguments_are_errors() {
    let image = [0.5; 16];
    let plane = Plane::new(&image, 4, 4).expect("made to fit");
    let mut scratch = vec![0.0; key_points_scratch_len(4, 4)];
    let mut out = [KeyPoint::default(); 2];
    let good = rule();
    for bad in [
        KeyPointRule { sigma: 0.0, ..good },
        KeyPointRule { sigma: f64::NAN, ..good },
        KeyPointRule { sigma: 33.0, ..good },
        KeyPointRule { per_octave: 0, ..good },
        KeyPointRule { levels: 0, ..good },
        KeyPointRule { levels: usize::MAX, per_octave: usize::MAX, ..good },
        KeyPointRule { levels: 30, ..good },
        KeyPointRule { contrast: -0.1, ..good },
        KeyPointRule { edge_ratio: 0.9, ..good },
        KeyPointRule { margin: Margin::Fraction(-0.1), ..good },
        KeyPointRule { min_distance: f64::INFINITY, ..good },
    ] {
        let refused = key_points(plane, bad, &mut out, &mut scratch);
        assert!(matches!(refused, Err(KeyPointError::Setting { .. })), "{bad:?}");
    }
    let needed = scratch.len();
    let short = key_points(plane, good, &mut out, &mut scratch[1..]);
    assert_eq!(short, Err(KeyPointError::Scratch { len: needed - 1, needed }));
    let mut image = image;
    image[6] = f64::NAN;
    let plane = Plane::new(&image, 4, 4).expect("made to fit");
    let refused = key_points(plane, good, &mut out, &mut scratch);
    assert!(matches!(refused, Err(KeyPointError::Value { x: 2, y: 1, .. })));
}
