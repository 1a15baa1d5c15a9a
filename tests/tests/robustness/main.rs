//! Mutated files of every kind that is read: each gives a result or an error in words, and none takes more memory than it may.
#![cfg(feature = "files")]
#![allow(missing_docs, clippy::unwrap_used, unsafe_code)] // Tests; a global allocator cannot be written without.

mod memory;
mod strict;

use std::io::{Cursor, Read};

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_core::Point;
use infomark_infer::{
    Annotated, CalibrationKey, CocoIndex, Confidence, Encoder, ErrorCalibration, Image, ImageContext,
    ImageError, ItkGeometry, Landmark, LandmarkFormat, ReadLimits, Template, WriteOptions, decode_image,
    encode_landmarks, parse_landmarks_of, read_image,
};
use infomark_tests::infer_dicom::{Dicom, jpeg_2000, lossless_jpeg, rle, syntax};
use infomark_tests::infer_fixture::{encoder, landmark_model, model, texture};
use infomark_tests::infer_jpeg::{JpegLs, SequentialJpeg};
use infomark_tests::infer_mutate::{
    self, MAX_BYTES, damaged, redescribed, retold, rewired, rewritten, with_header,
};
use infomark_tests::infer_nifti::nifti;
use memory::peak_of;
use prost::Message;

/// An image file, with what is to be read from it.
struct Whole {
    bytes: Vec<u8>,
    size: (usize, usize),
    /// None where only the size is known.
    pixels: Option<Vec<f32>>,
    /// Greatest mean difference of the pixels; 0 takes no difference beyond rounding in any pixel.
    mean_error: f32,
}

/// What becomes of mutants, as shares of them.
struct Bounds {
    /// The least that is refused.
    refused: f64,
    /// The most that is read with another size or other pixels.
    changed: f64,
    /// How many times the pixels of the whole file one may have.
    growth: usize,
}

fn decoded(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_image(
        bytes,
        "image",
        &ReadLimits { max_side: 4096, max_bytes: MAX_BYTES, ..ReadLimits::default() },
    )
}

/// Samples of more than eight bits as they are shown: from the 0.1 to the 99.9 percentile.
fn stretched(samples: &[f32]) -> Vec<f32> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f32::total_cmp);
    let clipped = samples.len() / 1000;
    let (low, high) = (sorted[clipped], sorted[samples.len() - 1 - clipped]);
    samples.iter().map(|sample| ((sample - low) / (high - low)).clamp(0.0, 1.0)).collect()
}

/// Reads an image file, which has to give its pixels, and mutants of it, of which some have to be refused.
fn images(name: &str, whole: &Whole, mutants: impl Iterator<Item = Vec<u8>>, bounds: Bounds) {
    assert!(infer_mutate::image(&whole.bytes), "{name}: the whole file is refused");
    let original = decoded(&whole.bytes).unwrap();
    assert_eq!((original.width(), original.height()), whole.size, "{name}");
    if let Some(pixels) = &whole.pixels {
        let errors: Vec<f32> = original.pixels().iter().zip(pixels).map(|(a, b)| (a - b).abs()).collect();
        let mean = errors.iter().sum::<f32>() / errors.len() as f32;
        let worst = errors.iter().copied().fold(0.0, f32::max);
        let close = if whole.mean_error == 0.0 { worst < 1e-5 } else { mean < whole.mean_error };
        assert!(close, "{name}: the pixels are {mean} off, {worst} at worst");
    }
    let (mut mutated, mut refused, mut same, mut largest) = (0, 0, 0, 0);
    for (index, bytes) in mutants.enumerate().filter(|(_, bytes)| *bytes != whole.bytes) {
        mutated += 1;
        let mut is_read = false;
        let seen = peak_of(|| is_read = infer_mutate::image(&bytes));
        assert!(seen <= MAX_BYTES as isize, "{name} {index}: {seen} bytes held");
        if !is_read {
            refused += 1;
            continue;
        }
        let image = decoded(&bytes).unwrap();
        let pixels = image.width() * image.height();
        largest = largest.max(pixels);
        let most = whole.size.0 * whole.size.1 * bounds.growth;
        assert!(pixels <= most, "{name} {index}: {} x {} pixels", image.width(), image.height());
        same +=
            usize::from((image.width(), image.height()) == whole.size && image.pixels() == original.pixels());
    }
    let changed = mutated - refused - same;
    println!(
        "{name}: of {mutated} mutants {refused} are refused, {same} read as the original, {changed} as another, \
         the largest of {largest} pixels"
    );
    let share = |count: usize| count as f64 / mutated.max(1) as f64;
    assert!(mutated >= 100, "{name}: {mutated} mutants");
    assert!(share(refused) >= bounds.refused, "{name}: {refused} of {mutated} mutants were refused");
    assert!(
        share(changed) <= bounds.changed,
        "{name}: {changed} of {mutated} mutants were read as another image"
    );
}

fn dicom() -> Vec<(&'static str, Dicom, Whole)> {
    let (width, height) = (40_usize, 36_usize);
    let samples: Vec<u16> = (0..width * height).map(|i| (i * 2) as u16 & 0xFFF).collect();
    let square: Vec<u16> = (0..64).map(|i| i * i).collect();
    let plain = Dicom::new(width as u16, height as u16, 12, samples.clone())
        .text((0x0028, 0x0030), "DS", "0.143\\0.143")
        .text((0x0018, 0x1164), "DS", "0.15\\0.15")
        .text((0x0028, 0x1050), "DS", "2000")
        .text((0x0028, 0x1051), "DS", "4000")
        .text((0x0028, 0x1052), "DS", "-10")
        .text((0x0028, 0x1053), "DS", "1.5");
    let jpeg = lossless_jpeg(&samples, width, 12);
    let (jpeg_ls, _) = JpegLs { bits: 12, near: 0, restart_lines: 9, preset: None }.encode(&samples, width);
    let (sequential, _) = SequentialJpeg { bits: 12, step: 4, restart_interval: 5 }.encode(&samples, width);
    // The linear window of DICOM PS3.3 C.11.2.1.2.1 over the rescaled values.
    let shown = samples.iter().map(|&sample| {
        let value = 1.5 * f64::from(sample) - 10.0;
        ((value - 1999.5) / 3999.0 + 0.5).clamp(0.0, 1.0) as f32
    });
    let shown: Vec<f32> = shown.collect();
    let ramp: Vec<f32> = (0..32 * 32).map(|i| (128 * (i / 32) + i % 32) as f32).collect();
    let files = vec![
        ("explicit", plain.clone(), Some(shown.clone())),
        ("implicit", plain.clone().in_syntax(syntax::IMPLICIT), Some(shown.clone())),
        ("big", plain.clone().in_syntax(syntax::BIG), Some(shown.clone())),
        (
            "tables",
            plain.clone().table((0x0028, 0x3000), 5, 16, &square).table((0x0028, 0x3010), -3, 10, &square),
            None,
        ),
        ("rle", plain.clone().compressed(syntax::RLE, vec![rle(&samples, 2)]), Some(shown.clone())),
        ("jpeg", plain.clone().compressed(syntax::JPEG_LOSSLESS, vec![jpeg]), Some(shown.clone())),
        ("jpeg12", plain.clone().compressed(syntax::JPEG_EXTENDED, vec![sequential]), None),
        ("jpegls", plain.compressed(syntax::JPEG_LS, vec![jpeg_ls]), Some(shown)),
        (
            "jpeg2000",
            Dicom::new(32, 32, 12, Vec::new()).compressed(syntax::JPEG_2000, vec![jpeg_2000()]),
            Some(stretched(&ramp)),
        ),
    ];
    let whole = |name: &str, dicom: &Dicom, pixels| {
        let size = if name == "jpeg2000" { (32, 32) } else { (width, height) };
        Whole { bytes: dicom.encode(), size, pixels, mean_error: 0.0 }
    };
    files
        .into_iter()
        .map(|(name, dicom, pixels)| (name, dicom.clone(), whole(name, &dicom, pixels)))
        .collect()
}

#[test]
fn mutated_dicom_files_give_images_or_errors() {
    for (name, dicom, whole) in dicom() {
        let bytes = &whole.bytes;
        // Codes of variable length break where they are changed; plain samples only become others.
        let (refused, changed) = match name {
            "jpeg" | "jpeg2000" => ([0.75, 0.85, 0.6], [0.05, 0.05, 0.2]),
            _ => ([0.55, 0.7, 0.35], [0.3, 0.2, 0.25]),
        };
        let bounds = |kind: usize| Bounds { refused: refused[kind], changed: changed[kind], growth: 1 };
        images(&format!("DICOM {name}"), &whole, (0..150).map(|index| damaged(bytes, 21, index)), bounds(0));
        // The bytes around the start of the data set decide more than the preamble.
        let header = (0..150).map(|index| [&bytes[..132], &damaged(&bytes[132..], 22, index)].concat());
        images(&format!("DICOM {name}, data set"), &whole, header, bounds(1));
        let elements = (0..150).map(|index| rewritten(&dicom, 23, index).encode());
        images(&format!("DICOM {name}, elements"), &whole, elements, bounds(2));
    }
}

#[test]
fn a_file_that_its_header_excludes_costs_no_more_than_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames");
    let frames = Dicom::new(40, 36, 12, vec![1; 40 * 36]).text((0x0028, 0x0008), "IS", "35");
    std::fs::write(&path, frames.encode()).unwrap();
    let one = frames.text((0x0028, 0x0008), "IS", "1").encode();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(504_000_000).unwrap();
    let seen = peak_of(|| assert!(matches!(read_image(&path), Err(ImageError::Frames { frames: 35, .. }))));
    assert!(seen < 2 << 20, "{seen} bytes held");
    std::fs::write(&path, one).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(504_000_000).unwrap();
    let seen = peak_of(|| drop(infomark_infer::read_image_header(&path).unwrap()));
    assert!(seen < 2 << 20, "{seen} bytes held");
}

#[test]
fn mutated_pictures_give_images_or_errors() {
    let grey = GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]));
    let wide = ImageBuffer::<Luma<u16>, _>::from_fn(40, 36, |x, y| Luma([(x * 700 + y * y) as u16]));
    let narrow_pixels: Vec<f32> = grey.as_raw().iter().map(|&v| f32::from(v) / 255.0).collect();
    let wide_pixels = stretched(&wide.as_raw().iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
    let (grey, wide) = (DynamicImage::from(grey), DynamicImage::from(wide));
    for (format, picture, refused, changed, growth) in [
        // Every chunk has a checksum; only what follows the last one may be anything.
        (ImageFormat::Png, &grey, 0.85, 0.0, 1),
        (ImageFormat::Png, &wide, 0.85, 0.0, 1),
        (ImageFormat::Tiff, &grey, 0.7, 0.2, 1),
        (ImageFormat::Tiff, &wide, 0.7, 0.2, 1),
        // Without a checksum, but every block has to be there: no more pixels are believed than the last ones hold.
        (ImageFormat::Jpeg, &grey, 0.55, 0.3, 2),
        (ImageFormat::Bmp, &grey, 0.7, 0.15, 1),
        (ImageFormat::Pnm, &grey, 0.7, 0.2, 1),
        (ImageFormat::Pnm, &wide, 0.7, 0.2, 1),
    ] {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        let bits = if std::ptr::eq(picture, &grey) { 8 } else { 16 };
        let whole = Whole {
            bytes: file.into_inner(),
            size: (40, 36),
            pixels: Some(if bits == 8 { narrow_pixels.clone() } else { wide_pixels.clone() }),
            // The picture has edges, which JPEG blurs.
            mean_error: if format == ImageFormat::Jpeg { 0.05 } else { 0.0 },
        };
        let mutants = (0..200).map(|index| damaged(&whole.bytes, 24, index));
        let bounds = Bounds { refused, changed, growth };
        images(&format!("{format:?} of {bits} bits"), &whole, mutants, bounds);
    }
}

#[test]
fn mutated_nifti_files_give_images_or_errors() {
    let voxels: Vec<i16> = (0..40 * 36).collect();
    let bytes = nifti(&[40, 36, 1], 4, &voxels.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    let pixels = stretched(&voxels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
    let whole = |bytes| Whole { bytes, size: (40, 36), pixels: Some(pixels.clone()), mean_error: 0.0 };
    let plain = whole(bytes.clone());
    let any = (0..300).map(|index| damaged(&bytes, 25, index));
    images("NIfTI", &plain, any, Bounds { refused: 0.6, changed: 0.25, growth: 1 });
    let header = (0..300).map(|index| {
        let mut header = damaged(&bytes[..352], 26, index);
        header.resize(352, 0);
        [&header, &bytes[352..]].concat()
    });
    images("NIfTI, header", &plain, header, Bounds { refused: 0.8, changed: 0.02, growth: 1 });
    let packed = whole(infomark_tests::infer_nifti::gzip(&bytes));
    let any = (0..200).map(|index| damaged(&packed.bytes, 27, index));
    // The checksum is of all that was packed.
    images("NIfTI, packed", &packed, any, Bounds { refused: 0.95, changed: 0.0, growth: 1 });
}

#[test]
fn a_small_file_that_unpacks_to_gigabytes_is_refused() {
    let mut whole = nifti(&[4000, 4000, 30_000], 2, &[]);
    whole.resize(200 << 20, 0);
    let packed = infomark_tests::infer_nifti::gzip(&whole);
    drop(whole);
    assert!(packed.len() < 1 << 20);
    let mut read = false;
    let seen = peak_of(|| read = infer_mutate::image(&packed));
    assert!(!read && seen <= 3 * MAX_BYTES as isize, "{seen} bytes held");
}

#[test]
fn a_large_picture_is_read_reduced_in_little_memory() {
    let grey = ImageBuffer::from_fn(6000, 4000, |x, y| Luma([(x * 7 + y * 5) as u16]));
    let limits = ReadLimits { reduced: true, ..ReadLimits::default() };
    // Bytes of the pixels that are kept, and what is held beside them and the file.
    let kept = 4 * 3000 * 2000;
    for (format, beside) in [(ImageFormat::Png, 2 << 20), (ImageFormat::Tiff, 96_000_000 + (2 << 20))] {
        let mut file = Cursor::new(Vec::new());
        grey.write_to(&mut file, format).unwrap();
        let mut read = None;
        let seen = peak_of(|| read = decode_image(file.get_ref(), "large", &limits).ok());
        assert_eq!(read.map(|image| image.kept_size()), Some((3000, 2000)), "{format:?}");
        assert!(seen <= kept + beside, "{format:?}: {seen} bytes held");
    }
}

#[test]
fn profiles_of_png_are_not_unpacked() {
    let grey = GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]));
    let mut file = Cursor::new(Vec::new());
    grey.write_to(&mut file, ImageFormat::Png).unwrap();
    let whole = file.into_inner();
    let mut packed = flate2::write::ZlibEncoder::new(b"iCCPa\0\0".to_vec(), flate2::Compression::fast());
    std::io::copy(&mut std::io::repeat(0).take(100 << 20), &mut packed).unwrap();
    let named = packed.finish().unwrap();
    let mut sum = flate2::Crc::new();
    sum.update(&named);
    let length = named.len() as u32 - 4;
    let chunk = [&length.to_be_bytes()[..], &named, &sum.sum().to_be_bytes()].concat();
    // After the signature and the header.
    let bomb = [&whole[..33], &chunk, &whole[33..]].concat();
    let mut read = None;
    let seen = peak_of(|| read = decoded(&bomb).ok());
    assert_eq!(read.unwrap().pixels(), decoded(&whole).unwrap().pixels());
    assert!(seen < 8 << 20, "{seen} bytes held");
}

#[test]
fn mutated_landmark_files_give_landmarks_or_errors() {
    let points: Vec<Landmark> =
        (0..4).map(|i| Landmark::new(format!("p{i}"), Point::new(f64::from(i) * 7.25, 3.0))).collect();
    let placement = Some(ItkGeometry::of_picture(1.0, 1.0));
    let (size, spacing) = ((40, 36), None);
    let image = Annotated { image: "a.png", size, spacing, placement, landmarks: &points, absent: &[] };
    let coco = encode_landmarks(LandmarkFormat::Coco, &[image], &WriteOptions::default(), "coco").unwrap();
    let index = CocoIndex::parse(&coco, "coco").unwrap();
    let options = WriteOptions { coco: Some(&index), ..WriteOptions::default() };
    let read = |bytes: &[u8]| {
        let subject =
            ImageContext { image: Some("a.png"), placement, coco: Some(&index), ..ImageContext::default() };
        parse_landmarks_of(bytes, "points", &subject).ok().map(|file| file.get("a.png").to_vec())
    };
    for format in LandmarkFormat::ALL {
        let whole = encode_landmarks(format, &[image], &options, "points").unwrap();
        let original = read(&whole).unwrap();
        assert_eq!(original.len(), 4, "{format}");
        for (found, point) in original.iter().zip(&points) {
            assert!((found.at.x - point.at.x).hypot(found.at.y - point.at.y) < 1e-9, "{format}: {found:?}");
            assert!(format == LandmarkFormat::Isbi || found.name == point.name, "{format}: {found:?}");
        }
        let text: Vec<_> = (0..400).map(|index| damaged(&whole, 28, index)).collect();
        let json: Vec<_> = (0..400).filter_map(|index| retold(&whole, 29, index)).collect();
        // The least share that is refused, of bytes and of values, and the greatest that is read as other points. Numbers in
        // ISBI text have no names that could break.
        let (of_text, of_json, of_other) = match format {
            LandmarkFormat::Slicer => (0.8, 0.4, 0.1),
            LandmarkFormat::Coco => (0.85, 0.65, 0.1),
            LandmarkFormat::LabelMe => (0.85, 0.4, 0.1),
            LandmarkFormat::LabelStudio => (0.85, 0.3, 0.1),
            LandmarkFormat::Isbi => (0.35, 0.0, 0.6),
            _ => (0.85, 0.0, 0.1),
        };
        for (kind, mutants, least) in [("bytes", text, of_text), ("values", json, of_json)] {
            let (mut mutated, mut refused, mut same) = (0, 0, 0);
            for (index, bytes) in mutants.iter().enumerate().filter(|(_, bytes)| **bytes != whole) {
                let seen = peak_of(|| infer_mutate::any_landmarks(bytes));
                assert!(seen <= 1 << 20, "{format} {kind} {index}: {seen} bytes held");
                mutated += 1;
                match read(bytes) {
                    None => refused += 1,
                    Some(landmarks) => {
                        assert!(
                            landmarks.len() <= 2 * points.len(),
                            "{format} {kind} {index}: {landmarks:?}"
                        );
                        same += usize::from(landmarks == original);
                    }
                }
            }
            let other = mutated - refused - same;
            println!(
                "{format}, {kind}: of {mutated} mutants {refused} are refused, {same} read as the original, {other} as other points"
            );
            let is_json = format.ending().ends_with("json");
            let fewest = if kind == "bytes" || is_json { 100 } else { 0 };
            assert!(mutated >= fewest, "{format}, {kind}: {mutated} mutants");
            assert!(
                refused as f64 >= least * mutated as f64,
                "{format}, {kind}: {refused} of {mutated} mutants were refused"
            );
            assert!(
                other as f64 <= of_other * mutated as f64,
                "{format}, {kind}: {other} of {mutated} mutants were read as other points"
            );
        }
    }
}

/// Loads mutants of a model, and runs those that still load.
fn models(name: &str, mutants: impl Iterator<Item = Vec<u8>>, load_and_run: impl Fn(&[u8]) -> bool) {
    let (mut mutated, mut loaded) = (0, 0);
    for (index, bytes) in mutants.enumerate() {
        let seen = peak_of(|| loaded += usize::from(load_and_run(&bytes)));
        assert!(seen <= MAX_BYTES as isize, "{name} {index}: {seen} bytes held");
        mutated += 1;
    }
    println!("{name}: {loaded} of {mutated} mutants could still be loaded");
    assert!(mutated >= 100 && loaded < mutated, "{name}: {loaded} of {mutated}");
}

#[test]
fn mutated_encoders_give_encoders_or_errors() {
    let (whole, image) = (model(32, 32), texture(1, 32, 32, 0, 0));
    let run = |bytes: &[u8]| {
        let encoder = infer_mutate::model(bytes);
        encoder.is_some_and(|encoder| {
            // What it says of itself may call for more than a mutant should get.
            let _ = encoder.encode(&image);
            true
        })
    };
    let bytes = whole.encode_to_vec();
    models("encoder, bytes", (0..200).map(|index| damaged(&bytes, 31, index)), run);
    models("encoder, graph", (0..200).map(|index| rewired(&whole, 32, index)), run);
    models("encoder, description", (0..200).filter_map(|index| redescribed(&whole, 33, index)), run);
}

#[test]
fn mutated_landmark_networks_give_networks_or_errors() {
    let (whole, image) = (landmark_model(32, 32), texture(1, 32, 32, 0, 0));
    let bytes = whole.encode_to_vec();
    assert!(infer_mutate::landmark_net(&bytes).is_some_and(|net| net.find(&image).is_ok()));
    let run = |bytes: &[u8]| {
        let net = infer_mutate::landmark_net(bytes);
        net.is_some_and(|net| {
            let _ = net.find(&image);
            true
        })
    };
    models("network, bytes", (0..200).map(|index| damaged(&bytes, 34, index)), run);
    models("network, graph", (0..200).map(|index| rewired(&whole, 35, index)), run);
    models("network, description", (0..200).filter_map(|index| redescribed(&whole, 36, index)), run);
}

#[test]
fn mutated_templates_give_templates_or_errors() {
    let encoder = Encoder::from_bytes(&encoder(32, 32), "encoder").unwrap();
    let points = [Landmark::new("a", Point::new(9.0, 20.0)), Landmark::new("b", Point::new(21.5, 8.0))];
    let whole = Template::new(&encoder, &texture(4, 32, 32, 0, 0), &points).unwrap().to_bytes();
    assert!(infer_mutate::template(&whole));
    models("template, bytes", (0..400).map(|index| damaged(&whole, 37, index)), infer_mutate::template);
    // With a hash that is right, so that what it says is looked into.
    let told = |index| with_header(&whole, |header| retold(header, 38, index));
    models("template, header", (0..400).filter_map(told), infer_mutate::template);
}

#[test]
fn mutated_calibrations_and_data_folders_give_results_or_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calibration.json");
    let confidence = Confidence { margin: 0.1, cycle_error: None, prior: None, uncertainty: 1.0, scale: 2.0 };
    let (names, images) = (["a", "b"].map(str::to_owned), (0..20).map(|i| i.to_string()).collect());
    let errors: Vec<_> = (0..40).map(|i| Some((f64::from(i) + 0.5, confidence))).collect();
    let key = CalibrationKey {
        model_sha256: "m".to_owned(),
        templates: vec!["t".to_owned()],
        landmarks: names.to_vec(),
        ..CalibrationKey::default()
    };
    let whole = serde_json::to_vec(&ErrorCalibration::new(key, images, &errors).unwrap()).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        infer_mutate::calibration(&path)
    };
    assert!(read(&whole));
    models("calibration, bytes", (0..300).map(|index| damaged(&whole, 39, index)), read);
    models("calibration, values", (0..300).filter_map(|index| retold(&whole, 40, index)), read);

    std::fs::create_dir(folder.path().join("images")).unwrap();
    GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]))
        .save(folder.path().join("images/a.png"))
        .unwrap();
    std::fs::write(folder.path().join("landmarks.csv"), "image,landmark,x,y\na.png,p,1,2\n").unwrap();
    let whole = b"name = \"a\"\nspacing_mm = [0.3, 0.25]\nlandmarks = [\"p\"]\n";
    let open = |bytes: &[u8]| {
        std::fs::write(folder.path().join("dataset.toml"), bytes).unwrap();
        infer_mutate::data_folder(folder.path())
    };
    assert!(open(whole));
    models("dataset.toml", (0..300).map(|index| damaged(whole, 42, index)), open);
}
