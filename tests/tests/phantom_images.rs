//! The phantom: reproducible, exact, inside the image.

#![cfg(feature = "files")]

use infomark_phantom::{LANDMARKS, Phantom, PhantomError};

/// FNV-1a: a checksum that needs no dependency.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn an_image_depends_on_its_seed_and_index_alone() {
    let phantom = Phantom::default();
    let image = phantom.image(3, 5);
    assert_eq!(image, phantom.image(3, 5));
    assert_ne!(image.pixels, phantom.image(3, 6).pixels);
    assert_ne!(image.pixels, phantom.image(4, 5).pixels);
}

#[test]
fn the_bits_are_the_same_on_every_machine() {
    let image = Phantom::default().image(1, 0);
    assert_eq!(checksum(&image.pixels), CHECKSUM);
}

const CHECKSUM: u64 = 7_290_832_573_711_926_965;

#[test]
fn landmarks_lie_inside_every_image_of_every_size() -> Result<(), PhantomError> {
    for (width, height) in [(256, 320), (64, 64), (200, 130), (97, 260)] {
        let phantom = Phantom::new(width, height)?;
        for index in 0..25 {
            let image = phantom.image(11, index);
            let names: Vec<_> = image.landmarks.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, LANDMARKS);
            for (name, at) in image.landmarks {
                let inside =
                    at.x >= 1.0 && at.y >= 1.0 && at.x <= width as f64 - 2.0 && at.y <= height as f64 - 2.0;
                assert!(inside, "{name} of {index} at {at:?} in {width} x {height}");
            }
        }
    }
    Ok(())
}

#[test]
fn images_use_the_grey_levels_and_differ_in_pose() {
    let phantom = Phantom::default();
    let mut xs = Vec::new();
    for index in 0..12 {
        let image = phantom.image(2, index);
        let dark = image.pixels.iter().filter(|&&v| v < 60).count();
        let bright = image.pixels.iter().filter(|&&v| v > 120).count();
        let whole = image.pixels.len();
        assert!(dark * 20 > whole, "index {index}: {dark} dark pixels");
        assert!(bright * 20 > whole, "index {index}: {bright} bright pixels");
        xs.push(image.landmarks[0].1.x);
    }
    let (low, high) = xs.iter().fold((f64::MAX, f64::MIN), |(low, high), &x| (low.min(x), high.max(x)));
    assert!(high - low > 10.0, "sella moves only from {low} to {high}");
}

#[test]
fn the_landmark_follows_the_drawing() {
    // The fossa of the sella is a hollow: darker than the bone around it, in every image.
    let phantom = Phantom::default();
    let mut darker = 0;
    for index in 0..20 {
        let image = phantom.image(9, index);
        let mean = |dx: f64, dy: f64| {
            let at = image.landmarks[0].1;
            let (x, y) = ((at.x + dx).round() as usize, (at.y + dy).round() as usize);
            let mut sum = 0;
            for row in y - 1..=y + 1 {
                for column in x - 1..=x + 1 {
                    sum += u32::from(image.pixels[row * image.width + column]);
                }
            }
            sum
        };
        darker += usize::from(mean(0.0, 0.0) < mean(-8.0, 3.0));
    }
    assert!(darker >= 19, "only {darker} of 20");
}

#[test]
fn sizes_that_show_nothing_are_refused() {
    for (width, height) in [(0, 0), (63, 320), (256, 5000)] {
        assert_eq!(Phantom::new(width, height), Err(PhantomError::Size { width, height }));
    }
}
