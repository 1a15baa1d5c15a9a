//! The arithmetic of the encoder on a CPU: forward and backward passes over plain slices.
//!
//! Every routine works on one image (`channels x height x width`, rows contiguous) and runs on one thread, so a result
//! never depends on how many threads there are; [`ops`](crate::ops) hands images to threads and adds their weight
//! gradients in the images' order. The instruction set is chosen at run time by [`pulp`].

pub(crate) mod conv;
pub(crate) mod head;
pub(crate) mod norm;
pub(crate) mod resample;

#[cfg(test)]
pub(crate) mod tests_support {
    use infomark_core::Rng;

    /// Uniform values in [-1, 1).
    pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
        let mut rng = Rng::new(seed, 0);
        (0..len).map(|_| rng.uniform_in(-1.0, 1.0)).collect()
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
