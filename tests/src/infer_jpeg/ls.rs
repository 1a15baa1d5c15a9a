//! JPEG-LS (ITU-T T.87), one component, as its annex A is written.

/// Options of a JPEG-LS encoder.
#[derive(Clone, Copy, Debug)]
pub struct JpegLs {
    /// Bits of a sample.
    pub bits: u32,
    /// Greatest difference from the original.
    pub near: i32,
    /// Lines between two restart markers; 0 for none.
    pub restart_lines: usize,
    /// Greatest sample, thresholds and RESET, where they are not the defaults.
    pub preset: Option<[i32; 5]>,
}

struct State {
    a: [i32; 367],
    b: [i32; 367],
    c: [i32; 367],
    n: [i32; 367],
    nn: [i32; 2],
    run_index: usize,
}

struct Parameters {
    most: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
}

const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

impl JpegLs {
    /// The file, and its samples as a decoder gives them.
    pub fn encode(&self, samples: &[u16], width: usize) -> (Vec<u8>, Vec<u16>) {
        let height = samples.len() / width;
        let mut file = vec![0xFF, 0xD8, 0xFF, 0xF7, 0, 11, self.bits as u8];
        file.extend((height as u16).to_be_bytes());
        file.extend((width as u16).to_be_bytes());
        file.extend([1, 1, 0x11, 0]);
        if let Some(preset) = self.preset {
            file.extend([0xFF, 0xF8, 0, 13, 1]);
            preset.iter().for_each(|&value| file.extend((value as u16).to_be_bytes()));
        }
        if self.restart_lines > 0 {
            file.extend([0xFF, 0xDD, 0, 4]);
            file.extend((self.restart_lines as u16).to_be_bytes());
        }
        file.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, self.near as u8, 0, 0]);
        let parameters = self.parameters();
        let mut coded = Writer { file, bits: Vec::new() };
        let mut shown: Vec<i32> = Vec::with_capacity(samples.len());
        let lines = if self.restart_lines == 0 { height } else { self.restart_lines };
        for (index, part) in samples.chunks(lines * width).enumerate() {
            if index > 0 {
                coded.flush();
                coded.file.extend([0xFF, 0xD0 + ((index - 1) % 8) as u8]);
            }
            let part: Vec<i32> = part.iter().map(|&sample| i32::from(sample)).collect();
            shown.extend(parameters.encode(&part, width, &mut coded));
        }
        coded.flush();
        coded.file.extend([0xFF, 0xD9]);
        (coded.file, shown.into_iter().map(|sample| sample as u16).collect())
    }

    fn parameters(&self) -> Parameters {
        let near = self.near;
        let [most, t1, t2, t3, reset] = self.preset.unwrap_or_default();
        let most = if most == 0 { (1 << self.bits) - 1 } else { most };
        let clamp = |value: i32, least: i32| if value > most || value < least { least } else { value };
        let basic = if most >= 128 {
            let factor = (most.min(4095) + 128) / 256;
            [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
        } else {
            let factor = 256 / (most + 1);
            [2.max(3 / factor + 3 * near), 3.max(7 / factor + 5 * near), 4.max(21 / factor + 7 * near)]
        };
        let d1 = clamp(basic[0], near + 1);
        let d2 = clamp(basic[1], d1);
        let d3 = clamp(basic[2], d2);
        let given = |value: i32, default: i32| if value == 0 { default } else { value };
        let log = |count: i32| (0..32).find(|&bits| 1_i64 << bits >= i64::from(count)).unwrap_or(0);
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let bpp = log(most + 1).max(2);
        Parameters {
            most,
            near,
            thresholds: [given(t1, d1), given(t2, d2), given(t3, d3)],
            reset: given(reset, 64),
            range,
            qbpp: log(range),
            limit: 2 * (bpp + bpp.max(8)),
        }
    }
}

impl Parameters {
    /// A restart interval: its samples as a decoder gives them.
    fn encode(&self, samples: &[i32], width: usize, coded: &mut Writer) -> Vec<i32> {
        let first = 2.max((self.range + 32) / 64);
        let mut state =
            State { a: [first; 367], b: [0; 367], c: [0; 367], n: [1; 367], nn: [0; 2], run_index: 0 };
        let mut shown = vec![0; samples.len()];
        for line in 0..samples.len() / width {
            let mut x = 0;
            while x < width {
                let [a, b, c, d] = neighbours(&shown, width, x, line);
                let gradients = [d - b, b - c, c - a];
                if gradients.iter().any(|gradient| gradient.abs() > self.near) {
                    let at = line * width + x;
                    shown[at] = self.regular(&mut state, samples[at], [a, b, c], gradients, coded);
                    x += 1;
                    continue;
                }
                let run =
                    (x..width).take_while(|&x| (samples[line * width + x] - a).abs() <= self.near).count();
                shown[line * width + x..][..run].fill(a);
                x += run;
                let mut left = run;
                while left >= 1 << J[state.run_index] {
                    coded.put(1, 1);
                    left -= 1 << J[state.run_index];
                    state.run_index = 31.min(state.run_index + 1);
                }
                if x == width {
                    if left > 0 {
                        coded.put(1, 1);
                    }
                    break;
                }
                coded.put(0, 1);
                coded.put(left as u32, J[state.run_index]);
                let at = line * width + x;
                let above = neighbours(&shown, width, x, line)[1];
                shown[at] = self.run_end(&mut state, samples[at], a, above, coded);
                state.run_index = state.run_index.saturating_sub(1);
                x += 1;
            }
        }
        shown
    }

    fn quantise(&self, d: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        match d {
            d if d <= -t3 => -4,
            d if d <= -t2 => -3,
            d if d <= -t1 => -2,
            d if d < -self.near => -1,
            d if d <= self.near => 0,
            d if d < t1 => 1,
            d if d < t2 => 2,
            d if d < t3 => 3,
            _ => 4,
        }
    }

    /// The quantised error modulo RANGE, and the sample that comes of it.
    fn error(&self, sample: i32, predicted: i32, sign: i32) -> (i32, i32) {
        let error = sign * (sample - predicted);
        let step = 2 * self.near + 1;
        let mut error = if error > 0 { (error + self.near) / step } else { -((self.near - error) / step) };
        let shown = (predicted + sign * error * step).clamp(0, self.most);
        if error < 0 {
            error += self.range;
        }
        if error >= (self.range + 1) / 2 {
            error -= self.range;
        }
        (error, shown)
    }

    fn regular(
        &self,
        state: &mut State,
        sample: i32,
        [a, b, c]: [i32; 3],
        gradients: [i32; 3],
        coded: &mut Writer,
    ) -> i32 {
        let mut q = gradients.map(|gradient| self.quantise(gradient));
        let mut sign = 1;
        if q.iter().find(|&&q| q != 0).is_some_and(|&q| q < 0) {
            q = q.map(|q| -q);
            sign = -1;
        }
        let q = (81 * q[0] + 9 * q[1] + q[2]) as usize;
        let median = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (median + sign * state.c[q]).clamp(0, self.most);
        let (error, shown) = self.error(sample, predicted, sign);
        let mut k = 0;
        while state.n[q] << k < state.a[q] {
            k += 1;
        }
        let mapped = if self.near == 0 && k == 0 && 2 * state.b[q] <= -state.n[q] {
            if error >= 0 { 2 * error + 1 } else { -2 * (error + 1) }
        } else if error >= 0 {
            2 * error
        } else {
            -2 * error - 1
        };
        self.golomb(mapped as u32, k, self.limit, coded);
        state.b[q] += error * (2 * self.near + 1);
        state.a[q] += error.abs();
        if state.n[q] == self.reset {
            state.a[q] >>= 1;
            state.b[q] = if state.b[q] >= 0 { state.b[q] >> 1 } else { -((1 - state.b[q]) >> 1) };
            state.n[q] >>= 1;
        }
        state.n[q] += 1;
        if state.b[q] <= -state.n[q] {
            state.b[q] += state.n[q];
            if state.c[q] > -128 {
                state.c[q] -= 1;
            }
            if state.b[q] <= -state.n[q] {
                state.b[q] = -state.n[q] + 1;
            }
        } else if state.b[q] > 0 {
            state.b[q] -= state.n[q];
            if state.c[q] < 127 {
                state.c[q] += 1;
            }
            if state.b[q] > 0 {
                state.b[q] = 0;
            }
        }
        shown
    }

    fn run_end(&self, state: &mut State, sample: i32, a: i32, b: i32, coded: &mut Writer) -> i32 {
        let flat = usize::from((a - b).abs() <= self.near);
        let (predicted, sign) = (if flat == 1 { a } else { b }, if flat == 0 && a > b { -1 } else { 1 });
        let (error, shown) = self.error(sample, predicted, sign);
        let q = 365 + flat;
        let sum = if flat == 0 { state.a[365] } else { state.a[366] + (state.n[366] >> 1) };
        let mut k = 0;
        while state.n[q] << k < sum {
            k += 1;
        }
        let map = k == 0 && error > 0 && 2 * state.nn[flat] < state.n[q]
            || error < 0 && 2 * state.nn[flat] >= state.n[q]
            || error < 0 && k != 0;
        let mapped = 2 * error.abs() - flat as i32 - i32::from(map);
        self.golomb(mapped as u32, k, self.limit - J[state.run_index] - 1, coded);
        if error < 0 {
            state.nn[flat] += 1;
        }
        state.a[q] += (mapped + 1 - flat as i32) >> 1;
        if state.n[q] == self.reset {
            state.a[q] >>= 1;
            state.n[q] >>= 1;
            state.nn[flat] >>= 1;
        }
        state.n[q] += 1;
        shown
    }

    fn golomb(&self, value: u32, k: u32, limit: u32, coded: &mut Writer) {
        let high = value >> k;
        if high < limit - self.qbpp - 1 {
            (0..high).for_each(|_| coded.put(0, 1));
            coded.put(1, 1);
            coded.put(value & ((1 << k) - 1), k);
        } else {
            (0..limit - self.qbpp - 1).for_each(|_| coded.put(0, 1));
            coded.put(1, 1);
            coded.put(value - 1, self.qbpp);
        }
    }
}

/// Samples to the left, above, above to the left and above to the right (A.2.1).
fn neighbours(shown: &[i32], width: usize, x: usize, line: usize) -> [i32; 4] {
    let at = |x: usize, up: usize| if line < up { 0 } else { shown[(line - up) * width + x] };
    let b = at(x, 1);
    let a = if x > 0 { at(x - 1, 0) } else { b };
    let c = if x > 0 { at(x - 1, 1) } else { at(0, 2) };
    [a, b, c, at((x + 1).min(width - 1), 1)]
}

/// Bits, one after the other; after a byte of ones the next has seven.
struct Writer {
    file: Vec<u8>,
    bits: Vec<bool>,
}

impl Writer {
    fn put(&mut self, value: u32, length: u32) {
        for bit in (0..length).rev() {
            self.bits.push(value >> bit & 1 == 1);
            let room = if self.file.last() == Some(&0xFF) { 7 } else { 8 };
            if self.bits.len() == room {
                self.file.push(self.bits.drain(..).fold(0, |byte, bit| byte << 1 | u8::from(bit)));
            }
        }
    }

    /// Fills the last byte with zeros; one after a byte of ones is there in any case.
    fn flush(&mut self) {
        while !self.bits.is_empty() || self.file.last() == Some(&0xFF) {
            let before = self.file.len();
            while self.file.len() == before {
                self.put(0, 1);
            }
        }
    }
}
