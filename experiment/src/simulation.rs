//! Experiments of active learning: known landmarks take the place of the annotator.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_active::{
    LearnOptions, LearnProgress, Round, Simulation, SimulationOptions, Strategy, simulate,
};
use infomark_infer::{FileError, Member, make_folder, read_file, rounded};
use infomark_results::write_json;
use serde::{Deserialize, Serialize};

use crate::error::Within;
use crate::event::{Observer, data_folder};
use crate::outcome::{Head, write};
use crate::set::{encoder_file, hash_data_folder};
use crate::{DefinitionError, Event, ExperimentError, MAX_BYTES, Provenance};

/// Active learning by several strategies on several data sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopExperiment {
    title: String,
    #[serde(default)]
    about: String,
    data: Vec<Data>,
    /// Numbers of annotated images after which the program learns, for all data sets.
    #[serde(rename = "loop")]
    active: Loop,
    arm: Vec<Arm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    name: String,
    /// Data folder of the images that are annotated.
    train: PathBuf,
    /// Data folder to score on; without one, the images of the other that are not annotated yet.
    #[serde(default)]
    dev: Option<PathBuf>,
    /// Encoder: a file in the folder of the data sets, or the name of one that comes with the program.
    encoder: PathBuf,
    /// Error in mm up to which the annotator accepts a point.
    tolerance_mm: f64,
    /// Numbers of annotated images instead of those of all data sets.
    #[serde(default)]
    rounds: Option<Vec<usize>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loop {
    rounds: Vec<usize>,
    #[serde(default)]
    steps: Option<u64>,
    #[serde(default)]
    folds: Option<usize>,
    #[serde(default)]
    seed: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arm {
    name: String,
    #[serde(default)]
    about: String,
    strategy: Strategy,
}

/// A strategy on a data set.
#[derive(Clone, Copy)]
pub struct LoopRun<'e> {
    data: &'e Data,
    arm: &'e Arm,
    rounds: &'e [usize],
    active: &'e Loop,
}

/// What a simulation depends on: what the file of the experiment states, and the data and the encoder as they were.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Stated {
    train: PathBuf,
    #[serde(default)]
    train_sha256: String,
    dev: Option<PathBuf>,
    #[serde(default)]
    dev_sha256: Option<String>,
    encoder: PathBuf,
    #[serde(default)]
    encoder_sha256: String,
    tolerance_mm: f64,
    strategy: Strategy,
    rounds: Vec<usize>,
    steps: Option<u64>,
    folds: Option<usize>,
    seed: u64,
}

/// `simulation.json`.
#[derive(Deserialize, Serialize)]
struct Kept {
    /// None in files of versions that did not say it.
    #[serde(default)]
    of: Option<Stated>,
    #[serde(flatten)]
    simulation: Simulation,
}

/// `experiment.json`.
#[derive(Serialize)]
pub struct LoopOutcome<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    learn: LearnOptions,
    /// The simulations.
    pub results: Vec<SimulationRecord<'a>>,
}

/// A simulation, with what it is of.
#[derive(Clone, Debug, Serialize)]
pub struct SimulationRecord<'a> {
    /// What the data set is called.
    pub data: &'a str,
    /// What the arm is called.
    pub arm: &'a str,
    about: &'a str,
    tolerance_mm: f64,
    /// Its rounds.
    #[serde(flatten)]
    pub simulation: Simulation,
}

impl LoopRun<'_> {
    /// Data set and arm as text.
    pub fn name(&self) -> String {
        format!("{}/{}", self.data.name, self.arm.name)
    }

    /// Whether its rounds are in the folder of the results, by the same encoder on the same data, whose folders lie below `data`.
    ///
    /// # Errors
    /// [`ExperimentError`] of the data set, the encoder or the file of the rounds.
    pub fn is_finished(&self, data: &Path, out: &Path) -> Result<bool, ExperimentError> {
        // Without rounds there is nothing to compare: neither data nor encoder have to be there.
        Ok(self.kept(out).exists() && self.earlier(out, &self.stated(data)?)?.is_some())
    }

    fn stated(&self, root: &Path) -> Result<Stated, ExperimentError> {
        let Data { train, dev, encoder, tolerance_mm, .. } = self.data;
        let Loop { steps, folds, seed, .. } = self.active;
        let folder = |folder: &PathBuf| hash_data_folder(&root.join(folder));
        let own = infomark_models::load_encoder(encoder_file(root, encoder))?;
        Ok(Stated {
            train: train.clone(),
            train_sha256: folder(train)?,
            dev: dev.clone(),
            dev_sha256: dev.as_ref().map(folder).transpose()?,
            encoder: encoder.clone(),
            encoder_sha256: own.sha256().to_owned(),
            tolerance_mm: *tolerance_mm,
            strategy: self.arm.strategy,
            rounds: self.rounds.to_vec(),
            steps: *steps,
            folds: *folds,
            seed: *seed,
        })
    }

    /// Its rounds in the folder of the results; none where there are none, or those of another statement.
    fn earlier(&self, out: &Path, stated: &Stated) -> Result<Option<Simulation>, ExperimentError> {
        let kept = self.kept(out);
        match read_file(&kept, MAX_BYTES) {
            Ok(bytes) => {
                let Kept { of, simulation } = serde_json::from_slice(&bytes)
                    .map_err(|_| ExperimentError::Damaged { file: kept.clone() })?;
                Ok((of.as_ref() == Some(stated)).then_some(simulation))
            }
            Err(FileError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A line of text: what is done, and what is left to do.
    pub fn plan(&self, is_finished: bool) -> String {
        let rounds: Vec<String> = self.rounds.iter().map(ToString::to_string).collect();
        let state = if is_finished { "finished: nothing to do" } else { "learn, score" };
        let (data, arm) = (&self.data.name, &self.arm.name);
        format!("{data} / {arm}: after {} annotated images - {state}", rounds.join(", "))
    }

    /// Where its rounds are kept.
    fn kept(&self, out: &Path) -> PathBuf {
        out.join("runs").join(&self.data.name).join(&self.arm.name).join("simulation.json")
    }
}

impl LoopExperiment {
    /// Checks the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, ExperimentError> {
        let experiment: Self = toml::from_str(text).map_err(|error| DefinitionError::toml(&error))?;
        if experiment.data.is_empty() {
            return Err(DefinitionError::None { what: "data" }.into());
        }
        if experiment.arm.is_empty() {
            return Err(DefinitionError::None { what: "arm" }.into());
        }
        Ok(experiment)
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The arms of these names, or all where there is none, on each data set.
    ///
    /// # Errors
    /// [`ExperimentError::NoSuchArm`].
    pub fn runs<'e>(&'e self, only: &[String]) -> Result<Vec<LoopRun<'e>>, ExperimentError> {
        let is_arm = |only: &&String| self.arm.iter().any(|arm| arm.name == **only);
        if let Some(unknown) = only.iter().find(|only| !is_arm(only)) {
            let names = self.arm.iter().map(|arm| arm.name.clone()).collect();
            return Err(ExperimentError::NoSuchArm { arm: unknown.clone(), names });
        }
        let chosen = || self.arm.iter().filter(|arm| only.is_empty() || only.contains(&arm.name));
        let run = |data: &'e Data, arm| {
            let rounds = data.rounds.as_ref().unwrap_or(&self.active.rounds);
            LoopRun { data, arm, rounds, active: &self.active }
        };
        Ok(self.data.iter().flat_map(|data| chosen().map(move |arm| run(data, arm))).collect())
    }

    /// Simulates a strategy on a data set, whose folders lie below `data`, on so many threads, 0 for all cores; what is
    /// finished, and stated by the file as it was then, is read from the folder of the results.
    ///
    /// # Errors
    /// [`ExperimentError::In`] with data set and arm.
    pub fn work<'e>(
        &self,
        run: &LoopRun<'e>,
        (data, out): (&Path, &Path),
        threads: usize,
        observer: Observer<'_>,
    ) -> Result<SimulationRecord<'e>, ExperimentError> {
        let simulation = run.stated(data).and_then(|stated| match run.earlier(out, &stated)? {
            Some(earlier) => Ok(earlier),
            None => self.simulate(run, stated, (data, out), threads, observer),
        });
        Ok(SimulationRecord {
            data: &run.data.name,
            arm: &run.arm.name,
            about: &run.arm.about,
            tolerance_mm: run.data.tolerance_mm,
            simulation: simulation.within(|| run.name())?,
        })
    }

    fn simulate(
        &self,
        run: &LoopRun<'_>,
        stated: Stated,
        (root, out): (&Path, &Path),
        threads: usize,
        observer: Observer<'_>,
    ) -> Result<Simulation, ExperimentError> {
        let path = run.kept(out);
        let folder = path.parent().unwrap_or(out);
        make_folder(folder)?;
        let rounds = run.rounds;
        let dev = run.data.dev.as_ref().map(|dev| data_folder(&root.join(dev), observer)).transpose()?;
        let protocol = SimulationOptions {
            encoder: encoder_file(root, &run.data.encoder),
            pool: data_folder(&root.join(&run.data.train), observer)?,
            dev,
            rounds: rounds.to_vec(),
            tolerance_mm: run.data.tolerance_mm,
            strategy: run.arm.strategy,
            learn: self.learn_options(threads),
            work: folder.join("learned"),
        };
        let mut told = |round: usize, progress: Option<LearnProgress>| -> ControlFlow<()> {
            let images = rounds.get(round).copied().unwrap_or_default();
            let fraction = progress.map_or(1.0, LearnProgress::fraction);
            observer(Event::Learning { images, fraction: (round as f64 + fraction) / rounds.len() as f64 })
        };
        let simulation = simulate(&protocol, &mut told)?;
        let kept = Kept { of: Some(stated), simulation };
        write_json(&path, &kept)?;
        Ok(kept.simulation)
    }

    fn learn_options(&self, threads: usize) -> LearnOptions {
        let defaults = LearnOptions::default();
        LearnOptions {
            steps: self.active.steps,
            folds: self.active.folds.unwrap_or(defaults.folds),
            seed: self.active.seed,
            threads,
            ..defaults
        }
    }

    /// Puts the results together.
    pub fn outcome<'a>(
        &'a self,
        made_by: &Provenance<'a>,
        threads: usize,
        results: Vec<SimulationRecord<'a>>,
    ) -> LoopOutcome<'a> {
        LoopOutcome {
            head: made_by.head(&self.title, &self.about),
            learn: self.learn_options(threads),
            results,
        }
    }
}

impl LoopOutcome<'_> {
    /// A table for each simulation as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for SimulationRecord { data, arm, tolerance_mm, simulation, .. } in &self.results {
            let Simulation { rounds, points } = simulation;
            text += &format!(
                "**{data}, {arm}** (points up to {tolerance_mm} mm off are accepted; {points} points in all)\n\n\
                 | images | corrections | still to correct | MRE mm | median mm | within tolerance | templates | network \
                 | fusion | held out | bound holds | median bound |\n\
                 | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            );
            for round in rounds {
                text += &row(round, *points);
            }
            text += "\n";
        }
        text
    }

    /// Writes `experiment.json`, `table.md` and `table.csv`, and gives their paths.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write(&self, out: &Path) -> Result<Vec<PathBuf>, ExperimentError> {
        let rows = self.results.iter();
        let rows = rows.flat_map(|record| record.simulation.rounds.iter().map(|round| cells(record, round)));
        write(out, self, &self.markdown(), (COLUMNS, rows))
    }
}

/// Columns of `table.csv`.
const COLUMNS: [&str; 14] = [
    "data",
    "arm",
    "images",
    "corrections",
    "remaining",
    "mre_mm",
    "median_mm",
    "within_tolerance",
    "templates_mm",
    "network_mm",
    "fusion_mm",
    "held_out_mm",
    "coverage",
    "median_bound_mm",
];

/// A round as a row of `table.csv`.
fn cells(record: &SimulationRecord<'_>, round: &Round) -> [String; 14] {
    let number = |value: f64| format!("{value:.4}");
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let member = |member| optional(error_of(round, member));
    [
        record.data.to_owned(),
        record.arm.to_owned(),
        round.images.to_string(),
        round.corrections.to_string(),
        round.remaining.to_string(),
        number(round.mre_mm),
        number(round.median_mm),
        number(round.within_tolerance),
        member(Member::Templates),
        member(Member::Network),
        member(Member::Fusion),
        optional(round.held_out_mm),
        optional(round.bounds.map(|bounds| bounds.0)),
        optional(round.bounds.map(|bounds| bounds.1)),
    ]
}

/// Mean radial error of a member in mm; none where there is no such member yet.
fn error_of(round: &Round, member: Member) -> Option<f64> {
    let place = Member::ALL.iter().position(|other| *other == member)?;
    round.members_mm.get(place).copied()
}

/// A round as a row of Markdown.
fn row(round: &Round, points: usize) -> String {
    let mm = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let member = |member| mm(error_of(round, member));
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let all = round.corrections + round.remaining;
    format!(
        "| {} | {} | {} ({} of all) | **{:.2}** | {:.2} | {} | {} | {} | {} | {} | {} | {} |\n",
        round.images,
        round.corrections,
        round.remaining,
        percent(rounded(all as f64 / points.max(1) as f64, 4)),
        round.mre_mm,
        round.median_mm,
        percent(round.within_tolerance),
        member(Member::Templates),
        member(Member::Network),
        member(Member::Fusion),
        mm(round.held_out_mm),
        round.bounds.map_or_else(|| "-".to_owned(), |bounds| percent(bounds.0)),
        mm(round.bounds.map(|bounds| bounds.1)),
    )
}
