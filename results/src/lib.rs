//! Files of results: what was found or scored, and what made it.
//!
//! * [`EncoderJob`] and [`NetworkJob`] score an encoder's templates or a landmark network on a data set, and write `evaluation.json` and
//!   `errors.csv`, which [`read_errors`] reads.
//! * [`EncoderRecord`], [`NetworkRecord`], [`EnsembleRecord`], [`MatchingRecord`] and [`RefinementRecord`] tell of models and options in
//!   results.
//! * [`Refinement`] averages matches in unlabelled images into templates.

#![forbid(unsafe_code)]

mod error;
mod errors_table;
mod evaluation;
mod models;
mod network;
mod refinement;
mod text;

pub use error::ResultsError;
pub use errors_table::{ERRORS_TABLE, ErrorRow, read_errors, write_errors, write_network_errors};
pub use evaluation::{DataRecord, EncoderEvaluation, EncoderJob, INTERVALS, ScoredEncoder, ScoringStep};
pub use models::{EncoderRecord, EnsembleRecord, MatchingRecord, NetworkRecord};
pub use network::{NetworkEvaluation, NetworkJob, ScoredNetwork};
pub use refinement::{Refinement, RefinementRecord};
pub use text::{to_csv, to_json, write_csv, write_file, write_json};
