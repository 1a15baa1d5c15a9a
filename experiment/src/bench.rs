//! What an experiment makes: runs of arms on data sets, and their folders.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use infomark_train::Ranking;

use crate::ExperimentError;
use crate::arm::{Arm, Kind};
use crate::error::Within;
use crate::event::Observer;
use crate::file::{Data, Experiment};
use crate::set::{DataRecord, Set};

/// A run of an experiment: a training or matching of an arm on a data set.
#[derive(Clone, Copy)]
pub struct ArmRun<'b> {
    pub(crate) set: &'b Set,
    pub(crate) arm: &'b Arm,
    /// Places of both in the experiment.
    pub(crate) data_index: usize,
    pub(crate) arm_index: usize,
    pub(crate) seed: u64,
}

/// An experiment with its data sets, and the folder of its results.
pub struct Bench<'e> {
    pub(crate) experiment: &'e Experiment,
    pub(crate) sets: Vec<Set>,
    out: PathBuf,
    pub(crate) threads: usize,
    pub(crate) observer: Observer<'e>,
    /// Rankings of templates that were made, by folder and hash of the encoder.
    pub(crate) rankings: RefCell<BTreeMap<(PathBuf, String), Ranking>>,
}

pub(crate) mod name {
    pub(crate) const BEGUN: &str = "begun.json";
    pub(crate) const TRAINED: &str = "trained.json";
    pub(crate) const POLICY: &str = "policy.toml";
    pub(crate) const ENCODER: &str = "encoder.onnx";
    pub(crate) const NETWORK: &str = "landmarks.onnx";
    pub(crate) const SCORES: &str = "scores";
    pub(crate) const EVALUATED: &str = "made-of.json";
}

impl ArmRun<'_> {
    /// The place of its arm among those of the experiment.
    pub fn arm_index(&self) -> usize {
        self.arm_index
    }

    /// The place of its data set among those of the experiment.
    pub fn data_index(&self) -> usize {
        self.data_index
    }

    /// What its arm is called.
    pub fn arm_name(&self) -> &str {
        &self.arm.name
    }

    /// Data set, arm and seed as text.
    pub fn name(&self) -> String {
        format!("{} / {} / seed {}", self.set.name, self.arm.name, self.seed)
    }

    /// Whether its folder has one log of a training: not of matching, nor of self-training, which has one a round.
    pub fn has_log(&self) -> bool {
        matches!(self.arm.kind(), Kind::Encoder | Kind::Network(_))
    }
}

impl<'e> Bench<'e> {
    /// Opens the data sets, whose folders lie below `data`, and refuses those that the arms could not be trained or
    /// scored with. Results are in the folder `out`, which need not exist. It works on so many threads, 0 for all
    /// cores; results do not depend on them.
    ///
    /// # Errors
    /// [`ExperimentError::In`] with the data set.
    pub fn open(
        experiment: &'e Experiment,
        data: &Path,
        out: &Path,
        threads: usize,
        observer: Observer<'e>,
    ) -> Result<Self, ExperimentError> {
        let open =
            |own: &Data| Set::open(own, data, experiment, observer).within(|| format!("data {}", own.name));
        let sets = experiment.data.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { experiment, sets, out: out.to_owned(), threads, observer, rankings: RefCell::default() })
    }

    /// All runs of the experiment, in order: an arm that trains nothing and is given its encoder has one seed.
    pub fn runs(&self) -> Vec<ArmRun<'_>> {
        let mut runs = Vec::new();
        for (data_index, set) in self.sets.iter().enumerate() {
            let seeds = set.seeds.as_ref().unwrap_or(&self.experiment.seeds);
            for (arm_index, arm) in self.experiment.arm.iter().enumerate() {
                let once = matches!(arm.kind(), Kind::Match(_)) && arm.encoder_of.is_none();
                let seeds = seeds.iter().take(if once { 1 } else { seeds.len() });
                runs.extend(seeds.map(|&seed| ArmRun { set, arm, data_index, arm_index, seed }));
            }
        }
        runs
    }

    pub(crate) fn folder(&self, run: &ArmRun<'_>) -> PathBuf {
        let (data, arm) = (&run.set.name, &run.arm.name);
        self.out.join("runs").join(data).join(arm).join(format!("seed-{}", run.seed))
    }

    /// The file of what an arm trains.
    pub(crate) fn model(&self, run: &ArmRun<'_>) -> PathBuf {
        let file = match run.arm.kind() {
            Kind::Encoder | Kind::Match(_) => name::ENCODER,
            Kind::Network(_) | Kind::SelfTrain(_) => name::NETWORK,
        };
        self.folder(run).join(file)
    }

    /// The folder of a run's checkpoints and log.
    pub fn run_folder(&self, run: &ArmRun<'_>) -> PathBuf {
        self.model(run).with_extension("run")
    }

    /// The data sets, as results tell of them.
    pub(crate) fn records(&self) -> Vec<DataRecord> {
        self.sets.iter().map(Set::record).collect()
    }

    /// What the data sets are called.
    pub fn data_names(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(|set| set.name.as_str())
    }
}
