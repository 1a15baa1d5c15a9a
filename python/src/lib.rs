//! Rust extension of the Python package `infomark`: arrays in, arrays out, with the GIL released during computations.
//!
//! It adds no algorithm. The public interface, with type checks and documentation, is in `infomark/`; here arrays are already
//! contiguous and of the right type.

mod array;
mod encoder;
mod ensemble;
mod error;
mod evaluate;
mod exchange;
mod files;
mod maps;
mod matching;
mod memory;
mod network;
mod rows;
mod scheme;
mod source;
mod training;
mod views;
mod watch;

/// Rust extension of `infomark`; import that instead.
#[pyo3::pymodule]
mod _infomark {
    use pyo3::prelude::{Bound, PyModule, PyResult};

    #[pymodule_export]
    use super::encoder::{Encoder, Template, describe_onnx};
    #[pymodule_export]
    use super::ensemble::Ensemble;
    #[pymodule_export]
    use super::error::InfomarkError;
    #[pymodule_export]
    use super::evaluate::{
        compare_with_annotator, figures, random_sets, score_matcher, score_network, score_sets, select,
    };
    #[pymodule_export]
    use super::files::{
        dataset, lay_on, list_images, phantom, read_image, read_landmarks, stretch, write_landmarks,
    };
    #[pymodule_export]
    use super::maps::{
        entropy_map, info_nce, mutual_information, sample_pixels, tier_thresholds, tiers, weight_map,
    };
    #[pymodule_export]
    use super::matching::{FolderMatches, Judge, Matcher};
    #[pymodule_export]
    use super::memory::{memory_budget, most_image_bytes, set_memory_budget};
    #[pymodule_export]
    use super::network::{LandmarkNetwork, self_train, train_landmarks};
    #[pymodule_export]
    use super::scheme::Scheme;
    #[pymodule_export]
    use super::training::{psi, train, tune};
    #[pymodule_export]
    use super::views::{GuidedImage, Rng, TierPolicy, resample, tone};

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // The hook is only that of this module's Rust code.
        infomark_infer::silence_contained_panics();
        Ok(())
    }

    /// Version of the package.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
