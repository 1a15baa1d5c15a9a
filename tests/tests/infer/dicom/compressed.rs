//! Compressed pixel data: read to the bit where they are lossless, and refused where something is missing.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use infomark_core::Rng;
use infomark_infer::ImageError;
use infomark_tests::infer_dicom::{Dicom, LosslessJpeg, jp2_file, jpeg_2000, syntax};
use infomark_tests::infer_jpeg::{JpegLs, SequentialJpeg};
use proptest::prelude::*;

use super::{HEIGHT, WIDTH, damaged, decode, new, refused, samples};

#[test]
fn damaged_lossless_jpeg_is_refused() {
    let encoder = LosslessJpeg { predictor: 4, restart_rows: 6, point_transform: 0 };
    let whole = encoder.encode(&samples(12), WIDTH, 12);
    let read = |jpeg: &[u8]| new(12).compressed(syntax::JPEG_LOSSLESS, vec![jpeg.to_vec()]);
    decode(&read(&whole)).unwrap();
    // Without the marker at its end all samples are there.
    let end = whole.len() - 2;
    decode(&read(&whole[..end])).unwrap();
    for length in [2, 30, 60, 100, end / 2, end - 2] {
        let cut = whole[..length].to_vec();
        damaged(&read(&cut));
        damaged(&read(&[cut.as_slice(), &[0xFF, 0xD9]].concat()));
    }
    let change = |marker: [u8; 2], offset: usize, value: u8| {
        let mut changed = whole.clone();
        let at = changed.windows(2).position(|pair| pair == marker).unwrap();
        changed[at + offset] = value;
        changed
    };
    // A restart marker out of order.
    damaged(&read(&change([0xFF, 0xD1], 1, 0xD2)));
    // An interval that is not of whole rows, a predictor and a point transform that do not exist, codes that overflow.
    damaged(&read(&change([0xFF, 0xDD], 5, 1)));
    for (marker, offset, value) in [([0xFF, 0xDA], 7, 0), ([0xFF, 0xDA], 7, 8), ([0xFF, 0xDA], 9, 12)] {
        damaged(&read(&change(marker, offset, value)));
    }
    damaged(&read(&change([0xFF, 0xC4], 5, 3)));
    // Another image than the data set says, and several components.
    damaged(&read(&change([0xFF, 0xC3], 8, 41)));
    damaged(&read(&change([0xFF, 0xC3], 9, 3)));
}

#[test]
fn baseline_jpeg_is_read() {
    let grey = GrayImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| Luma([(3 * x + 2 * y) as u8]));
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::from(grey.clone()).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let image = decode(&new(8).compressed(syntax::JPEG_BASELINE, vec![jpeg.into_inner()])).unwrap();
    let worst = image.to_levels().iter().zip(grey.into_raw()).map(|(a, b)| a.abs_diff(b)).max();
    assert!(worst < Some(12), "{worst:?}");
}

#[test]
fn baseline_jpeg_needs_all_of_its_blocks_but_no_end_marker() {
    let grey =
        GrayImage::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| Luma([(3 * x + 2 * y + x * y % 7) as u8]));
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::from(grey).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let whole = jpeg.into_inner();
    let read = |jpeg: &[u8]| new(8).compressed(syntax::JPEG_BASELINE, vec![jpeg.to_vec()]);
    let expected = decode(&read(&whole)).unwrap();
    let end = whole.len() - 2;
    assert_eq!(whole[end..], [0xFF, 0xD9]);
    assert_eq!(decode(&read(&whole[..end])).unwrap().pixels(), expected.pixels());
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    for length in [scan / 2, scan, scan + 30, (scan + end) / 2, end - 2] {
        let cut = whole[..length].to_vec();
        damaged(&read(&cut));
        damaged(&read(&[cut.as_slice(), &[0xFF, 0xD9]].concat()));
    }
}

/// A window over all of so many bits, whatever they are.
fn window(dicom: Dicom, bits: u32) -> Dicom {
    let most = f64::from((1_u32 << bits) - 1);
    dicom
        .text((0x0028, 0x1050), "DS", &(most / 2.0).to_string())
        .text((0x0028, 0x1051), "DS", &most.to_string())
        .text((0x0028, 0x1056), "CS", "LINEAR_EXACT")
}

/// Samples of so many bits: smooth, flat in parts, or any.
fn values(bits: u32, kind: usize, seed: u64) -> Vec<u16> {
    let mut rng = Rng::new(seed, 0);
    let most = (1_u32 << bits) - 1;
    let smooth = samples(bits as u16);
    let flat = rng.next_u32() & most;
    let any = |(index, value): (usize, u16)| match kind {
        0 => value,
        1 if index / 40 % 3 > 0 => (flat + rng.below(2) as u32).min(most) as u16,
        _ => (rng.next_u32() & most) as u16,
    };
    smooth.into_iter().enumerate().map(any).collect()
}

#[test]
fn twelve_bit_jpeg_needs_all_of_its_blocks() {
    let encoder = SequentialJpeg { bits: 12, step: 3, restart_interval: 4 };
    let (whole, _) = encoder.encode(&values(12, 1, 5), WIDTH);
    let read = |jpeg: &[u8]| new(12).compressed(syntax::JPEG_EXTENDED, vec![jpeg.to_vec()]);
    decode(&read(&whole)).unwrap();
    let end = whole.len() - 2;
    decode(&read(&whole[..end])).unwrap();
    for length in [end / 3, end / 2, end - 3] {
        damaged(&read(&[&whole[..length], &[0xFF, 0xD9]].concat()));
    }
    let missing = whole.windows(2).position(|pair| pair == [0xFF, 0xD2]).unwrap();
    damaged(&read(&[&whole[..missing], &whole[missing + 2..]].concat()));
}

#[test]
fn damaged_jpeg_ls_is_refused() {
    let encoder = JpegLs { bits: 12, near: 0, restart_lines: 7, preset: None };
    let (whole, _) = encoder.encode(&values(12, 2, 3), WIDTH);
    let read = |jpeg: &[u8]| new(12).compressed(syntax::JPEG_LS, vec![jpeg.to_vec()]);
    decode(&read(&whole)).unwrap();
    let end = whole.len() - 2;
    decode(&read(&whole[..end])).unwrap();
    for length in [2, 20, 40, end / 2, end - 3] {
        damaged(&read(&whole[..length]));
        damaged(&read(&[&whole[..length], &[0xFF, 0xD9]].concat()));
    }
    let change = |marker: [u8; 2], offset: usize, value: u8| {
        let mut changed = whole.clone();
        let at = changed.windows(2).position(|pair| pair == marker).unwrap();
        changed[at + offset] = value;
        changed
    };
    // A restart marker out of order, another interval, and a NEAR that is half of the range.
    damaged(&read(&change([0xFF, 0xD1], 1, 0xD2)));
    damaged(&read(&change([0xFF, 0xDD], 5, 8)));
    damaged(&read(&change([0xFF, 0xF7], 4, 1)));
}

#[test]
fn other_kinds_of_jpeg_are_refused_by_name() {
    let (whole, _) = SequentialJpeg { bits: 8, step: 3, restart_interval: 0 }.encode(&samples(8), WIDTH);
    let frame = whole.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    for (process, name) in [(0xC5, "hierarchical"), (0xC9, "arithmetic"), (0xCB, "arithmetic")] {
        let mut jpeg = whole.clone();
        jpeg[frame + 1] = process;
        let error = refused(&new(8).compressed(syntax::JPEG_EXTENDED, vec![jpeg]));
        assert!(
            matches!(&error, ImageError::TransferSyntax { syntax, .. } if syntax.contains(name)),
            "{error}"
        );
    }
}

#[test]
fn jpeg_of_thousands_of_scans_is_refused_at_once() {
    // The first scan again and again, in a progressive frame.
    let (whole, _) = SequentialJpeg { bits: 8, step: 3, restart_interval: 0 }.encode(&samples(8), WIDTH);
    let position = |marker: [u8; 2]| whole.windows(2).position(|pair| pair == marker).unwrap();
    let scan = position([0xFF, 0xDA]);
    let mut jpeg = whole[..scan].to_vec();
    jpeg[position([0xFF, 0xC0]) + 1] = 0xC2;
    for _ in 0..3000 {
        jpeg.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 63, 0]);
        jpeg.extend([0; 20]);
    }
    damaged(&new(8).compressed(syntax::JPEG_BASELINE, vec![jpeg]));
}

#[test]
fn jpeg_2000_is_read_to_the_bit() {
    let code = jpeg_2000();
    let values: Vec<u16> = (0..32 * 32).map(|i| (128 * (i / 32) + i % 32) as u16).collect();
    let window = |dicom: Dicom| {
        dicom.text((0x0028, 0x1050), "DS", "2048").text((0x0028, 0x1051), "DS", "4096").text(
            (0x0028, 0x1056),
            "CS",
            "LINEAR_EXACT",
        )
    };
    let plain = window(Dicom::new(32, 32, 12, values));
    let expected = decode(&plain).unwrap();
    let image = decode(&plain.clone().compressed(syntax::JPEG_2000, vec![code.clone()])).unwrap();
    assert_eq!(image.pixels(), expected.pixels());
    let error = refused(&plain.compressed(syntax::JPEG_2000, vec![code[..200].to_vec()]));
    assert!(matches!(error, ImageError::Damaged { .. }));
}

#[test]
fn values_that_loss_put_beyond_the_bits_stored_are_the_highest() {
    // White is not to turn black.
    let most = 4095;
    let bright: Vec<u16> = samples(12).into_iter().map(|value| value.max(most - value % 8)).collect();
    let (jpeg, shown) = JpegLs { bits: 16, near: 3, restart_lines: 0, preset: None }.encode(&bright, WIDTH);
    assert!(shown.iter().any(|&value| value > most), "the encoder");
    let expected: Vec<u16> = shown.into_iter().map(|value| value.min(most)).collect();
    let plain = window(Dicom::new(WIDTH as u16, HEIGHT as u16, 12, expected), 12);
    let image = decode(&plain.clone().compressed(syntax::JPEG_LS_NEAR, vec![jpeg])).unwrap();
    assert_eq!(image.pixels(), decode(&plain).unwrap().pixels());
    // Of JPEG 2000 the code has 12 bits.
    let values: Vec<u16> = (0..32 * 32).map(|i| (128 * (i / 32) + i % 32) as u16).collect();
    let plain = |values: Vec<u16>| window(Dicom::new(32, 32, 11, values), 11);
    for (syntax, values) in [
        (syntax::JPEG_2000_LOSS, values.iter().map(|&value| value.min(2047)).collect()),
        // Without loss the bits above are something else, such as an overlay.
        (syntax::JPEG_2000, values.iter().map(|&value| value & 2047).collect()),
    ] {
        let expected = decode(&plain(values)).unwrap();
        let image = decode(&plain(Vec::new()).compressed(syntax, vec![jpeg_2000()])).unwrap();
        assert_eq!(image.pixels(), expected.pixels(), "{syntax}");
    }
}

#[test]
fn jpeg_2000_in_a_jp2_file_is_read_as_its_code_stream() {
    let unsigned = jpeg_2000();
    // The same code with signed samples: half the range less.
    let mut signed = unsigned.clone();
    signed[42] |= 0x80;
    // One byte more, so that one of the two wrappers has an odd length.
    let comment = |code: &[u8]| {
        let at = code.windows(2).position(|pair| pair == [0xFF, 0x52]).unwrap();
        [&code[..at], &[0xFF, 0x64, 0, 5, 0, 0, 7], &code[at..]].concat()
    };
    for (code, representation, center) in [(&unsigned, 0, "2048"), (&signed, 1, "0")] {
        let dicom = Dicom::new(32, 32, 12, Vec::new())
            .words((0x0028, 0x0103), "US", &[representation])
            .text((0x0028, 0x1050), "DS", center)
            .text((0x0028, 0x1051), "DS", "4096")
            .text((0x0028, 0x1056), "CS", "LINEAR_EXACT");
        let read = |code: Vec<u8>| decode(&dicom.clone().compressed(syntax::JPEG_2000, vec![code]));
        let expected: Vec<f32> = (0..32 * 32).map(|i| (128 * (i / 32) + i % 32) as f32 / 4096.0).collect();
        for code in [code.clone(), comment(code)] {
            for file in [code.clone(), jp2_file(&code, 32, 32, false), jp2_file(&code, 32, 32, true)] {
                let image = read(file).unwrap();
                assert_eq!(image.pixels(), expected, "pixel representation {representation}");
            }
        }
    }
    let file = jp2_file(&unsigned, 32, 32, false);
    let read =
        |file: &[u8]| Dicom::new(32, 32, 12, Vec::new()).compressed(syntax::JPEG_2000, vec![file.to_vec()]);
    damaged(&read(&file[..file.len() - 10]));
    damaged(&read(&file[..77]));
}

proptest! {
    #[test]
    fn jpeg_ls_is_read_to_the_bit_with_every_depth_near_restart_interval_and_preset(
        bits in 2..=16_u32, near in 0..=6_i32, restart_lines in 0..=40_usize, kind in 0..3_usize, preset in 0..3_usize,
        seed in any::<u64>(),
    ) {
        let values = values(bits, kind, seed);
        let most = (1 << bits) - 1;
        let near = near.min(most / 2);
        let preset = match preset {
            0 => None,
            1 => Some([most, (near + 1).max(most / 9), most / 4, most / 2, 3].map(|value| value.max(near + 1).min(most).max(3))),
            _ => Some([0, 0, 0, 0, 255]),
        };
        // Thresholds are from NEAR + 1 to the greatest sample.
        let preset = preset.filter(|_| bits > 4);
        let encoder = JpegLs { bits, near, restart_lines, preset };
        let (jpeg, shown) = encoder.encode(&values, WIDTH);
        let off = |(a, b): (&u16, &u16)| i32::from(*a).abs_diff(i32::from(*b)) <= near as u32;
        prop_assert!(values.iter().zip(&shown).all(off), "the encoder");
        let plain = window(Dicom::new(WIDTH as u16, HEIGHT as u16, bits as u16, shown), bits);
        let expected = decode(&plain).unwrap();
        let image = decode(&plain.compressed(syntax::JPEG_LS_NEAR, vec![jpeg])).unwrap();
        prop_assert_eq!(image.pixels(), expected.pixels());
    }

    #[test]
    fn sequential_jpeg_is_read_to_half_a_level(
        wide in any::<bool>(), step in prop::sample::select(vec![1_u16, 3, 16, 255, 256, 700]), restart_interval in 0..=26_u16,
        kind in 0..3_usize, seed in any::<u64>(),
    ) {
        let bits = if wide { 12 } else { 8 };
        let encoder = SequentialJpeg { bits, step, restart_interval };
        let bits = u32::from(bits);
        let (jpeg, shown) = encoder.encode(&values(bits, kind, seed), WIDTH);
        let dicom = window(Dicom::new(WIDTH as u16, HEIGHT as u16, bits as u16, Vec::new()), bits);
        let image = decode(&dicom.compressed(syntax::JPEG_EXTENDED, vec![jpeg]));
        // Large steps may leave one level alone.
        let image = match image {
            Err(ImageError::Constant { .. }) => return Ok(()),
            image => image.unwrap(),
        };
        let most = f64::from((1_u32 << bits) - 1);
        for (&pixel, &exact) in image.pixels().iter().zip(&shown) {
            let level = f64::from(pixel) * most;
            prop_assert!((level - exact).abs() < 0.52, "{} instead of {}", level, exact);
        }
    }

    #[test]
    fn lossless_jpeg_is_read_to_the_bit_with_every_predictor_restart_interval_and_point_transform(
        bits in 2..=16_u16, predictor in 1..=7_u8, restart_rows in 0..=40_usize, shift in 0..16_u16, rough in any::<bool>(), seed in any::<u64>(),
    ) {
        let point_transform = shift.min(bits - 1);
        let mut rng = Rng::new(seed, 0);
        let most = (1_u32 << bits) - 1;
        let smooth = samples(bits);
        let values: Vec<u16> =
            smooth.into_iter().map(|value| if rough { (rng.next_u32() & most) as u16 } else { value }).collect();
        let kept: Vec<u16> = values.iter().map(|value| value >> point_transform << point_transform).collect();
        let window = |dicom: Dicom| {
            dicom
                .text((0x0028, 0x1050), "DS", &(f64::from(most) / 2.0).to_string())
                .text((0x0028, 0x1051), "DS", &most.to_string())
                .text((0x0028, 0x1056), "CS", "LINEAR_EXACT")
        };
        let encoder = LosslessJpeg { predictor, restart_rows, point_transform: point_transform as u8 };
        let jpeg = encoder.encode(&values, WIDTH, bits as u8);
        let plain = window(Dicom::new(WIDTH as u16, HEIGHT as u16, bits, kept));
        let expected = decode(&plain).unwrap();
        let image = decode(&plain.compressed(syntax::JPEG_LOSSLESS, vec![jpeg])).unwrap();
        prop_assert_eq!(image.pixels(), expected.pixels());
    }
}
