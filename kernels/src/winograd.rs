//! 3 x 3 convolution by minimal filtering, F(4 x 4, 3 x 3) (Lavin & Gray, *Fast algorithms for convolutional neural networks*, CVPR 2016).
//!
//! An output tile of 4 x 4 pixels takes 36 products for each pair of channels where the direct sum takes 144. Tiles are transformed in
//! blocks that stay in the second-level cache; for each of the 36 positions, a small matrix product sums over the input channels.

mod gradient;
mod transform;

use pulp::{Arch, Simd, WithSimd};

pub use gradient::weight_gradient;

use crate::planes::{Planes, Source};
use transform::{gather, load, load_all, load_rest, scatter, store};

/// Output channels computed together. Channel counts are rounded up to it with zero weights.
const BLOCK: usize = 4;
/// Vectors of tiles computed together.
const VECTORS: usize = 2;
/// Most vectors of tiles in a block.
const MOST: usize = 6;
/// Side of an output tile.
const TILE: usize = 4;
/// Positions of a transformed tile.
const POSITIONS: usize = 36;
/// Positions of a tile of repeated pixels whose values are not 0.
const DOUBLED: [usize; 5] = [0, 1, 3, 4, 5];

/// Transformed weights, by position, block of output channels and input channel; `BLOCK` values each.
#[derive(Clone, Debug)]
pub struct Weights {
    data: Vec<[f32; BLOCK]>,
    inputs: usize,
    outputs: usize,
}

impl Weights {
    /// Weights `[outputs, inputs, 3, 3]` of the forward pass.
    pub fn forward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::pack(outputs, inputs, |o, i, tap| weight[(o * inputs + i) * 9 + tap])
    }

    /// The same weights, transposed and turned by 180 degrees: they carry a gradient from the output to the input.
    pub fn backward(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        Self::pack(inputs, outputs, |i, o, tap| weight[(o * inputs + i) * 9 + 8 - tap])
    }

    fn pack(outputs: usize, inputs: usize, at: impl Fn(usize, usize, usize) -> f32) -> Self {
        let blocks = outputs.div_ceil(BLOCK);
        let mut data = vec![[0.0; BLOCK]; POSITIONS * blocks * inputs];
        for o in 0..outputs {
            for i in 0..inputs {
                let kernel = transform::kernel(std::array::from_fn(|tap| f64::from(at(o, i, tap))));
                for (position, value) in kernel.into_iter().enumerate() {
                    data[(position * blocks + o / BLOCK) * inputs + i][o % BLOCK] = value as f32;
                }
            }
        }
        Self { data, inputs, outputs }
    }
}

/// Memory for the tiles of a block, reused from call to call.
#[derive(Clone, Debug, Default)]
pub struct Workspace(Vec<f32>);

impl Workspace {
    /// At least `len` values, the first of them at the start of a cache line.
    fn lines(&mut self, len: usize) -> &mut [f32] {
        const LINE: usize = 64;
        if self.0.len() < len + LINE / 4 {
            self.0.resize(len + LINE / 4, 0.0);
        }
        let start = self.0.as_ptr().align_offset(LINE).min(LINE / 4);
        &mut self.0[start..start + len]
    }
}

/// `out[o] = sum over inputs of input[i] * weight[o, i]`; `out` is `outputs x height x width`.
pub fn convolve(input: &Planes<'_>, weights: &Weights, workspace: &mut Workspace, out: &mut [f32]) {
    debug_assert_eq!(input.channels, weights.inputs);
    debug_assert_eq!(out.len(), weights.outputs * input.width * input.height);
    Arch::new().dispatch(Convolve { input, weights, workspace, out });
}

struct Convolve<'a> {
    input: &'a Planes<'a>,
    weights: &'a Weights,
    workspace: &'a mut Workspace,
    out: &'a mut [f32],
}

/// Some rows and columns of tiles.
#[derive(Clone, Copy, Debug)]
struct Tiles {
    x: usize,
    y: usize,
    columns: usize,
    rows: usize,
}

/// Blocks of an image's tiles.
struct Partition {
    across: usize,
    down: usize,
    columns: usize,
    rows: usize,
}

impl Partition {
    /// Blocks of up to `most` tiles; nothing for an image without pixels.
    fn new(width: usize, height: usize, most: usize) -> Option<Self> {
        let (across, down) = (width.div_ceil(TILE), height.div_ceil(TILE));
        if across * down == 0 {
            return None;
        }
        let columns = across.div_ceil(across.div_ceil(most));
        Some(Self { across, down, columns, rows: (most / columns).clamp(1, down) })
    }

    fn blocks(&self) -> usize {
        self.across.div_ceil(self.columns) * self.down.div_ceil(self.rows)
    }

    fn block(&self, i: usize) -> Tiles {
        let parts = self.across.div_ceil(self.columns);
        let (x, y) = (i % parts * self.columns, i / parts * self.rows);
        Tiles { x, y, columns: self.columns.min(self.across - x), rows: self.rows.min(self.down - y) }
    }
}

/// Lengths of the parts of a workspace.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Tiles of a block, rounded up to whole vectors.
    tiles: usize,
    /// Transformed input tiles of one position.
    position: usize,
    /// A line of pixels transformed along y.
    line: usize,
}

impl Layout {
    fn new(partition: &Partition, channels: usize, lanes: usize) -> Self {
        let tiles = (partition.rows * partition.columns).next_multiple_of(lanes);
        // An odd number of cache lines, so that the positions of a tile lie in different sets.
        let position = (channels * tiles + lanes).next_multiple_of(32) + 16;
        Self { tiles, position, line: TILE * partition.columns.next_multiple_of(lanes) + 16 + lanes }
    }
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, weights, workspace, out } = self;
        let lanes = S::F32_LANES;
        let Some(partition) = Partition::new(input.width, input.height, MOST * lanes) else { return };
        let layout = Layout::new(&partition, input.channels, lanes);
        let Layout { tiles, position, line } = layout;
        let blocks = weights.outputs.div_ceil(BLOCK);
        let lens = [13 * line, POSITIONS * position, blocks * BLOCK * POSITIONS * tiles + lanes];
        let lens = lens.map(|len| len.next_multiple_of(16));
        let (lines, rest) = workspace.lines(lens.iter().sum()).split_at_mut(lens[0]);
        let (v, m) = rest.split_at_mut(lens[1]);
        for block in 0..partition.blocks() {
            let block = partition.block(block);
            read_block(simd, input, block, lines, v, layout);
            let vectors = (block.rows * block.columns).div_ceil(lanes);
            multiply(simd, input, weights, v, m, vectors, layout);
            for row in 0..block.rows {
                let tiles = Tiles { y: block.y + row, rows: 1, ..block };
                write_row(simd, input, weights.outputs, tiles, &m[row * block.columns..], out, layout);
            }
        }
    }
}

/// Transforms the tiles of a block, in their order: what is written beyond the last tile of a row or channel is overwritten by the next.
#[inline(always)]
fn read_block<S: Simd>(
    simd: S,
    input: &Planes<'_>,
    tiles: Tiles,
    lines: &mut [f32],
    v: &mut [f32],
    layout: Layout,
) {
    let (width, height) = (input.width, input.height);
    let (lines, spare) = lines.split_at_mut(6 * layout.line);
    let (zeros, spare) = spare.split_at_mut(layout.line);
    // What vectors write beyond a row's end is 0 from the next channel on.
    lines.fill(0.0);
    zeros.fill(0.0);
    let (from, to) = ((tiles.x * TILE).max(1) - 1, ((tiles.x + tiles.columns) * TILE + 1).min(width));
    let (first, len) = (from + 1 - tiles.x * TILE, to - from);
    let zeros = &zeros[..len];
    let top = |row: usize| ((tiles.y + row) * TILE) as isize - 1;
    let start = |channel: usize, row: usize| channel * layout.tiles + row * tiles.columns;
    let (image, kept) = match input.source {
        Source::Plain(image) => (image, input.channels),
        Source::Joined { fine, kept, .. } => (fine, kept),
        Source::Blocks(image) => (image, 0),
    };
    let plain = Rows { image, width, height };
    for channel in 0..kept {
        for row in 0..tiles.rows {
            let mut pixels = [zeros; 6];
            plain.get(channel, top(row), from, to, &mut pixels);
            read(simd, pixels, first, tiles.columns, lines, &mut v[start(channel, row)..], layout);
        }
    }
    match input.source {
        Source::Plain(_) => {}
        Source::Joined { coarse, .. } => {
            lines.fill(0.0);
            let image = Rows { image: coarse, width: width / 2, height: height / 2 };
            let half = TILE / 2;
            let (from, to) =
                ((tiles.x * half).max(1) - 1, ((tiles.x + tiles.columns) * half + 1).min(width / 2));
            let first = from + 1 - tiles.x * half;
            for channel in kept..input.channels {
                for row in 0..tiles.rows {
                    let mut pixels = [&zeros[..to - from]; 4];
                    let top = ((tiles.y + row) * half) as isize - 1;
                    image.get(channel - kept, top, from, to, &mut pixels);
                    let v = &mut v[start(channel, row)..];
                    read_doubled(simd, pixels, first, tiles.columns, lines, v, layout);
                }
            }
        }
        Source::Blocks(image) => {
            let image = Rows { image, width: 2 * width, height: 2 * height };
            for channel in 0..input.channels {
                for row in 0..tiles.rows {
                    let mut source = [&zeros[..0]; 12];
                    image.get(0, 2 * top(row), 2 * from, 2 * to, &mut source);
                    let mut parts = spare.chunks_exact_mut(layout.line);
                    let mut pixels = [zeros; 6];
                    for (pixels, rows) in pixels.iter_mut().zip(source.as_chunks::<2>().0) {
                        let part = &mut parts.next().unwrap_or_default()[..len];
                        let pairs = rows[channel / 2].as_chunks::<2>().0;
                        if pairs.len() == len {
                            for (value, pair) in part.iter_mut().zip(pairs) {
                                *value = pair[channel % 2];
                            }
                            *pixels = part;
                        }
                    }
                    read(simd, pixels, first, tiles.columns, lines, &mut v[start(channel, row)..], layout);
                }
            }
        }
    }
}

/// Planes in memory.
#[derive(Clone, Copy)]
struct Rows<'a> {
    image: &'a [f32],
    width: usize,
    height: usize,
}

impl<'a> Rows<'a> {
    /// Pixels `from..to` of the rows from `top` on; those outside the image stay as they are.
    #[inline(always)]
    fn get(&self, channel: usize, top: isize, from: usize, to: usize, rows: &mut [&'a [f32]]) {
        for (y, row) in (top..).zip(rows) {
            if (0..self.height as isize).contains(&y) {
                let start = (channel * self.height + y as usize) * self.width;
                *row = &self.image[start + from..start + to];
            }
        }
    }
}

/// Transforms a row of tiles of one channel. The pixels of `rows` begin at column `first` of the tiles.
#[inline(always)]
fn read<S: Simd>(
    simd: S,
    rows: [&[f32]; 6],
    first: usize,
    columns: usize,
    lines: &mut [f32],
    v: &mut [f32],
    layout: Layout,
) {
    let lanes = S::F32_LANES;
    let len = rows[0].len();
    let mut lines = lines.chunks_exact_mut(layout.line);
    let mut lines: [&mut [f32]; 6] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    for x in (0..len).step_by(lanes) {
        let pixels = if x + lanes <= len { load_all(simd, &rows, x) } else { load_rest(simd, &rows, x) };
        for (line, value) in lines.iter_mut().zip(transform::input(simd, pixels)) {
            store::<S>(line, first + x, value);
        }
    }
    for (k, line) in lines.iter().enumerate() {
        let v = &mut v[6 * k * layout.position..];
        for tile in (0..columns).step_by(lanes) {
            let pixels = &line[TILE * tile..TILE * (tile + lanes) + 4];
            let [a, b, c, d] = gather::<S, TILE>(simd, pixels);
            let [e, f, ..] = gather::<S, TILE>(simd, &pixels[4..]);
            for (l, value) in transform::input(simd, [a, b, c, d, e, f]).into_iter().enumerate() {
                store::<S>(v, l * layout.position + tile, value);
            }
        }
    }
}

/// [`read`] of pixels that are repeated 2 x 2.
#[inline(always)]
fn read_doubled<S: Simd>(
    simd: S,
    rows: [&[f32]; 4],
    first: usize,
    columns: usize,
    lines: &mut [f32],
    v: &mut [f32],
    layout: Layout,
) {
    let lanes = S::F32_LANES;
    let len = rows[0].len();
    let mut lines = lines.chunks_exact_mut(layout.line);
    let mut lines: [&mut [f32]; 5] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    for x in (0..len).step_by(lanes) {
        let pixels = if x + lanes <= len { load_all(simd, &rows, x) } else { load_rest(simd, &rows, x) };
        for (line, value) in lines.iter_mut().zip(transform::doubled(simd, pixels)) {
            store::<S>(line, first + x, value);
        }
    }
    for (line, k) in lines.iter().zip(DOUBLED) {
        let v = &mut v[6 * k * layout.position..];
        for tile in (0..columns).step_by(lanes) {
            let pixels = &line[TILE / 2 * tile..TILE / 2 * (tile + lanes) + 4];
            let values = transform::doubled(simd, gather::<S, { TILE / 2 }>(simd, pixels));
            for (value, l) in values.into_iter().zip(DOUBLED) {
                store::<S>(v, l * layout.position + tile, value);
            }
        }
    }
}

/// The matrix products of all positions.
#[inline(always)]
fn multiply<S: Simd>(
    simd: S,
    input: &Planes<'_>,
    weights: &Weights,
    v: &[f32],
    m: &mut [f32],
    vectors: usize,
    layout: Layout,
) {
    let blocks = weights.outputs.div_ceil(BLOCK);
    for position in 0..POSITIONS {
        let inputs = match input.source {
            Source::Joined { kept, .. } if position / 6 == 2 || position % 6 == 2 => kept,
            _ => input.channels,
        };
        let v = &v[position * layout.position..][..inputs * layout.tiles];
        for block in 0..blocks {
            let u = &weights.data[(position * blocks + block) * input.channels..][..inputs];
            let m = &mut m[(block * BLOCK * POSITIONS + position) * layout.tiles..];
            let mut done = 0;
            while done < vectors {
                let together = (vectors - done).min(VECTORS);
                let at = done * S::F32_LANES;
                match together {
                    1 => products::<S, 1>(simd, v, u, m, at, layout.tiles),
                    2 => products::<S, 2>(simd, v, u, m, at, layout.tiles),
                    _ => products::<S, 3>(simd, v, u, m, at, layout.tiles),
                }
                done += together;
            }
        }
    }
}

/// `BLOCK` output channels of `V` vectors of tiles at one position.
#[inline(always)]
fn products<S: Simd, const V: usize>(
    simd: S,
    v: &[f32],
    u: &[[f32; BLOCK]],
    m: &mut [f32],
    at: usize,
    pitch: usize,
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; BLOCK];
    for (v, u) in v.chunks_exact(pitch).zip(u) {
        let (v, _) = S::as_simd_f32s(&v[at..at + V * S::F32_LANES]);
        let v: [S::f32s; V] = std::array::from_fn(|k| v[k]);
        for (sums, &u) in sums.iter_mut().zip(u) {
            let u = simd.splat_f32s(u);
            for (sum, &v) in sums.iter_mut().zip(&v) {
                *sum = simd.mul_add_e_f32s(u, v, *sum);
            }
        }
    }
    for (o, sums) in sums.iter().enumerate() {
        let start = o * POSITIONS * pitch + at;
        S::as_mut_simd_f32s(&mut m[start..start + V * S::F32_LANES]).0.copy_from_slice(sums);
    }
}

/// Transforms a row of tiles of all channels back into pixels.
#[inline(always)]
fn write_row<S: Simd>(
    simd: S,
    input: &Planes<'_>,
    outputs: usize,
    tiles: Tiles,
    m: &[f32],
    out: &mut [f32],
    layout: Layout,
) {
    let lanes = S::F32_LANES;
    let rows = (input.height - tiles.y * TILE).min(TILE);
    for o in 0..outputs {
        let m = &m[o * POSITIONS * layout.tiles..];
        for tile in (0..tiles.columns).step_by(lanes) {
            let mut columns = [[simd.splat_f32s(0.0); 6]; 4];
            for l in 0..6 {
                let mut products = [simd.splat_f32s(0.0); 6];
                for (k, product) in products.iter_mut().enumerate() {
                    *product = load::<S>(m, (6 * k + l) * layout.tiles + tile);
                }
                for (column, value) in columns.iter_mut().zip(transform::output(simd, products)) {
                    column[l] = value;
                }
            }
            let x = (tiles.x + tile) * TILE;
            let keep = (input.width - x).min((tiles.columns - tile).min(lanes) * TILE);
            for (row, &column) in columns.iter().enumerate().take(rows) {
                let values = transform::output(simd, column);
                let start = (o * input.height + tiles.y * TILE + row) * input.width + x;
                let target = &mut out[start..start + keep];
                if keep == lanes * TILE {
                    scatter(simd, values, target, TILE);
                } else {
                    let mut whole = [0.0; 64];
                    scatter(simd, values, &mut whole, TILE);
                    target.copy_from_slice(&whole[..keep]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, naive_convolution, noise};

    const SIDES: [usize; 10] = [1, 2, 3, 4, 5, 8, 13, 18, 50, 101];

    fn convolved(planes: Planes<'_>, weight: &[f32], outputs: usize, workspace: &mut Workspace) -> Vec<f32> {
        let mut out = vec![f32::NAN; outputs * planes.width * planes.height];
        convolve(&planes, &Weights::forward(weight, outputs, planes.channels), workspace, &mut out);
        out
    }

    #[test]
    fn convolution_equals_the_naive_sum() {
        let mut workspace = Workspace::default();
        for (ci, co) in [(1, 1), (2, 5), (9, 4), (5, 18)] {
            for w in SIDES {
                for h in SIDES {
                    let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
                    let out = convolved(Planes::new(&input, ci, w, h), &weight, co, &mut workspace);
                    close(&out, &naive_convolution(&input, &weight, (ci, co, w, h)), 5e-5);
                }
            }
        }
    }

    #[test]
    fn joined_planes_and_blocks_are_those_of_the_image_that_is_meant() {
        let mut workspace = Workspace::default();
        let (kept, added, co) = (3, 2, 5);
        for w in [2, 4, 6, 10, 34, 70, 202] {
            for h in [2, 4, 8, 14, 22] {
                let half = w / 2;
                let (fine, coarse) = (noise(kept * w * h, 1), noise(added * w * h / 4, 2));
                let mut joined = fine.clone();
                joined.extend((0..added * w * h).map(|i| coarse[i / w / 2 * half + i % w / 2]));
                let weight = noise(co * (kept + added) * 9, 3);
                let planes = Planes::joined(&fine, kept, &coarse, added, w, h);
                let out = convolved(planes, &weight, co, &mut workspace);
                close(&out, &naive_convolution(&joined, &weight, (kept + added, co, w, h)), 5e-5);
                let blocks: Vec<f32> = (0..4 * half * h / 2)
                    .map(|i| {
                        let (c, y, x) = (i / (half * h / 2), i / half % (h / 2), i % half);
                        fine[(2 * y + c / 2) * w + 2 * x + c % 2]
                    })
                    .collect();
                let weight = noise(co * 36, 4);
                let out = convolved(Planes::blocks(&fine, half, h / 2), &weight, co, &mut workspace);
                close(&out, &naive_convolution(&blocks, &weight, (4, co, half, h / 2)), 5e-5);
            }
        }
    }

    #[test]
    fn turned_weights_carry_the_gradient_to_the_input() {
        let (ci, co, w, h) = (6, 5, 29, 11);
        let (weight, grad) = (noise(co * ci * 9, 4), noise(co * w * h, 5));
        let turned: Vec<f32> = (0..ci * co * 9)
            .map(|k| {
                let (i, o, tap) = (k / 9 / co, k / 9 % co, k % 9);
                weight[(o * ci + i) * 9 + 8 - tap]
            })
            .collect();
        let mut dx = vec![f32::NAN; ci * w * h];
        let weights = Weights::backward(&weight, co, ci);
        convolve(&Planes::new(&grad, co, w, h), &weights, &mut Workspace::default(), &mut dx);
        close(&dx, &naive_convolution(&grad, &turned, (co, ci, w, h)), 5e-5);
    }

    /// Linear in the gradient: `<conv(x, w), g> = <w, dw>`, tested one weight at a time.
    #[test]
    fn weight_gradient_is_the_transpose_of_the_convolution() {
        let mut workspace = Workspace::default();
        let mut check = |planes: Planes<'_>, dense: &[f32], co: usize| {
            let Planes { channels, width, height, .. } = planes;
            let grad = noise(co * width * height, 7);
            let mut dw = vec![1.0; co * channels * 9];
            weight_gradient(&planes, &grad, co, &mut workspace, &mut dw);
            for k in (0..dw.len()).step_by(dw.len().div_ceil(23)) {
                let unit: Vec<f32> = (0..dw.len()).map(|i| f32::from(i == k)).collect();
                let out = naive_convolution(dense, &unit, (channels, co, width, height));
                let expected = out.iter().zip(&grad).map(|(a, &b)| a * f64::from(b)).sum::<f64>();
                close(&dw[k..=k], &[1.0 + expected], 1e-4);
            }
        };
        for (ci, co) in [(1, 1), (3, 5), (6, 4)] {
            for (w, h) in [(1, 1), (3, 2), (12, 15), (28, 28), (29, 5), (56, 9), (101, 13), (500, 3)] {
                let input = noise(ci * w * h, 1);
                check(Planes::new(&input, ci, w, h), &input, co);
                if w % 2 == 0 && h % 2 == 0 {
                    let coarse = noise(3 * w * h / 4, 2);
                    let mut joined = input.clone();
                    joined.extend((0..3 * w * h).map(|i| coarse[i / w / 2 * (w / 2) + i % w / 2]));
                    check(Planes::joined(&input, ci, &coarse, 3, w, h), &joined, co);
                }
            }
        }
    }

    /// Largest error relative to the root mean square of the result, by number of input channels.
    #[test]
    fn error_is_a_few_units_in_the_last_place_of_typical_values() {
        for (ci, allowed) in [(16, 2e-5), (96, 4e-5), (192, 6e-5)] {
            let (co, w, h) = (8, 48, 32);
            let (input, weight) = (noise(ci * w * h, 1), noise(co * ci * 9, 2));
            let out = convolved(Planes::new(&input, ci, w, h), &weight, co, &mut Workspace::default());
            let expected = naive_convolution(&input, &weight, (ci, co, w, h));
            let square = expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64;
            let error = out.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            assert!(error < allowed * square.sqrt(), "{ci}: {}", error / square.sqrt());
        }
    }
}
