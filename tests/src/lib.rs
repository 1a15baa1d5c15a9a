//! Suites that span the crates.

pub mod infer_fixture;
pub mod infer_mutate;

pub mod core_fuzz;
pub mod core_oracle;
