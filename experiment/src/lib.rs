//! Experiments: arms that are trained, matched and scored on data sets, and compared; and simulations of active
//! learning.
//!
//! A TOML file says what an experiment is ([`Definition::read`]). [`Bench`] makes its runs: every arm with every seed
//! on every data set. What a run makes is kept in a folder of its own with the hash of all that it depends on, so that
//! what is finished is not made again, what was interrupted goes on, and what is stale is made anew. [`Bench::compare`]
//! has the figures beside each other, [`Outcome`] writes them as JSON, Markdown and CSV.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//!
//! use infomark_experiment::{Bench, Commit, Definition, Outcome, Provenance, begin};
//!
//! let (file, out) = ("ablation.toml".as_ref(), "results".as_ref());
//! let definition = Definition::read(file)?;
//! let Definition::Arms { experiment, .. } = &definition else { return Ok(()) };
//! let bench = Bench::open(experiment, "radiographs".as_ref(), out, 0, &|_| ControlFlow::Continue(()))?;
//! begin(out, file, definition.text(), false)?;
//! let runs = bench.runs();
//! let finished = runs.iter().map(|run| bench.work(run)).collect::<Result<Vec<_>, _>>()?;
//! let rows = bench.compare(&finished);
//! let commit = Commit::of(file);
//! let made_by = Provenance { file, text: definition.text(), commit: commit.as_ref() };
//! let outcome = Outcome::new(&bench, &made_by, &finished, &rows, Vec::new());
//! outcome.write(out, &outcome.markdown(&bench, &rows, &made_by), &rows, &finished)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`LoopExperiment`] is that for active learning: known landmarks take the place of the annotator.

#![forbid(unsafe_code)]

mod arm;
mod bench;
mod compare;
mod definition;
mod error;
mod event;
mod file;
mod origin;
mod outcome;
mod part;
mod plan;
mod recipe;
mod score;
mod set;
mod simulation;
mod table;
mod templates;
mod work;

pub use bench::{ArmRun, Bench};
pub use compare::{Compared, Row};
pub use definition::Definition;
pub use error::{DefinitionError, ExperimentError};
pub use event::{Event, Observer};
pub use file::Experiment;
pub use origin::Commit;
pub use outcome::{Outcome, Provenance, begin};
pub use plan::{PlannedRun, State};
pub use simulation::{LoopExperiment, LoopOutcome, LoopRun, SimulationRecord};
pub use work::Finished;

/// Longest text of a file that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;
