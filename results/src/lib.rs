//! Files of results: what was found or scored, and what made it.
//!
//! * [`ResultFolder`] is a folder of results that is whole or as it was, whenever its process ends; [`ResultWriter`]
//!   writes `landmarks.json`, `landmarks.csv` and landmark files of other formats, image by image ([`MatchedImage`]);
//!   [`Journal`] keeps what was found, so that a stopped matching goes on; [`Merge`] puts the results of the shards of a
//!   list together.
//! * [`EncoderJob`] and [`NetworkJob`] score an encoder's templates or a landmark network on a data set, and write
//!   `evaluation.json` and `errors.csv`, which [`read_errors`] reads.
//! * [`EncoderRecord`], [`NetworkRecord`], [`EnsembleRecord`], [`MatchingRecord`] and [`RefinementRecord`] tell of models
//!   and options in results.
//! * [`Refinement`] averages matches in unlabelled images into templates.

#![forbid(unsafe_code)]

mod error;
mod errors_table;
mod evaluation;
mod folder;
mod formats;
mod journal;
mod measurements;
mod merge;
mod models;
mod network;
mod record;
mod refinement;
mod table;
mod text;
mod writer;

pub use error::ResultsError;
pub use errors_table::{ERRORS_TABLE, ErrorRow, read_errors};
pub use evaluation::{DataRecord, EncoderEvaluation, EncoderJob, INTERVALS, ScoredEncoder, ScoringStep};
pub use folder::{OBJECT, ResultFolder, Stage, remove_temporary};
pub use formats::OtherMm;
pub use journal::{Journal, Stamp};
pub use measurements::{MEASUREMENTS_TABLE, MeasurementRow, measurement_rows, measurements_csv};
pub use merge::Merge;
pub use models::{EncoderRecord, EnsembleRecord, MatchingRecord, NetworkRecord};
pub use network::{NetworkEvaluation, NetworkJob, ScoredNetwork};
pub use record::{
    BoundsRecord, CalibrationRecord, FailedImage, MadeBy, MatchedImage, PointRecord, RecognisedBy,
    RecognitionRecord, ResultHead, SpacingRecord, TemplateRecord,
};
pub use refinement::{Refinement, RefinementRecord};
pub use text::{to_json, write_csv, write_file, write_json};
pub use writer::{FAILURES_TABLE, LANDMARKS_TABLE, ResultWriter, Totals};
