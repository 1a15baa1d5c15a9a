//! The map between an image and the encoder's canvas, and the hashes of files.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use infomark_core::{Point, Rng};
use infomark_infer::{
    Image, InputSize, Letterbox, LetterboxError, Normalisation, sha256, sha256_file, sha256_files,
    sha256_hashed_files,
};
use proptest::prelude::*;

fn fit(width: usize, height: usize, input: (usize, usize)) -> Letterbox {
    Letterbox::new(width, height, InputSize::new(input.0, input.1).unwrap()).unwrap()
}

/// An image whose value is a linear function of place, and that function.
fn ramp(width: usize, height: usize) -> (Image, impl Fn(Point<f64>) -> f64) {
    let (across, down) = (0.6 / width as f64, 0.3 / height as f64);
    let value = move |at: Point<f64>| 0.05 + across * at.x + down * at.y;
    let pixels = (0..width * height)
        .map(|i| value(Point::new((i % width) as f64, (i / width) as f64)) as f32)
        .collect();
    (Image::new("ramp", width, height, pixels).unwrap(), value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn push_and_pull_are_each_others_inverse(
        width in 1_usize..5000, height in 1_usize..5000,
        input in (1_usize..800, 1_usize..800), x in -100.0..5000.0, y in -100.0..5000.0,
    ) {
        let fit = fit(width, height, input);
        let back = fit.pull(fit.push(Point::new(x, y)));
        prop_assert!((back.x - x).abs() < 1e-6 && (back.y - y).abs() < 1e-6);
    }

    #[test]
    fn the_borders_of_the_image_are_the_borders_of_the_content(
        width in 1_usize..5000, height in 1_usize..5000, input in (1_usize..800, 1_usize..800),
    ) {
        let fit = fit(width, height, input);
        let content = fit.content();
        let first = fit.push(Point::new(-0.5, -0.5));
        let last = fit.push(Point::new(width as f64 - 0.5, height as f64 - 0.5));
        prop_assert!((first.x - (content.x as f64 - 0.5)).abs() < 1e-9);
        prop_assert!((first.y - (content.y as f64 - 0.5)).abs() < 1e-9);
        prop_assert!((last.x - ((content.x + content.width) as f64 - 0.5)).abs() < 1e-6);
        prop_assert!((last.y - ((content.y + content.height) as f64 - 0.5)).abs() < 1e-6);
        prop_assert!(content.x + content.width <= input.0 && content.y + content.height <= input.1);
        // One side fills the canvas, and the image is in the middle of the other.
        prop_assert!(content.width == input.0 || content.height == input.1);
        prop_assert!((input.0 - content.width).abs_diff(2 * content.x) <= 1);
        prop_assert!((input.1 - content.height).abs_diff(2 * content.y) <= 1);
    }

    #[test]
    fn resizing_is_that_of_the_image_crate_to_the_bit(
        width in 32_usize..200, height in 32_usize..200, input in (1_usize..300, 1_usize..300), seed: u64,
    ) {
        let mut rng = Rng::new(seed, 0);
        let pixels: Vec<f32> = (0..width * height).map(|_| rng.uniform()).collect();
        let original = ImageBuffer::<Luma<f32>, _>::from_raw(width as u32, height as u32, pixels.clone()).unwrap();
        let image = Image::new("noise", width, height, pixels).unwrap();
        let fit = fit(width, height, input);
        let content = fit.content();
        let (wide, high) = (content.width as u32, content.height as u32);
        let expected = imageops::resize(&original, wide, high, FilterType::Triangle).into_raw();
        let canvas = fit.apply(&image, Normalisation::UnitRange).unwrap();
        let rows = canvas.chunks_exact(input.0).skip(content.y).take(content.height);
        let found = rows.flat_map(|row| &row[content.x..][..content.width]);
        prop_assert!(found.map(|value| value.to_bits()).eq(expected.iter().map(|value| value.to_bits())));
    }

    #[test]
    fn pixels_land_where_points_land(
        width in 40_usize..300, height in 40_usize..300, input in (64_usize..200, 64_usize..200),
    ) {
        let fit = fit(width, height, input);
        let (image, value) = ramp(width, height);
        let canvas = fit.apply(&image, Normalisation::UnitRange).unwrap();
        prop_assert_eq!(canvas.len(), input.0 * input.1);
        let content = fit.content();
        // The filter is cut off at the border: two steps of the coarser grid are left out.
        let step = (width as f64 / content.width as f64).max(height as f64 / content.height as f64);
        // The filter's taps do not balance exactly at every ratio: a tenth of a step is allowed at
        // a pixel, a fiftieth on average.
        let allowed = 0.1 * step * (0.6 / width as f64 + 0.3 / height as f64);
        let (mut sum, mut count) = (0.0, 1.0);
        let inside = |at: f64, side: usize| at > 2.0 * step && at < side as f64 - 1.0 - 2.0 * step;
        for y in content.y..content.y + content.height {
            for x in content.x..content.x + content.width {
                let at = fit.pull(Point::new(x as f64, y as f64));
                if inside(at.x, width) && inside(at.y, height) {
                    let found = f64::from(canvas[y * input.0 + x]);
                    prop_assert!((found - value(at)).abs() < allowed, "{} {}", found, value(at));
                    sum += found - value(at);
                    count += 1.0;
                }
            }
        }
        prop_assert!(f64::abs(sum / count) < 0.2 * allowed, "{} over {}", sum, count);
    }
}

#[test]
fn the_edge_is_repeated_to_the_border_of_the_canvas() {
    for (width, height) in [(60, 120), (120, 60), (64, 64)] {
        let fit = fit(width, height, (96, 96));
        let canvas = fit.apply(&ramp(width, height).0, Normalisation::UnitRange).unwrap();
        let content = fit.content();
        for y in 0..96 {
            for x in 0..96 {
                let nearest_x = x.clamp(content.x, content.x + content.width - 1);
                let nearest_y = y.clamp(content.y, content.y + content.height - 1);
                assert_eq!(canvas[y * 96 + x], canvas[nearest_y * 96 + nearest_x]);
            }
        }
    }
}

#[test]
fn an_image_of_the_canvas_size_is_left_as_it_is() {
    let (image, _) = ramp(64, 96);
    assert_eq!(fit(64, 96, (64, 96)).apply(&image, Normalisation::UnitRange).unwrap(), image.pixels());
}

#[test]
fn shrinking_averages_instead_of_skipping() {
    // Columns of 0 and 1: skipping would keep one of them.
    let pixels = (0..256 * 256).map(|i| (i % 2) as f32).collect();
    let stripes = Image::new("stripes", 256, 256, pixels).unwrap();
    for value in fit(256, 256, (64, 64)).apply(&stripes, Normalisation::UnitRange).unwrap() {
        assert!((value - 0.5).abs() < 0.08, "{value}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    assert!(matches!(InputSize::new(0, 64), Err(LetterboxError::Canvas { .. })));
    assert!(matches!(InputSize::new(64, 8193), Err(LetterboxError::Canvas { .. })));
    let input = InputSize::new(64, 64).unwrap();
    assert!(matches!(Letterbox::new(0, 5, input), Err(LetterboxError::Original { .. })));
    assert!(matches!(Letterbox::new(5, usize::MAX, input), Err(LetterboxError::Original { .. })));
    let other = fit(40, 40, (64, 64)).apply(&ramp(41, 40).0, Normalisation::UnitRange).unwrap_err();
    assert!(matches!(other, LetterboxError::OtherSize { width: 41, .. }));
}

#[test]
fn hashes_are_those_of_sha256sum() {
    // printf abc | sha256sum
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(b"abc"), abc);
    let folder = tempfile::TempDir::new().unwrap();
    let paths = ["a.png", "b.png"].map(|name| folder.path().join(name));
    for path in &paths {
        std::fs::write(path, b"abc").unwrap();
    }
    let expected = sha256(format!("{abc}  a.png\n{abc}  b.png\n").as_bytes());
    assert_eq!(sha256_files(&paths).unwrap(), expected);
    let hashed = paths.iter().map(|path| (path, sha256_file(path).unwrap()));
    assert_eq!(sha256_hashed_files(hashed), expected);
    let error = sha256_files([folder.path().join("gone.png")]).unwrap_err();
    assert!(error.to_string().contains("gone.png"));
}

#[test]
fn local_contrast_is_of_the_image_not_of_its_repeated_edge() {
    let (image, _) = ramp(40, 60);
    let wide = fit(40, 60, (128, 64)).apply(&image, Normalisation::LOCAL_CONTRAST).unwrap();
    let exact = fit(40, 60, (43, 64)).apply(&image, Normalisation::LOCAL_CONTRAST).unwrap();
    let (x, width) = ((128 - 43) / 2, 43);
    for (y, row) in wide.chunks_exact(128).enumerate() {
        assert_eq!(row[x..x + width], exact[y * width..][..width]);
        assert!(
            row[..x].iter().all(|v| *v == row[x])
                && row[x + width..].iter().all(|v| *v == row[x + width - 1])
        );
    }
    let plain = fit(40, 60, (43, 64)).apply(&image, Normalisation::UnitRange).unwrap();
    let bright =
        Image::new("half", 40, 60, image.pixels().iter().map(|v| v * 0.5).collect::<Vec<_>>()).unwrap();
    let half = fit(40, 60, (43, 64)).apply(&bright, Normalisation::LOCAL_CONTRAST).unwrap();
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far(&exact, &plain) > 0.1, "it does something");
    assert!(far(&exact, &half) < 0.5 * far(&plain, &[0.0; 43 * 64]), "less of the exposure is left");
    for (sigma, gain, floor) in [(0.0, 0.2, 0.02), (1.5, 0.2, 0.02), (0.1, f32::NAN, 0.02), (0.1, 0.2, -1.0)]
    {
        let bad = Normalisation::LocalContrast { sigma, gain, floor };
        assert_eq!(fit(40, 60, (43, 64)).apply(&image, bad).unwrap_err(), LetterboxError::Normalisation);
    }
}
