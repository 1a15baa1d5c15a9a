//! Square windows that slide down the image eight side by side, with incremental histograms.
//!
//! The counts of one grey level in the eight windows share one word or a few, so that a pixel
//! is counted in all of them at once. The increment of their sums comes from a table; while all
//! counts fit into bytes, from one indexed by the counts of two windows together.

use super::PatchBorder;
use super::fixed::FixedPoint;
use crate::{Plane, PlaneMut, Real};
use core::ops::Range;

/// Grey levels.
pub(super) const LEVELS: usize = 256;
/// Windows side by side.
const N: usize = 8;
/// Byte counts are below this before each row.
const NARROW: usize = 128;
/// The widest window for byte counts: one row cannot overflow them.
pub(super) const NARROW_SIDE: usize = 256 - NARROW;
/// Elements of the table of pairs: one per pair of bytes.
pub(super) const PAIRS: usize = 1 << 16;
/// Output pixels per band, processed before the rows below, and the minimum number of rows of a band, in
/// window sides. Down the whole of a large image, each row would cost a cache miss.
const BAND_PIXELS: usize = 160_000;
const BAND_SIDES: usize = 6;
/// Rows of results buffered before writing: stores are ordered, and one that misses the cache would
/// stall the counts behind it.
const HELD_ROWS: usize = 16;
/// Interval, in rows, of the check whether wide counts fit into bytes again.
const CHECK_ROWS: usize = 16;

/// One computation: windows of side `k` around every `step`-th pixel of `image` from `(left, top)` on, into `out`.
pub(super) struct Map<'a, 'o, T> {
    pub(super) image: Plane<'a, u8>,
    pub(super) k: usize,
    pub(super) border: PatchBorder,
    pub(super) fixed: FixedPoint,
    /// Increment of a sum by the count before it; one element more than a window has pixels.
    pub(super) steps: &'a [u64],
    /// The same for two counts of a byte; the first is in the low half.
    pub(super) pairs: Option<&'a [u64; PAIRS]>,
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) step: usize,
    pub(super) out: PlaneMut<'o, T>,
}

/// Fills in the table of pairs for the counts of windows of side `k`.
pub(super) fn fill_pairs(pairs: &mut [u64; PAIRS], steps: &[u64], k: usize) {
    let steps = &steps[..steps.len().min(NARROW + k)];
    let (pairs, _) = pairs.as_chunks_mut::<256>();
    for (pairs, second) in pairs.iter_mut().zip(steps) {
        for (pair, first) in pairs.iter_mut().zip(steps) {
            *pair = first | second << 32;
        }
    }
}

impl<T: Real> Map<'_, '_, T> {
    /// Fills the output.
    pub(super) fn fill(mut self) {
        let width = (self.out.width() - 1) * self.step + 1;
        let height = (self.out.height() - 1) * self.step + 1;
        let band = (BAND_PIXELS / width).max(BAND_SIDES * self.k);
        for top in (0..height).step_by(band) {
            let rows = top..height.min(top + band);
            for x in (0..width).step_by(N) {
                if self.k < 1 << 8 {
                    self.strip::<2>(x, (width - x).min(N), rows.clone());
                } else {
                    self.strip::<4>(x, (width - x).min(N), rows.clone());
                }
            }
        }
    }

    /// Computes `used` windows from the column `x` of the output on, for some of its rows.
    fn strip<const WORDS: usize>(&mut self, x: usize, used: usize, ys: Range<usize>) {
        let (image, k) = (self.image, self.k);
        let columns = Columns::new(self.left + x, k, image.width(), self.border);
        let rows = Axis::new(self.top, k, image.height(), self.border);
        let mut windows = Windows::<WORDS>::new(self.steps, self.pairs, columns);
        for row in ys.start..ys.start + k - 1 {
            if let Some(y) = rows.source(row) {
                windows.enter(image.row(y));
            }
        }
        let mut scales = [(0, 0.0); N];
        let mut covered = 0;
        let mut held = [[0.0; N]; HELD_ROWS];
        for y in ys.clone() {
            if y > ys.start
                && let Some(leaving) = rows.source(y - 1)
            {
                windows.leave(image.row(leaving));
            }
            if let Some(entering) = rows.source(y + k - 1) {
                windows.enter(image.row(entering));
            }
            if y % CHECK_ROWS == 0 {
                windows.narrow_if_small();
            }
            let now = rows.covered(y, k);
            if now != covered {
                covered = now;
                for (scale, columns) in scales.iter_mut().zip(&windows.columns.covered) {
                    *scale = self.fixed.scale(now * columns);
                }
            }
            let sums = windows.sums();
            held[(y - ys.start) % HELD_ROWS] = core::array::from_fn(|i| {
                let (top, factor) = scales[i];
                f64::from(top.saturating_sub(sums[i])) * factor
            });
            if (y - ys.start) % HELD_ROWS == HELD_ROWS - 1 || y + 1 == ys.end {
                let first = y - (y - ys.start) % HELD_ROWS;
                self.write(x, used, first, &held[..=y - first]);
            }
        }
    }

    /// Writes the entropies of `used` columns from `x` on and of the rows from `y` on.
    fn write(&mut self, x: usize, used: usize, y: usize, entropies: &[[f64; N]]) {
        for (y, entropies) in (y..).zip(entropies).filter(|(y, _)| y.is_multiple_of(self.step)) {
            let row = self.out.row_mut(y / self.step);
            if self.step == 1 {
                for (value, &entropy) in row[x..x + used].iter_mut().zip(entropies) {
                    *value = T::from_f64(entropy);
                }
                continue;
            }
            for (i, &entropy) in entropies[..used].iter().enumerate() {
                if (x + i).is_multiple_of(self.step) {
                    row[(x + i) / self.step] = T::from_f64(entropy);
                }
            }
        }
    }
}

/// Positions along one side of the image relative to the windows: position 0 is the first pixel of the
/// first window, and may lie outside.
#[derive(Clone, Copy)]
struct Axis {
    /// Image coordinate of position 0.
    start: isize,
    size: usize,
    border: PatchBorder,
}

impl Axis {
    fn new(first: usize, k: usize, size: usize, border: PatchBorder) -> Self {
        Self { start: first as isize - (k / 2) as isize, size, border }
    }

    /// The image pixel at a position.
    fn source(&self, place: usize) -> Option<usize> {
        self.border.source(self.start.saturating_add_unsigned(place), self.size)
    }

    /// The positions, of the first `places`, inside the image.
    fn inside(&self, places: usize) -> Range<usize> {
        let place = |at: usize| (at as isize - self.start).clamp(0, places as isize) as usize;
        place(0)..place(self.size)
    }

    /// Number of positions, of `k` from `first` on, that have a pixel.
    fn covered(&self, first: usize, k: usize) -> usize {
        if self.border != PatchBorder::Cut {
            return k;
        }
        let from = self.start.saturating_add_unsigned(first);
        let to = from.saturating_add_unsigned(k).clamp(0, self.size as isize);
        (to - from.clamp(0, self.size as isize)) as usize
    }
}

/// The columns of the windows.
#[derive(Clone, Copy)]
struct Columns {
    axis: Axis,
    k: usize,
    /// Number of columns of each window that have a pixel.
    covered: [usize; N],
    /// The first column, if all windows lie inside the image and share a column.
    whole: Option<usize>,
}

impl Columns {
    fn new(x: usize, k: usize, width: usize, border: PatchBorder) -> Self {
        let axis = Axis::new(x, k, width, border);
        let first = usize::try_from(axis.start).ok();
        let whole = first.filter(|first| k >= N && first + k + N - 1 <= width);
        Self { axis, k, covered: core::array::from_fn(|i| axis.covered(i, k)), whole }
    }

    /// A row's pixels in three parts: columns left of the shared ones, the shared ones, and the rest.
    #[inline(always)]
    fn whole_row<'a>(&self, row: &'a [u8]) -> Option<(&'a [u8; N - 1], &'a [u8], &'a [u8; N - 1])> {
        let (start, row) = row.get(self.whole?..)?.split_first_chunk()?;
        let (shared, row) = row.split_at_checked(self.k + 1 - N)?;
        Some((start, shared, row.first_chunk()?))
    }
}

/// The windows and their histograms, narrow or wide.
struct Windows<'a, const WORDS: usize> {
    /// Present only with a table of pairs.
    narrow: Option<Narrow<'a>>,
    wide: Wide<'a, WORDS>,
    is_narrow: bool,
    columns: Columns,
}

impl<'a, const WORDS: usize> Windows<'a, WORDS> {
    fn new(steps: &'a [u64], pairs: Option<&'a [u64; PAIRS]>, columns: Columns) -> Self {
        let narrow = pairs.map(|pairs| Narrow { counts: [0; LEVELS], sums: [0; N / 2], pairs });
        let wide = Wide { counts: [[0; WORDS]; LEVELS], sums: [0; N], steps };
        Self { is_narrow: narrow.is_some(), narrow, wide, columns }
    }

    fn enter(&mut self, row: &[u8]) {
        let Some(narrow) = self.narrow.as_mut().filter(|_| self.is_narrow) else {
            count_row::<_, true>(&mut self.wide, &self.columns, row);
            return;
        };
        if count_row::<_, true>(narrow, &self.columns, row) & (NARROW as u64 * BYTES) != 0 {
            self.wide.sums = narrow.sums();
            for (wide, &narrow) in self.wide.counts.iter_mut().zip(&narrow.counts) {
                *wide = from_lanes(|i| lane(&[narrow], i));
            }
            self.is_narrow = false;
        }
    }

    fn leave(&mut self, row: &[u8]) {
        match &mut self.narrow {
            Some(narrow) if self.is_narrow => count_row::<_, false>(narrow, &self.columns, row),
            _ => count_row::<_, false>(&mut self.wide, &self.columns, row),
        };
    }

    /// Switches from wide to narrow counts where they have room to grow again.
    fn narrow_if_small(&mut self) {
        let Some(narrow) = self.narrow.as_mut().filter(|_| !self.is_narrow) else { return };
        let mut seen = [0; WORDS];
        for words in &self.wide.counts {
            for (seen, word) in seen.iter_mut().zip(words) {
                *seen |= word;
            }
        }
        if (0..N).all(|i| lane(&seen, i) < NARROW as u64 / 2) {
            for (narrow, wide) in narrow.counts.iter_mut().zip(&self.wide.counts) {
                [*narrow] = from_lanes(|i| lane(wide, i));
            }
            let sums = &self.wide.sums;
            narrow.sums = core::array::from_fn(|p| u64::from(sums[2 * p]) | u64::from(sums[2 * p + 1]) << 32);
            self.is_narrow = true;
        }
    }

    fn sums(&self) -> [u32; N] {
        match &self.narrow {
            Some(narrow) if self.is_narrow => narrow.sums(),
            _ => self.wide.sums,
        }
    }
}

/// Histograms of all windows with their sums.
trait Histograms {
    /// The sums, held in registers during a row.
    type Sums: Copy;
    /// The windows that contain a pixel.
    type Met: Copy;

    fn held(&mut self) -> &mut Self::Sums;

    fn met(first: usize, last: usize) -> Self::Met;

    /// Adds a pixel to some windows, or removes it; returns the bitwise OR of its counts.
    fn pixel<const ENTERS: bool>(&mut self, sums: &mut Self::Sums, met: Self::Met, level: u8) -> u64;
}

/// Byte counts; the sums of two windows share a word and, being below 2^32, never overlap.
struct Narrow<'a> {
    counts: [u64; LEVELS],
    sums: [u64; N / 2],
    pairs: &'a [u64; PAIRS],
}

impl Narrow<'_> {
    fn sums(&self) -> [u32; N] {
        core::array::from_fn(|i| (self.sums[i / 2] >> (i % 2 * 32)) as u32)
    }
}

impl Histograms for Narrow<'_> {
    type Sums = [u64; N / 2];
    type Met = (u64, [u64; N / 2]);

    #[inline(always)]
    fn held(&mut self) -> &mut Self::Sums {
        &mut self.sums
    }

    #[inline(always)]
    fn met(first: usize, last: usize) -> Self::Met {
        let ones = BYTES_BELOW[last] & !BYTES_BELOW[first];
        (ones, core::array::from_fn(|p| HALVES_BELOW[last][p] & !HALVES_BELOW[first][p]))
    }

    #[inline(always)]
    fn pixel<const ENTERS: bool>(&mut self, sums: &mut Self::Sums, (ones, met): Self::Met, level: u8) -> u64 {
        let word = &mut self.counts[usize::from(level)];
        // The step between c and c + 1 belongs to the lower of the two.
        let lower = if ENTERS { *word } else { *word - ones };
        *word = if ENTERS { lower + ones } else { lower };
        let seen = *word;
        for p in 0..N / 2 {
            let step = self.pairs[usize::from((lower >> (16 * p)) as u16)] & met[p];
            sums[p] = if ENTERS { sums[p].wrapping_add(step) } else { sums[p].wrapping_sub(step) };
        }
        seen
    }
}

/// Counts of `8 * WORDS` bits.
struct Wide<'a, const WORDS: usize> {
    counts: [[u64; WORDS]; LEVELS],
    sums: [u32; N],
    steps: &'a [u64],
}

impl<const WORDS: usize> Histograms for Wide<'_, WORDS> {
    type Sums = [u32; N];
    type Met = ([u64; WORDS], [u32; N]);

    #[inline(always)]
    fn held(&mut self) -> &mut Self::Sums {
        &mut self.sums
    }

    #[inline(always)]
    fn met(first: usize, last: usize) -> Self::Met {
        let met = |i: usize| first <= i && i < last;
        (from_lanes(|i| u64::from(met(i))), core::array::from_fn(|i| if met(i) { u32::MAX } else { 0 }))
    }

    #[inline(always)]
    fn pixel<const ENTERS: bool>(&mut self, sums: &mut Self::Sums, (ones, met): Self::Met, level: u8) -> u64 {
        let words = &mut self.counts[usize::from(level)];
        let mut lower = *words;
        for w in 0..WORDS {
            if !ENTERS {
                lower[w] -= ones[w];
            }
            words[w] = if ENTERS { lower[w] + ones[w] } else { lower[w] };
        }
        for i in 0..N {
            // The table has a step for every count of a whole window, whether the pixel is in it or not.
            let step = self.steps[lane(&lower, i) as usize] as u32 & met[i];
            sums[i] = if ENTERS { sums[i].wrapping_add(step) } else { sums[i].wrapping_sub(step) };
        }
        0
    }
}

/// Adds a row of the image to all windows, or removes it; returns the bitwise OR of their counts.
#[inline(always)]
fn count_row<H: Histograms, const ENTERS: bool>(histograms: &mut H, columns: &Columns, row: &[u8]) -> u64 {
    let Some((start, shared, end)) = columns.whole_row(row) else {
        return count_cut_row::<H, ENTERS>(histograms, columns, row);
    };
    let (mut sums, mut seen) = (*histograms.held(), 0);
    let mut pixel =
        |first, last, level| seen |= histograms.pixel::<ENTERS>(&mut sums, H::met(first, last), level);
    // Unrolled, so that each call is compiled for its windows.
    pixel(0, 1, start[0]);
    pixel(0, 2, start[1]);
    pixel(0, 3, start[2]);
    pixel(0, 4, start[3]);
    pixel(0, 5, start[4]);
    pixel(0, 6, start[5]);
    pixel(0, 7, start[6]);
    for &level in shared {
        pixel(0, N, level);
    }
    pixel(1, N, end[0]);
    pixel(2, N, end[1]);
    pixel(3, N, end[2]);
    pixel(4, N, end[3]);
    pixel(5, N, end[4]);
    pixel(6, N, end[5]);
    pixel(7, N, end[6]);
    *histograms.held() = sums;
    seen
}

/// Variant where windows extend outside the image, or share no column.
#[inline(never)]
fn count_cut_row<H: Histograms, const ENTERS: bool>(
    histograms: &mut H,
    columns: &Columns,
    row: &[u8],
) -> u64 {
    let (mut sums, mut seen) = (*histograms.held(), 0);
    let (k, axis) = (columns.k, columns.axis);
    let places = k + N - 1;
    // The positions inside the image; all windows contain `shared` of them.
    let inside = axis.inside(places);
    let shared = (N - 1).clamp(inside.start, inside.end)..k.clamp(inside.start, inside.end);
    let mut some = |place: usize, level: u8| {
        let met = H::met((place + 1).saturating_sub(k), (place + 1).min(N));
        seen |= histograms.pixel::<ENTERS>(&mut sums, met, level);
    };
    let pixels = &row[axis.start.saturating_add_unsigned(inside.start) as usize..][..inside.len()];
    if shared.is_empty() {
        for (place, &level) in inside.clone().zip(pixels) {
            some(place, level);
        }
    } else {
        let (start, rest) = pixels.split_at(shared.start - inside.start);
        let (middle, end) = rest.split_at(shared.len());
        for (place, &level) in (inside.start..).zip(start).chain((shared.end..).zip(end)) {
            some(place, level);
        }
        for &level in middle {
            seen |= histograms.pixel::<ENTERS>(&mut sums, H::met(0, N), level);
        }
    }
    if axis.border != PatchBorder::Cut {
        for place in (0..inside.start).chain(inside.end..places) {
            if let Some(&level) = axis.source(place).and_then(|x| row.get(x)) {
                let met = H::met((place + 1).saturating_sub(k), (place + 1).min(N));
                seen |= histograms.pixel::<ENTERS>(&mut sums, met, level);
            }
        }
    }
    *histograms.held() = sums;
    seen
}

/// 1 in every byte.
const BYTES: u64 = 0x0101_0101_0101_0101;

/// 1 in each byte below the index.
const BYTES_BELOW: [u64; N + 1] = {
    let mut below = [BYTES; N + 1];
    let mut i = 0;
    while i < N {
        below[i] = BYTES & ((1 << (8 * i)) - 1);
        i += 1;
    }
    below
};

/// All bits of each half-word below the index.
const HALVES_BELOW: [[u64; N / 2]; N + 1] = {
    let mut below = [[0; N / 2]; N + 1];
    let mut i = 0;
    while i < N {
        below[i + 1] = below[i];
        below[i + 1][i / 2] |= 0xFFFF_FFFF << (i % 2 * 32);
        i += 1;
    }
    below
};

/// The count of window `i`.
#[inline(always)]
fn lane<const WORDS: usize>(words: &[u64; WORDS], i: usize) -> u64 {
    let (bits, lanes) = (8 * WORDS, N / WORDS);
    words[i / lanes] >> (i % lanes * bits) & (u64::MAX >> (64 - bits))
}

/// Packs the counts of all windows.
#[inline(always)]
fn from_lanes<const WORDS: usize>(count: impl Fn(usize) -> u64) -> [u64; WORDS] {
    let (bits, lanes) = (8 * WORDS, N / WORDS);
    let mut words = [0; WORDS];
    for i in 0..N {
        words[i / lanes] |= count(i) << (i % lanes * bits);
    }
    words
}
