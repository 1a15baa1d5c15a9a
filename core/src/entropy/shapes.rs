//! Neighbourhoods of any shape, with masks: one window slides down the image.

use super::fixed::FixedPoint;
use super::windows::LEVELS;
use super::{Neighbourhood, PatchBorder};
use crate::{Plane, PlaneMut, Real};

/// One computation: neighbourhoods around every `step`-th pixel of `image` from `(left, top)` on.
pub(super) struct Map<'a, 'o, T> {
    pub(super) image: Plane<'a, u8>,
    /// Pixels that count; `None` for all.
    pub(super) mask: Option<Plane<'a, bool>>,
    pub(super) border: PatchBorder,
    pub(super) fixed: FixedPoint,
    pub(super) steps: &'a [u64],
    /// Rows above and below the centre, packed, for each column of the neighbourhood.
    pub(super) extents: &'a [u64],
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) step: usize,
    pub(super) out: PlaneMut<'o, T>,
}

/// Fills in the rows above and below the centre for each column of a neighbourhood.
pub(super) fn fill_extents(neighbourhood: Neighbourhood, extents: &mut [u64]) {
    let pack = |above: usize, below: usize| (above as u64) << 32 | below as u64;
    match neighbourhood {
        Neighbourhood::Square { side } => extents.fill(pack(side / 2, (side - 1) / 2)),
        Neighbourhood::Disk { radius } => {
            for (i, extent) in extents.iter_mut().enumerate() {
                let across = i.abs_diff(radius);
                let up = (radius * radius - across * across).isqrt();
                *extent = pack(up, up);
            }
        }
    }
}

/// The histogram of one window.
struct Window {
    counts: [u32; LEVELS],
    pixels: usize,
    sum: u32,
}

impl<T: Real> Map<'_, '_, T> {
    /// Fills the output.
    pub(super) fn fill(mut self) {
        for i in 0..self.out.width() {
            let x = self.left + i * self.step;
            let mut window = Window { counts: [0; LEVELS], pixels: 0, sum: 0 };
            for j in 0..self.out.height() {
                let y = self.top + j * self.step;
                if j == 0 || self.step >= self.extents.len() {
                    window = Window { counts: [0; LEVELS], pixels: 0, sum: 0 };
                    self.gather(&mut window, x, y);
                } else {
                    for y in y + 1 - self.step..=y {
                        self.slide(&mut window, x, y);
                    }
                }
                let (top, factor) = self.fixed.scale(window.pixels);
                let entropy = f64::from(top.saturating_sub(window.sum)) * factor;
                self.out.row_mut(j)[i] = T::from_f64(entropy);
            }
        }
    }

    /// Columns of the neighbourhood around `x` inside the image: index, rows above, rows below.
    fn columns(&self, x: usize) -> impl Iterator<Item = (usize, isize, isize)> + use<'_, T> {
        let start = x as isize - (self.extents.len() / 2) as isize;
        self.extents.iter().enumerate().filter_map(move |(i, &extent)| {
            let x = self.border.source(start.saturating_add_unsigned(i), self.image.width())?;
            Some((x, (extent >> 32) as isize, (extent & u64::from(u32::MAX)) as isize))
        })
    }

    fn gather(&self, window: &mut Window, x: usize, y: usize) {
        for (x, above, below) in self.columns(x) {
            for y in y as isize - above..=y as isize + below {
                self.count::<true>(window, x, y);
            }
        }
    }

    /// Moves a window from the row above to `y`.
    fn slide(&self, window: &mut Window, x: usize, y: usize) {
        for (x, above, below) in self.columns(x) {
            self.count::<false>(window, x, y as isize - 1 - above);
            self.count::<true>(window, x, y as isize + below);
        }
    }

    #[inline(always)]
    fn count<const ENTERS: bool>(&self, window: &mut Window, x: usize, y: isize) {
        let Some(y) = self.border.source(y, self.image.height()) else { return };
        if self.mask.is_some_and(|mask| mask.get(x, y) != Some(true)) {
            return;
        }
        let Some(level) = self.image.get(x, y) else { return };
        let count = &mut window.counts[usize::from(level)];
        let step = |count: u32| self.steps.get(count as usize).map_or(0, |&step| step as u32);
        if ENTERS {
            window.sum += step(*count);
            *count += 1;
            window.pixels += 1;
        } else {
            *count -= 1;
            window.sum -= step(*count);
            window.pixels -= 1;
        }
    }
}
