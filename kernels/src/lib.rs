//! CPU kernels of infomark's networks: forward and backward passes over plain slices.
//!
//! They are used for training and for inference of exported networks. Every routine processes one image (`channels x height x width`, rows
//! contiguous) on the calling thread, so results do not depend on the number of threads. The instruction set is chosen at run time by
//! [`pulp`]. A 3 x 3 convolution has two algorithms, direct summation ([`conv`]) and Winograd filtering ([`winograd`]); [`filter`] uses the
//! faster one for a size. Slices of inconsistent lengths are the caller's mistake: routines panic, or leave part of the result unchanged.

pub mod conv;
pub mod depthwise;
pub mod filter;
pub mod head;
pub mod norm;
pub mod planes;
pub mod pointwise;
pub mod relu6;
pub mod resample;
pub mod winograd;

use pulp::{Arch, Simd, WithSimd};

/// Runs `call` with the widest vector instructions of the processor, which apply to functions inlined into it.
///
/// A large closure needs `#[inline(always)]`; otherwise it uses only the baseline instructions of the
/// architecture.
pub fn widest<R>(call: impl FnOnce() -> R) -> R {
    struct Inlined<F>(F);
    impl<R, F: FnOnce() -> R> WithSimd for Inlined<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Inlined(call))
}

/// Name of the vector instructions that routines use: results of different ones differ by rounding.
pub fn instructions() -> String {
    let arch = format!("{:?}", Arch::new());
    match arch.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default() {
        "V3" => "AVX2".into(),
        "V4" => "AVX-512".into(),
        other => other.to_uppercase(),
    }
}

#[cfg(test)]
mod testing {
    use infomark_core::Rng;

    /// Uniform values in [-1, 1).
    pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed, 0);
        (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
    }

    /// 3 x 3 convolution in `f64`, of sizes `(inputs, outputs, width, height)`.
    pub(crate) fn naive_convolution(
        input: &[f32],
        weight: &[f32],
        (ci, co, w, h): (usize, usize, usize, usize),
    ) -> Vec<f64> {
        let mut out = vec![0.0; co * w * h];
        for o in 0..co {
            for y in 0..h {
                for x in 0..w {
                    let mut sum = 0.0;
                    for i in 0..ci {
                        for tap in 0..9 {
                            let (sx, sy) = ((x + tap % 3).wrapping_sub(1), (y + tap / 3).wrapping_sub(1));
                            if sx < w && sy < h {
                                sum += f64::from(input[(i * h + sy) * w + sx])
                                    * f64::from(weight[(o * ci + i) * 9 + tap]);
                            }
                        }
                    }
                    out[(o * h + y) * w + x] = sum;
                }
            }
        }
        out
    }

    /// Equal within `tolerance`, absolute and relative.
    #[track_caller]
    pub(crate) fn close(found: &[f32], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(*f) - e).abs() <= tolerance * (1.0 + e.abs()), "element {i}: {f} is not {e}");
        }
    }
}
