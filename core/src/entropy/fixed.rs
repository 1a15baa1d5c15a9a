//! `f(c) = c * log2(c)` in fixed point.
//!
//! With `f` over the counts `c` of the grey levels in a window of `n` pixels, its entropy is
//! `(f(n) - sum of f(c)) * ln(2) / n`. In integers the sum depends on nothing but the counts.

/// The fixed point: as many fractional bits as leave the sums of the largest window below 2^32.
#[derive(Clone, Copy)]
pub(super) struct Fixed {
    one: f64,
}

impl Fixed {
    /// For windows of up to so many pixels; `None` when their sums can't be held.
    pub(super) fn new(pixels: usize) -> Option<Self> {
        let largest = real(pixels);
        (0..31).rev().map(|bits| Self { one: f64::from(1u32 << bits) }).find(|f| {
            // The rounding adds at most a half.
            largest * f.one + 1.0 < 4_294_967_296.0
        })
    }

    /// `f(c)`, rounded.
    pub(super) fn f(self, count: usize) -> u32 {
        (real(count) * self.one + 0.5) as u32
    }

    /// `f(n)` and what turns the difference to the sum into an entropy, for `n` pixels.
    pub(super) fn scale(self, pixels: usize) -> (u32, f64) {
        (self.f(pixels), core::f64::consts::LN_2 / (pixels.max(1) as f64 * self.one))
    }

    /// `steps[c] = f(c + 1) - f(c)`.
    pub(super) fn fill_steps(self, steps: &mut [u64]) {
        let mut below = 0;
        for (step, count) in steps.iter_mut().zip(1..) {
            let above = self.f(count);
            *step = u64::from(above - below);
            below = above;
        }
    }
}

fn real(count: usize) -> f64 {
    let count = count as f64;
    if count > 0.0 { count * libm::log2(count) } else { 0.0 }
}
