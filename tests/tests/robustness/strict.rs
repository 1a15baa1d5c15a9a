//! Small files of every format, cut, with pieces missing, zeroed and flipped at 200 places: an error, or the right picture, or, where the
//! format has nothing to tell it by, another picture of the same size. docs/robustness.md states which format can tell what.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use infomark_infer::{Image, ImageError, ReadLimits, decode_image};
use infomark_tests::infer_dicom::{Dicom, LosslessJpeg, jpeg_2000, rle, syntax};
use infomark_tests::infer_jpeg::{JpegLs, SequentialJpeg};
use infomark_tests::infer_nifti::{gzip, nifti};
use infomark_tests::infer_picture::{Compression, Split, packed_tiff, png};

const WIDTH: usize = 40;
const HEIGHT: usize = 36;

/// Places of a file that are damaged.
const PLACES: usize = 200;

/// What a format can tell of changed bytes.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    /// Any change, by checksums.
    Everything,
    /// Another size, but not other samples or another meaning of them.
    Size,
    /// Another size, but for one that has as many pixels in rows rounded up to so many, and in blocks as high.
    SizeInBlocks(usize, usize),
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    tells: Tells,
    /// Bytes at the end that hold nothing of the picture, such as an end marker.
    tail: usize,
    /// Whether anything may follow.
    goes_on: bool,
}

impl Case {
    /// What the format can tell of missing bytes: where each sample has a code of its own length, others may take the place of those.
    fn tells_of_gaps(&self) -> Option<Tells> {
        let has_codes =
            self.name.contains("JPEG") || self.name.contains("jpeg") || self.name.contains("text");
        has_codes.then_some(self.tells)
    }
}

fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_image(bytes, "image", &ReadLimits { max_side: 4096, ..ReadLimits::default() })
}

/// A picture without runs and repeats, of so many bits.
fn samples(bits: u32) -> Vec<u16> {
    let most = (1_u32 << bits) - 1;
    let level =
        |i: usize| (i as u32 % WIDTH as u32 * 5 + (i / WIDTH) as u32 * 2 + (i as u32 * i as u32) % 7) % 256;
    (0..WIDTH * HEIGHT).map(|i| (level(i) * most / 255) as u16).collect()
}

fn cases() -> Vec<Case> {
    let bytes: Vec<u8> = samples(8).iter().map(|&sample| sample as u8).collect();
    let grey = GrayImage::from_raw(WIDTH as u32, HEIGHT as u32, bytes.clone()).unwrap();
    let wide = ImageBuffer::<Luma<u16>, _>::from_raw(WIDTH as u32, HEIGHT as u32, samples(16)).unwrap();
    let (grey, wide) = (DynamicImage::from(grey), DynamicImage::from(wide));
    let colour = DynamicImage::from(grey.to_rgb8());
    let encoded = |image: &DynamicImage, format| {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        file.into_inner()
    };
    let mut cases = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, tells, tail, goes_on| {
        cases.push(Case { name: name.to_owned(), bytes, tells, tail, goes_on });
    };
    add("PNG", encoded(&grey, ImageFormat::Png), Tells::Everything, 0, true);
    add("PNG of 16 bits", encoded(&wide, ImageFormat::Png), Tells::Everything, 0, true);
    add("PNG with a scale", png("sCAL 1 0.3 0.25; late pHYs 1 300 400"), Tells::Everything, 0, true);
    add("PGM", encoded(&grey, ImageFormat::Pnm), Tells::Size, 0, false);
    add("PGM of 16 bits", encoded(&wide, ImageFormat::Pnm), Tells::Size, 0, false);
    let text: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let text = format!("P2\n{WIDTH} {HEIGHT}\n255\n{}\n", text.join("\n"));
    add("PGM in text", text.into_bytes(), Tells::Size, 0, false);
    // Rows are rounded up to four bytes.
    add("BMP", encoded(&grey, ImageFormat::Bmp), Tells::SizeInBlocks(4, 1), 0, false);
    add("BMP in colour", encoded(&colour, ImageFormat::Bmp), Tells::SizeInBlocks(4, 1), 0, false);
    for compression in
        [Compression::None, Compression::Lzw, Compression::Deflate, Compression::PackBits, Compression::Jpeg]
    {
        for split in [Split::Strips(36), Split::Strips(8), Split::Tiles(16)] {
            // The decoder refuses LZW in tiles that go on beyond the picture.
            if compression == Compression::Lzw && matches!(split, Split::Tiles(_)) {
                continue;
            }
            let file = packed_tiff(&bytes, WIDTH, compression, split);
            let tells = if compression == Compression::Jpeg || matches!(split, Split::Tiles(_)) {
                // Tiles go on beyond the picture.
                Tells::SizeInBlocks(16, 16)
            } else {
                Tells::Size
            };
            let tail = if compression == Compression::Jpeg { 2 } else { 0 };
            add(&format!("TIFF, {compression:?}, {split:?}"), file, tells, tail, true);
        }
    }
    add("TIFF of 16 bits", encoded(&wide, ImageFormat::Tiff), Tells::Size, 0, true);
    let blocks = Tells::SizeInBlocks(8, 8);
    add("JPEG", encoded(&grey, ImageFormat::Jpeg), blocks, 2, true);
    add("JPEG in colour", encoded(&colour, ImageFormat::Jpeg), blocks, 2, true);
    let jpeg = |bits, restart_interval| {
        SequentialJpeg { bits, step: 4, restart_interval }.encode(&samples(bits.into()), WIDTH).0
    };
    add("JPEG with restarts", jpeg(8, 5), blocks, 2, true);
    add("JPEG of 12 bits", jpeg(12, 0), blocks, 2, true);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/image_file");
    for name in ["jpeg_progressive", "jpeg_colour_progressive"] {
        add(name, std::fs::read(corpus.join(name)).unwrap(), blocks, 2, true);
    }
    let lossless = |restart_rows| {
        let coder = LosslessJpeg { predictor: 4, restart_rows, point_transform: 0 };
        coder.encode(&samples(12), WIDTH, 12)
    };
    add("JPEG, lossless", lossless(0), Tells::Size, 2, true);
    add("JPEG, lossless, with restarts", lossless(6), Tells::Size, 2, true);
    let jpeg_ls = |near, restart_lines| {
        JpegLs { bits: 12, near, restart_lines, preset: None }.encode(&samples(12), WIDTH).0
    };
    add("JPEG-LS", jpeg_ls(0, 0), Tells::Size, 2, true);
    add("JPEG-LS, near-lossless, with restarts", jpeg_ls(3, 9), Tells::Size, 2, true);
    let voxels: Vec<u8> = samples(12).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let volume = nifti(&[WIDTH as u16, HEIGHT as u16, 1], 512, &voxels);
    add("NIfTI, packed", gzip(&volume), Tells::Everything, 0, false);
    add("NIfTI", volume, Tells::Size, 0, false);
    let dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 12, samples(12))
        .text((0x0028, 0x1050), "DS", "2000")
        .text((0x0028, 0x1051), "DS", "4000");
    for (name, uid) in
        [("explicit", syntax::EXPLICIT), ("implicit", syntax::IMPLICIT), ("big endian", syntax::BIG)]
    {
        add(&format!("DICOM, {name}"), dicom.clone().in_syntax(uid).encode(), Tells::Size, 0, true);
    }
    let fragments = |code: Vec<u8>| -> Vec<Vec<u8>> { code.chunks(200).map(<[u8]>::to_vec).collect() };
    // The delimiter after the last fragment, a byte that makes that even, and the end marker.
    for (name, uid, code, tail) in [
        ("RLE", syntax::RLE, rle(&samples(12), 2), 9),
        ("JPEG", syntax::JPEG_EXTENDED, jpeg(12, 5), 11),
        ("lossless JPEG", syntax::JPEG_LOSSLESS, lossless(0), 11),
        ("JPEG-LS", syntax::JPEG_LS, jpeg_ls(0, 0), 11),
        ("near-lossless JPEG-LS", syntax::JPEG_LS_NEAR, jpeg_ls(3, 0), 11),
    ] {
        let whole = dicom.clone().compressed(uid, vec![code.clone()]).encode();
        add(&format!("DICOM, {name}"), whole, Tells::Size, tail, true);
        let split = dicom.clone().compressed(uid, fragments(code)).encode();
        add(&format!("DICOM, {name}, in fragments"), split, Tells::Size, tail, true);
    }
    let jpeg_2000 = Dicom::new(32, 32, 12, Vec::new()).compressed(syntax::JPEG_2000, vec![jpeg_2000()]);
    add("DICOM, JPEG 2000", jpeg_2000.encode(), Tells::Size, 9, true);
    cases
}

/// What is wrong with what damaged bytes are read as, if anything.
fn problem(case: &Case, original: &Image, bytes: &[u8], tells: Option<Tells>) -> Option<String> {
    let image = match read(bytes) {
        Err(error) => {
            let text = error.to_string();
            return (!text.starts_with("image: ") || !text.contains(';')).then_some(text);
        }
        Ok(image) => image,
    };
    let size = (image.width(), image.height());
    let same_size = size == (original.width(), original.height());
    if same_size && image.pixels() == original.pixels() {
        return None;
    }
    let allowed = match tells {
        Some(Tells::Size) => same_size,
        Some(Tells::SizeInBlocks(across, down)) => {
            size.0.div_ceil(across) == original.width().div_ceil(across)
                && size.1.div_ceil(down) == original.height().div_ceil(down)
        }
        Some(Tells::Everything) | None => false,
    };
    let what =
        if same_size { "another picture".to_owned() } else { format!("{} x {} pixels", size.0, size.1) };
    (!allowed).then(|| format!("{}: read as {what}", case.name))
}

#[test]
fn damaged_images_are_refused_or_read_right_as_far_as_their_format_can_tell() {
    let mut wrong = Vec::new();
    for case in cases() {
        let original = match read(&case.bytes) {
            Ok(original) => original,
            Err(error) => {
                wrong.push(format!("{}: whole, {error}", case.name));
                continue;
            }
        };
        let whole = &case.bytes;
        let mut check = |kind: &str, place: usize, bytes: &[u8], tells| {
            let is_to_fail = match kind {
                "cut" => place < whole.len() - case.tail,
                "more" => !case.goes_on,
                _ => false,
            };
            let problem = problem(&case, &original, bytes, tells).or_else(|| {
                (is_to_fail && read(bytes).is_ok()).then(|| format!("{}: not refused", case.name))
            });
            if let Some(problem) = problem {
                wrong.push(format!("{problem} ({kind} at {place} of {})", whole.len()));
            }
        };
        for index in 0..PLACES {
            let place = index * whole.len() / PLACES;
            check("cut", place, &whole[..place], None);
            for length in [1, 16] {
                let end = (place + length).min(whole.len());
                let mut bytes = whole.clone();
                bytes.drain(place..end);
                check(&format!("{length} missing"), place, &bytes, case.tells_of_gaps());
                bytes = whole.clone();
                bytes[place..end].fill(0);
                check(&format!("{length} zeroed"), place, &bytes, Some(case.tells));
                bytes = whole.clone();
                bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0xFF);
                check(&format!("{length} inverted"), place, &bytes, Some(case.tells));
            }
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (index % 8);
            check("flip", place, &bytes, Some(case.tells));
        }
        let longer = [whole.as_slice(), b"more bytes"].concat();
        check("more", whole.len(), &longer, None);
    }
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_deadline_that_has_passed_ends_the_reading_of_every_format() {
    let limits = ReadLimits { deadline: Some(std::time::Instant::now()), ..ReadLimits::default() };
    for case in cases() {
        let read = decode_image(&case.bytes, "image", &limits);
        assert!(matches!(read, Err(ImageError::TimedOut { .. })), "{}: {:?}", case.name, read.err());
    }
}

#[test]
fn scans_and_strips_are_bounded_wherever_they_lie() {
    let limits = ReadLimits { max_scans: 3, max_tiles: 3, ..ReadLimits::default() };
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/image_file/jpeg_progressive");
    let progressive = std::fs::read(corpus).unwrap();
    let in_dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 8, Vec::new())
        .compressed(syntax::JPEG_EXTENDED, vec![progressive.clone()])
        .encode();
    let bytes: Vec<u8> = samples(8).iter().map(|&sample| sample as u8).collect();
    let strips = packed_tiff(&bytes, WIDTH, Compression::Lzw, Split::Strips(8));
    for (file, parts) in
        [(progressive, "JPEG scans"), (in_dicom, "JPEG scans"), (strips, "TIFF strips or tiles")]
    {
        assert!(read(&file).is_ok(), "{parts}");
        let refused = decode_image(&file, "image", &limits).unwrap_err();
        let is_named =
            matches!(&refused, ImageError::TooMany { parts: found, most: 3, .. } if *found == parts);
        assert!(is_named, "{parts}: {refused}");
    }
}

#[test]
fn a_jpeg_whose_header_was_widened_is_refused() {
    let (mut file, _) = SequentialJpeg { bits: 8, step: 4, restart_interval: 0 }.encode(&samples(8), WIDTH);
    let frame = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    for width in [2056_u16, 48, 32] {
        file[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        assert!(matches!(read(&file), Err(ImageError::Damaged { .. })), "{width}");
    }
}

#[test]
fn packed_nifti_without_its_checksum_or_with_another_is_refused() {
    let voxels: Vec<u8> = samples(12).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let whole = gzip(&nifti(&[WIDTH as u16, HEIGHT as u16, 1], 512, &voxels));
    assert!(read(&whole).is_ok());
    let end = whole.len();
    for length in [1, 4, 8] {
        assert!(matches!(read(&whole[..end - length]), Err(ImageError::Damaged { .. })), "{length}");
    }
    let mut other = whole.clone();
    other[end - 8] ^= 1;
    assert!(matches!(read(&other), Err(ImageError::Damaged { .. })));
    // More than the header calls for.
    let longer = nifti(&[WIDTH as u16, HEIGHT as u16, 1], 512, &[voxels.as_slice(), &[0; 2]].concat());
    assert!(matches!(read(&gzip(&longer)), Err(ImageError::Damaged { .. })));
}

#[test]
fn jpeg_2000_whose_last_packets_are_missing_is_refused() {
    let whole = jpeg_2000();
    let file =
        |code: Vec<u8>| Dicom::new(32, 32, 12, Vec::new()).compressed(syntax::JPEG_2000, vec![code]).encode();
    assert!(read(&file(whole.clone())).is_ok());
    let start = whole.windows(2).position(|pair| pair == [0xFF, 0x90]).unwrap();
    let data = start + whole[start..].windows(2).position(|pair| pair == [0xFF, 0x93]).unwrap() + 2;
    let end = whole.len() - 2;
    // The tile-part says how long it is, and ends with whole packets where it is cut between two.
    for cut in data..end {
        let mut code = [&whole[..cut], &[0xFF, 0xD9]].concat();
        code[start + 6..start + 10].copy_from_slice(&((cut - start) as u32).to_be_bytes());
        assert!(read(&file(code)).is_err(), "cut at {cut} of {end}");
    }
}
