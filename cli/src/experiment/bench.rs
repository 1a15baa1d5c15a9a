//! What an experiment makes: images, names and folders of each arm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infomark_train::Ranking;

use super::arm::Kind;
use super::file::{Data, Experiment};
use super::set::Set;
use super::{Compared, DataRecord, Row};
use crate::output;

/// A training or matching among those of an experiment: places of its data set and arm, and its seed.
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
    /// Rankings of templates that were made, by folder and hash of the encoder.
    pub(super) rankings: RefCell<BTreeMap<(PathBuf, String), Ranking>>,
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
        Ok(Self { experiment, sets, out: out.to_owned(), threads, rankings: RefCell::default() })
    }

    pub(super) fn name(&self, place: &Place) -> String {
        let arm = &self.experiment.arm[place.arm].name;
        format!("{} / {arm} / seed {}", self.experiment.data[place.data].name, place.seed)
    }

    /// What tables and plots call a row.
    pub(super) fn row_name(&self, one: &Compared) -> &str {
        match one.row {
            Row::Arm(arm) => &self.experiment.arm[arm].name,
            Row::Annotator(place) => {
                let errors = self.sets[one.data].annotators.get(place);
                errors.and_then(|errors| errors.templates.first()).map_or("", String::as_str)
            }
        }
    }

    /// What headings and plots call a part of a data set.
    pub(super) fn part_name(&self, one: &Compared) -> String {
        let data = &self.experiment.data[one.data].name;
        one.part.as_ref().map_or_else(|| data.clone(), |part| format!("{data}, {part}"))
    }

    pub(super) fn folder(&self, place: &Place) -> PathBuf {
        let (data, arm) = (&self.experiment.data[place.data].name, &self.experiment.arm[place.arm].name);
        self.out.join("runs").join(data).join(arm).join(format!("seed-{}", place.seed))
    }

    /// The file of what an arm trains.
    pub(super) fn model(&self, place: &Place) -> PathBuf {
        let file = match self.experiment.arm[place.arm].kind() {
            Kind::Encoder | Kind::Match(_) => name::ENCODER,
            Kind::Network(_) | Kind::SelfTrain(_) => name::NETWORK,
        };
        self.folder(place).join(file)
    }

    /// All that the experiment makes, in order: an arm that trains nothing and is given its encoder has one seed.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (data, set) in self.experiment.data.iter().enumerate() {
            let seeds = set.seeds.as_ref().unwrap_or(&self.experiment.seeds);
            for (number, arm) in self.experiment.arm.iter().enumerate() {
                let once = matches!(arm.kind(), Kind::Match(_)) && arm.encoder_of.is_none();
                let seeds = seeds.iter().take(if once { 1 } else { seeds.len() });
                places.extend(seeds.map(|&seed| Place { data, arm: number, seed }));
            }
        }
        places
    }

    /// The folder of its checkpoints and log.
    pub(super) fn run_folder(&self, place: &Place) -> PathBuf {
        output::beside(&self.model(place), "run")
    }

    pub(super) fn records(&self) -> Vec<DataRecord> {
        self.sets.iter().zip(&self.experiment.data).map(|(set, data)| set.record(data)).collect()
    }
}
