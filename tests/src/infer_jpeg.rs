//! Encoders of JPEG for the tests of `infomark-infer`, written from the standards and as naively as possible.

mod ls;

pub use ls::JpegLs;

/// Natural order of coefficients in zigzag order.
const ZIGZAG: [usize; 64] = {
    let mut order = [0; 64];
    let (mut x, mut y, mut at) = (0, 0, 0);
    while at < 64 {
        order[at] = 8 * y + x;
        at += 1;
        // Up to the right on even diagonals, down to the left on odd ones.
        if (x + y) % 2 == 0 {
            if x == 7 {
                y += 1;
            } else {
                x += 1;
                y = if y == 0 { 0 } else { y - 1 };
            }
        } else if y == 7 {
            x += 1;
        } else {
            y += 1;
            x = if x == 0 { 0 } else { x - 1 };
        }
    }
    order
};

/// Sequential JPEG with Huffman codes (ITU-T T.81, annex F): one component of 8 or 12 bits.
#[derive(Clone, Copy, Debug)]
pub struct SequentialJpeg {
    /// Bits of a sample.
    pub bits: u8,
    /// Step of quantisation of every coefficient; more than 255 needs a table of 16 bits.
    pub step: u16,
    /// Blocks between two restart markers; 0 for none.
    pub restart_interval: u16,
}

impl SequentialJpeg {
    /// The file, and its samples as a decoder in `f64` gives them, before rounding.
    pub fn encode(&self, samples: &[u16], width: usize) -> (Vec<u8>, Vec<f64>) {
        let height = samples.len() / width;
        let mut file = vec![0xFF, 0xD8];
        let wide = self.step > 255;
        file.extend([0xFF, 0xDB, 0, if wide { 131 } else { 67 }, u8::from(wide) << 4]);
        for _ in 0..64 {
            file.extend(&self.step.to_be_bytes()[usize::from(!wide)..]);
        }
        let process = if self.bits == 8 { 0xC0 } else { 0xC1 };
        file.extend([0xFF, process, 0, 11, self.bits]);
        file.extend((height as u16).to_be_bytes());
        file.extend((width as u16).to_be_bytes());
        file.extend([1, 1, 0x11, 0]);
        // Categories of DC differences in codes of five bits; runs and categories of AC coefficients in codes of eight.
        file.extend([0xFF, 0xC4, 0, 2 + 17 + 16, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend(0..16_u8);
        let symbols = ac_symbols();
        let [high, low] = (2 + 17 + symbols.len() as u16).to_be_bytes();
        file.extend([0xFF, 0xC4, high, low, 0x10]);
        let mut counts = [0; 16];
        (counts[6], counts[8]) = (64, symbols.len() as u8 - 64);
        file.extend(counts);
        file.extend(&symbols);
        if self.restart_interval > 0 {
            file.extend([0xFF, 0xDD, 0, 4]);
            file.extend(self.restart_interval.to_be_bytes());
        }
        file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        let mut coded = BitWriter { file, buffer: 0, filled: 0 };
        let mut shown = vec![0.0; samples.len()];
        let (mut predicted, mut index) = (0, 0);
        for row in 0..height.div_ceil(8) {
            for column in 0..width.div_ceil(8) {
                if self.restart_interval > 0 && index > 0 && index % usize::from(self.restart_interval) == 0 {
                    coded.flush();
                    let count = index / usize::from(self.restart_interval) - 1;
                    coded.file.extend([0xFF, 0xD0 + (count % 8) as u8]);
                    predicted = 0;
                }
                index += 1;
                let at = |x: usize, y: usize| {
                    let (x, y) = ((8 * column + x).min(width - 1), (8 * row + y).min(height - 1));
                    f64::from(samples[y * width + x]) - f64::from(1_u32 << (self.bits - 1))
                };
                let block = self.block(at);
                encode_block(&mut coded, &block, &mut predicted, &symbols);
                let values = inverse(&block.map(|value| f64::from(value) * f64::from(self.step)));
                for (place, value) in values.into_iter().enumerate() {
                    let (x, y) = (8 * column + place % 8, 8 * row + place / 8);
                    if x < width && y < height {
                        let most = f64::from((1_u32 << self.bits) - 1);
                        shown[y * width + x] = (value + f64::from(1_u32 << (self.bits - 1))).clamp(0.0, most);
                    }
                }
            }
        }
        coded.flush();
        coded.file.extend([0xFF, 0xD9]);
        (coded.file, shown)
    }

    /// Quantised coefficients.
    fn block(&self, at: impl Fn(usize, usize) -> f64) -> [i32; 64] {
        std::array::from_fn(|place| {
            let (u, v) = (place % 8, place / 8);
            let terms = (0..64).map(|k| at(k % 8, k / 8) * cosine(k % 8, u) * cosine(k / 8, v));
            (terms.sum::<f64>() * scale(u) * scale(v) / 4.0 / f64::from(self.step)).round() as i32
        })
    }
}

fn cosine(x: usize, u: usize) -> f64 {
    ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
}

fn scale(u: usize) -> f64 {
    if u == 0 { 0.5_f64.sqrt() } else { 1.0 }
}

/// T.81, A.3.3, term by term.
fn inverse(values: &[f64; 64]) -> [f64; 64] {
    std::array::from_fn(|place| {
        let (x, y) = (place % 8, place / 8);
        let terms = values.iter().enumerate().map(|(k, value)| {
            let (u, v) = (k % 8, k / 8);
            scale(u) * scale(v) * value * cosine(x, u) * cosine(y, v)
        });
        terms.sum::<f64>() / 4.0
    })
}

/// The end of a block, sixteen zeros, and each number of zeros with each category: the first 64 have codes of seven bits, the others of nine.
fn ac_symbols() -> Vec<u8> {
    let pairs = (1..16_u8).flat_map(|category| (0..16_u8).map(move |zeros| zeros << 4 | category));
    [0, 0xF0].into_iter().chain(pairs).collect()
}

fn encode_block(coded: &mut BitWriter, block: &[i32; 64], predicted: &mut i32, symbols: &[u8]) {
    let category = |value: i32| 32 - value.unsigned_abs().leading_zeros();
    let signed = |value: i32| if value < 0 { value - 1 } else { value } as u32;
    let difference = block[0] - *predicted;
    *predicted = block[0];
    coded.put(category(difference), 5);
    coded.put(signed(difference), category(difference));
    let mut codes = Vec::new();
    let mut zeros = 0;
    for &place in &ZIGZAG[1..] {
        if block[place] == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 {
            codes.push((0xF0, 0, 0));
            zeros -= 16;
        }
        let category = category(block[place]);
        codes.push((zeros << 4 | category, signed(block[place]), category));
        zeros = 0;
    }
    if zeros > 0 {
        codes.push((0, 0, 0));
    }
    for (symbol, value, length) in codes {
        match symbols.iter().position(|&other| u32::from(other) == symbol).unwrap_or(0) {
            index @ ..64 => coded.put(index as u32, 7),
            index => coded.put((64 << 2) + index as u32 - 64, 9),
        }
        coded.put(value, length);
    }
}

/// Entropy-coded bits with stuffed zero bytes.
pub(crate) struct BitWriter {
    pub(crate) file: Vec<u8>,
    pub(crate) buffer: u64,
    pub(crate) filled: u32,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u32, length: u32) {
        self.buffer = (self.buffer << length) | u64::from(value & ((1_u32 << length) - 1));
        self.filled += length;
        while self.filled >= 8 {
            self.filled -= 8;
            let byte = (self.buffer >> self.filled) as u8;
            self.file.push(byte);
            if byte == 0xFF {
                self.file.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    pub(crate) fn flush(&mut self) {
        self.put(0x7F, 7);
        self.filled = 0;
    }
}
