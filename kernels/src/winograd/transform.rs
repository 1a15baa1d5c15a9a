//! Winograd transforms of 6 x 6 input tiles and 4 x 4 output tiles, one tile per lane.

use pulp::Simd;

/// Interpolation points besides 0 and infinity: 1, -1, `POINT`, -`POINT`.
pub(super) const POINT: f32 = 0.625;
const SQUARE: f32 = POINT * POINT;

/// `B^T d`: values of the input's polynomial at 0, 1, -1, `POINT`, -`POINT` and infinity.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, d: [S::f32s; 6]) -> [S::f32s; 6] {
    let (point, square) = (simd.splat_f32s(POINT), simd.splat_f32s(SQUARE));
    let minus_square = simd.splat_f32s(-SQUARE);
    let minus_sum = simd.splat_f32s(-1.0 - SQUARE);
    let (even, odd) =
        (simd.mul_add_e_f32s(minus_square, d[2], d[4]), simd.mul_add_e_f32s(minus_square, d[1], d[3]));
    let (even_p, odd_p) = (simd.sub_f32s(d[4], d[2]), simd.mul_f32s(point, simd.sub_f32s(d[3], d[1])));
    [
        simd.mul_add_e_f32s(square, d[0], simd.mul_add_e_f32s(minus_sum, d[2], d[4])),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(even_p, odd_p),
        simd.sub_f32s(even_p, odd_p),
        simd.mul_add_e_f32s(square, d[1], simd.mul_add_e_f32s(minus_sum, d[3], d[5])),
    ]
}

/// [`input`] of `d0, d1, d1, d2, d2, d3`, without the value at -1, which is 0.
#[inline(always)]
pub(super) fn doubled<S: Simd>(simd: S, d: [S::f32s; 4]) -> [S::f32s; 5] {
    let square = simd.splat_f32s(SQUARE);
    let minus_sum = simd.splat_f32s(-1.0 - SQUARE);
    let step = simd.sub_f32s(d[2], d[1]);
    [
        simd.mul_add_e_f32s(square, d[0], simd.mul_add_e_f32s(minus_sum, d[1], d[2])),
        simd.mul_add_e_f32s(simd.splat_f32s(-2.0 * SQUARE), d[1], simd.mul_f32s(simd.splat_f32s(2.0), d[2])),
        simd.mul_f32s(simd.splat_f32s(1.0 + POINT), step),
        simd.mul_f32s(simd.splat_f32s(1.0 - POINT), step),
        simd.mul_add_e_f32s(square, d[1], simd.mul_add_e_f32s(minus_sum, d[2], d[3])),
    ]
}

/// `A^T m`: four sums from the products at the six points.
#[inline(always)]
pub(super) fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
    let (point, square) = (simd.splat_f32s(POINT), simd.splat_f32s(SQUARE));
    let cube = simd.splat_f32s(POINT * SQUARE);
    let (sum, difference) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (sum_p, difference_p) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(sum, sum_p)),
        simd.mul_add_e_f32s(point, difference_p, difference),
        simd.mul_add_e_f32s(square, sum_p, sum),
        simd.mul_add_e_f32s(cube, difference_p, simd.add_f32s(difference, m[5])),
    ]
}

/// `A y`: the transpose of [`output`], for gradients.
#[inline(always)]
pub(super) fn output_transposed<S: Simd>(simd: S, y: [S::f32s; 4]) -> [S::f32s; 6] {
    let (point, square) = (simd.splat_f32s(POINT), simd.splat_f32s(SQUARE));
    let cube = simd.splat_f32s(POINT * SQUARE);
    let (even, odd) = (simd.add_f32s(y[0], y[2]), simd.add_f32s(y[1], y[3]));
    let even_p = simd.mul_add_e_f32s(square, y[2], y[0]);
    let odd_p = simd.mul_add_e_f32s(cube, y[3], simd.mul_f32s(point, y[1]));
    [
        y[0],
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(even_p, odd_p),
        simd.sub_f32s(even_p, odd_p),
        y[3],
    ]
}

/// `G^T s G`: the transpose of [`kernel`], for gradients.
#[inline(always)]
pub(super) fn kernel_transposed<S: Simd>(simd: S, s: &[S::f32s; 36]) -> [S::f32s; 9] {
    let mut columns = [[simd.splat_f32s(0.0); 6]; 3];
    for l in 0..6 {
        let line = line_transposed(simd, [s[l], s[6 + l], s[12 + l], s[18 + l], s[24 + l], s[30 + l]]);
        for (column, value) in columns.iter_mut().zip(line) {
            column[l] = value;
        }
    }
    let mut taps = [simd.splat_f32s(0.0); 9];
    for (taps, &column) in taps.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
        *taps = line_transposed(simd, column);
    }
    taps
}

/// `G^T s`.
#[inline(always)]
fn line_transposed<S: Simd>(simd: S, s: [S::f32s; 6]) -> [S::f32s; 3] {
    const ONE: f32 = 0.5 / (1.0 - SQUARE);
    const OTHER: f32 = 0.5 / (SQUARE * (SQUARE - 1.0));
    let one = simd.splat_f32s(ONE);
    let (other, odd_other) = (simd.splat_f32s(OTHER), simd.splat_f32s(OTHER * POINT));
    let sum = simd.mul_f32s(one, simd.add_f32s(s[1], s[2]));
    let difference = simd.mul_f32s(one, simd.sub_f32s(s[1], s[2]));
    let sum_p = simd.mul_f32s(other, simd.add_f32s(s[3], s[4]));
    [
        simd.mul_add_e_f32s(simd.splat_f32s(1.0 / SQUARE), s[0], simd.add_f32s(sum, sum_p)),
        simd.mul_add_e_f32s(odd_other, simd.sub_f32s(s[3], s[4]), difference),
        simd.mul_add_e_f32s(simd.splat_f32s(SQUARE), sum_p, simd.add_f32s(sum, s[5])),
    ]
}

/// `G g G^T` of a 3 x 3 kernel.
pub(super) fn kernel(g: [f64; 9]) -> [f64; 36] {
    let point = f64::from(POINT);
    let square = point * point;
    let line = |g: [f64; 3]| {
        let at = |p: f64, scale: f64| (g[0] + p * g[1] + p * p * g[2]) / scale;
        let (one, other) = (2.0 * (1.0 - square), 2.0 * square * (square - 1.0));
        [g[0] / square, at(1.0, one), at(-1.0, one), at(point, other), at(-point, other), g[2]]
    };
    let columns: [[f64; 6]; 3] = std::array::from_fn(|x| line([g[x], g[3 + x], g[6 + x]]));
    let rows: [[f64; 6]; 6] = std::array::from_fn(|y| line(columns.map(|column| column[y])));
    std::array::from_fn(|i| rows[i / 6][i % 6])
}

/// The four values from `stride * tile` on of one tile per lane, one vector each.
#[inline(always)]
pub(super) fn gather<S: Simd, const STRIDE: usize>(simd: S, line: &[f32]) -> [S::f32s; 4] {
    if S::F32_LANES == 1 {
        return [0, 1, 2, 3].map(|k| simd.splat_f32s(line[k]));
    }
    // The transposition works on groups of four lanes: quadruples of one group are four tiles apart.
    let mut quads = [simd.splat_f32s(0.0); 4];
    for (k, quads) in quads.iter_mut().enumerate() {
        let mut quad = [[0.0; 4]; 4];
        for (group, quad) in quad.iter_mut().enumerate().take(S::F32_LANES / 4) {
            let at = STRIDE * (k + 4 * group);
            quad.copy_from_slice(&line[at..at + 4]);
        }
        *quads = S::as_simd_f32s(&quad.as_flattened()[..S::F32_LANES]).0[0];
    }
    simd.deinterleave_shfl_f32s(quads)
}

/// Inverse of [`gather`]: writes the four values of each lane's tile, `stride` apart.
#[inline(always)]
pub(super) fn scatter<S: Simd>(simd: S, values: [S::f32s; 4], line: &mut [f32], stride: usize) {
    if S::F32_LANES == 1 {
        for (target, value) in line.iter_mut().zip(values) {
            *target = simd.reduce_sum_f32s(value);
        }
        return;
    }
    let quads: [S::f32s; 4] = simd.interleave_shfl_f32s(values);
    for (k, quad) in quads.iter().enumerate() {
        let (quad, _) = pulp::bytemuck::cast_slice::<_, f32>(std::slice::from_ref(quad)).as_chunks::<4>();
        for (group, quad) in quad.iter().enumerate() {
            let at = stride * (k + 4 * group);
            line[at..at + 4].copy_from_slice(quad);
        }
    }
}

/// Stores one vector.
#[inline(always)]
pub(super) fn store<S: Simd>(line: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut line[at..at + S::F32_LANES]).0[0] = value;
}

/// Loads one vector.
#[inline(always)]
pub(super) fn load<S: Simd>(line: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&line[at..at + S::F32_LANES]).0[0]
}

/// One vector of each row.
#[inline(always)]
pub(super) fn load_all<S: Simd, const N: usize>(simd: S, rows: &[&[f32]; N], at: usize) -> [S::f32s; N] {
    let mut values = [simd.splat_f32s(0.0); N];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = load::<S>(row, at);
    }
    values
}

/// The remainder of each row, padded with zeros.
#[inline(always)]
pub(super) fn load_rest<S: Simd, const N: usize>(simd: S, rows: &[&[f32]; N], at: usize) -> [S::f32s; N] {
    let mut values = [simd.splat_f32s(0.0); N];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = simd.partial_load_f32s(&row[at..]);
    }
    values
}
