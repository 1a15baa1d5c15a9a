//! `f(c) = c * log2(c)` in fixed point.
//!
//! With `f` summed over the counts `c` of the grey levels in a window of `n` pixels, the entropy is
//! `(f(n) - sum of f(c)) * ln(2) / n`. In integers the sum depends only on the counts.

/// Fixed-point arithmetic of an [`EntropyMap`](crate::EntropyMap), for reimplementations, e.g. on a GPU.
///
/// With `f(c) = c * log2(c)` in fixed point and the counts `c` of the grey levels in a window of `n` pixels, the entropy in
/// nats is `(first - sum of f(c)) * second`, the difference clamped at 0, where `(first, second)` is [`scale`](Self::scale)`(n)`.
/// There are as many fractional bits as keep the sums of the largest window below 2^32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixedPoint {
    one: f64,
    largest: usize,
}

impl FixedPoint {
    /// Arithmetic for windows of up to `largest` pixels; `None` when their sums overflow.
    pub(super) fn new(largest: usize) -> Option<Self> {
        let sum = real(largest);
        (0..31).rev().map(|bits| Self { one: f64::from(1u32 << bits), largest }).find(|f| {
            // The rounding adds at most a half.
            sum * f.one + 1.0 < 4_294_967_296.0
        })
    }

    /// Pixels of the largest window, at least 1.
    pub fn largest_window(self) -> usize {
        self.largest
    }

    /// `f(c)`, rounded.
    fn f(self, count: usize) -> u32 {
        (real(count) * self.one + 0.5) as u32
    }

    /// `f(n)`, and the factor from the difference of `f(n)` and the sum to an entropy in nats, for `n` pixels.
    pub fn scale(self, pixels: usize) -> (u32, f64) {
        (self.f(pixels), core::f64::consts::LN_2 / (pixels.max(1) as f64 * self.one))
    }

    /// `steps[c] = f(c + 1) - f(c)`: the increment of the sum when a pixel enters a bin of count `c`; for `c` below
    /// [`largest_window`](Self::largest_window).
    pub fn fill_steps(self, steps: &mut [u64]) {
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
