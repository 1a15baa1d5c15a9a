//! Input transform of blocks of tiles.

use pulp::Simd;

use super::transform::{self, gather, load_all, load_rest, store};
use super::{Layout, TILE, Tiles};
use crate::planes::{Planes, Source};

/// Non-zero rows or columns of a transformed tile of repeated pixels.
pub(super) const DOUBLED: [usize; 5] = [0, 1, 3, 4, 5];

/// Transforms the tiles of a block, in order: data written beyond the last tile of a row or channel are overwritten by the next.
#[inline(always)]
pub(super) fn read_block<S: Simd>(
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
    // Data that vectors write beyond a row's end are 0 from the next channel on.
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
pub(super) struct Rows<'a> {
    pub(super) image: &'a [f32],
    pub(super) width: usize,
    pub(super) height: usize,
}

impl<'a> Rows<'a> {
    /// Pixels `from..to` of the rows from `top` on; rows outside the image are unchanged.
    #[inline(always)]
    pub(super) fn get(&self, channel: usize, top: isize, from: usize, to: usize, rows: &mut [&'a [f32]]) {
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

/// [`read`] for pixels repeated 2 x 2.
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
