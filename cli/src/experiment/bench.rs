//! The trainings of an experiment: their images, names and folders.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::DataRecord;
use super::file::{Data, Experiment};
use super::set::Set;
use crate::output;

/// A training among those of an experiment: places of its data set and arm, and its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) data: usize,
    pub(super) arm: usize,
    pub(super) seed: u64,
}

/// All that trainings need.
pub(super) struct Bench<'e> {
    pub(super) experiment: &'e Experiment,
    pub(super) sets: Vec<Set>,
    out: PathBuf,
    pub(super) threads: usize,
}

pub(super) mod name {
    pub(in crate::experiment) const BEGUN: &str = "begun.json";
    pub(in crate::experiment) const TRAINED: &str = "trained.json";
    pub(in crate::experiment) const POLICY: &str = "policy.toml";
    pub(in crate::experiment) const ENCODER: &str = "encoder.onnx";
    pub(in crate::experiment) const NETWORK: &str = "landmarks.onnx";
    pub(in crate::experiment) const SCORES: &str = "scores";
    pub(in crate::experiment) const EVALUATED: &str = "made-of.json";
}

impl<'e> Bench<'e> {
    pub(super) fn open(experiment: &'e Experiment, root: &Path, out: &Path, threads: usize) -> Result<Self> {
        let open =
            |data: &Data| Set::open(data, root, experiment).with_context(|| format!("data {}", data.name));
        let sets = experiment.data.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { experiment, sets, out: out.to_owned(), threads })
    }

    pub(super) fn name(&self, place: &Place) -> String {
        let arm = &self.experiment.arm[place.arm].name;
        format!("{} / {arm} / seed {}", self.experiment.data[place.data].name, place.seed)
    }

    pub(super) fn folder(&self, place: &Place) -> PathBuf {
        let (data, arm) = (&self.experiment.data[place.data].name, &self.experiment.arm[place.arm].name);
        self.out.join("runs").join(data).join(arm).join(format!("seed-{}", place.seed))
    }

    /// The file of what an arm trains.
    pub(super) fn model(&self, place: &Place) -> PathBuf {
        let network = self.experiment.arm[place.arm].network.is_some();
        self.folder(place).join(if network { name::NETWORK } else { name::ENCODER })
    }

    /// The folder of its checkpoints and log.
    pub(super) fn run_folder(&self, place: &Place) -> PathBuf {
        output::beside(&self.model(place), "run")
    }

    pub(super) fn records(&self) -> Vec<DataRecord> {
        self.sets.iter().zip(&self.experiment.data).map(|(set, data)| set.record(data)).collect()
    }
}
