//! DICOM files: what is shown, how large its pixels are, and what is refused without a word of the patient.

use std::fs;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use infomark_infer::{
    Calibration, Image, ImageError, PixelSpacing, ReadLimits, SpacingSource, decode_image, decode_levels,
    list_images, read_image_size,
};
use infomark_tests::infer_dicom::{Dicom, SECRET, lossless_jpeg, rle, syntax};
use proptest::prelude::*;
use tempfile::TempDir;

mod compressed;
mod encoding;
mod objects;
mod stated;

const WIDTH: usize = 40;
const HEIGHT: usize = 36;

fn decode(dicom: &Dicom) -> Result<Image, ImageError> {
    decode_image(&dicom.encode(), "scan.dcm", &ReadLimits::default())
}

/// The error of a refused file, whose message has to name the file and what to do, and nothing of the patient.
fn refused(dicom: &Dicom) -> ImageError {
    let error = decode(dicom).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("scan.dcm: ") && text.contains(';'), "{text}");
    assert!(!text.contains(SECRET), "{text}");
    error
}

/// The message of a file that is refused as damaged.
fn damaged(dicom: &Dicom) -> String {
    let error = refused(dicom);
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    error.to_string()
}

/// Samples that use all of so many bits.
fn samples(bits: u16) -> Vec<u16> {
    let most = (1_u32 << bits) - 1;
    let count = (WIDTH * HEIGHT) as u32;
    (0..count).map(|i| (u64::from(i) * u64::from(most) / u64::from(count - 1)) as u16).collect()
}

fn new(bits: u16) -> Dicom {
    Dicom::new(WIDTH as u16, HEIGHT as u16, bits, samples(bits))
}

fn close(image: &Image, expected: impl Fn(f64) -> f64, values: &[u16]) {
    for (&pixel, &value) in image.pixels().iter().zip(values) {
        let expected = expected(f64::from(value));
        assert!((f64::from(pixel) - expected).abs() < 1e-6, "{value}: {pixel}, not {expected}");
    }
}

#[test]
fn eight_bits_are_read_as_from_any_other_file() {
    let grey = GrayImage::from_raw(
        WIDTH as u32,
        HEIGHT as u32,
        samples(8).iter().map(|&sample| sample as u8).collect(),
    );
    let mut png = Cursor::new(Vec::new());
    DynamicImage::from(grey.unwrap()).write_to(&mut png, ImageFormat::Png).unwrap();
    let expected = decode_image(png.get_ref(), "scan.png", &ReadLimits::default()).unwrap();
    for syntax in [syntax::EXPLICIT, syntax::IMPLICIT, syntax::BIG] {
        let image = decode(&new(8).in_syntax(syntax)).unwrap();
        assert_eq!(image.pixels(), expected.pixels(), "{syntax}");
        assert_eq!((image.width(), image.height()), (WIDTH, HEIGHT));
    }
}

#[test]
fn every_depth_and_coding_gives_the_same_picture() {
    for bits in [8, 10, 12, 15, 16] {
        let dicom = new(bits).text((0x0028, 0x1050), "DS", "100").text((0x0028, 0x1051), "DS", "150.5 ");
        let expected = decode(&dicom).unwrap();
        let bytes = if bits > 8 { 2 } else { 1 };
        let lossless = lossless_jpeg(&samples(bits), WIDTH, bits as u8);
        for (name, other) in [
            ("implicit", dicom.clone().in_syntax(syntax::IMPLICIT)),
            ("big", dicom.clone().in_syntax(syntax::BIG)),
            ("rle", dicom.clone().compressed(syntax::RLE, vec![rle(&samples(bits), bytes)])),
            (
                "rle, padded",
                dicom
                    .clone()
                    .compressed(syntax::RLE, vec![[rle(&samples(bits), bytes), vec![0; 4]].concat()]),
            ),
            ("jpeg", dicom.clone().compressed(syntax::JPEG_LOSSLESS, vec![lossless.clone()])),
            (
                "fragments",
                dicom
                    .clone()
                    .compressed(syntax::JPEG_LOSSLESS, lossless.chunks(100).map(<[u8]>::to_vec).collect()),
            ),
        ] {
            let image = decode(&other).unwrap();
            assert_eq!(image.pixels(), expected.pixels(), "{bits} bits, {name}");
        }
    }
}

#[test]
fn the_window_functions_are_those_of_the_standard() {
    let window = |function: &str| {
        new(12).text((0x0028, 0x1050), "DS", "2000\\1").text((0x0028, 0x1051), "DS", "1000\\2").text(
            (0x0028, 0x1056),
            "CS",
            function,
        )
    };
    let (center, width) = (2000.0, 1000.0);
    let linear = |x: f64| (((x - (center - 0.5)) / (width - 1.0)) + 0.5).clamp(0.0, 1.0);
    close(&decode(&window("LINEAR")).unwrap(), linear, &samples(12));
    close(&decode(&window("")).unwrap(), linear, &samples(12));
    let exact = |x: f64| ((x - center) / width + 0.5).clamp(0.0, 1.0);
    close(&decode(&window("LINEAR_EXACT")).unwrap(), exact, &samples(12));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-4.0 * (x - center) / width).exp());
    close(&decode(&window("SIGMOID")).unwrap(), sigmoid, &samples(12));
}

#[test]
fn levels_hold_the_whole_range_and_their_window_is_what_is_shown() {
    let window = |function: &str| {
        new(12).text((0x0028, 0x1050), "DS", "2000").text((0x0028, 0x1051), "DS", "1000").text(
            (0x0028, 0x1056),
            "CS",
            function,
        )
    };
    let turned = window("LINEAR_EXACT").text((0x0028, 0x0004), "CS", "MONOCHROME1");
    for dicom in [window("LINEAR"), window("SIGMOID"), turned.clone(), new(12), new(8), new(16)] {
        assert!(infomark_tests::infer_mutate::image(&dicom.encode()));
    }
    let levels = |dicom: &Dicom| decode_levels(&dicom.encode(), "scan.dcm", &ReadLimits::default()).unwrap();
    let shown = levels(&window("LINEAR_EXACT"));
    assert_eq!((shown.levels[0], shown.levels[WIDTH * HEIGHT - 1]), (0, u16::MAX));
    assert!(shown.levels.windows(2).all(|pair| pair[0] < pair[1]), "each value stays apart");
    for (end, expected) in shown.window.into_iter().zip([1500.0 / 4095.0, 2500.0 / 4095.0]) {
        assert!((end - expected).abs() < 1e-9, "{end}");
    }
    let [low, high] = levels(&turned).window;
    assert!((low - (1.0 - shown.window[1])).abs() < 1e-9 && (high - (1.0 - shown.window[0])).abs() < 1e-9);
}

#[test]
fn without_a_window_values_are_stretched_as_in_sixteen_bit_png() {
    let words = samples(12);
    let grey = image::ImageBuffer::<Luma<u16>, _>::from_raw(WIDTH as u32, HEIGHT as u32, words).unwrap();
    let mut png = Cursor::new(Vec::new());
    DynamicImage::from(grey).write_to(&mut png, ImageFormat::Png).unwrap();
    let expected = decode_image(png.get_ref(), "scan.png", &ReadLimits::default()).unwrap();
    // A window without its centre says nothing.
    for dicom in [
        new(12),
        new(12).text((0x0028, 0x1051), "DS", "100"),
        new(12).text((0x0028, 0x1052), "DS", "-1024").text((0x0028, 0x1053), "DS", "2"),
    ] {
        let image = decode(&dicom).unwrap();
        let worst = image.pixels().iter().zip(expected.pixels()).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-6);
    }
}

#[test]
fn monochrome1_is_turned_round() {
    let dicom = new(12).text((0x0028, 0x1050), "DS", "2000").text((0x0028, 0x1051), "DS", "3000");
    let upright = decode(&dicom).unwrap();
    let turned = decode(&dicom.text((0x0028, 0x0004), "CS", "MONOCHROME1")).unwrap();
    for (a, b) in upright.pixels().iter().zip(turned.pixels()) {
        assert!((a + b - 1.0).abs() < 1e-6);
    }
}

#[test]
fn signed_values_and_rescaling_reach_the_window() {
    // 12 bits, two's complement: 0xFFF is -1; slope 2 and intercept -100 make -102 of it.
    let values: Vec<u16> = (0..WIDTH * HEIGHT).map(|i| ((i as i32 - 700) & 0xFFF) as u16).collect();
    let dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 12, values)
        .words((0x0028, 0x0103), "US", &[1])
        .text((0x0028, 0x1052), "DS", "-100")
        .text((0x0028, 0x1053), "DS", "2.0")
        .text((0x0028, 0x1050), "DS", "0")
        .text((0x0028, 0x1051), "DS", "2000")
        .text((0x0028, 0x1056), "CS", "LINEAR_EXACT");
    for syntax in [syntax::EXPLICIT, syntax::IMPLICIT, syntax::BIG] {
        let image = decode(&dicom.clone().in_syntax(syntax)).unwrap();
        for (i, &pixel) in image.pixels().iter().enumerate() {
            let value = 2.0 * (i as f64 - 700.0) - 100.0;
            let expected = (value / 2000.0 + 0.5).clamp(0.0, 1.0);
            assert!((f64::from(pixel) - expected).abs() < 1e-6, "{syntax}, {value}: {pixel}");
        }
    }
}

#[test]
fn look_up_tables_go_before_windows_and_rescaling() {
    let squares: Vec<u16> = (0..256_u32).map(|i| (i * i) as u16).collect();
    let dicom = new(8)
        .table((0x0028, 0x3000), 0, 16, &squares)
        .text((0x0028, 0x1053), "DS", "7")
        .text((0x0028, 0x1050), "DS", "32768")
        .text((0x0028, 0x1051), "DS", "65536")
        .text((0x0028, 0x1056), "CS", "LINEAR_EXACT");
    for syntax in [syntax::EXPLICIT, syntax::IMPLICIT, syntax::BIG] {
        let image = decode(&dicom.clone().in_syntax(syntax)).unwrap();
        close(&image, |x| x * x / 65536.0, &samples(8));
    }
    // Values below the first that is mapped take the first entry, those above the last take the last.
    let dicom =
        new(8).table((0x0028, 0x3010), 100, 10, &[0, 1023, 512, 256]).text((0x0028, 0x1050), "DS", "1");
    let expected = |x: f64| match x as i32 {
        ..=100 => 0.0,
        101 => 1.0,
        102 => 512.0 / 1023.0,
        _ => 256.0 / 1023.0,
    };
    close(&decode(&dicom).unwrap(), expected, &samples(8));
}

#[test]
fn bits_that_are_not_stored_are_ignored() {
    let high: Vec<u16> = samples(10).iter().map(|&sample| sample << 2 | 0xF003).collect();
    let dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 10, high).words((0x0028, 0x0102), "US", &[11]);
    assert_eq!(decode(&dicom).unwrap().pixels(), decode(&new(10)).unwrap().pixels());
}

fn spacing(elements: &[((u16, u16), &'static str, &str)]) -> Option<PixelSpacing> {
    let dicom = elements.iter().fold(new(8), |dicom, &(tag, vr, text)| dicom.text(tag, vr, text));
    decode(&dicom).unwrap().spacing().cloned()
}

#[test]
fn spacing_comes_with_its_source_and_calibration() {
    const PIXEL: (u16, u16) = (0x0028, 0x0030);
    const IMAGER: (u16, u16) = (0x0018, 0x1164);
    const TYPE: (u16, u16) = (0x0028, 0x0A02);
    const TEXT: (u16, u16) = (0x0028, 0x0A04);
    let check = |elements: &[_], x: f64, y: f64, source, calibration| {
        let spacing = spacing(elements).unwrap();
        assert_eq!((spacing.mm.x, spacing.mm.y), (x, y));
        assert_eq!((spacing.source, spacing.calibration), (source, calibration));
    };
    // Rows come first in DICOM.
    check(&[(IMAGER, "DS", "0.2\\0.1 ")], 0.1, 0.2, SpacingSource::ImagerPixelSpacing, Calibration::Detector);
    let both = [(PIXEL, "DS", "0.2\\0.1"), (IMAGER, "DS", "0.20\\0.10")];
    check(&both, 0.1, 0.2, SpacingSource::PixelSpacing, Calibration::Detector);
    let differ = [(PIXEL, "DS", "0.18\\0.09"), (IMAGER, "DS", "0.2\\0.1")];
    check(&differ, 0.09, 0.18, SpacingSource::PixelSpacing, Calibration::TypeNotStated);
    let fiducial = [(PIXEL, "DS", "0.18\\0.09"), (TYPE, "CS", "FIDUCIAL"), (TEXT, "LO", "ball of 25 mm")];
    let description = Some("ball of 25 mm".to_owned());
    check(&fiducial, 0.09, 0.18, SpacingSource::PixelSpacing, Calibration::Fiducial { description });
    let geometry = [differ[0], differ[1], (TYPE, "CS", "GEOMETRY")];
    let corrected = Calibration::Geometry { description: None };
    check(&geometry, 0.09, 0.18, SpacingSource::PixelSpacing, corrected);
    check(&[(PIXEL, "DS", "0.5\\0.5")], 0.5, 0.5, SpacingSource::PixelSpacing, Calibration::NotStated);
    let slice = [(PIXEL, "DS", "0.5\\0.5"), ((0x0008, 0x0060), "CS", "CT")];
    check(&slice, 0.5, 0.5, SpacingSource::PixelSpacing, Calibration::Slice);
    let film = [((0x0018, 0x2010), "DS", "0.17\\0.17")];
    check(&film, 0.17, 0.17, SpacingSource::NominalScannedPixelSpacing, Calibration::Detector);
}

#[test]
fn spacing_is_never_guessed() {
    let pixel = |text| spacing(&[((0x0028, 0x0030), "DS", text)]);
    for text in ["", "0\\0", "0.1", "0.1\\", "-0.1\\0.1", "1e9\\1e9"] {
        assert_eq!(pixel(text), None, "{text}");
    }
    // The shape of a pixel is not its size.
    assert_eq!(spacing(&[((0x0028, 0x0034), "IS", "1\\1")]), None);
    assert_eq!(spacing(&[]), None);
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let syntax_of = |dicom: &Dicom| match refused(dicom) {
        ImageError::TransferSyntax { syntax, .. } => syntax,
        error => panic!("{error}"),
    };
    // A known one by its name and number, another by its number.
    let video = syntax_of(&new(8).compressed("1.2.840.10008.1.2.4.102", vec![vec![0, 0]]));
    assert!(video.contains("MPEG-4") && video.contains("1.2.840.10008.1.2.4.102"), "{video}");
    let unknown = syntax_of(&new(8).in_syntax("1.2.3"));
    assert!(unknown.contains("1.2.3"), "{unknown}");
    syntax_of(&new(8).in_syntax(SECRET));
    let error = refused(&new(8).text((0x0028, 0x0008), "IS", "12"));
    assert!(matches!(error, ImageError::Frames { frames: 12, .. }));
    decode(&new(8).text((0x0028, 0x0008), "IS", "1 ")).unwrap();
    for colour in ["RGB", "YBR_FULL_422", "PALETTE COLOR", SECRET] {
        let error = refused(&new(8).text((0x0028, 0x0004), "CS", colour));
        assert!(matches!(error, ImageError::Unsupported { .. }), "{colour}: {error}");
    }
    // Samples a pixel, bits allocated, bits stored, rows.
    let with = |element, value| refused(&new(8).words((0x0028, element), "US", &[value]));
    assert!(matches!(with(0x0002, 3), ImageError::Unsupported { .. }));
    assert!(matches!(with(0x0100, 32), ImageError::Unsupported { .. }));
    assert!(matches!(with(0x0101, 9), ImageError::Damaged { .. }));
    assert!(matches!(with(0x0010, 60_000), ImageError::TooWide { height: 60_000, max_side: 32_768, .. }));
    assert!(matches!(with(0x0010, 31), ImageError::TooSmall { height: 31, .. }));
    assert!(matches!(with(0x0010, 37), ImageError::Damaged { .. }));
    let jpeg = lossless_jpeg(&samples(8), WIDTH, 8);
    let other = new(8).words((0x0028, 0x0010), "US", &[37]).compressed(syntax::JPEG_LOSSLESS, vec![jpeg]);
    assert!(matches!(refused(&other), ImageError::Damaged { .. }));
    let mut bytes = new(8).encode();
    bytes.truncate(500);
    let error = decode_image(&bytes, "scan.dcm", &ReadLimits::default()).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
}

#[test]
fn a_header_that_claims_more_than_the_limits_is_refused_before_decoding() {
    let claim = new(16).words((0x0028, 0x0010), "US", &[20_000]).words((0x0028, 0x0011), "US", &[20_000]);
    let claim = claim.compressed(syntax::RLE, vec![rle(&samples(16), 2)]);
    assert!(matches!(refused(&claim), ImageError::TooLarge { .. }));
}

#[test]
fn sequences_within_sequences_without_end_are_refused() {
    let mut bytes = new(8).encode();
    let end = bytes.len() - WIDTH * HEIGHT - 12;
    bytes.truncate(end);
    for _ in 0..100_000 {
        bytes.extend([0x40, 0, 0x75, 2, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend([0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    let error = decode_image(&bytes, "scan.dcm", &ReadLimits::default()).unwrap_err();
    assert!(matches!(error, ImageError::TooMany { count: 101, most: 100, .. }), "{error}");
    let shallow = ReadLimits { max_depth: 7, ..ReadLimits::default() };
    let error = decode_image(&bytes, "scan.dcm", &shallow).unwrap_err();
    assert!(matches!(error, ImageError::TooMany { count: 8, most: 7, .. }), "{error}");
}

#[test]
fn a_folder_lists_dicom_files_by_content() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    for name in ["IM0001", "1.2.840.113619.2", "b.dcm", ".hidden"] {
        write(name, &new(8).encode());
    }
    write("DICOMDIR.txt", b"no image");
    write("empty", b"");
    let listed = list_images(folder.path()).unwrap();
    let names: Vec<_> = listed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["1.2.840.113619.2", "IM0001", "b.dcm"]);
    assert_eq!(read_image_size(&listed[0]).unwrap(), (WIDTH, HEIGHT));
}

proptest! {
    #[test]
    fn any_window_and_rescaling_gives_pixels_between_black_and_white(
        center in -1e6..1e6_f64, width in -10.0..1e6_f64, slope in -10.0..10.0_f64, intercept in -1e5..1e5_f64,
        function in prop::sample::select(vec!["LINEAR", "LINEAR_EXACT", "SIGMOID", "OTHER"]),
    ) {
        let dicom = new(12)
            .text((0x0028, 0x1050), "DS", &format!("{center:.3}"))
            .text((0x0028, 0x1051), "DS", &format!("{width:.3}"))
            .text((0x0028, 0x1052), "DS", &format!("{intercept:.3}"))
            .text((0x0028, 0x1053), "DS", &format!("{slope:.3}"))
            .text((0x0028, 0x1056), "CS", function);
        match decode(&dicom) {
            Ok(image) => prop_assert!(image.pixels().iter().all(|pixel| (0.0..=1.0).contains(pixel))),
            Err(ImageError::Element { element: "VOI LUT Function", .. }) => prop_assert_eq!(function, "OTHER"),
            Err(ImageError::Element { element: "Window Width", .. }) => prop_assert!(width < 1.0),
            Err(error) => prop_assert!(matches!(error, ImageError::Constant { .. }), "{}", error),
        }
    }
}
