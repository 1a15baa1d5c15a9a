//! Pictures with resolution fields, for the tests of `infomark-infer`: 32 x 32 pixels.

#![allow(clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use std::io::{Cursor, Write};

use flate2::Compression as Level;
use flate2::write::ZlibEncoder;
use image::{GrayImage, ImageFormat};
use weezl::BitOrder;

use crate::infer_jpeg::SequentialJpeg;

const SIDE: u32 = 32;

fn encoded(format: ImageFormat) -> Vec<u8> {
    let pixels = GrayImage::from_fn(SIDE, SIDE, |x, y| image::Luma([(x + y) as u8]));
    let mut file = Cursor::new(Vec::new());
    pixels.write_to(&mut file, format).expect("memory");
    file.into_inner()
}

/// A PNG file with chunks: `sCAL UNIT WIDTH HEIGHT` or `pHYs UNIT X Y`, several after `; `, each with `late` (after the
/// pixels) or `broken` (with a wrong checksum) before it.
pub fn png(chunks: &str) -> Vec<u8> {
    let mut file = encoded(ImageFormat::Png);
    let mut early = 8 + 12 + 13;
    for chunk in chunks.split("; ").filter(|chunk| !chunk.is_empty()) {
        let (mut is_late, mut is_broken) = (false, false);
        let words = chunk.split(' ').filter(|word| {
            is_late |= *word == "late";
            is_broken |= *word == "broken";
            !matches!(*word, "late" | "broken")
        });
        let words: Vec<&str> = words.collect();
        let unit: u8 = words[1].parse().expect("a unit");
        let data = if words[0] == "sCAL" {
            [&[unit], words[2..].join("\0").as_bytes()].concat()
        } else {
            let number = |word: &str| word.parse::<u32>().expect("a number").to_be_bytes();
            [&number(words[2])[..], &number(words[3]), &[unit]].concat()
        };
        let mut whole = png_chunk(&[words[0].as_bytes(), &data].concat());
        if let Some(last) = whole.last_mut() {
            *last ^= u8::from(is_broken);
        }
        let at = if is_late { file.len() - 12 } else { early };
        file.splice(at..at, whole.iter().copied());
        if !is_late {
            early += whole.len();
        }
    }
    file
}

/// A chunk of a PNG file, of its type and data.
pub fn png_chunk(named: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(named);
    let length = (named.len() - 4) as u32;
    [&length.to_be_bytes()[..], named, &sum.sum().to_be_bytes()].concat()
}

/// A JPEG file with the density `UNIT X Y`.
pub fn jpeg(density: &str) -> Vec<u8> {
    let mut file = encoded(ImageFormat::Jpeg);
    assert_eq!(&file[6..11], b"JFIF\0");
    let numbers: Vec<u16> = density.split(' ').map(|number| number.parse().expect("a number")).collect();
    file[13] = numbers[0] as u8;
    file[14..16].copy_from_slice(&numbers[1].to_be_bytes());
    file[16..18].copy_from_slice(&numbers[2].to_be_bytes());
    file
}

/// A BMP file with the resolution `X Y` in pixels per metre.
pub fn bmp(resolution: &str) -> Vec<u8> {
    let mut file = encoded(ImageFormat::Bmp);
    for (index, number) in resolution.split(' ').enumerate() {
        let number: u32 = number.parse().expect("a number");
        file[38 + 4 * index..][..4].copy_from_slice(&number.to_le_bytes());
    }
    file
}

/// A TIFF file of the byte order `II` or `MM` with fields `TAG TYPE VALUE`, some perhaps in place of its own; a value is several after `/`, and `NONE` for no such field.
pub fn tiff(description: &str) -> Vec<u8> {
    let mut parts = description.split("; ");
    let is_big = parts.next() == Some("MM");
    let short = |number: u16| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    let long = |number: u32| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    let pixels = SIDE * SIDE;
    let own = ["256 SHORT 32", "257 SHORT 32", "258 SHORT 8", "259 SHORT 1", "262 SHORT 1", "273 LONG 512"];
    let own = own.into_iter().map(str::to_owned);
    let own = own.chain(["277 SHORT 1".to_owned(), "278 SHORT 32".to_owned(), format!("279 LONG {pixels}")]);
    let mut fields: Vec<(u16, String, String)> = own
        .chain(parts.map(str::to_owned))
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(|field| {
            let words: Vec<&str> = field.split(' ').collect();
            (words[0].parse().expect("a tag"), words[1].to_owned(), words[2].to_owned())
        })
        .collect();
    // The last of a tag counts.
    fields.sort_by_key(|&(tag, ..)| tag);
    fields.dedup_by_key(|&mut (tag, ..)| tag);
    fields.retain(|(_, kind, _)| kind != "NONE");
    let mut file = if is_big { b"MM".to_vec() } else { b"II".to_vec() };
    file.extend(short(42));
    file.extend(long(8));
    file.extend(short(fields.len() as u16));
    let start = 8 + 2 + 12 * fields.len() + 4;
    let mut extra = Vec::new();
    for (tag, kind, value) in &fields {
        let whole = || value.split('/').map(|number| number.parse::<u32>().expect("a number"));
        let (code, data): (u16, Vec<u8>) = match kind.as_str() {
            "SHORT" => (3, whole().flat_map(|number| short(number as u16)).collect()),
            "LONG" => (4, whole().flat_map(long).collect()),
            "RATIONAL" => (5, whole().flat_map(long).collect()),
            "FLOAT" => (11, long(value.parse::<f32>().expect("a number").to_bits()).to_vec()),
            _ => {
                let bits = value.parse::<f64>().expect("a number").to_bits();
                (12, if is_big { bits.to_be_bytes() } else { bits.to_le_bytes() }.to_vec())
            }
        };
        file.extend(short(*tag));
        file.extend(short(code));
        let count = if matches!(code, 3 | 4) { whole().count() } else { 1 };
        file.extend(long(count as u32));
        if data.len() > 4 {
            file.extend(long((start + extra.len()) as u32));
            extra.extend(data);
        } else {
            file.extend(&data);
            file.resize(file.len() + 4 - data.len(), 0);
        }
    }
    file.extend(long(0));
    file.extend(extra);
    file.resize(512, 0);
    file.extend((0..pixels).map(|index| (index % SIDE + index / SIDE) as u8));
    file
}

/// Compression of TIFF strips and tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names of the standard")]
pub enum Compression {
    None = 1,
    Lzw = 5,
    Jpeg = 7,
    Deflate = 8,
    PackBits = 32_773,
}

/// How the pixels of a TIFF file are split.
#[derive(Clone, Copy, Debug)]
pub enum Split {
    /// Into strips of so many rows.
    Strips(usize),
    /// Into strips of so many rows, of which the last goes on below the picture.
    WholeStrips(usize),
    /// Into square tiles of such a side.
    Tiles(usize),
}

/// Grey bytes as a TIFF file, little end first, the directory before the pixels.
pub fn packed_tiff(samples: &[u8], width: usize, compression: Compression, split: Split) -> Vec<u8> {
    let height = samples.len() / width;
    let (across, down) = match split {
        Split::Strips(rows) | Split::WholeStrips(rows) => (width, rows),
        Split::Tiles(side) => (side, side),
    };
    let mut chunks = Vec::new();
    for top in (0..height).step_by(down) {
        for left in (0..width).step_by(across) {
            let rows = if matches!(split, Split::Strips(_)) { down.min(height - top) } else { down };
            let at = |index: usize| {
                let (x, y) = (left + index % across, top + index / across);
                samples[y.min(height - 1) * width + x.min(width - 1)]
            };
            chunks.push(pack((0..rows * across).map(at).collect(), across, compression));
        }
    }
    let [size, places, lengths] = if matches!(split, Split::Tiles(_)) {
        [[322, 323], [324; 2], [325; 2]]
    } else {
        [[278, 278], [273; 2], [279; 2]]
    };
    let count = chunks.len() as u32;
    let mut fields = vec![
        (256_u16, 1, width as u32),
        (257, 1, height as u32),
        (258, 1, 8),
        (259, 1, compression as u32),
        (262, 1, 1),
        (277, 1, 1),
        (size[1], 1, down as u32),
        (places[0], count, 0),
        (lengths[0], count, 0),
    ];
    if size[0] != size[1] {
        fields.push((size[0], 1, across as u32));
    }
    fields.sort_unstable();
    let directory = 8 + 2 + 12 * fields.len() + 4;
    let arrays = if count > 1 { 8 * chunks.len() } else { 0 };
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((fields.len() as u16).to_le_bytes());
    let mut place = directory + arrays;
    let starts: Vec<u32> = chunks
        .iter()
        .map(|chunk| {
            place += chunk.len();
            (place - chunk.len()) as u32
        })
        .collect();
    let bytes: Vec<u32> = chunks.iter().map(|chunk| chunk.len() as u32).collect();
    for &(tag, values, value) in &fields {
        let value = match tag {
            _ if tag == places[0] && count == 1 => starts[0],
            _ if tag == lengths[0] && count == 1 => bytes[0],
            _ if tag == places[0] => directory as u32,
            _ if tag == lengths[0] => (directory + 4 * chunks.len()) as u32,
            _ => value,
        };
        file.extend(tag.to_le_bytes());
        file.extend(4_u16.to_le_bytes());
        file.extend(values.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    if count > 1 {
        file.extend(starts.iter().chain(&bytes).flat_map(|value| value.to_le_bytes()));
    }
    file.extend(chunks.concat());
    file
}

fn pack(samples: Vec<u8>, width: usize, compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => samples,
        Compression::Lzw => {
            weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&samples).expect("memory")
        }
        Compression::Jpeg => {
            let samples: Vec<u16> = samples.into_iter().map(u16::from).collect();
            SequentialJpeg { bits: 8, step: 2, restart_interval: 0 }.encode(&samples, width).0
        }
        Compression::Deflate => {
            let mut packed = ZlibEncoder::new(Vec::new(), Level::fast());
            packed.write_all(&samples).expect("memory");
            packed.finish().expect("memory")
        }
        Compression::PackBits => {
            let mut packed = Vec::new();
            for row in samples.chunks(width) {
                for run in row.chunk_by(|a, b| a == b) {
                    for part in run.chunks(128) {
                        packed.extend([(1 - part.len() as i32) as i8 as u8, part[0]]);
                    }
                }
            }
            packed
        }
    }
}
