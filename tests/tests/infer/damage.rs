//! Damaged files give errors, never panics: a few hundred seeded mutations of each kind of file.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_tests::infer_fixture::{encoder, model, texture};
use infomark_tests::infer_mutate::{self, damaged, rewired};

#[test]
fn damaged_images_never_panic() {
    let narrow = GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]));
    let wide = ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(40, 36, |x, y| Luma([(x * 700 + y * y) as u16]));
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm]
    {
        for image in [DynamicImage::from(narrow.clone()), wide.clone().into()] {
            let mut whole = Cursor::new(Vec::new());
            if image.write_to(&mut whole, format).is_err() {
                continue;
            }
            for index in 0..300 {
                infer_mutate::image(&damaged(whole.get_ref(), format as u64, index));
            }
        }
    }
}

#[test]
fn damaged_jpeg_of_every_kind_never_panics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/compressed_pixels");
    for (seed, entry) in folder.read_dir().unwrap().enumerate() {
        // The first byte chooses the transfer syntax in DICOM; the rest is a file of its own, whose decoder is not shielded.
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        for index in 0..500 {
            infer_mutate::image(&damaged(&bytes[1..], 50 + seed as u64, index));
        }
    }
}

#[test]
fn damaged_landmark_files_never_panic() {
    let whole =
        "\u{feff}image,landmark,x,y\r\n\"a, b.png\",sella,274.50,330.50\r\n001.png,nasion,485.22,343.22\r\n";
    for index in 0..2000 {
        infer_mutate::landmarks(&damaged(whole.as_bytes(), 11, index));
    }
}

#[test]
fn damaged_schemes_never_panic() {
    let every_kind =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/scheme_file/every_kind"));
    let whole = [include_bytes!("../../../infer/schemes/ceph.toml").to_vec(), every_kind.unwrap()];
    for (whole, seed) in whole.iter().zip(20..) {
        for index in 0..500 {
            infer_mutate::any_scheme(&damaged(whole, seed, index));
        }
    }
}

#[test]
fn damaged_encoders_never_panic() {
    let whole = encoder(32, 32);
    let image = texture(1, 32, 32, 0, 0);
    let mut loaded = 0;
    for index in 0..300 {
        // Whatever still loads runs, or says why not.
        if let Some(encoder) = infer_mutate::model(&damaged(&whole, 12, index)) {
            let _ = encoder.encode(&image);
            loaded += 1;
        }
    }
    assert!(loaded > 0, "no mutation left a model that loads");
}

#[test]
fn rewired_encoders_never_panic() {
    let whole = model(32, 32);
    let image = texture(1, 32, 32, 0, 0);
    let mut loaded = 0;
    for index in 0..250 {
        if let Some(encoder) = infer_mutate::model(&rewired(&whole, 13, index)) {
            let _ = encoder.encode(&image);
            loaded += 1;
        }
    }
    assert!(loaded > 0, "no change left a model that loads");
}

fn replay(target: &str, body: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "{} holds {} files", folder.display(), files.len());
    for path in files {
        body(&fs::read(path).unwrap());
    }
    body(&[]);
}

#[test]
fn the_corpus_of_the_fuzz_targets_keeps_its_promises() {
    replay("image_file", |bytes| {
        infer_mutate::image(bytes);
    });
    replay("compressed_pixels", infer_mutate::compressed);
    replay("landmark_file", infer_mutate::any_landmarks);
    replay("model_file", infer_mutate::any_model);
    replay("scheme_file", infer_mutate::any_scheme);
}
