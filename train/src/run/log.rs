//! What a training writes of its steps and scores.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::encoder::STRIDES;
use crate::tensorboard::Events;
use crate::{TrainError, checkpoint, psi};

/// The head of a log, and the rows of an earlier one up to `step`.
pub(crate) fn kept_rows(path: &Path, head: &str, step: u64) -> String {
    let mut text = head.to_owned();
    if step > 0 {
        let old = checkpoint::read_bytes(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default();
        let kept = |line: &&str| {
            line.split(',').next().and_then(|s| s.parse::<u64>().ok()).is_some_and(|s| s <= step)
        };
        for line in old.lines().filter(kept) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// `log.csv` with a row a step, `scores.csv` with a row a score, and both as TensorBoard reads them.
pub(super) struct Log {
    file: fs::File,
    path: PathBuf,
    events: Events,
}

/// What is told of a step.
pub(super) struct Row {
    pub(super) step: u64,
    pub(super) seconds: f64,
    pub(super) rate: f64,
    pub(super) loss: f32,
    pub(super) levels: [f32; 5],
    pub(super) speed: f64,
    pub(super) psi: Option<psi::ByTier>,
}

impl Log {
    const HEAD: &str = "step,seconds,learning_rate,loss,stride_2,stride_4,stride_8,stride_16,stride_32,\
        images_per_second,psi_low,psi_medium,psi_high\n";

    /// Keeps the rows of the steps before `step` of an earlier log.
    pub(super) fn open(run: &Path, step: u64) -> Result<Self, TrainError> {
        let path = run.join("log.csv");
        let text = kept_rows(&path, Self::HEAD, step);
        checkpoint::write_atomically(&path, text.as_bytes())?;
        let file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(TrainError::file(&path, "can't write"))?;
        Ok(Self { file, path, events: Events::create(run)? })
    }

    pub(super) fn row(&mut self, row: Row) -> Result<(), TrainError> {
        let Row { step, seconds, rate, loss, levels, speed, psi } = row;
        let columns = levels.map(|l| format!("{l:.4}")).join(",");
        let tiers = psi.unwrap_or_default();
        let indicator = tiers.map(|psi| psi.map_or_else(String::new, |psi| format!("{psi:.4}"))).join(",");
        writeln!(self.file, "{step},{seconds:.2},{rate:.3e},{loss:.4},{columns},{speed:.2},{indicator}")
            .map_err(TrainError::file(&self.path, "can't write"))?;
        let named = |name: &str, value| (name.to_owned(), value);
        let mut scalars = vec![
            named("loss/all", loss),
            named("learning_rate", rate as f32),
            named("images_per_second", speed as f32),
        ];
        scalars.extend(STRIDES.iter().zip(levels).map(|(stride, l)| (format!("loss/stride_{stride}"), l)));
        let tiers = ["psi/low", "psi/medium", "psi/high"].iter().zip(tiers);
        scalars.extend(tiers.filter_map(|(name, psi)| psi.map(|psi| named(name, psi))));
        self.events.scalars(step, scalars)
    }

    /// Whether `scores.csv` has a row of this step.
    pub(super) fn has_score(&self, step: u64) -> bool {
        let text = fs::read_to_string(self.path.with_file_name("scores.csv")).unwrap_or_default();
        text.lines().any(|line| line.split(',').next().is_some_and(|first| first.parse() == Ok(step)))
    }

    pub(super) fn score(&mut self, step: u64, mre_mm: f64) -> Result<(), TrainError> {
        let path = self.path.with_file_name("scores.csv");
        let row = if path.exists() { String::new() } else { "step,mre_mm\n".to_owned() };
        let row = format!("{row}{step},{mre_mm:.4}\n");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(row.as_bytes()))
            .map_err(TrainError::file(&path, "can't write"))?;
        self.events.scalars(step, [("mre_mm".to_owned(), mre_mm as f32)])
    }
}
