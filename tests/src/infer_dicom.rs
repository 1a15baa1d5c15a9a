//! DICOM files made on the spot, for the tests of `infomark-infer`.

#![allow(clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use std::collections::BTreeMap;

use crate::infer_jpeg::BitWriter;

/// Uncompressed transfer syntaxes and some others, by UID.
pub mod syntax {
    #![allow(missing_docs, reason = "the names of the standard")]

    pub const IMPLICIT: &str = "1.2.840.10008.1.2";
    pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
    pub const BIG: &str = "1.2.840.10008.1.2.2";
    pub const RLE: &str = "1.2.840.10008.1.2.5";
    pub const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
    pub const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
    pub const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
    pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
    pub const JPEG_LS_NEAR: &str = "1.2.840.10008.1.2.4.81";
    pub const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
    pub const JPEG_2000_LOSS: &str = "1.2.840.10008.1.2.4.91";
}

/// Elements by tag, each with its value representation.
pub type Elements = BTreeMap<(u16, u16), (&'static str, Value)>;

/// What an element holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text of any kind.
    Text(String),
    /// 16-bit words.
    Words(Vec<u16>),
    /// Bytes, as they are.
    Bytes(Vec<u8>),
    /// A sequence of data sets.
    Items(Vec<Elements>),
    /// A sequence of undefined length whose items are in implicit VR, as elements of VR UN are.
    ImplicitItems(Vec<Elements>),
}

/// A data set to be written.
#[derive(Clone, Debug)]
pub struct Dicom {
    /// UID of the transfer syntax.
    pub syntax: &'static str,
    /// The elements but the pixel data.
    pub elements: Elements,
    /// Uncompressed samples, or none where `fragments` has compressed ones.
    pub samples: Vec<u16>,
    /// Compressed pixel data after the table of offsets.
    pub fragments: Vec<Vec<u8>>,
}

/// A text that stands for a patient: it must never come out.
pub const SECRET: &str = "Doe^Jane";

impl Dicom {
    /// A computed radiograph, MONOCHROME2 and uncompressed, with samples of `stored` bits.
    pub fn new(width: u16, height: u16, stored: u16, samples: Vec<u16>) -> Dicom {
        let allocated = if stored > 8 { 16 } else { 8 };
        let mut dicom =
            Dicom { syntax: syntax::EXPLICIT, elements: BTreeMap::new(), samples, fragments: Vec::new() };
        for (element, word) in [
            (0x0002, 1),
            (0x0010, height),
            (0x0011, width),
            (0x0100, allocated),
            (0x0101, stored),
            (0x0102, stored - 1),
            (0x0103, 0),
        ] {
            dicom = dicom.words((0x0028, element), "US", &[word]);
        }
        dicom
            .text((0x0008, 0x0060), "CS", "CR")
            .text((0x0010, 0x0010), "PN", SECRET)
            .text((0x0010, 0x4000), "LT", SECRET)
            .text((0x0028, 0x0004), "CS", "MONOCHROME2")
    }

    /// With another element of text.
    pub fn text(mut self, tag: (u16, u16), vr: &'static str, text: &str) -> Dicom {
        self.elements.insert(tag, (vr, Value::Text(text.to_owned())));
        self
    }

    /// With another element of text, in the first items of sequences.
    pub fn nested(mut self, path: &[(u16, u16)], vr: &'static str, value: Value) -> Dicom {
        let Some((&last, outer)) = path.split_last() else { return self };
        let mut place = &mut self.elements;
        for &sequence in outer {
            let entry = place.entry(sequence).or_insert(("SQ", Value::Items(vec![Elements::new()])));
            let (_, Value::Items(items)) = entry else { return self };
            let Some(first) = items.first_mut() else { return self };
            place = first;
        }
        place.insert(last, (vr, value));
        self
    }

    /// With another element of words.
    pub fn words(mut self, tag: (u16, u16), vr: &'static str, words: &[u16]) -> Dicom {
        self.elements.insert(tag, (vr, Value::Words(words.to_vec())));
        self
    }

    /// With a look-up table in the sequence `tag`: the first value mapped, the bits and the values of its entries.
    pub fn table(mut self, tag: (u16, u16), first: i16, bits: u16, entries: &[u16]) -> Dicom {
        let descriptor = vec![entries.len() as u16, first as u16, bits];
        let item = BTreeMap::from([
            ((0x0028, 0x3002), ("SS", Value::Words(descriptor))),
            ((0x0028, 0x3006), ("OW", Value::Words(entries.to_vec()))),
        ]);
        self.elements.insert(tag, ("SQ", Value::Items(vec![item])));
        self
    }

    /// In another transfer syntax.
    pub fn in_syntax(mut self, syntax: &'static str) -> Dicom {
        self.syntax = syntax;
        self
    }

    /// With compressed pixels.
    pub fn compressed(mut self, syntax: &'static str, fragments: Vec<Vec<u8>>) -> Dicom {
        self.syntax = syntax;
        self.fragments = fragments;
        self
    }

    /// The file with another transfer syntax stated than its data set has.
    pub fn encode_as(&self, stated: &'static str) -> Vec<u8> {
        // Preamble, `DICM`, the group's length and the UID's header go before the UID.
        let data_set = |syntax: &str| 128 + 4 + 12 + 8 + syntax.len().next_multiple_of(2);
        let mut file = self.clone().in_syntax(stated).encode();
        file.truncate(data_set(stated));
        file.extend(&self.encode()[data_set(self.syntax)..]);
        file
    }

    /// The file.
    pub fn encode(&self) -> Vec<u8> {
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        let mut meta = Writer { explicit: true, big: false, bytes: Vec::new() };
        let (of_meta, of_set): (Vec<_>, Vec<_>) = self.elements.iter().partition(|(tag, _)| tag.0 == 2);
        for (&tag, (vr, value)) in of_meta {
            meta.element(tag, vr, value);
        }
        meta.element((0x0002, 0x0010), "UI", &Value::Text(self.syntax.to_owned()));
        let mut length = Writer { explicit: true, big: false, bytes: Vec::new() };
        length.element(
            (0x0002, 0x0000),
            "UL",
            &Value::Bytes((meta.bytes.len() as u32).to_le_bytes().to_vec()),
        );
        file.extend(length.bytes);
        file.extend(meta.bytes);
        let big = self.syntax == syntax::BIG;
        let mut set = Writer { explicit: self.syntax != syntax::IMPLICIT, big, bytes: Vec::new() };
        for (&tag, (vr, value)) in of_set {
            set.element(tag, vr, value);
        }
        let wide =
            matches!(self.elements.get(&(0x0028, 0x0100)), Some((_, Value::Words(bits))) if *bits == [16]);
        if !self.fragments.is_empty() {
            set.fragments(&self.fragments);
        } else if wide {
            set.element((0x7FE0, 0x0010), "OW", &Value::Words(self.samples.clone()));
        } else {
            // Bytes in words: the first is the low one.
            let mut bytes: Vec<u8> = self.samples.iter().map(|&sample| sample as u8).collect();
            if bytes.len() % 2 == 1 {
                bytes.push(0);
            }
            let words = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            set.element((0x7FE0, 0x0010), "OW", &Value::Words(words.collect()));
        }
        file.extend(set.bytes);
        file
    }
}

struct Writer {
    explicit: bool,
    big: bool,
    bytes: Vec<u8>,
}

impl Writer {
    fn word(&mut self, word: u16) {
        self.bytes.extend(if self.big { word.to_be_bytes() } else { word.to_le_bytes() });
    }

    fn long(&mut self, long: u32) {
        self.bytes.extend(if self.big { long.to_be_bytes() } else { long.to_le_bytes() });
    }

    fn tag(&mut self, (group, element): (u16, u16)) {
        self.word(group);
        self.word(element);
    }

    fn element(&mut self, tag: (u16, u16), vr: &str, value: &Value) {
        if let Value::ImplicitItems(items) = value {
            self.header(tag, vr, u32::MAX);
            return self.implicit_items(items);
        }
        let mut inner = Writer { explicit: self.explicit, big: self.big, bytes: Vec::new() };
        match value {
            Value::Text(text) => inner.bytes.extend(text.as_bytes()),
            Value::Words(words) => words.iter().for_each(|&word| inner.word(word)),
            Value::Bytes(bytes) => inner.bytes.extend(bytes),
            Value::Items(items) => {
                for item in items {
                    let mut set = Writer { explicit: self.explicit, big: self.big, bytes: Vec::new() };
                    for (&tag, (vr, value)) in item {
                        set.element(tag, vr, value);
                    }
                    inner.tag((0xFFFE, 0xE000));
                    inner.long(set.bytes.len() as u32);
                    inner.bytes.extend(set.bytes);
                }
            }
            Value::ImplicitItems(_) => unreachable!("written above"),
        }
        if inner.bytes.len() % 2 == 1 {
            inner.bytes.push(if vr == "UI" { 0 } else { b' ' });
        }
        self.header(tag, vr, inner.bytes.len() as u32);
        self.bytes.extend(inner.bytes);
    }

    fn implicit_items(&mut self, items: &[Elements]) {
        // Little endian, whatever the data set is.
        let mut inner = Writer { explicit: false, big: false, bytes: Vec::new() };
        for item in items {
            inner.tag((0xFFFE, 0xE000));
            inner.long(u32::MAX);
            for (&tag, (vr, value)) in item {
                inner.element(tag, vr, value);
            }
            inner.tag((0xFFFE, 0xE00D));
            inner.long(0);
        }
        inner.tag((0xFFFE, 0xE0DD));
        inner.long(0);
        self.bytes.extend(inner.bytes);
    }

    fn header(&mut self, tag: (u16, u16), vr: &str, length: u32) {
        self.tag(tag);
        if !self.explicit {
            return self.long(length);
        }
        self.bytes.extend(vr.as_bytes());
        if matches!(vr, "OB" | "OW" | "SQ" | "UN" | "UT") {
            self.word(0);
            self.long(length);
        } else {
            self.word(length as u16);
        }
    }

    fn fragments(&mut self, fragments: &[Vec<u8>]) {
        self.header((0x7FE0, 0x0010), "OB", u32::MAX);
        for fragment in [Vec::new()].iter().chain(fragments) {
            let length = fragment.len().next_multiple_of(2);
            self.tag((0xFFFE, 0xE000));
            self.long(length as u32);
            self.bytes.extend(fragment);
            self.bytes.resize(self.bytes.len() + length - fragment.len(), 0);
        }
        self.tag((0xFFFE, 0xE0DD));
        self.long(0);
    }
}

/// Samples as one RLE fragment, runs and literals mixed.
pub fn rle(samples: &[u16], bytes: usize) -> Vec<u8> {
    let mut header = vec![bytes as u32];
    let mut body = Vec::new();
    for byte in (0..bytes).rev() {
        header.push((64 + body.len()) as u32);
        let plane: Vec<u8> = samples.iter().map(|sample| (sample >> (8 * byte)) as u8).collect();
        let mut rest = plane.as_slice();
        while let Some(&first) = rest.first() {
            let run = rest.iter().take(128).take_while(|&&byte| byte == first).count();
            let taken = if run > 1 {
                body.extend([(1 - run as i32) as i8 as u8, first]);
                run
            } else {
                let literal = rest.len().min(5);
                body.push(literal as u8 - 1);
                body.extend(&rest[..literal]);
                literal
            };
            rest = &rest[taken..];
        }
        if body.len() % 2 == 1 {
            body.push(0x80);
        }
    }
    header.resize(16, 0);
    header.into_iter().flat_map(u32::to_le_bytes).chain(body).collect()
}

/// Samples as lossless JPEG (process 14): each is predicted by its left neighbour.
pub fn lossless_jpeg(samples: &[u16], width: usize, bits: u8) -> Vec<u8> {
    LosslessJpeg::default().encode(samples, width, bits)
}

/// Options of a lossless JPEG encoder.
#[derive(Clone, Copy, Debug)]
pub struct LosslessJpeg {
    /// Predictor of table H.1, 1 to 7.
    pub predictor: u8,
    /// Rows between two restart markers; 0 for none.
    pub restart_rows: usize,
    /// Bits at the low end that are left out.
    pub point_transform: u8,
}

impl Default for LosslessJpeg {
    fn default() -> Self {
        LosslessJpeg { predictor: 1, restart_rows: 0, point_transform: 0 }
    }
}

impl LosslessJpeg {
    /// Samples of so many bits as a JPEG file.
    pub fn encode(&self, samples: &[u16], width: usize, bits: u8) -> Vec<u8> {
        let height = samples.len() / width;
        let mut file = vec![0xFF, 0xD8, 0xFF, 0xC4, 0, 19 + 17, 0];
        // Codes of five bits for the 17 lengths that a difference can have.
        file.extend([0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(0..17_u8);
        let [high, low] = (height as u16).to_be_bytes();
        let [wide, narrow] = (width as u16).to_be_bytes();
        file.extend([0xFF, 0xC3, 0, 11, bits, high, low, wide, narrow, 1, 1, 0x11, 0]);
        if self.restart_rows > 0 {
            let [high, low] = ((self.restart_rows * width) as u16).to_be_bytes();
            file.extend([0xFF, 0xDD, 0, 4, high, low]);
        }
        file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, self.predictor, 0, self.point_transform]);
        let mut coded = BitWriter { file, buffer: 0, filled: 0 };
        let samples: Vec<u16> = samples.iter().map(|sample| sample >> self.point_transform).collect();
        for (index, &sample) in samples.iter().enumerate() {
            let (x, y) = (index % width, index / width);
            let first_row = if self.restart_rows > 0 { y % self.restart_rows == 0 } else { y == 0 };
            if first_row && x == 0 && y > 0 {
                coded.flush();
                coded.file.extend([0xFF, 0xD0 + ((y / self.restart_rows - 1) % 8) as u8]);
            }
            let predicted = match (x, first_row) {
                (0, true) => 1 << (bits - self.point_transform - 1),
                (0, false) => samples[index - width],
                (_, true) => samples[index - 1],
                _ => self.predict(&samples, index, width),
            };
            let difference = i32::from(sample.wrapping_sub(predicted) as i16);
            let length = 32 - difference.unsigned_abs().leading_zeros();
            coded.put(length, 5);
            if length < 16 {
                coded.put(if difference < 0 { difference - 1 } else { difference } as u32, length);
            }
        }
        coded.flush();
        coded.file.extend([0xFF, 0xD9]);
        coded.file
    }

    fn predict(&self, samples: &[u16], index: usize, width: usize) -> u16 {
        let at = |back: usize| i32::from(samples[index - back]);
        let (left, above, above_left) = (at(1), at(width), at(width + 1));
        let predicted = match self.predictor {
            1 => left,
            2 => above,
            3 => above_left,
            4 => left + above - above_left,
            5 => left + (above - above_left).div_euclid(2),
            6 => above + (left - above_left).div_euclid(2),
            _ => (left + above) / 2,
        };
        predicted as u16
    }
}

/// 32 x 32 samples of 12 bits, `128 y + x`, as reversible JPEG 2000.
pub fn jpeg_2000() -> Vec<u8> {
    hexadecimal(include_str!("jpeg2000.hex"))
}

/// 4352 x 4096 samples of 16 bits, `12 x + 3 y + 40`, as reversible JPEG 2000 of nine resolutions.
pub fn large_jpeg_2000() -> Vec<u8> {
    hexadecimal(include_str!("large_jpeg2000.hex"))
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let code: String = text.split_whitespace().collect();
    let bytes = (0..code.len()).step_by(2).map(|at| u8::from_str_radix(&code[at..at + 2], 16));
    bytes.collect::<Result<_, _>>().expect("hexadecimal")
}

/// A code stream of JPEG 2000 as a JP2 file: its last box has the length or, if `open`, goes to the end of the file.
pub fn jp2_file(code: &[u8], width: u32, height: u32, open: bool) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], content: &[u8]| {
        let length = (8 + content.len() as u32).to_be_bytes();
        [length.as_slice(), kind, content].concat()
    };
    let depth = code[42];
    let size = [&height.to_be_bytes()[..], &width.to_be_bytes(), &[0, 1, depth, 7, 0, 0]].concat();
    // Enumerated colour space 17: grey.
    let header = [boxed(b"ihdr", &size), boxed(b"colr", &[1, 0, 0, 0, 0, 0, 17])].concat();
    let mut last = boxed(b"jp2c", code);
    if open {
        last[..4].fill(0);
    }
    let first = boxed(b"jP  ", b"\r\n\x87\n");
    [first, boxed(b"ftyp", b"jp2 \0\0\0\0jp2 "), boxed(b"jp2h", &header), last].concat()
}
