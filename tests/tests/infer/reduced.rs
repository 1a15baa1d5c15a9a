//! Images of more than 2^24 pixels: what reduced reading keeps, and that models see the same.

use std::io::Cursor;
use std::sync::LazyLock;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_core::Point;
use infomark_infer::{
    Image, ImageError, InputSize, Letterbox, Normalisation, Orientation, ReadLimits, decode_image,
    estimate_reading,
};
use infomark_tests::infer_dicom::{Dicom, large_jpeg_2000, syntax};

/// No multiple of two, so that blocks differ in size.
const WIDTH: usize = 4113;
const HEIGHT: usize = 4097;
const KEPT: (usize, usize) = (2057, 2049);

const REDUCED: fn() -> ReadLimits = || ReadLimits { reduced: true, ..ReadLimits::default() };

/// 16 bits of a smooth picture with a texture.
fn level(x: usize, y: usize) -> u16 {
    (2000 + 5 * x + 3 * y + (x * 31 + y * 17) % 97) as u16
}

static WORDS: LazyLock<Vec<u16>> =
    LazyLock::new(|| (0..WIDTH * HEIGHT).map(|i| level(i % WIDTH, i / WIDTH)).collect());

fn words() -> DynamicImage {
    let raw = ImageBuffer::<Luma<u16>, _>::from_raw(WIDTH as u32, HEIGHT as u32, WORDS.clone());
    raw.unwrap().into()
}

fn bytes() -> GrayImage {
    let bytes = WORDS.iter().map(|&word| (word >> 8) as u8).collect();
    GrayImage::from_raw(WIDTH as u32, HEIGHT as u32, bytes).unwrap()
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.into().write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn full(file: &[u8]) -> Result<Image, ImageError> {
    decode_image(file, "large", &ReadLimits::default())
}

fn reduced(file: &[u8]) -> Result<Image, ImageError> {
    decode_image(file, "large", &REDUCED())
}

fn fit(image: &Image) -> Letterbox {
    Letterbox::new(image.width(), image.height(), InputSize::new(384, 480).unwrap()).unwrap()
}

/// How much of each pixel a block of a line covers, of blocks of equal length.
fn covered(block: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    let edge = |block: usize| block as f64 * from as f64 / to as f64;
    let (start, end) = (edge(block), edge(block + 1));
    let share = |pixel: usize| ((pixel + 1) as f64).min(end) - (pixel as f64).max(start);
    let pixels = start as usize..(end.ceil() as usize).min(from);
    pixels.map(|pixel| (pixel, share(pixel))).filter(|(_, share)| *share > 1e-9).collect()
}

/// The mean of a block of an image, in `f64`.
fn mean(image: &Image, (x, y): (usize, usize)) -> f64 {
    let (columns, lines) = (covered(x, WIDTH, KEPT.0), covered(y, HEIGHT, KEPT.1));
    let (mut sum, mut area) = (0.0, 0.0);
    for (line, high) in lines {
        for &(column, wide) in &columns {
            sum += f64::from(image.pixels()[line * WIDTH + column]) * wide * high;
            area += wide * high;
        }
    }
    sum / area
}

/// Reads a file in full and reduced; models have to see the same bits, and what is kept are means of blocks.
fn check(name: &str, file: &[u8]) {
    let (full, reduced) = (full(file).unwrap(), reduced(file).unwrap());
    assert_eq!((full.kept_size(), reduced.kept_size()), ((WIDTH, HEIGHT), KEPT), "{name}");
    assert_eq!((reduced.width(), reduced.height()), (WIDTH, HEIGHT), "{name}");
    assert_eq!(reduced.spacing(), full.spacing(), "{name}");
    let far = |i: usize| (f64::from(reduced.pixels()[i]) - mean(&full, (i % KEPT.0, i / KEPT.0))).abs();
    // Every so many, the last among them.
    assert!(
        (0..KEPT.0 * KEPT.1).rev().step_by(101).all(|i| far(i) < 1e-6),
        "{name}: not the means of blocks"
    );
    let [a, b] =
        [&full, &reduced].map(|image| fit(image).apply(image, Normalisation::LOCAL_CONTRAST).unwrap());
    assert!(a == b, "{name}: models see something else");
}

#[test]
fn models_see_the_same_in_images_that_were_read_reduced() {
    check("PNG of 8 bits", &encode(bytes(), ImageFormat::Png));
    check("PNG of 16 bits", &encode(words(), ImageFormat::Png));
    check("PNG in colour", &encode(DynamicImage::from(bytes()).into_rgb8(), ImageFormat::Png));
    check("TIFF of 16 bits", &encode(words(), ImageFormat::Tiff));
    check("PGM", &encode(bytes(), ImageFormat::Pnm));
    check("BMP", &encode(bytes(), ImageFormat::Bmp));
    check("JPEG", &encode(bytes(), ImageFormat::Jpeg));
    let dicom = || Dicom::new(WIDTH as u16, HEIGHT as u16, 16, WORDS.clone());
    check("DICOM without a window", &dicom().encode());
    let windowed = dicom().text((0x0028, 0x1050), "DS", "20000").text((0x0028, 0x1051), "DS", "9000");
    check("DICOM with a window", &windowed.encode());
}

#[test]
fn smaller_images_are_read_as_ever() {
    let small = GrayImage::from_fn(300, 200, |x, y| Luma([(x * 3 + y * 5) as u8]));
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::Pnm] {
        let file = encode(small.clone(), format);
        assert_eq!(reduced(&file).unwrap(), full(&file).unwrap(), "{format:?}");
    }
}

#[test]
fn places_stay_where_they_are_in_the_file() {
    // A bright spot: its centroid in the model input, mapped back, is its position in the file.
    let (centre, sigma) = (Point::new(1234.25, 2890.75), 150.0);
    let spot = |i: usize| {
        let (x, y) = ((i % WIDTH) as f64 - centre.x, (i / WIDTH) as f64 - centre.y);
        (-(x * x + y * y) / (2.0 * sigma * sigma)).exp() as f32
    };
    let image = Image::new("spot", WIDTH, HEIGHT, (0..WIDTH * HEIGHT).map(spot).collect()).unwrap();
    let fit = fit(&image);
    let canvas = fit.apply(&image, Normalisation::UnitRange).unwrap();
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (i, value) in canvas.iter().map(|&value| f64::from(value)).enumerate() {
        sum += value;
        x += value * (i % fit.input().width()) as f64;
        y += value * (i / fit.input().width()) as f64;
    }
    let found = fit.pull(Point::new(x / sum, y / sum));
    assert!((found.x - centre.x).abs() < 0.1 && (found.y - centre.y).abs() < 0.1, "{found:?}");
}

#[test]
fn a_reduced_image_is_turned_with_its_size() {
    let image = reduced(&encode(bytes(), ImageFormat::Png)).unwrap();
    for orientation in Orientation::ALL {
        let turned = orientation.apply(&image).unwrap();
        assert_eq!((turned.width(), turned.height()), orientation.size((WIDTH, HEIGHT)));
        assert_eq!(turned.kept_size(), orientation.size(KEPT));
        assert_eq!(orientation.inverse().apply(&turned).unwrap().pixels(), image.pixels());
    }
}

#[test]
fn what_is_refused_in_full_is_refused_reduced() {
    let mut coloured = DynamicImage::from(bytes()).into_rgb8();
    coloured.get_pixel_mut(4000, 4000).0 = [10, 200, 10];
    let flat = GrayImage::from_pixel(WIDTH as u32, HEIGHT as u32, Luma([7]));
    // No block of it differs from another.
    let fine = GrayImage::from_fn(WIDTH as u32 - 1, HEIGHT as u32 + 3, |x, _| Luma([50 * (x % 2) as u8]));
    assert!(reduced(&encode(fine, ImageFormat::Png)).is_ok());
    let mut files = vec![encode(coloured, ImageFormat::Png), encode(flat, ImageFormat::Png)];
    for whole in [encode(bytes(), ImageFormat::Png), encode(bytes(), ImageFormat::Jpeg)] {
        files.push(whole[..whole.len() / 2].to_vec());
        let mut damaged = whole;
        let at = damaged.len() * 2 / 3;
        damaged[at..at + 16].fill(0);
        files.push(damaged);
    }
    let dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 16, WORDS.clone()).encode();
    files.push(dicom[..dicom.len() - 40_000].to_vec());
    for (index, file) in files.iter().enumerate() {
        let [full, reduced] = [full(file), reduced(file)].map(|read| read.map_err(|error| error.to_string()));
        match (full, reduced) {
            (Err(full), Err(reduced)) => assert_eq!(full, reduced, "{index}"),
            // Another picture, as JPEG cannot tell.
            (Ok(_), Ok(_)) if index == 5 => {}
            (full, reduced) => panic!("{index}: {:?}, {:?}", full.err(), reduced.err()),
        }
    }
}

#[test]
fn an_estimate_of_a_reduced_image_is_smaller() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("large.png");
    let file = encode(bytes(), ImageFormat::Png);
    std::fs::write(&path, &file).unwrap();
    let [full, reduced] =
        [ReadLimits::default(), REDUCED()].map(|limits| estimate_reading(&path, &limits).unwrap());
    let pixels = (WIDTH * HEIGHT) as u64;
    assert_eq!((full.kept_size, full.bytes), ((WIDTH, HEIGHT), 8 * pixels + 2 * file.len() as u64));
    assert_eq!(reduced.bytes, 4 * (KEPT.0 * KEPT.1) as u64 + 2 * file.len() as u64);
    assert_eq!((reduced.size, reduced.kept_size), ((WIDTH, HEIGHT), KEPT));
}

#[test]
fn inputs_of_a_few_hundred_pixels_take_reduced_images() {
    let takes = |width, height| InputSize::new(width, height).unwrap().takes_reduced();
    assert!(takes(384, 480) && takes(512, 512));
    assert!(!takes(513, 512) && !takes(2048, 2048));
}

#[test]
fn large_jpeg_2000_is_decoded_at_a_smaller_size_where_memory_calls_for_it() {
    let (width, height) = (4352, 4096);
    let dicom = Dicom::new(width as u16, height as u16, 16, Vec::new())
        .compressed(syntax::JPEG_2000, vec![large_jpeg_2000()])
        .text((0x0028, 0x1050), "DS", "32768")
        .text((0x0028, 0x1051), "DS", "65536")
        .text((0x0028, 0x1056), "CS", "LINEAR_EXACT");
    let file = dicom.encode();
    let within = |mib: u64, reduced: bool| {
        let limits = ReadLimits { max_bytes: mib << 20, reduced, ..ReadLimits::default() };
        decode_image(&file, "large", &limits)
    };
    // Sides halved once and, in less memory, twice; the largest difference in levels of 65536, of which a pixel makes 12 across and 3 down.
    for (mib, largest) in [(512, 1.0), (150, 1.0), (60, 16.0)] {
        let image = within(mib, true).unwrap();
        assert_eq!((image.width(), image.height()), (width, height));
        let kept = image.kept_size();
        assert_eq!(kept, (width / 2, height / 2));
        for (index, pixel) in image.pixels().iter().enumerate() {
            let (x, y) = (index % kept.0, index / kept.0);
            // The last samples of a line have none after them.
            if x + 4 < kept.0 && y + 4 < kept.1 {
                let middle = 12.0 * (2 * x) as f32 + 6.0 + 3.0 * (2 * y) as f32 + 1.5 + 40.0;
                let difference = pixel * 65536.0 - middle;
                assert!(difference.abs() <= largest, "{mib} MiB, {x}, {y}: {difference}");
            }
        }
    }
    assert!(matches!(within(150, false), Err(ImageError::TooLarge { max_mib: 150, .. })));
    assert!(matches!(within(16, true), Err(ImageError::TooLarge { max_mib: 16, .. })));
    // Blocks of 4 x 4 samples would take more than the samples.
    let mut small = large_jpeg_2000();
    let style = small.windows(2).position(|pair| pair == [0xFF, 0x52]).unwrap();
    small[style + 10..style + 12].fill(0);
    let file = Dicom::new(width as u16, height as u16, 16, Vec::new());
    let file = file.compressed(syntax::JPEG_2000, vec![small]).encode();
    let limits = ReadLimits { max_bytes: 150 << 20, ..REDUCED() };
    assert!(matches!(decode_image(&file, "large", &limits), Err(ImageError::Unsupported { .. })));
    // Packets that are missing are found out at a smaller size as well.
    let code = large_jpeg_2000();
    let cut = |from: usize, to: usize| [&code[..from], &code[to..]].concat();
    for code in [cut(code.len() - 40, code.len()), cut(code.len() - 40, code.len() - 2)] {
        let file = Dicom::new(width as u16, height as u16, 16, Vec::new());
        let file = file.compressed(syntax::JPEG_2000, vec![code]).encode();
        let limits = ReadLimits { max_bytes: 150 << 20, ..REDUCED() };
        assert!(matches!(decode_image(&file, "large", &limits), Err(ImageError::Damaged { .. })));
    }
}
