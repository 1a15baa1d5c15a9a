#![allow(missing_docs, clippy::unwrap_used)]
use std::io::Cursor;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_tests::infer_fixture::{encoder, texture};
use infomark_tests::infer_mutate::{self, damaged};
#[test]
fn images() {
    let narrow = GrayImage::from_fn(40, 36, |x, y| Luma([(x * 7 + y * y) as u8]));
    let wide = ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(40, 36, |x, y| Luma([(x * 700 + y * y) as u16]));
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm] {
        for image in [DynamicImage::from(narrow.clone()), wide.clone().into()] {
            let mut whole = Cursor::new(Vec::new());
            if image.write_to(&mut whole, format).is_err() { continue; }
            let t = std::time::Instant::now();
            for index in 0..6000 { infer_mutate::image(&damaged(whole.get_ref(), 100 + format as u64, index)); }
            println!("{format:?} {:?}", t.elapsed());
        }
    }
}
#[test]
fn models() {
    let whole = encoder(32, 32);
    let image = texture(1, 32, 32, 0, 0);
    let t = std::time::Instant::now();
    let mut n = 0;
    for index in 0..2500 { if let Some(e) = infer_mutate::model(&damaged(&whole, 500, index)) { n += 1; let _ = e.encode(&image); } }
    println!("models {n} {:?}", t.elapsed());
}
