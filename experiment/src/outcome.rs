//! Result of an experiment: `experiment.json`, and the files beside it.

use std::path::{Path, PathBuf};

use infomark_eval::ArmFigures;
use infomark_infer::{file_name, make_folder, read_file, sha256};
use infomark_results::{write_csv, write_file, write_json};
use serde::Serialize;

use crate::bench::Bench;
use crate::compare::{Compared, Row, of_arm};
use crate::file::Evaluate;
use crate::set::DataRecord;
use crate::work::Finished;
use crate::{Commit, ExperimentError, MAX_BYTES, table};

/// What `experiment.json` says of intervals.
const INTERVALS: &str = "95 % bootstrap over images, the same for all arms, seeds and templates (percentiles of 2000 \
     resamples); they do not hold what another seed would change, see mre_mm_of_seeds";

/// The file of an experiment in the folder of its results.
const KEPT: &str = "experiment.toml";
const LANDMARKS: &str = "landmarks.csv";

/// What `experiment.json` begins with.
#[derive(Serialize)]
pub(crate) struct Head<'a> {
    title: &'a str,
    about: &'a str,
    version: &'static str,
    /// Of the work tree that the file lies in; none where it lies in no such tree.
    commit: Option<&'a Commit>,
    file: String,
    file_sha256: String,
}

/// Result of an experiment, as `experiment.json` has it.
#[derive(Serialize)]
pub struct Outcome<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    evaluate: &'a Evaluate,
    intervals: &'static str,
    data: Vec<DataRecord>,
    arms: Vec<ArmRecord<'a>>,
    /// Results of the annotators whose files are named.
    annotators: Vec<AnnotatorRecord<'a>>,
    /// Trainings and matches that are still to be made.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct AnnotatorRecord<'a> {
    name: &'a str,
    results: Vec<OnData<'a>>,
}

#[derive(Serialize)]
struct ArmRecord<'a> {
    name: &'a str,
    about: &'a str,
    results: Vec<OnData<'a>>,
}

/// Result of a row on a data set.
#[derive(Serialize)]
struct OnData<'a> {
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    #[serde(flatten)]
    figures: &'a ArmFigures,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<&'a Finished<'a>>,
}

/// Keeps the file of an experiment, whose text is `text`, with its results.
///
/// # Errors
/// [`ExperimentError::OtherFile`] where the folder holds the results of another version of the file, unless that has
/// `changed`.
pub fn begin(out: &Path, file: &Path, text: &str, changed: bool) -> Result<(), ExperimentError> {
    make_folder(out)?;
    let kept = out.join(KEPT);
    if kept.exists() {
        if read_file(&kept, MAX_BYTES)? == text.as_bytes() {
            return Ok(());
        }
        if !changed {
            return Err(ExperimentError::OtherFile { kept, file: file.to_owned() });
        }
    }
    Ok(write_file(&kept, text.as_bytes())?)
}

/// What made an experiment: its file, as it was read, and the commit of its work tree.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// The file.
    pub file: &'a Path,
    /// What it says.
    pub text: &'a str,
    /// The commit of the work tree that the file lies in.
    pub commit: Option<&'a Commit>,
}

impl<'a> Provenance<'a> {
    /// The head of the result of an experiment with this title and description.
    pub(crate) fn head(&self, title: &'a str, about: &'a str) -> Head<'a> {
        Head {
            title,
            about,
            version: env!("CARGO_PKG_VERSION"),
            commit: self.commit,
            file: self.file.display().to_string(),
            file_sha256: sha256(self.text.as_bytes()),
        }
    }

    /// Program, commit and file in a line, for tables and plots.
    pub fn note(&self) -> String {
        format!(
            "infomark {}{}, {}",
            env!("CARGO_PKG_VERSION"),
            self.commit.map_or_else(String::new, |commit| format!(" at {}", commit.short())),
            file_name(self.file)
        )
    }
}

impl<'a> Outcome<'a> {
    /// Puts together what is finished; `rows` are what [`Bench::compare`] makes of it, `missing` names the runs that
    /// are still to be made.
    pub fn new(
        bench: &'a Bench<'_>,
        made_by: &Provenance<'a>,
        finished: &'a [Finished<'a>],
        rows: &'a [Compared],
        missing: Vec<String>,
    ) -> Self {
        let experiment = bench.experiment;
        let on_data = |one: &'a Compared| OnData {
            data: &one.data,
            part: one.part.as_deref(),
            figures: &one.figures,
            runs: match one.row {
                Row::Arm(arm) => of_arm(finished, one.data_index, arm).collect(),
                Row::Annotator(_) => Vec::new(),
            },
        };
        let of_row = |row| rows.iter().filter(move |one| one.row == row).map(on_data).collect();
        let annotated = rows.iter().filter(|one| matches!(one.row, Row::Annotator(_)));
        let annotators =
            annotated.map(|one| AnnotatorRecord { name: &one.name, results: vec![on_data(one)] });
        let arms = experiment.arm.iter().enumerate().map(|(place, arm)| ArmRecord {
            name: &arm.name,
            about: &arm.about,
            results: of_row(Row::Arm(place)),
        });
        Self {
            head: made_by.head(&experiment.title, &experiment.about),
            evaluate: &experiment.evaluate,
            intervals: INTERVALS,
            data: bench.records(),
            arms: arms.collect(),
            annotators: annotators.collect(),
            missing,
        }
    }

    /// The tables as Markdown.
    pub fn markdown(&self, bench: &Bench<'_>, rows: &[Compared], made_by: &Provenance<'_>) -> String {
        table::markdown(bench.experiment, rows, &made_by.note(), &self.missing)
    }

    /// Writes `experiment.json`, `table.md`, `table.csv` and `landmarks.csv`, and gives their paths.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(
        &self,
        out: &Path,
        markdown: &str,
        rows: &[Compared],
        finished: &[Finished<'_>],
    ) -> Result<Vec<PathBuf>, ExperimentError> {
        let mut paths = write(out, self, markdown, (table::COLUMNS, table::rows(rows, finished)))?;
        paths.push(out.join(LANDMARKS));
        write_csv(&out.join(LANDMARKS), table::LANDMARK_COLUMNS, table::landmark_rows(rows))?;
        Ok(paths)
    }
}

/// Writes `experiment.json`, `table.md` and `table.csv`, whose columns and rows are given, and gives their paths.
pub(crate) fn write<const N: usize>(
    out: &Path,
    object: &impl Serialize,
    markdown: &str,
    (columns, rows): ([&str; N], impl IntoIterator<Item = [String; N]>),
) -> Result<Vec<PathBuf>, ExperimentError> {
    let paths = ["experiment.json", "table.md", "table.csv"].map(|name| out.join(name));
    let [json, text, csv] = &paths;
    write_json(json, object)?;
    write_file(text, markdown.as_bytes())?;
    write_csv(csv, columns, rows)?;
    Ok(paths.into())
}
