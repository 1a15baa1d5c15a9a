//! Gradient of a 3 x 3 convolution by its weights: the transpose of the forward pass, F(3 x 3, 4 x 4).

use pulp::{Arch, Simd, WithSimd};

use super::transform::{self, gather, load, load_all, load_rest, store};
use super::{DOUBLED, Layout, POSITIONS, Partition, Rows, TILE, Tiles, Workspace, read_block};
use crate::planes::{Planes, Source};

/// Most vectors of tiles in a block: products are summed over them in registers.
const MOST: usize = 12;
/// Input channels computed together.
const INPUTS: usize = 4;
/// Output channels computed together.
const OUTPUTS: usize = 2;

/// Adds `sum over pixels of grad[o] * input[i]`, shifted by each tap, to `out`, `[outputs, inputs, 3, 3]`. `grad` is
/// `outputs x height x width`.
pub fn weight_gradient(
    input: &Planes<'_>,
    grad: &[f32],
    outputs: usize,
    workspace: &mut Workspace,
    out: &mut [f32],
) {
    debug_assert_eq!(grad.len(), outputs * input.width * input.height);
    debug_assert_eq!(out.len(), outputs * input.channels * 9);
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
        let sums = Sums {
            quads: input.channels.div_ceil(INPUTS),
            outputs: outputs.next_multiple_of(OUTPUTS),
            // Sums over every fourth lane; a scalar is one sum.
            len: INPUTS * lanes.div_ceil(4),
        };
        let lens = [
            13 * layout.line,
            POSITIONS * layout.position,
            POSITIONS * grad_layout.position,
            POSITIONS * sums.position(),
        ];
        let lens = lens.map(|len| len.next_multiple_of(16));
        let (lines, rest) = workspace.lines(lens.iter().sum()).split_at_mut(lens[0]);
        let (v, rest) = rest.split_at_mut(lens[1]);
        let (m, totals) = rest.split_at_mut(lens[2]);
        totals.fill(0.0);
        let source = Rows { image: grad, width: input.width, height: input.height };
        for block in 0..partition.blocks() {
            let block = partition.block(block);
            read_block(simd, input, block, lines, v, layout);
            clear_rest::<S>(v, input.channels, block, layout);
            read_gradient(simd, source, outputs, block, lines, m, grad_layout);
            clear_rest::<S>(m, outputs, block, grad_layout);
            let vectors = (block.rows * block.columns).div_ceil(lanes);
            for position in 0..POSITIONS {
                let v = &v[position * layout.position..][..input.channels * layout.tiles];
                let m = &m[position * grad_layout.position..][..outputs * layout.tiles];
                let totals = &mut totals[position * sums.position()..][..sums.position()];
                let inputs = inputs_at(input, position);
                for o in (0..outputs).step_by(OUTPUTS) {
                    for quad in 0..inputs.div_ceil(INPUTS) {
                        let totals = &mut totals[sums.at(o, quad)..];
                        let first = quad * INPUTS;
                        products(
                            simd,
                            lines_from::<INPUTS>(v, first, inputs, layout.tiles, vectors * lanes),
                            lines_from::<OUTPUTS>(m, o, outputs, layout.tiles, vectors * lanes),
                            totals,
                            sums,
                        );
                    }
                }
            }
        }
        for o in 0..outputs {
            for quad in 0..sums.quads {
                let mut tiles = [[0.0; INPUTS]; POSITIONS];
                for (position, tile) in tiles.iter_mut().enumerate() {
                    let inputs = inputs_at(input, position);
                    let total = &totals[position * sums.position() + sums.at(o, quad)..][..sums.len];
                    for (k, value) in tile.iter_mut().enumerate() {
                        if quad * INPUTS + k < inputs {
                            for part in total.as_chunks::<INPUTS>().0 {
                                *value += part[k];
                            }
                        }
                    }
                }
                let taps = transform::kernel_transposed(&tiles);
                let start = o * input.channels + quad * INPUTS;
                let inputs = (input.channels - quad * INPUTS).min(INPUTS);
                let targets = out[start * 9..(start + inputs) * 9].as_chunks_mut::<9>().0;
                for (k, target) in targets.iter_mut().enumerate() {
                    for (target, tap) in target.iter_mut().zip(&taps) {
                        *target += tap[k];
                    }
                }
            }
        }
    }
}

/// Where sums of products are.
#[derive(Clone, Copy)]
struct Sums {
    quads: usize,
    outputs: usize,
    len: usize,
}

impl Sums {
    fn position(&self) -> usize {
        self.outputs * self.quads * self.len
    }

    fn at(&self, output: usize, quad: usize) -> usize {
        (output * self.quads + quad) * self.len
    }
}

/// Input channels whose transformed tiles are not 0 at a position.
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

/// The first `len` values of `N` lines; lines from `count` on are the last one again.
#[inline(always)]
fn lines_from<const N: usize>(
    data: &[f32],
    first: usize,
    count: usize,
    pitch: usize,
    len: usize,
) -> [&[f32]; N] {
    let mut lines = [data; N];
    for (i, line) in (first..).zip(&mut lines) {
        *line = &data[i.min(count - 1) * pitch..][..len];
    }
    lines
}

/// Zeros behind the last tile of each line.
#[inline(always)]
fn clear_rest<S: Simd>(data: &mut [f32], channels: usize, tiles: Tiles, layout: Layout) {
    let used = tiles.rows * tiles.columns;
    let end = used.next_multiple_of(S::F32_LANES);
    if used < end {
        for position in data.chunks_mut(layout.position).take(POSITIONS) {
            for channel in 0..channels {
                position[channel * layout.tiles + used..channel * layout.tiles + end].fill(0.0);
            }
        }
    }
}

/// Adds the products of `INPUTS` by `OUTPUTS` channels at one position.
#[inline(always)]
fn products<S: Simd>(simd: S, v: [&[f32]; INPUTS], m: [&[f32]; OUTPUTS], totals: &mut [f32], sums: Sums) {
    let lanes = S::F32_LANES;
    let mut acc = [[simd.splat_f32s(0.0); INPUTS]; OUTPUTS];
    for at in (0..v[0].len()).step_by(lanes) {
        let v = load_all(simd, &v, at);
        let m = load_all(simd, &m, at);
        for (acc, &m) in acc.iter_mut().zip(&m) {
            for (acc, &v) in acc.iter_mut().zip(&v) {
                *acc = simd.mul_add_e_f32s(m, v, *acc);
            }
        }
    }
    for (o, acc) in acc.into_iter().enumerate() {
        let totals = &mut totals[o * sums.quads * sums.len..][..sums.len];
        if lanes == 1 {
            for (total, acc) in totals.iter_mut().zip(acc) {
                *total += simd.reduce_sum_f32s(acc);
            }
        } else {
            let [a, b, c, d] = simd.deinterleave_shfl_f32s(acc);
            let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
            let total = load::<S>(totals, 0);
            store::<S>(totals, 0, simd.add_f32s(total, sum));
        }
    }
}

/// Transforms the gradient's tiles of a block, in their order, as [`read_block`] does those of the input.
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
