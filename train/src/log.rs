//! Logs of a training's steps and scores.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::TrainError;
use crate::outputs::{read_bytes, write_atomically};
use crate::tensorboard::Events;

/// Names of a training's metrics, with a `/` between group and name as in TensorBoard.
pub(crate) struct Columns {
    /// Terms of the loss.
    pub(crate) terms: &'static [&'static str],
    /// Metrics that are measured at intervals.
    pub(crate) indicators: &'static [&'static str],
}

/// `log.csv` with a row per step, `scores.csv` with a row per score, and both as TensorBoard events.
pub(crate) struct Log {
    file: fs::File,
    path: PathBuf,
    events: Events,
    columns: Columns,
}

/// Log row of a step.
pub(crate) struct Row<'a> {
    pub(crate) step: u64,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    pub(crate) loss: f32,
    pub(crate) terms: &'a [f32],
    pub(crate) images_per_second: f64,
    /// Indicators; empty where not measured.
    pub(crate) indicators: &'a [Option<f32>],
}

impl Log {
    /// Opens the log, keeping the rows of an earlier one up to `step`.
    pub(crate) fn open(run: &Path, step: u64, columns: Columns) -> Result<Self, TrainError> {
        let path = run.join("log.csv");
        let last = |name: &&str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let joined = |name: &&str| name.replace('/', "_");
        let names = ["step", "seconds", "learning_rate", "loss"]
            .map(str::to_owned)
            .into_iter()
            .chain(columns.terms.iter().map(last))
            .chain(["images_per_second".to_owned()])
            .chain(columns.indicators.iter().map(joined));
        let mut text = names.collect::<Vec<_>>().join(",") + "\n";
        if step > 0 {
            let old = read_bytes(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let kept = |line: &&str| {
                line.split(',').next().and_then(|s| s.parse::<u64>().ok()).is_some_and(|s| s <= step)
            };
            for line in old.unwrap_or_default().lines().filter(kept) {
                text.push_str(line);
                text.push('\n');
            }
        }
        write_atomically(&path, text.as_bytes())?;
        let file = fs::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(TrainError::file(&path, "can't write"))?;
        Ok(Self { file, path, events: Events::create(run)?, columns })
    }

    pub(crate) fn row(&mut self, row: &Row<'_>) -> Result<(), TrainError> {
        let Row { step, seconds, rate, loss, terms, images_per_second, indicators } = *row;
        let mut text = format!("{step},{seconds:.2},{rate:.3e},{loss:.4}");
        terms.iter().for_each(|term| text += &format!(",{term:.4}"));
        text += &format!(",{images_per_second:.2}");
        for place in 0..self.columns.indicators.len() {
            let value = indicators.get(place).copied().flatten();
            text += &value.map_or_else(|| ",".to_owned(), |value| format!(",{value:.4}"));
        }
        writeln!(self.file, "{text}").map_err(TrainError::file(&self.path, "can't write"))?;
        let fixed = [
            ("loss/all", loss),
            ("learning_rate", rate as f32),
            ("images_per_second", images_per_second as f32),
        ];
        let terms = self.columns.terms.iter().copied().zip(terms.iter().copied());
        let indicators = self.columns.indicators.iter().zip(indicators);
        let indicators = indicators.filter_map(|(name, value)| value.map(|value| (*name, value)));
        let scalars = fixed.into_iter().chain(terms).chain(indicators);
        self.events.scalars(step, scalars.map(|(name, value)| (name.to_owned(), value)))
    }

    /// Whether `scores.csv` has a row of this step.
    pub(crate) fn has_score(&self, step: u64) -> bool {
        let text = fs::read_to_string(self.path.with_file_name("scores.csv")).unwrap_or_default();
        text.lines().any(|line| line.split(',').next().is_some_and(|first| first.parse() == Ok(step)))
    }

    pub(crate) fn score(&mut self, step: u64, mre_mm: f64) -> Result<(), TrainError> {
        let path = self.path.with_file_name("scores.csv");
        let row = if path.exists() { String::new() } else { "step,mre_mm\n".to_owned() };
        let row = format!("{row}{step},{mre_mm:.4}\n");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(row.as_bytes()))
            .map_err(TrainError::file(&path, "can't write"))?;
        self.events.scalars(step, [("mre_mm".to_owned(), mre_mm as f32)])
    }
}
