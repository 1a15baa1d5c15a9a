//! The runtime: images, encoders, templates, matching, formats.
#![cfg(feature = "files")]
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::type_complexity, clippy::unwrap_used)] // A test may stop.

mod confidence;
mod damage;
mod dataset;
mod dicom;
mod fit;
mod foreign;
mod formats;
mod image;
mod jpeg;
mod judge;
mod lists;
mod matching;
mod memory;
mod model;
mod nifti;
mod ordered;
mod placement;
mod points;
mod reduced;
mod reference;
mod refine;
mod rows;
mod scheme;
mod template;
