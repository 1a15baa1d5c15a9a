//! The core: properties, naive twins, the corpus of its fuzzing.
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)] // A test may stop.

mod align;
mod bits;
mod conformal;
mod contrast;
mod elastic;
mod entropy;
mod fuzz_corpus;
mod intensity;
mod interop;
mod keypoint;
mod locate;
mod loss;
mod measure;
mod mutual;
mod owned;
mod plane;
mod psi;
mod rng;
mod sample;
mod score;
mod surface;
mod tone;
mod view;
mod warp;
