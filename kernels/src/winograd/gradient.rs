//! Gradient of a 3 x 3 convolution with respect to its weights: the transpose of the forward pass, F(3 x 3, 4 x 4).

use pulp::{Arch, Simd, WithSimd};

use super::read::{DOUBLED, Rows, read_block};
use super::transform::{self, gather, load, load_all, load_rest, scatter, store};
use super::{Layout, POSITIONS, Partition, TILE, Tiles, Workspace};
use crate::planes::{Planes, Source};

/// Maximum number of vectors of tiles in a block: products are summed over them in registers.
const MOST: usize = 6;
/// Number of vectors of the vectorised channels that are computed together.
const VECTORS: usize = 2;
/// Number of other channels computed together.
const ROWS: usize = 4;

/// Gradient with respect to the weights: adds `sum over pixels of grad[o] * input[i]`, shifted by each tap, to `out`,
/// `[outputs, inputs, 3, 3]`. `grad` is `outputs x height x width`.
pub fn weight_gradient(
    input: &Planes<'_>,
    grad: &[f32],
    outputs: usize,
    workspace: &mut Workspace,
    out: &mut [f32],
) {
    assert_eq!(grad.len(), outputs * input.width * input.height);
    assert_eq!(out.len(), outputs * input.channels * 9);
    Arch::new().dispatch(WeightGradient { input, grad, outputs, workspace, out });
}

struct WeightGradient<'a> {
    input: &'a Planes<'a>,
    grad: &'a [f32],
    outputs: usize,
    workspace: &'a mut Workspace,
    out: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { input, grad, outputs, workspace, out } = self;
        let lanes = S::F32_LANES;
        let Some(partition) = Partition::new(input.width, input.height, MOST * lanes) else { return };
        let layout = Layout::new(&partition, input.channels, lanes);
        let grad_layout = Layout::new(&partition, outputs, lanes);
        // The smaller number of channels is vectorised, as its tiles have to be transposed.
        let turn_inputs = input.channels <= outputs;
        let (along, across) = if turn_inputs { (input.channels, outputs) } else { (outputs, input.channels) };
        let pitch = along.next_multiple_of(lanes.max(4));
        let rows = across.next_multiple_of(ROWS);
        let lens = [
            13 * layout.line,
            POSITIONS * layout.position,
            POSITIONS * grad_layout.position,
            layout.tiles * pitch,
            POSITIONS * rows * pitch,
        ];
        let lens = lens.map(|len| len.next_multiple_of(16));
        let (lines, rest) = workspace.lines(lens.iter().sum()).split_at_mut(lens[0]);
        let (v, rest) = rest.split_at_mut(lens[1]);
        let (m, rest) = rest.split_at_mut(lens[2]);
        let (turned, sums) = rest.split_at_mut(lens[3]);
        sums.fill(0.0);
        let source = Rows { image: grad, width: input.width, height: input.height };
        for block in 0..partition.blocks() {
            let block = partition.block(block);
            read_block(simd, input, block, lines, v, layout);
            read_gradient(simd, source, outputs, block, lines, m, grad_layout);
            let tiles = block.rows * block.columns;
            for position in 0..POSITIONS {
                let v = &v[position * layout.position..];
                let m = &m[position * grad_layout.position..];
                let inputs = inputs_at(input, position);
                let (to_turn, along, other, across) =
                    if turn_inputs { (v, inputs, m, outputs) } else { (m, outputs, v, inputs) };
                transpose(simd, to_turn, along, layout.tiles, tiles, turned, pitch);
                let sums = &mut sums[position * rows * pitch..][..rows * pitch];
                for (row, sums) in (0..across).step_by(ROWS).zip(sums.chunks_exact_mut(ROWS * pitch)) {
                    let mut lines = [other; ROWS];
                    for (k, line) in lines.iter_mut().enumerate() {
                        // A partial block computes its last channel repeatedly.
                        *line = &other[(row + k).min(across - 1) * layout.tiles..][..tiles];
                    }
                    let vectors = along.div_ceil(lanes);
                    for first in (0..vectors).step_by(VECTORS) {
                        let (turned, sums) = (&turned[first * lanes..], &mut sums[first * lanes..]);
                        match vectors - first {
                            1 => products::<S, 1>(simd, turned, lines, sums, pitch),
                            _ => products::<S, VECTORS>(simd, turned, lines, sums, pitch),
                        }
                    }
                }
            }
        }
        for row in 0..across {
            for first in (0..along).step_by(lanes) {
                let mut tile = [simd.splat_f32s(0.0); POSITIONS];
                for (position, value) in tile.iter_mut().enumerate() {
                    // Skips input channels whose tiles are 0 at this position.
                    if turn_inputs || row < inputs_at(input, position) {
                        *value = load::<S>(sums, (position * rows + row) * pitch + first);
                    }
                }
                let taps = transform::kernel_transposed(simd, &tile);
                let taps = pulp::bytemuck::cast_slice::<S::f32s, f32>(&taps);
                for (lane, channel) in (first..along.min(first + lanes)).enumerate() {
                    let (o, i) = if turn_inputs { (row, channel) } else { (channel, row) };
                    let start = (o * input.channels + i) * 9;
                    for (tap, target) in out[start..start + 9].iter_mut().enumerate() {
                        *target += taps[tap * lanes + lane];
                    }
                }
            }
        }
    }
}

/// Number of input channels whose transformed tiles are not 0 at a position.
fn inputs_at(input: &Planes<'_>, position: usize) -> usize {
    match input.source {
        Source::Joined { kept, .. }
            if !DOUBLED.contains(&(position / 6)) || !DOUBLED.contains(&(position % 6)) =>
        {
            kept
        }
        _ => input.channels,
    }
}

/// Transposes tiles by channel, `tiles_pitch` apart, to channels by tile, `pitch` apart. Channels from `present` on are 0, or unchanged in
/// whole vectors of them.
#[inline(always)]
fn transpose<S: Simd>(
    simd: S,
    v: &[f32],
    present: usize,
    tiles_pitch: usize,
    tiles: usize,
    turned: &mut [f32],
    pitch: usize,
) {
    let lanes = S::F32_LANES;
    for first in (0..present.next_multiple_of(lanes.max(4))).step_by(4) {
        for tile in (0..tiles).step_by(lanes) {
            let mut quad = [simd.splat_f32s(0.0); 4];
            for (channel, value) in (first..present).zip(&mut quad) {
                *value = load::<S>(v, channel * tiles_pitch + tile);
            }
            scatter(simd, quad, &mut turned[tile * pitch + first..], pitch);
        }
    }
}

/// Adds the products of `V` vectors of channels and `ROWS` others at one position.
#[inline(always)]
fn products<S: Simd, const V: usize>(
    simd: S,
    turned: &[f32],
    m: [&[f32]; ROWS],
    sums: &mut [f32],
    pitch: usize,
) {
    let len = V * S::F32_LANES;
    let mut acc = [[simd.splat_f32s(0.0); V]; ROWS];
    for (tile, turned) in (0..m[0].len()).zip(turned.chunks(pitch)) {
        let (v, _) = S::as_simd_f32s(&turned[..len]);
        for (acc, m) in acc.iter_mut().zip(&m) {
            let m = simd.splat_f32s(m[tile]);
            for (acc, &v) in acc.iter_mut().zip(v) {
                *acc = simd.mul_add_e_f32s(m, v, *acc);
            }
        }
    }
    for (acc, sums) in acc.iter().zip(sums.chunks_mut(pitch)) {
        for (&acc, sum) in acc.iter().zip(S::as_mut_simd_f32s(&mut sums[..len]).0) {
            *sum = simd.add_f32s(*sum, acc);
        }
    }
}

/// Transforms the gradient's tiles of a block, in order, as [`read_block`] does those of the input.
#[inline(always)]
fn read_gradient<S: Simd>(
    simd: S,
    source: Rows<'_>,
    outputs: usize,
    tiles: Tiles,
    lines: &mut [f32],
    m: &mut [f32],
    layout: Layout,
) {
    let lanes = S::F32_LANES;
    lines.fill(0.0);
    let (lines, zeros) = lines.split_at_mut(6 * layout.line);
    let (from, to) = (tiles.x * TILE, ((tiles.x + tiles.columns) * TILE).min(source.width));
    let len = to - from;
    for o in 0..outputs {
        for row in 0..tiles.rows {
            let mut rows = [&zeros[..len]; TILE];
            source.get(o, ((tiles.y + row) * TILE) as isize, from, to, &mut rows);
            let mut parts = lines.chunks_exact_mut(layout.line);
            let mut parts: [&mut [f32]; 6] = std::array::from_fn(|_| parts.next().unwrap_or_default());
            for x in (0..len).step_by(lanes) {
                let pixels =
                    if x + lanes <= len { load_all(simd, &rows, x) } else { load_rest(simd, &rows, x) };
                for (part, value) in parts.iter_mut().zip(transform::output_transposed(simd, pixels)) {
                    store::<S>(part, x, value);
                }
            }
            for (k, part) in parts.iter().enumerate() {
                let m = &mut m[6 * k * layout.position + o * layout.tiles + row * tiles.columns..];
                for tile in (0..tiles.columns).step_by(lanes) {
                    let pixels = &part[TILE * tile..TILE * (tile + lanes) + 4];
                    let values = transform::output_transposed(simd, gather::<S, TILE>(simd, pixels));
                    for (l, value) in values.into_iter().enumerate() {
                        store::<S>(m, l * layout.position + tile, value);
                    }
                }
            }
        }
    }
}

/// [`weight_gradient`] on given vectors.
#[cfg(test)]
pub(super) fn on<S: Simd>(simd: S, input: &Planes<'_>, grad: &[f32], outputs: usize, out: &mut [f32]) {
    simd.vectorize(WeightGradient { input, grad, outputs, workspace: &mut Workspace::default(), out });
}
