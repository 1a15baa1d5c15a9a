//! Mutated files of every kind that is read: each gives a result or an error in words, and none takes more memory than it may.
#![cfg(feature = "files")]
#![allow(missing_docs, clippy::unwrap_used, unsafe_code)] // Tests; a global allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use infomark_core::Point;
use infomark_infer::{Annotated, Landmark, LandmarkFormat, encode_landmarks};
use infomark_tests::infer_dicom::{Dicom, jpeg_2000, lossless_jpeg, rle, syntax};
use infomark_tests::infer_mutate::{self, MAX_BYTES, damaged, retold, rewritten};
use infomark_tests::infer_nifti::nifti;

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
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg] {
        let mut whole = Cursor::new(Vec::new());
        DynamicImage::from(grey.clone()).write_to(&mut whole, format).unwrap();
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
