//! Image files: what is read, and what is refused with the file's name and a fix.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, RgbImage};
use infomark_infer::{
    Image, ImageError, ReadLimits, decode_image, list_images, read_hashed_image, read_image, read_image_size,
    read_image_with, sha256,
};
use infomark_tests::infer_picture::{Compression, Split, packed_tiff, png_chunk, tiff};
use tempfile::TempDir;

const WIDTH: u32 = 48;
const HEIGHT: u32 = 40;

fn level(x: u32, y: u32) -> u8 {
    (x * 5 + y * 3) as u8
}

fn grey() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([level(x, y)]))
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn decode(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_image(bytes, "scan.png", &ReadLimits::default())
}

/// The error of a refused image, whose message has to name the file and, after a semicolon, what to do.
fn refused(bytes: &[u8]) -> ImageError {
    let error = decode(bytes).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("scan.png: ") && text.contains(';'), "{text}");
    error
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_file_in_memory_is_read_as_from_disk_and_refused_with_the_same_words() {
    let folder = TempDir::new().unwrap();
    let formats =
        [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Jpeg];
    let whole = formats.map(|format| encode(grey(), format));
    let halves = whole.iter().map(|bytes| bytes[..bytes.len() / 2].to_vec());
    let small = encode(GrayImage::new(8, 8), ImageFormat::Png);
    let others = [Vec::new(), b"no image".to_vec(), small];
    let limits = ReadLimits { max_side: 47, ..ReadLimits::default() };
    for (index, bytes) in whole.iter().cloned().chain(halves).chain(others).enumerate() {
        let path = file(&folder, "a", &bytes);
        let name = path.display().to_string();
        for limits in [&limits, &ReadLimits::default()] {
            let of_file = read_image_with(&path, limits).map_err(|error| error.to_string());
            let in_memory = decode_image(&bytes, name.as_str(), limits).map_err(|error| error.to_string());
            assert_eq!(of_file, in_memory, "{index}");
        }
        if let Ok(read) = read_hashed_image(&path, &ReadLimits::default()) {
            assert_eq!(read, (read_image(&path).unwrap(), sha256(&bytes)), "{index}");
        } else {
            assert!(index >= whole.len(), "{index}");
        }
    }
}

#[test]
fn eight_bit_grey_is_read_alike_from_every_format() {
    let folder = TempDir::new().unwrap();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.tif", ImageFormat::Tiff),
        ("a.bmp", ImageFormat::Bmp),
        ("a.pgm", ImageFormat::Pnm),
        // A wrong ending: the content counts.
        ("b.jpg", ImageFormat::Png),
    ] {
        let path = file(&folder, name, &encode(grey(), format));
        let image = read_image(&path).unwrap();
        assert_eq!((image.width(), image.height()), (48, 40), "{name}");
        assert_eq!(read_image_size(&path).unwrap(), (48, 40), "{name}");
        assert_eq!(image.name(), path.display().to_string());
        assert_eq!(image.to_levels(), grey().into_raw(), "{name}");
        let expected = f32::from(level(7, 9)) / 255.0;
        assert_eq!(image.pixels()[9 * 48 + 7], expected, "{name}");
        assert_eq!(image.plane().get(7, 9), Some(expected), "{name}");
    }
    let jpeg = decode(&encode(grey(), ImageFormat::Jpeg)).unwrap();
    let worst = jpeg.to_levels().iter().zip(grey().into_raw()).map(|(a, b)| a.abs_diff(b)).max();
    assert!(worst < Some(40), "{worst:?}");
}

#[test]
fn sixteen_bit_grey_is_stretched_between_percentiles() {
    // 12 bits stored, with one dead and one hot pixel.
    let mut wide =
        ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(100, 100, |x, y| Luma([1000 + (y * 100 + x) as u16 / 5]));
    wide.put_pixel(0, 0, Luma([0]));
    wide.put_pixel(99, 99, Luma([65535]));
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Pnm] {
        let image = decode(&encode(wide.clone(), format)).unwrap();
        let at = |x: usize, y: usize| image.pixels()[y * 100 + x];
        assert_eq!((at(0, 0), at(99, 99)), (0.0, 1.0), "{format:?}");
        assert!((at(50, 50) - 0.5).abs() < 0.01, "{format:?}: {}", at(50, 50));
        assert!(at(5, 1) < 0.02 && at(5, 98) > 0.97, "{format:?}");
    }
}

#[test]
fn sixteen_bits_of_mostly_one_value_are_stretched_between_the_extremes() {
    let mut flat = ImageBuffer::<Luma<u16>, Vec<u16>>::from_pixel(100, 100, Luma([500]));
    flat.put_pixel(3, 4, Luma([700]));
    let image = decode(&encode(flat, ImageFormat::Png)).unwrap();
    assert_eq!(image.pixels()[4 * 100 + 3], 1.0);
    assert_eq!(image.pixels()[0], 0.0);
}

#[test]
fn grey_stored_as_colour_or_with_opaque_alpha_is_grey() {
    let colour = DynamicImage::from(grey()).to_rgb8();
    let opaque = DynamicImage::from(grey()).to_rgba8();
    let grey_opaque = DynamicImage::from(grey()).to_luma_alpha8();
    for image in [DynamicImage::from(colour), DynamicImage::from(opaque), DynamicImage::from(grey_opaque)] {
        let read = decode(&encode(image, ImageFormat::Png)).unwrap();
        assert_eq!(read.to_levels(), grey().into_raw());
    }
}

#[test]
fn coloured_and_transparent_images_are_refused_with_the_pixel() {
    let mut colour: RgbImage = DynamicImage::from(grey()).to_rgb8();
    colour.get_pixel_mut(5, 6).0[1] ^= 0x40;
    let error = refused(&encode(colour, ImageFormat::Png));
    assert!(matches!(error, ImageError::Coloured { x: 5, y: 6, .. }));
    let mut glass: GrayAlphaImage = DynamicImage::from(grey()).to_luma_alpha8();
    glass.get_pixel_mut(7, 8).0[1] = 254;
    let error = refused(&encode(glass, ImageFormat::Png));
    assert!(matches!(error, ImageError::Transparent { x: 7, y: 8, .. }));
}

#[test]
fn one_by_one_small_and_constant_images_are_refused() {
    for (width, height) in [(1, 1), (31, 100), (100, 31)] {
        let small = GrayImage::from_fn(width, height, |x, y| Luma([level(x, y)]));
        let error = refused(&encode(small, ImageFormat::Png));
        assert!(matches!(error, ImageError::TooSmall { .. }));
    }
    for value in [0, 128, 255] {
        let flat = GrayImage::from_pixel(WIDTH, HEIGHT, Luma([value]));
        let error = refused(&encode(flat, ImageFormat::Png));
        assert!(matches!(error, ImageError::Constant { .. }));
    }
    let flat = ImageBuffer::<Luma<u16>, Vec<u16>>::from_pixel(WIDTH, HEIGHT, Luma([900]));
    assert!(matches!(refused(&encode(flat, ImageFormat::Tiff)), ImageError::Constant { .. }));
}

#[test]
fn missing_empty_and_foreign_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let missing = read_image(folder.path().join("gone.png")).unwrap_err();
    assert!(matches!(missing, ImageError::Missing { .. }));
    assert!(missing.to_string().contains("gone.png"), "{missing}");
    let empty = read_image(file(&folder, "empty.png", b"")).unwrap_err();
    assert!(matches!(empty, ImageError::Empty { .. }));
    assert!(empty.to_string().contains("empty.png"), "{empty}");
    let of_folder = read_image(folder.path()).unwrap_err();
    assert!(matches!(of_folder, ImageError::NotAFile { .. }));
    for bytes in [&b"image,landmark,x,y\n"[..], b"\0", b"DICM"] {
        let error = refused(bytes);
        assert!(matches!(error, ImageError::UnknownFormat { .. }));
    }
}

#[test]
fn formats_that_are_not_read_are_named() {
    let at = |offset: usize, bytes: &[u8]| [vec![0; offset], bytes.to_vec(), vec![0; 400]].concat();
    let analyze = [&[0x5C, 1, 0, 0][..], &[0; 36], &[4, 0], &[0; 400]].concat();
    for (bytes, name) in [
        (at(0, b"GIF89a"), "GIF"),
        (at(0, b"RIFF0000WEBPVP8 "), "WebP"),
        (at(0, b"\0\0\0\x18ftypheic"), "HEIC"),
        (at(0, b"\0\0\0\x1Cftypavif"), "AVIF"),
        (at(0, b"\0\0\0\x0CjP  \r\n\x87\n"), "JP2"),
        (at(0, b"\xFF\x4F\xFF\x51"), "JPEG 2000"),
        (at(0, b"\0\0\0\x0CJXL \r\n\x87\n"), "JPEG XL"),
        (at(0, b"\xFF\x0A"), "JPEG XL"),
        (at(0, b"%PDF-1.7"), "PDF"),
        (at(0, b"PK\x03\x04"), "ZIP"),
        (at(257, b"ustar"), "tar"),
        (at(0, b"NRRD0004\ntype: short"), "NRRD"),
        (at(0, b"ObjectType = Image\nNDims = 2\n"), "MetaImage"),
        (at(0, b"NDims = 2\n"), "MetaImage"),
        (analyze, "Analyze"),
        (at(344, b"ni1\0"), "NIfTI pair"),
        (at(0, b"\x93NUMPY"), "NumPy"),
        (at(0, b"\x89HDF\r\n\x1A\n"), "HDF5"),
        (at(0, b"\x1F\x8B\x08\0"), "gzip"),
        (at(0, b"<!DOCTYPE html>"), "HTML"),
    ] {
        let error = refused(&bytes);
        assert!(
            matches!(&error, ImageError::ForeignFormat { format, .. } if format.contains(name)),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_truncated_file_of_any_format_is_refused() {
    let noise = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Luma([level(x, y).wrapping_mul(37) ^ level(y, x).wrapping_mul(101)])
    });
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm]
    {
        let whole = encode(noise.clone(), format);
        decode(&whole).unwrap();
        for tenths in 1..10 {
            let error = decode(&whole[..whole.len() * tenths / 10]).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("scan.png: "), "{text}");
            assert!(matches!(error, ImageError::Damaged { .. }), "{format:?} cut at {tenths}/10: {text}");
        }
        let error = decode(&whole[..whole.len() - 30]).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{format:?}: {error}");
    }
}

/// A PNG whose header claims a size, with a correct checksum, and next to no data.
fn claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encode(grey(), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    !crc
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_asked_for() {
    let error = refused(&claiming(100_000, 100_000));
    assert!(matches!(error, ImageError::TooWide { width: 100_000, height: 100_000, .. }));
    let error = refused(&claiming(30_000, 30_000));
    assert!(matches!(error, ImageError::TooLarge { max_mib: 512, .. }), "{error}");
    let error = refused(&claiming(u32::MAX >> 1, 64));
    assert!(matches!(error, ImageError::TooWide { .. } | ImageError::TooLarge { .. }), "{error}");
    for header in ["P5 100000 100000 255\n", "P5 1000000000 1000000000 65535\n"] {
        let error = refused(header.as_bytes());
        assert!(matches!(error, ImageError::TooWide { .. } | ImageError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn limits_can_be_set() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "a.png", &encode(grey(), ImageFormat::Png));
    let narrow = ReadLimits { max_side: 40, ..ReadLimits::default() };
    let error = read_image_with(&path, &narrow).unwrap_err();
    assert!(matches!(error, ImageError::TooWide { max_side: 40, .. }));
    let tight = ReadLimits { max_bytes: 5_000, ..ReadLimits::default() };
    let error = read_image_with(&path, &tight).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    let few = ReadLimits { max_pixels: 1_000, ..ReadLimits::default() };
    let error = read_image_with(&path, &few).unwrap_err();
    assert!(matches!(error, ImageError::TooMany { parts: "pixels", most: 1_000, .. }), "{error}");
}

#[test]
fn an_orientation_tag_is_refused() {
    // An EXIF segment that says "turn by 90 degrees", behind the start-of-image marker.
    let jpeg = encode(grey(), ImageFormat::Jpeg);
    let tiff: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut tagged = jpeg[..2].to_vec();
    tagged.extend([0xFF, 0xE1, 0, (tiff.len() + 8) as u8]);
    tagged.extend(b"Exif\0\0");
    tagged.extend(tiff);
    tagged.extend(&jpeg[2..]);
    let error = refused(&tagged);
    let turned = format!("{:?}", Orientation::Rotate90);
    assert!(
        matches!(&error, ImageError::Orientation { orientation, .. } if orientation.contains(&turned)),
        "{error}"
    );
}

/// A chunk of a PNG file that says "turn by 90 degrees", with so many bytes behind that.
fn exif_chunk(more: usize) -> Vec<u8> {
    let mut named = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    named.resize(named.len() + more, 0);
    png_chunk(&named)
}

#[test]
fn an_orientation_of_a_png_counts_wherever_it_is() {
    let png = encode(grey(), ImageFormat::Png);
    let (header_end, end) = (8 + 12 + 13, png.len() - 12);
    for (at, more) in [(header_end, 0), (end, 0), (header_end, 100_000), (end, 100_000)] {
        let mut tagged = png.clone();
        tagged.splice(at..at, exif_chunk(more));
        let error = refused(&tagged);
        assert!(matches!(error, ImageError::Orientation { .. }), "{at}, {more}: {error}");
        let mut twice = tagged.clone();
        twice.splice(at..at, exif_chunk(0));
        // Before the pixels the first counts already.
        let is_damaged = matches!(refused(&twice), ImageError::Damaged { .. });
        assert_eq!(is_damaged, at == end, "{at}, {more}");
        tagged.splice(at..at, exif_chunk(1 << 20));
        assert!(matches!(refused(&tagged), ImageError::Unsupported { .. }), "{at}");
    }
}

#[test]
fn tiff_fields_that_the_decoder_takes_otherwise_are_refused() {
    for (field, told) in [
        ("266 SHORT 2", "FillOrder"),
        ("317 SHORT 2", "predictor"),
        (
            "258 SHORT 8/8/8; 262 SHORT 2; 277 SHORT 3; 284 SHORT 2; 273 NONE -; 278 NONE -; 279 NONE -; \
             322 SHORT 32; 323 SHORT 48; 324 LONG 512/512/512; 325 LONG 1536/1536/1536",
            "tiles",
        ),
    ] {
        for order in ["II", "MM"] {
            let error = refused(&tiff(&format!("{order}; {field}")));
            let is_told = matches!(&error, ImageError::Unsupported { reason, .. } if reason.contains(told));
            assert!(is_told, "{field}: {error}");
        }
    }
    for field in ["266 SHORT 1", "317 SHORT 1"] {
        decode_image(&tiff(&format!("II; {field}")), "a.tif", &ReadLimits::default()).unwrap();
    }
}

#[test]
fn the_last_strip_of_a_tiff_may_be_as_long_as_the_others() {
    let samples: Vec<u8> = (0..40 * 36).map(|index| (index / 40 * 7 + index % 40 / 6) as u8).collect();
    for compression in [Compression::None, Compression::Lzw, Compression::Deflate, Compression::PackBits] {
        let read = |split| {
            let file = packed_tiff(&samples, 40, compression, split);
            decode_image(&file, "a.tif", &ReadLimits::default()).unwrap()
        };
        assert_eq!(read(Split::WholeStrips(8)).pixels(), read(Split::Strips(8)).pixels(), "{compression:?}");
        // One that is shorter than all, or longer than some, is of another picture.
        for height in [35, 37] {
            let mut file = packed_tiff(&samples, 40, compression, Split::Strips(8));
            let field = 10 + 12 + 8;
            assert_eq!(file[field..field + 4], 36_u32.to_le_bytes());
            file[field..field + 4].copy_from_slice(&u32::to_le_bytes(height));
            let error = refused(&file);
            assert!(matches!(error, ImageError::Damaged { .. }), "{compression:?}: {error}");
        }
    }
}

#[test]
fn a_tiff_of_several_pages_is_refused() {
    let mut bytes = encode(grey(), ImageFormat::Tiff);
    let first: [u8; 4] = bytes[4..8].try_into().unwrap();
    let page = u32::from_le_bytes(first) as usize;
    let next = page + 2 + 12 * usize::from(u16::from_le_bytes([bytes[page], bytes[page + 1]]));
    assert_eq!(bytes[next..next + 4], [0; 4]);
    // The same page again.
    let second = bytes.len().next_multiple_of(2);
    bytes.resize(second, 0);
    bytes.extend_from_within(page..next + 4);
    bytes[next..next + 4].copy_from_slice(&(second as u32).to_le_bytes());
    let error = refused(&bytes);
    assert!(matches!(error, ImageError::Pages { .. }));
}

#[test]
fn floating_point_pixels_are_refused() {
    let float = ImageBuffer::<image::Rgb<f32>, Vec<f32>>::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgb([level(x, y) as f32; 3])
    });
    let error = refused(&encode(float, ImageFormat::Tiff));
    assert!(matches!(error, ImageError::Unsupported { .. }));
}

#[test]
fn an_image_from_memory_is_checked() {
    let ramp = |n: usize| (0..n).map(|i| i as f32 / n as f32).collect::<Vec<f32>>();
    assert!(Image::new("m", 32, 32, ramp(1024)).is_ok());
    let refused = |width, height, pixels| Image::new("m", width, height, pixels).unwrap_err();
    assert!(matches!(refused(32, 33, ramp(1024)), ImageError::Buffer { .. }));
    assert!(matches!(refused(usize::MAX, usize::MAX, ramp(1)), ImageError::Buffer { .. }));
    assert!(matches!(refused(0, 0, vec![]), ImageError::TooSmall { .. }));
    for bad in [f32::NAN, f32::INFINITY, -0.01, 1.01] {
        let mut pixels = ramp(1024);
        pixels[33] = bad;
        assert!(matches!(refused(32, 32, pixels), ImageError::Range { x: 1, y: 1, .. }));
    }
}

#[test]
fn a_folder_lists_its_images_by_name() {
    let folder = TempDir::new().unwrap();
    let error = list_images(folder.path()).unwrap_err();
    assert!(matches!(error, ImageError::NoImages { .. }));
    assert!(error.to_string().starts_with(&folder.path().display().to_string()), "{error}");
    for name in ["b.png", "a.TIF", "c.jpeg", "notes.txt", ".hidden.png", "d.pgm"] {
        file(&folder, name, b"-");
    }
    fs::create_dir(folder.path().join("e.png")).unwrap();
    let listed = list_images(folder.path()).unwrap();
    let names: Vec<_> = listed.iter().map(|p| p.file_name().unwrap()).collect();
    assert_eq!(names, ["a.TIF", "b.png", "c.jpeg", "d.pgm"]);
    let missing = list_images(Path::new("/no/such/folder")).unwrap_err();
    assert!(matches!(missing, ImageError::Missing { .. }));
    let of_file = list_images(folder.path().join("b.png")).unwrap_err();
    assert!(matches!(of_file, ImageError::NotAFolder { .. }));
}

#[test]
fn bytes_that_other_programs_append_to_a_png_are_none_of_it() {
    let bytes = encode(grey(), ImageFormat::Png);
    let appended = [&bytes[..], b"annotations of another program"].concat();
    assert_eq!(decode(&appended).unwrap().pixels(), decode(&bytes).unwrap().pixels());
}
