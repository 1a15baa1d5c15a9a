//! Mutated files of every kind that is read: each gives a result or an error in words, and none takes more memory than it may.
#![cfg(feature = "files")]
#![allow(missing_docs, clippy::unwrap_used, unsafe_code)] // Tests; a global allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_core::Point;
use infomark_infer::{
    Annotated, Confidence, Encoder, ErrorCalibration, Landmark, LandmarkFormat, Template, encode_landmarks,
};
use infomark_tests::infer_dicom::{Dicom, jpeg_2000, lossless_jpeg, rle, syntax};
use infomark_tests::infer_fixture::{encoder, landmark_model, model, texture};
use infomark_tests::infer_mutate::{
    self, MAX_BYTES, damaged, redescribed, retold, rewired, rewritten, with_header,
};
use infomark_tests::infer_nifti::nifti;
use prost::Message;

struct Measuring;

thread_local! {
    /// Bytes held by this thread, and the most it held.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn held(change: isize) {
    // A thread that is being torn down has nothing left to measure.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Measuring {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size() as isize);
        // SAFETY: the caller keeps the terms of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        held(layout.size() as isize);
        // SAFETY: the caller keeps the terms of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        held(size as isize - layout.size() as isize);
        // SAFETY: the caller keeps the terms of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        held(-(layout.size() as isize));
        // SAFETY: the caller keeps the terms of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Measuring = Measuring;

/// The most memory that `work` held beyond what was held before.
fn peak_of(work: impl FnOnce()) -> isize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

#[test]
fn a_planted_allocation_is_seen() {
    let seen = peak_of(|| drop(std::hint::black_box(vec![1_u8; 3 << 20])));
    assert!((3 << 20..4 << 20).contains(&seen), "{seen}");
}

/// Reads mutants of an image file.
fn images(name: &str, mutants: impl Iterator<Item = Vec<u8>>) {
    let mut read = 0;
    for (index, bytes) in mutants.enumerate() {
        let seen = peak_of(|| read += usize::from(infer_mutate::image(&bytes)));
        assert!(seen <= MAX_BYTES as isize, "{name} {index}: {seen} bytes held");
    }
    println!("{name}: {read} mutants could still be read");
}

fn dicom() -> Vec<(&'static str, Dicom)> {
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
    vec![
        ("explicit", plain.clone()),
        ("implicit", plain.clone().in_syntax(syntax::IMPLICIT)),
        ("big", plain.clone().in_syntax(syntax::BIG)),
        (
            "tables",
            plain.clone().table((0x0028, 0x3000), 5, 16, &square).table((0x0028, 0x3010), -3, 10, &square),
        ),
        ("rle", plain.clone().compressed(syntax::RLE, vec![rle(&samples, 2)])),
        ("jpeg", plain.compressed(syntax::JPEG_LOSSLESS, vec![jpeg])),
        ("jpeg2000", Dicom::new(32, 32, 12, Vec::new()).compressed(syntax::JPEG_2000, vec![jpeg_2000()])),
    ]
}

#[test]
fn mutated_dicom_files_give_images_or_errors() {
    for (name, dicom) in dicom() {
        let whole = dicom.encode();
        images(name, (0..150).map(|index| damaged(&whole, 21, index)));
        // The bytes around the start of the data set decide more than the preamble.
        images(name, (0..150).map(|index| [&whole[..132], &damaged(&whole[132..], 22, index)].concat()));
        images(name, (0..150).map(|index| rewritten(&dicom, 23, index).encode()));
    }
}

#[test]
fn mutated_pictures_give_images_or_errors() {
    let grey = GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]));
    let wide = ImageBuffer::<Luma<u16>, _>::from_fn(40, 36, |x, y| Luma([(x * 700 + y * y) as u16]));
    let wide: DynamicImage = wide.into();
    for (format, picture) in [
        (ImageFormat::Png, DynamicImage::from(grey.clone())),
        (ImageFormat::Png, wide.clone()),
        (ImageFormat::Tiff, grey.clone().into()),
        (ImageFormat::Tiff, wide.clone()),
        (ImageFormat::Jpeg, grey.clone().into()),
        (ImageFormat::Bmp, grey.clone().into()),
        (ImageFormat::Pnm, grey.into()),
        (ImageFormat::Pnm, wide),
    ] {
        let mut whole = Cursor::new(Vec::new());
        picture.write_to(&mut whole, format).unwrap();
        images(&format!("{format:?}"), (0..200).map(|index| damaged(whole.get_ref(), 24, index)));
    }
}

#[test]
fn mutated_nifti_files_give_images_or_errors() {
    let voxels: Vec<i16> = (0..40 * 36).collect();
    let whole = nifti(&[40, 36, 1], 4, &voxels.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    images("nifti", (0..300).map(|index| damaged(&whole, 25, index)));
    let header = (0..300).map(|index| {
        let mut header = damaged(&whole[..352], 26, index);
        header.resize(352, 0);
        [&header, &whole[352..]].concat()
    });
    images("nifti header", header);
    let packed = infomark_tests::infer_nifti::gzip(&whole);
    images("nifti, packed", (0..200).map(|index| damaged(&packed, 27, index)));
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
fn mutated_landmark_files_give_landmarks_or_errors() {
    let points: Vec<Landmark> =
        (0..4).map(|i| Landmark::new(format!("p{i}"), Point::new(f64::from(i) * 7.25, 3.0))).collect();
    let image = Annotated { image: "a.png", size: (40, 36), spacing: None, landmarks: &points };
    for format in LandmarkFormat::ALL {
        let whole = encode_landmarks(format, &[image], "points").unwrap();
        let text = (0..400).map(|index| damaged(&whole, 28, index));
        let json = (0..400).filter_map(|index| retold(&whole, 29, index));
        for (index, bytes) in text.chain(json).enumerate() {
            let seen = peak_of(|| infer_mutate::any_landmarks(&bytes));
            assert!(seen <= 1 << 20, "{format} {index}: {seen} bytes held");
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
    let confidence = Confidence { margin: 0.1, back: None, prior: None, spread: None, scale: 2.0 };
    let (names, images) = (["a", "b"].map(str::to_owned), (0..20).map(|i| i.to_string()).collect());
    let errors: Vec<_> = (0..40).map(|i| (f64::from(i) + 0.5, confidence)).collect();
    let made = ErrorCalibration::new(("m", vec!["t".to_owned()]), &names, "{}".to_owned(), images, &errors);
    let whole = serde_json::to_vec(&made.unwrap()).unwrap();
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
