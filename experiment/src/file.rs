//! The file that says what an experiment is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use infomark_infer::MatchOptions;
use infomark_train::{LandmarkConfig, SelfTrainConfig, TrainConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::arm::{Arm, Kind};
use crate::error::Within;
use crate::part::Part;
use crate::{DefinitionError, ExperimentError};

/// An experiment: every arm is made with every seed on every data set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub(crate) title: String,
    /// What it is to find out, and what its budget is.
    #[serde(default)]
    pub(crate) about: String,
    /// Seeds of the trainings.
    #[serde(default = "one_seed")]
    pub(crate) seeds: Vec<u64>,
    pub(crate) data: Vec<Data>,
    /// Options of every training, by the names of `TrainConfig`.
    #[serde(default)]
    pub(crate) base: toml::Table,
    /// Options of every landmark network, by the names of `LandmarkConfig`.
    #[serde(default)]
    pub(crate) networks: toml::Table,
    /// Options of self-training, by the names of `SelfTrainConfig`; those of its network are `networks`.
    #[serde(default)]
    pub(crate) self_training: toml::Table,
    #[serde(default)]
    pub(crate) evaluate: Evaluate,
    pub(crate) arm: Vec<Arm>,
}

/// Where to train and where to score.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) name: String,
    /// Data folder, or folder of images, to train on.
    pub(crate) train: PathBuf,
    /// Data folder to score on.
    pub(crate) dev: PathBuf,
    /// Data folder of the templates; the training's where there is none.
    pub(crate) templates: Option<PathBuf>,
    /// The encoder that landmark networks start from and templates are matched by, where an arm names no other: a file,
    /// or the name of one that comes with the program.
    pub(crate) encoder: Option<PathBuf>,
    /// Landmark files of annotators in the folder that is scored on, whose own figures are rows.
    #[serde(default)]
    pub(crate) annotators: Vec<PathBuf>,
    /// Parts of the images that are scored, by name; none: all are one part.
    #[serde(default)]
    pub(crate) parts: BTreeMap<String, Part>,
    /// Seeds for this data set.
    pub(crate) seeds: Option<Vec<u64>>,
}

/// How encoders are scored: as `infomark evaluate` does.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Evaluate {
    /// Templates, drawn at random.
    pub(crate) templates: usize,
    /// Radii of the detection rates in mm.
    pub(crate) radii: Vec<f64>,
    /// Seed of the templates and of the intervals.
    pub(crate) seed: u64,
    /// Whether places around a landmark help to find it.
    pub(crate) neighbours: bool,
    /// Whether the rest of the image gives a prior.
    pub(crate) prior: bool,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { templates: 10, radii: vec![2.0, 2.5, 3.0, 4.0], seed: 0, neighbours: true, prior: true }
    }
}

impl Evaluate {
    /// How templates are matched.
    pub(crate) fn matching(&self) -> MatchOptions {
        let (neighbours, prior) = (self.neighbours, self.prior);
        MatchOptions { neighbours, prior, ..MatchOptions::default() }
    }
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

impl Experiment {
    /// Checks the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, ExperimentError> {
        let experiment: Self = toml::from_str(text).map_err(|error| DefinitionError::toml(&error))?;
        experiment.check()?;
        Ok(experiment)
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Places of the arms to make: all, or those of these names and those whose encoders they need.
    ///
    /// # Errors
    /// [`ExperimentError::NoSuchArm`].
    pub fn chosen(&self, only: &[String]) -> Result<BTreeSet<usize>, ExperimentError> {
        if only.is_empty() {
            return Ok((0..self.arm.len()).collect());
        }
        let mut chosen = BTreeSet::new();
        for name in only {
            let names = || self.arm.iter().map(|arm| arm.name.clone()).collect();
            let arm = self.place_of(name);
            let unknown = || ExperimentError::NoSuchArm { arm: name.clone(), names: names() };
            let mut next = Some(arm.ok_or_else(unknown)?);
            // The file was checked: the encoder is an earlier arm's.
            while let Some(arm) = next.filter(|arm| chosen.insert(*arm)) {
                next = self.arm.get(arm).and_then(Arm::teacher).and_then(|with| self.place_of(with));
            }
        }
        Ok(chosen)
    }

    /// The place of an arm among the arms.
    pub(crate) fn place_of(&self, arm: &str) -> Option<usize> {
        self.arm.iter().position(|other| other.name == arm)
    }

    /// The options of the training of an encoder without its seed and policy: those of the base, changed by the arm.
    pub(crate) fn encoder_config(&self, arm: &Arm) -> Result<TrainConfig, DefinitionError> {
        let config: TrainConfig = changed(&self.base, &arm.options)?;
        config.check()?;
        Ok(config)
    }

    /// The same for a landmark network.
    pub(crate) fn network_config(&self, arm: &Arm) -> Result<LandmarkConfig, DefinitionError> {
        let config: LandmarkConfig = changed(&self.networks, &arm.options)?;
        config.check()?;
        Ok(config)
    }

    /// The options of an arm's self-training without its seed.
    pub(crate) fn self_train_config(&self, arm: &Arm) -> Result<SelfTrainConfig, DefinitionError> {
        if self.self_training.contains_key("network") {
            let needs = "the options of its network are those of [networks]";
            return Err(DefinitionError::Key { key: "self_training".to_owned(), needs });
        }
        let config: SelfTrainConfig = changed(&self.self_training, &toml::Table::new())?;
        let config = SelfTrainConfig { network: self.network_config(arm)?, ..config };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ExperimentError> {
        names("data", self.data.iter().map(|data| data.name.as_str()))?;
        names("arm", self.arm.iter().map(|arm| arm.name.as_str()))?;
        let wrong =
            |key: String, needs| -> Result<(), DefinitionError> { Err(DefinitionError::Key { key, needs }) };
        for seeds in self.data.iter().filter_map(|data| data.seeds.as_ref()).chain([&self.seeds]) {
            if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
                wrong(format!("seeds {seeds:?}"), "give one or more, each once")?;
            }
        }
        if self.evaluate.templates == 0 {
            wrong("evaluate: templates 0".to_owned(), "at least one is needed")?;
        }
        infomark_eval::check_radii(&self.evaluate.radii)
            .map_err(|error| DefinitionError::Radii(Box::new(error)))?;
        if self.evaluate.radii.is_empty() {
            wrong("evaluate: radii".to_owned(), "give at least one in mm, such as [2.0, 4.0]")?;
        }
        for data in &self.data {
            for (name, part) in &data.parts {
                part.check().within(|| format!("data {}: part {name}", data.name))?;
            }
        }
        for (place, arm) in self.arm.iter().enumerate() {
            self.check_arm(place, arm).within(|| format!("arm {}", arm.name))?;
        }
        Ok(())
    }

    /// Checks the arm at a place.
    fn check_arm(&self, place: usize, arm: &Arm) -> Result<(), DefinitionError> {
        arm.check()?;
        for table in [&self.base, &self.networks, &self.self_training, &arm.options] {
            for (option, instead) in [
                ("seed", "seeds = [...] of the experiment"),
                ("policy", "policy = \"tuned\" and tuned_with of the arm"),
            ] {
                if table.contains_key(option) && !(option == "policy" && arm.policy.is_none()) {
                    return Err(DefinitionError::SetByExperiment { option, instead });
                }
            }
        }
        let what = match arm.kind() {
            Kind::Encoder => self.encoder_config(arm).map(|_| "encoder"),
            Kind::Network(_) => self.network_config(arm).map(|_| "pretrained"),
            Kind::Match(matching) => matching.choice().map(|_| "match"),
            Kind::SelfTrain(templates) => {
                templates.choice()?;
                self.self_train_config(arm).map(|_| "self-train")
            }
        }?;
        let is_given = arm.encoder.is_some() || arm.encoder_of.is_some();
        let without = self.data.iter().find(|data| data.encoder.is_none());
        if let Some(data) = without.filter(|_| arm.takes_encoder() && !is_given) {
            return Err(DefinitionError::NoEncoder { what, data: data.name.clone() });
        }
        let has_encoder = |with: &String| {
            let earlier = self.arm.iter().take(place).find(|other| other.name == *with);
            earlier.is_some_and(|other| matches!(other.kind(), Kind::Encoder))
        };
        for (key, with) in [("encoder_of", &arm.encoder_of), ("tuned_with", &arm.tuned_with)] {
            if let Some(with) = with.as_ref().filter(|with| !has_encoder(with)) {
                return Err(DefinitionError::NoEncoderArm { key, arm: with.clone() });
            }
        }
        let wrong = |key: &str, needs| Err(DefinitionError::Key { key: key.to_owned(), needs });
        match (&arm.policy, &arm.tuned_with) {
            (Some(_), None) => wrong("policy", "it needs tuned_with, the arm whose encoder it is tuned with"),
            (None, Some(_)) => wrong("tuned_with", "it needs policy = \"tuned\" or \"tuned-shared\""),
            _ => Ok(()),
        }
    }
}

/// Options with those that differ.
fn changed<T: DeserializeOwned>(base: &toml::Table, changes: &toml::Table) -> Result<T, DefinitionError> {
    let mut table = base.clone();
    table.extend(changes.clone());
    table.try_into().map_err(|error| DefinitionError::toml(&error))
}

/// Refuses none, two of a name, and names that are no folders'.
fn names<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), DefinitionError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(DefinitionError::Name { what, name: name.to_owned() });
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(DefinitionError::Twice { what, name: name.to_owned() });
        }
    }
    if seen.is_empty() { Err(DefinitionError::None { what }) } else { Ok(()) }
}
