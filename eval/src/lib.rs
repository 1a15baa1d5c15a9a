//! Evaluation of encoders and landmark networks on annotated images, with confidence intervals.
//!
//! An [`Evaluation`] matches templates to the images of a data set, [`score_network`] and [`score_matcher`] score a landmark network or a
//! [`Matcher`](infomark_infer::Matcher); each gives a [`Run`] per set of templates (or network): detected and true position, error in mm and
//! confidence of every landmark. [`figures`] computes mean radial errors and detection rates, with bootstrap intervals over images:
//!
//! ```no_run
//! use infomark_eval::{Evaluation, Protocol, random_sets};
//! use infomark_infer::{DataSet, Encoder, MatchOptions};
//!
//! let (encoder, data) = (Encoder::load("encoder.onnx")?, DataSet::open("ceph-dev")?);
//! let evaluation = Evaluation {
//!     encoder: &encoder,
//!     data: &data,
//!     template_data: &data,
//!     matching: MatchOptions::default(),
//! };
//! let protocol = Protocol { radii_mm: &[2.0, 4.0], seed: 0, calibrate: None };
//! let sets = random_sets(Some(10), 1, data.images.len(), protocol.seed)?;
//! let measured = evaluation.prepare(&sets, &|| Ok(()))?.measure(&protocol, &|| Ok(()))?;
//! println!("{}: {:.2} mm", measured.summary.summary, measured.summary.mre_mm);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`UncertaintyRanking`] measures how well the uncertainty ranks errors, [`ErrorBounds`] the empirical coverage of
//! calibrated bounds, [`compare_arms`] the arms of an experiment on common resamples, [`reader_agreement`] the agreement of two
//! readers, [`compare_with_annotator`] the program and a second annotator against the reference. Points
//! that are not annotated have no error and are counted. Results do not depend on the number of threads.

mod agreement;
mod annotator;
mod arms;
mod error;
mod error_bounds;
mod figures;
mod finder;
mod run;
mod scoring;
mod sets;
mod statistics;
mod threads;
mod uncertainty;

pub use agreement::{Agreement, ReaderFigures, ReaderPair, reader_agreement};
pub use annotator::{Annotator, AnnotatorComparison, compare_with_annotator};
pub use arms::{ArmFigures, SeedErrors, compare_arms};
pub use error::EvalError;
pub use error_bounds::{AskedCoverage, ErrorBounds, KeptPoints, LandmarkCoverage, Tenth};
pub use figures::{Figures, LandmarkFigures, MedianFigures, Radius, Rates, check_radii, figures};
pub use finder::{score_matcher, score_network};
pub use run::{Run, Score, ScoredImage};
pub use scoring::{Evaluation, EvaluationResult, Protocol, Ready};
pub use sets::{MAX_SETS, check_annotated, check_names, check_templates, draw, draw_in_order, random_sets};
pub use statistics::{ErrorTable, ImageErrors, median, median_mre, quantile};
pub use threads::thread_pool;
pub use uncertainty::{MostCertain, UncertaintyRanking};
