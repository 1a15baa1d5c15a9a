//! Suites that span the crates.

#[cfg(feature = "files")]
pub mod infer_dicom;
#[cfg(feature = "files")]
pub mod infer_fixture;
#[cfg(feature = "files")]
pub mod infer_jpeg;
#[cfg(feature = "files")]
pub mod infer_mutate;
#[cfg(feature = "files")]
pub mod infer_nifti;
#[cfg(feature = "files")]
pub mod infer_picture;

pub mod core_fuzz;
pub mod core_oracle;
