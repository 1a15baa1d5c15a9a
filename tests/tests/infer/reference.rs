//! Files of other libraries against what those read of them: `tests/expectations/dicom.py` and `pictures.py`.

use std::io::Read;

use flate2::read::GzDecoder;
use infomark_infer::{Image, ImageError, ReadLimits, decode_image};

/// A part with its length before it.
fn part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest.split_first_chunk::<4>().unwrap();
    let (part, after) = after.split_at(u32::from_le_bytes(*length) as usize);
    *rest = after;
    part
}

/// Compares every file of a pack; how many there are.
fn compare(packed: &[u8]) -> usize {
    let mut cases = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut cases).unwrap();
    let (mut rest, mut count, mut wrong) = (cases.as_slice(), 0, Vec::new());
    while !rest.is_empty() {
        let name = std::str::from_utf8(part(&mut rest)).unwrap();
        let tolerance = u32::from_le_bytes(part(&mut rest).try_into().unwrap()) as f32 / 1e6;
        let (file, expected) = (part(&mut rest), part(&mut rest));
        let read = decode_image(file, name, &ReadLimits::default());
        count += 1;
        wrong.extend(difference(read, expected, tolerance).map(|problem| format!("{name}: {problem}")));
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    count
}

/// What is wrong with an image, of which every fifth pixel is expected; none are expected of files of several pages.
fn difference(read: Result<Image, ImageError>, expected: &[u8], tolerance: f32) -> Option<String> {
    let image = match read {
        Err(ImageError::Pages { .. }) if expected.is_empty() => return None,
        Err(error) => return Some(error.to_string()),
        Ok(image) => image,
    };
    let count = (image.width() * image.height()).div_ceil(5);
    if (image.width(), image.height()) != (37, 35) || expected.len() != 2 * count {
        return Some(format!("{} x {} pixels", image.width(), image.height()));
    }
    let expected = expected.chunks_exact(2).map(|pair| f32::from(u16::from_le_bytes([pair[0], pair[1]])));
    let pairs = image.pixels().iter().step_by(5).zip(expected);
    let worst = pairs.map(|(pixel, expected)| (pixel - expected / 65535.0).abs()).fold(0.0, f32::max);
    (worst > tolerance).then(|| format!("{worst} off, {tolerance} allowed"))
}

#[test]
fn dicom_files_are_shown_as_pydicom_shows_them() {
    assert_eq!(compare(include_bytes!("../../expectations/dicom.bin.gz")), 151);
}

#[test]
fn pictures_are_read_as_their_writers_read_them() {
    assert_eq!(compare(include_bytes!("../../expectations/pictures.bin.gz")), 60);
}
