//! The file that says what an experiment is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use infomark_train::SelfTrainConfig;
use serde::{Deserialize, Serialize};

use super::arm::{Arm, Kind};
use super::part::Part;
use super::{changed, merged, merged_network};
use crate::files;
use crate::output::shown;

/// An experiment: every arm is made with every seed on every data set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Experiment {
    pub(super) title: String,
    /// What it is to find out, and what its budget is.
    #[serde(default)]
    pub(super) about: String,
    /// Seeds of the trainings.
    #[serde(default = "one_seed")]
    pub(super) seeds: Vec<u64>,
    pub(super) data: Vec<Data>,
    /// Options of every training, by the names of `TrainConfig`.
    #[serde(default)]
    pub(super) base: toml::Table,
    /// Options of every landmark network, by the names of `LandmarkConfig`.
    #[serde(default)]
    pub(super) networks: toml::Table,
    /// Options of self-training, by the names of `SelfTrainConfig`; those of its network are `networks`.
    #[serde(default)]
    pub(super) self_training: toml::Table,
    #[serde(default)]
    pub(super) evaluate: Evaluate,
    pub(super) arm: Vec<Arm>,
}

/// Where to train and where to score.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) name: String,
    /// Data folder, or folder of images, to train on.
    pub(super) train: PathBuf,
    /// Data folder to score on.
    pub(super) dev: PathBuf,
    /// Data folder of the templates; the training's where there is none.
    pub(super) templates: Option<PathBuf>,
    /// The encoder that landmark networks start from and templates are matched by, where an arm names no other: a file, or the name of one
    /// that comes with the program.
    pub(super) encoder: Option<PathBuf>,
    /// Landmark files of annotators in the folder that is scored on, whose own figures are rows.
    #[serde(default)]
    pub(super) annotators: Vec<PathBuf>,
    /// Parts of the images that are scored, by name; none: all are one part.
    #[serde(default)]
    pub(super) parts: BTreeMap<String, Part>,
    /// Seeds for this data set.
    pub(super) seeds: Option<Vec<u64>>,
}

/// How encoders are scored: as `infomark evaluate` does.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Evaluate {
    /// Templates, drawn at random.
    pub(super) templates: usize,
    /// Radii of the detection rates in mm.
    pub(super) radii: Vec<f64>,
    /// Seed of the templates and of the intervals.
    pub(super) seed: u64,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { templates: 10, radii: vec![2.0, 2.5, 3.0, 4.0], seed: 0 }
    }
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

impl Experiment {
    /// Reads and checks a file: the experiment, and the text that it was read from.
    pub(super) fn read(path: &Path) -> Result<(Self, String)> {
        let name = shown(path);
        let text = files::text(path)?;
        let experiment: Self = toml::from_str(&text)
            .map_err(|error| anyhow!("{name}: {}", error.to_string().trim_end().replace('\n', " ")))?;
        experiment.check().context(name)?;
        Ok((experiment, text))
    }

    /// The place of an arm among the arms.
    pub(super) fn place_of(&self, arm: &str) -> Option<usize> {
        self.arm.iter().position(|other| other.name == arm)
    }

    /// The options of an arm's self-training without its seed.
    pub(super) fn self_training(&self, arm: &Arm) -> Result<SelfTrainConfig> {
        if self.self_training.contains_key("network") {
            bail!("self_training: the options of its network are those of [networks]");
        }
        let config: SelfTrainConfig = changed(&self.self_training, &toml::Table::new())?;
        let network = merged_network(&self.networks, &arm.options)?;
        let config = SelfTrainConfig { network, ..config };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        names("data", self.data.iter().map(|data| data.name.as_str()))?;
        names("arm", self.arm.iter().map(|arm| arm.name.as_str()))?;
        for seeds in self.data.iter().filter_map(|data| data.seeds.as_ref()).chain([&self.seeds]) {
            if seeds.is_empty() || seeds.iter().collect::<BTreeSet<_>>().len() != seeds.len() {
                bail!("seeds {seeds:?}: give one or more, each once");
            }
        }
        if self.evaluate.templates == 0 {
            bail!("evaluate: templates 0: at least one is needed");
        }
        infomark_eval::check_radii(&self.evaluate.radii).context("evaluate")?;
        if self.evaluate.radii.is_empty() {
            bail!("evaluate: radii: give at least one in mm, such as [2.0, 4.0]");
        }
        for data in &self.data {
            data.parts
                .iter()
                .try_for_each(|(name, part)| part.check().with_context(|| format!("part {name}")))
                .with_context(|| format!("data {}", data.name))?;
        }
        for (place, arm) in self.arm.iter().enumerate() {
            let place = || -> Result<()> {
                arm.check()?;
                for table in [&self.base, &self.networks, &self.self_training, &arm.options] {
                    for (option, instead) in [
                        ("seed", "seeds = [...] of the experiment"),
                        ("policy", "policy = \"tuned\" and tuned_with of the arm"),
                    ] {
                        if table.contains_key(option) && !(option == "policy" && arm.policy.is_none()) {
                            bail!("option {option} is set by the experiment; use {instead}");
                        }
                    }
                }
                match arm.kind() {
                    Kind::Encoder => {
                        merged(&self.base, &arm.options)?;
                    }
                    Kind::Network(_) => {
                        merged_network(&self.networks, &arm.options)?;
                    }
                    Kind::Match(matching) => {
                        matching.choice()?;
                    }
                    Kind::SelfTrain(templates) => {
                        templates.choice()?;
                        self.self_training(arm)?;
                    }
                }
                let given = arm.encoder.is_some() || arm.encoder_of.is_some();
                let without = self.data.iter().find(|data| data.encoder.is_none());
                if let Some(data) = without.filter(|_| arm.takes_encoder() && !given) {
                    let what = match arm.kind() {
                        Kind::Match(_) => "match",
                        Kind::SelfTrain(_) => "self-train",
                        Kind::Encoder | Kind::Network(_) => "pretrained",
                    };
                    bail!(
                        "{what}: data {} names no encoder; give it one with encoder = \"FILE\", or this arm one with encoder or encoder_of",
                        data.name
                    );
                }
                let is_encoder = |with: &String| {
                    let other = self.place_of(with).filter(|other| *other < place);
                    other.is_some_and(|other| matches!(self.arm[other].kind(), Kind::Encoder))
                };
                if let Some(with) = arm.encoder_of.as_ref().filter(|with| !is_encoder(with)) {
                    bail!("encoder_of {with}: there is no such arm of an encoder before this one");
                }
                match (&arm.policy, &arm.tuned_with) {
                    (None, None) => Ok(()),
                    (Some(_), Some(with)) if is_encoder(with) => Ok(()),
                    (Some(_), Some(with)) => {
                        bail!("tuned_with {with}: there is no such arm of an encoder before this one")
                    }
                    (Some(_), None) => {
                        bail!("policy needs tuned_with, the arm whose encoder it is tuned with")
                    }
                    (None, Some(_)) => bail!("tuned_with needs policy = \"tuned\" or \"tuned-shared\""),
                }
            };
            place().with_context(|| format!("arm {}", arm.name))?;
        }
        Ok(())
    }
}

/// Refuses none, two of a name, and names that are no folders'.
fn names<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!(
                "{what} {name:?}: a name is made of letters, digits, '-', '_' and '.', as it names a folder"
            );
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            bail!("{what} {name}: the name is given twice");
        }
    }
    if seen.is_empty() { bail!("there is no [[{what}]]; at least one is needed") } else { Ok(()) }
}
