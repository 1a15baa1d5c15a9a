//! `log.csv` with a row a step, and the same as TensorBoard reads it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::write_atomically;
use crate::tensorboard::Events;
use crate::{TrainError, run};

/// What is told of a step.
pub(crate) struct Row {
    pub(crate) step: u64,
    pub(crate) seconds: f64,
    pub(crate) rate: f64,
    pub(crate) heat: f32,
    pub(crate) offset: f32,
    pub(crate) speed: f64,
}

pub(crate) struct Log {
    file: fs::File,
    path: PathBuf,
    events: Events,
}

impl Log {
    const HEAD: &str = "step,seconds,learning_rate,loss,heat,offset,images_per_second\n";

    /// Keeps the rows of the steps before `step` of an earlier log.
    pub(crate) fn open(run: &Path, step: u64) -> Result<Self, TrainError> {
        let path = run.join("log.csv");
        write_atomically(&path, run::kept_rows(&path, Self::HEAD, step).as_bytes())?;
        let file = fs::OpenOptions::new().append(true).open(&path);
        let file = file.map_err(TrainError::file(&path, "can't write"))?;
        Ok(Self { file, path, events: Events::create(run)? })
    }

    pub(crate) fn row(&mut self, row: &Row) -> Result<(), TrainError> {
        let Row { step, seconds, rate, heat, offset, speed } = *row;
        let loss = heat + offset;
        writeln!(self.file, "{step},{seconds:.2},{rate:.3e},{loss:.4},{heat:.4},{offset:.4},{speed:.2}")
            .map_err(TrainError::file(&self.path, "can't write"))?;
        let scalars = [
            ("loss/all", loss),
            ("loss/heat", heat),
            ("loss/offset", offset),
            ("learning_rate", rate as f32),
            ("images_per_second", speed as f32),
        ];
        self.events.scalars(step, scalars.map(|(name, value)| (name.to_owned(), value)))
    }
}
