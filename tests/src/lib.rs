//! Suites that span the crates.

#[cfg(feature = "files")]
pub mod infer_fixture;
#[cfg(feature = "files")]
pub mod infer_mutate;

pub mod core_fuzz;
pub mod core_oracle;
