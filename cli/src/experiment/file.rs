//! The file that says what an experiment is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::{merged, merged_network};
use crate::files;
use crate::output::shown;

/// An experiment: every arm is trained with every seed on every data set.
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
    /// The encoder that its landmark networks start from, where they do.
    pub(super) encoder: Option<PathBuf>,
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

/// A kind of training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arm {
    pub(super) name: String,
    #[serde(default)]
    pub(super) about: String,
    /// Options that differ from the base.
    #[serde(default)]
    pub(super) options: toml::Table,
    /// Trains a landmark network on annotated images instead of an encoder.
    pub(super) network: Option<Network>,
    /// Where its intensities come from, if they are estimated.
    pub(super) policy: Option<PolicySource>,
    /// The arm whose encoder they are estimated with: an earlier one.
    pub(super) tuned_with: Option<String>,
}

/// What a landmark network learns from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// So many of the annotated images, drawn by the seed; all where it is not given.
    pub(super) images: Option<usize>,
    /// Whether it starts from the data set's encoder, not from random weights.
    #[serde(default)]
    pub(super) pretrained: bool,
}

/// Estimated intensities, as `infomark tune` finds them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PolicySource {
    /// Each tier has its own.
    Tuned,
    /// All tiers have the mean of them.
    TunedShared,
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
        for (place, arm) in self.arm.iter().enumerate() {
            let place = || -> Result<()> {
                for table in [&self.base, &self.networks, &arm.options] {
                    for (option, instead) in [
                        ("seed", "seeds = [...] of the experiment"),
                        ("policy", "policy = \"tuned\" and tuned_with of the arm"),
                    ] {
                        if table.contains_key(option) && !(option == "policy" && arm.policy.is_none()) {
                            bail!("option {option} is set by the experiment; use {instead}");
                        }
                    }
                }
                if let Some(network) = &arm.network {
                    merged_network(&self.networks, &arm.options)?;
                    if arm.policy.is_some() || arm.tuned_with.is_some() {
                        bail!(
                            "policy and tuned_with are of encoders, and this arm trains a landmark network"
                        );
                    }
                    if let Some(data) =
                        self.data.iter().find(|data| data.encoder.is_none()).filter(|_| network.pretrained)
                    {
                        bail!(
                            "pretrained: data {} names no encoder; give it one with encoder = \"FILE\"",
                            data.name
                        );
                    }
                } else {
                    merged(&self.base, &arm.options)?;
                }
                match (&arm.policy, &arm.tuned_with) {
                    (None, None) => Ok(()),
                    (Some(_), Some(with)) => match self.place_of(with) {
                        Some(other) if other < place && self.arm[other].network.is_none() => Ok(()),
                        _ => bail!("tuned_with {with}: there is no such arm of an encoder before this one"),
                    },
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
