//! JPEG files of all kinds: read where every block is there, else refused by name.

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use infomark_infer::{Image, ImageError, ReadLimits, decode_image, read_image_size};
use infomark_tests::infer_jpeg::{JpegLs, SequentialJpeg};

const WIDTH: usize = 48;
const HEIGHT: usize = 40;

fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_image(bytes, "scan.jpg", &ReadLimits::default())
}

/// The error of a refused file, whose message has to name it and, after a semicolon, what to do.
fn refused(bytes: &[u8]) -> ImageError {
    let error = read(bytes).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("scan.jpg: ") && text.contains(';'), "{text}");
    error
}

fn ramp(bits: u32) -> Vec<u16> {
    let most = (1_u64 << bits) - 1;
    let count = (WIDTH * HEIGHT) as u64 - 1;
    (0..=count).map(|i| (i * most / count) as u16).collect()
}

fn position(bytes: &[u8], marker: [u8; 2]) -> usize {
    bytes.windows(2).position(|pair| pair == marker).unwrap()
}

/// A picture whose blocks need many bits, by an encoder of other authors.
fn by_another_encoder(colour: bool) -> Vec<u8> {
    let grey = GrayImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
        Luma([(x * 5 + y * 3) as u8 ^ (x * y % 23) as u8])
    });
    let image = DynamicImage::from(grey);
    let image = if colour { DynamicImage::from(image.to_rgb8()) } else { image };
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn files_of_the_reported_cases_are_read() {
    let image = read(include_bytes!("files/jpeg12.jpg")).unwrap();
    assert_eq!((image.width(), image.height()), (64, 48));
    let image = read(include_bytes!("files/bigtiff.tif")).unwrap();
    assert!(image.width() >= 32);
}

#[test]
fn the_first_half_of_a_jpeg_with_an_end_marker_is_refused() {
    for whole in [by_another_encoder(false), by_another_encoder(true)] {
        let expected = read(&whole).unwrap();
        let end = whole.len() - 2;
        // Without its end marker all of it is there.
        assert_eq!(
            read(&whole[..end]).map(|image| image.pixels().to_vec()).ok(),
            Some(expected.pixels().to_vec())
        );
        let scan = position(&whole, [0xFF, 0xDA]);
        for length in [scan + 40, (scan + end) / 2, end - 4] {
            let cut = [&whole[..length], &[0xFF, 0xD9]].concat();
            assert!(matches!(refused(&cut), ImageError::Damaged { .. }), "{length}");
        }
    }
}

#[test]
fn a_header_that_claims_more_than_the_data_hold_is_refused_at_once() {
    let (mut jpeg, _) = SequentialJpeg { bits: 8, step: 9, restart_interval: 0 }.encode(&ramp(8), WIDTH);
    let frame = position(&jpeg, [0xFF, 0xC0]);
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x0B, 0xB8, 0x40, 0]);
    assert!(matches!(refused(&jpeg), ImageError::Damaged { .. }));
    // So is a progressive one, whose coefficients would take as much memory again.
    jpeg[frame + 1] = 0xC2;
    jpeg[frame + 7] = 0x80;
    assert!(matches!(refused(&jpeg), ImageError::Damaged { .. }));
    jpeg[frame + 5] = 0x20;
    assert!(matches!(refused(&jpeg), ImageError::TooLarge { .. }));
}

#[test]
fn jpeg_ls_files_are_read() {
    for bits in [8, 12] {
        let samples = ramp(bits);
        let (file, _) = JpegLs { bits, near: 0, restart_lines: 0, preset: None }.encode(&samples, WIDTH);
        let image = read(&file).unwrap();
        if bits == 8 {
            let levels: Vec<u16> = image.to_levels().into_iter().map(u16::from).collect();
            assert_eq!(levels, samples);
        } else {
            assert!(image.pixels().is_sorted());
        }
    }
}

#[test]
fn kinds_of_jpeg_that_are_not_read_are_named() {
    let (whole, _) = SequentialJpeg { bits: 8, step: 9, restart_interval: 0 }.encode(&ramp(8), WIDTH);
    let frame = position(&whole, [0xFF, 0xC0]);
    let change = |offset: usize, value: u8| {
        let mut jpeg = whole.clone();
        jpeg[frame + offset] = value;
        refused(&jpeg)
    };
    for (offset, value, name) in
        [(1, 0xC9, "JPEG with arithmetic coding"), (1, 0xC6, "JPEG, hierarchical"), (6, 0, "DNL")]
    {
        let error = if offset == 6 {
            let mut jpeg = whole.clone();
            jpeg[frame + 5..frame + 7].fill(0);
            refused(&jpeg)
        } else {
            change(offset, value)
        };
        assert!(
            matches!(&error, ImageError::ForeignFormat { format, .. } if format.contains(name)),
            "{error}"
        );
    }
    let (mut mapped, _) = JpegLs { bits: 8, near: 0, restart_lines: 0, preset: None }.encode(&ramp(8), WIDTH);
    let scan = position(&mapped, [0xFF, 0xDA]);
    mapped[scan + 6] = 1;
    let error = refused(&mapped);
    assert!(
        matches!(&error, ImageError::ForeignFormat { format, .. } if format.contains("mapping table")),
        "{error}"
    );
    // A precision that its process does not have.
    assert!(matches!(change(4, 12), ImageError::Damaged { .. }));
}

#[test]
fn the_size_comes_from_the_header_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = by_another_encoder(false);
    let cut = &whole[..position(&whole, [0xFF, 0xDA])];
    let path = folder.path().join("a.jpg");
    std::fs::write(&path, cut).unwrap();
    assert_eq!(read_image_size(&path).unwrap(), (WIDTH, HEIGHT));
}
