//! Windows that slide down the image side by side, their histograms kept up to date.
//!
//! With `f(c) = c * log2(c)` over the counts `c` of the grey levels in a window of `n` pixels, the
//! entropy is `(f(n) - sum of f(c)) * ln(2) / n`. When a pixel enters or leaves, the sum changes by
//! one step of `f`, which comes from a table in fixed point. The counts that neighbouring windows
//! have of one grey level share a word, so that a pixel is counted in all of them at once.

use crate::{Plane, PlaneMut, Real};

/// Grey levels.
pub(super) const LEVELS: usize = 256;

/// 1 in the fixed point of `f`.
const ONE: f64 = (1u64 << 24) as f64;

/// `steps[c] = f(c + 1) - f(c)`.
pub(super) fn fill_steps(steps: &mut [u32]) {
    let mut below = 0;
    for (step, c) in steps.iter_mut().zip(1u64..) {
        let above = fixed(c);
        // The slope of f is log2(c) + 1.44, below 34 for counts of 32 bits: it fits.
        *step = (above - below) as u32;
        below = above;
    }
}

/// `f(c)`, rounded; for `c` of at least 1.
fn fixed(c: u64) -> u64 {
    let c = c as f64;
    (c * libm::log2(c) * ONE + 0.5) as u64
}

/// What is computed: windows of side `k` around all pixels of `image`, into `out` of the same size.
pub(super) struct Map<'a, T> {
    pub(super) image: Plane<'a, u8>,
    pub(super) k: usize,
    pub(super) out: PlaneMut<'a, T>,
}

impl<T: Real> Map<'_, T> {
    /// Fills the map, `N` columns at a time, with counts of `BITS` bits. `step` looks up the step
    /// of the count in the low bits of a word; the bits above mean nothing.
    pub(super) fn fill<const N: usize, const BITS: u32>(mut self, step: impl Fn(u64) -> u32 + Copy) {
        let width = self.image.width();
        for x in (0..width).step_by(N) {
            let columns = Columns::<N, BITS>::around(x, self.k, width);
            self.fill_columns(x, columns, step);
        }
    }

    fn fill_columns<const N: usize, const BITS: u32>(
        &mut self,
        x: usize,
        mut columns: Columns<N, BITS>,
        step: impl Fn(u64) -> u32 + Copy,
    ) {
        let height = self.image.height();
        let (before, after) = reach(self.k);
        for y in 0..after.min(height) {
            columns.count::<true>(self.image.row(y), step);
        }
        let mut rows = 0;
        for y in 0..height {
            if let Some(leaving) = y.checked_sub(before + 1) {
                columns.count::<false>(self.image.row(leaving), step);
            }
            if let Some(entering) = y.checked_add(after).filter(|&row| row < height) {
                columns.count::<true>(self.image.row(entering), step);
            }
            let now = cut(y, self.k, height).len();
            if now != rows {
                rows = now;
                columns.set_rows(rows);
            }
            let row = &mut self.out.row_mut(y)[x..x + columns.used];
            for ((value, scale), sum) in row.iter_mut().zip(&columns.scales).zip(&columns.sums) {
                *value = T::from_f64(scale.top.saturating_sub(*sum) as f64 * scale.factor);
            }
        }
    }
}

/// Pixels before and after the middle one.
fn reach(k: usize) -> (usize, usize) {
    (k / 2, (k - 1) / 2)
}

/// The window around `at`, cut off at the border.
fn cut(at: usize, k: usize, size: usize) -> core::ops::Range<usize> {
    let (before, after) = reach(k);
    at.saturating_sub(before)..at.saturating_add(after).min(size - 1) + 1
}

/// What turns the sum of a window into its entropy.
#[derive(Clone, Copy, Default)]
struct Scale {
    /// `f(n)`, the sum of a window of one grey level.
    top: u64,
    /// `ln(2) / n` over the unit of the fixed point.
    factor: f64,
}

/// The windows around up to `N` neighbouring pixels of a row.
struct Columns<const N: usize, const BITS: u32> {
    /// For each grey level, the counts of all windows, the first one in the lowest bits.
    counts: [u64; LEVELS],
    /// The sum of `f` over the counts of each window.
    sums: [u64; N],
    scales: [Scale; N],
    /// The columns of each window: `left[i]..right[i]`.
    left: [usize; N],
    right: [usize; N],
    /// How many of the windows lie in the image.
    used: usize,
    /// No window is cut off, and they have a column in common.
    whole: bool,
}

impl<const N: usize, const BITS: u32> Columns<N, BITS> {
    fn around(x: usize, k: usize, width: usize) -> Self {
        let (before, after) = reach(k);
        let mut columns = Self {
            counts: [0; LEVELS],
            sums: [0; N],
            scales: [Scale::default(); N],
            left: [0; N],
            right: [0; N],
            used: N.min(width - x),
            whole: k >= N && x >= before && after < width && x + N <= width - after,
        };
        for i in 0..columns.used {
            let window = cut(x + i, k, width);
            (columns.left[i], columns.right[i]) = (window.start, window.end);
        }
        columns
    }

    /// Prepares for windows of so many rows.
    fn set_rows(&mut self, rows: usize) {
        for i in 0..self.used {
            let pixels = (rows * (self.right[i] - self.left[i])) as u64;
            let factor = core::f64::consts::LN_2 / (pixels as f64 * ONE);
            self.scales[i] = Scale { top: fixed(pixels), factor };
        }
    }

    /// A row of the image enters all windows, or leaves them.
    #[allow(clippy::needless_range_loop)] // Iterators keep these loops from being unrolled.
    #[inline(always)]
    fn count<const ENTERS: bool>(&mut self, row: &[u8], step: impl Fn(u64) -> u32 + Copy) {
        if !self.whole {
            self.count_cut::<ENTERS>(row, step);
            return;
        }
        let (left, right) = (self.left[N - 1], self.right[0]);
        // Summed up in registers.
        let mut sums = self.sums;
        let start = &row[self.left[0]..][..N - 1];
        for i in 0..N - 1 {
            self.count_pixel::<ENTERS>(&mut sums, 0, i + 1, start[i], step);
        }
        for &level in &row[left..right] {
            self.count_pixel::<ENTERS>(&mut sums, 0, N, level, step);
        }
        let end = &row[right..][..N - 1];
        for i in 0..N - 1 {
            self.count_pixel::<ENTERS>(&mut sums, i + 1, N, end[i], step);
        }
        self.sums = sums;
    }

    /// The same for windows that are cut off at the side of the image.
    #[inline(never)]
    fn count_cut<const ENTERS: bool>(&mut self, row: &[u8], step: impl Fn(u64) -> u32 + Copy) {
        // Where all windows overlap, and then what is left of each.
        let (left, right) = (self.left[self.used - 1], self.right[0]);
        let shared = if self.used == N && left < right { left..right } else { row.len()..row.len() };
        let mut sums = self.sums;
        for &level in &row[shared.clone()] {
            self.count_pixel::<ENTERS>(&mut sums, 0, N, level, step);
        }
        self.sums = sums;
        for i in 0..self.used {
            let before = &row[self.left[i].min(shared.start)..self.right[i].min(shared.start)];
            let after = &row[self.left[i].max(shared.end)..self.right[i].max(shared.end)];
            let (shift, one) = (i as u32 * BITS, 1 << (i as u32 * BITS));
            let mut sum = self.sums[i];
            for &level in before.iter().chain(after) {
                let place = &mut self.counts[usize::from(level)];
                if ENTERS {
                    sum += u64::from(step(*place >> shift));
                    *place += one;
                } else {
                    *place -= one;
                    sum -= u64::from(step(*place >> shift));
                }
            }
            self.sums[i] = sum;
        }
    }

    /// One pixel enters the windows `first..end`, or leaves them.
    #[allow(clippy::needless_range_loop)] // Iterators keep these loops from being unrolled.
    #[inline(always)]
    fn count_pixel<const ENTERS: bool>(
        &mut self,
        sums: &mut [u64; N],
        first: usize,
        end: usize,
        level: u8,
        step: impl Fn(u64) -> u32,
    ) {
        let one_each = one_each::<BITS>(first, end);
        let place = &mut self.counts[usize::from(level)];
        // The step between c and c + 1 belongs to the lower of the two.
        let lower = if ENTERS { *place } else { *place - one_each };
        *place = if ENTERS { lower + one_each } else { lower };
        for i in first..end {
            let step = u64::from(step(lower >> (i as u32 * BITS)));
            sums[i] = if ENTERS { sums[i] + step } else { sums[i] - step };
        }
    }
}

/// A word with a 1 in each of the counts `first..end`.
#[inline(always)]
const fn one_each<const BITS: u32>(first: usize, end: usize) -> u64 {
    let mut word = 0;
    let mut i = first;
    while i < end {
        word |= 1 << (i as u32 * BITS);
        i += 1;
    }
    word
}
