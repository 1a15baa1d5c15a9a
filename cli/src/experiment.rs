//! `infomark experiment`.

mod bench;
mod file;
mod origin;
mod pictures;
mod recipe;
mod set;
mod simulation;
mod table;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_eval::{ArmFigures, SeedErrors, compare_arms};
use infomark_train::{LandmarkConfig, TrainConfig};
use serde::Serialize;

use crate::files;
use crate::output::{self, Report, shown};
use bench::{Bench, Place};
use file::{Experiment, PolicySource};
use origin::Commit;
use work::{Finished, State};

/// Train and score the arms of an experiment, and compare them.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark experiment experiments/ablation.toml --out ablation --dry-run
  infomark experiment experiments/ablation.toml --out ablation --data radiographs
  infomark experiment experiments/ablation.toml --out ablation --only uniform

FILE names data sets, options of a training, arms that change some of them, and seeds; the files in
experiments/ explain themselves. DIR gets experiment.json, table.md, table.csv and plots (PNG and SVG),
and below runs/ the encoder, log and scores of every training. What is finished there is not done
again; what was interrupted goes on. DIR keeps a copy of FILE; when FILE has changed, --changed is needed."
)]
pub(crate) struct Options {
    /// The experiment (TOML)
    file: PathBuf,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the data sets [default: $INFOMARK_DATA, else the folder of FILE]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train no arm but this one, and those whose encoders it needs
    #[arg(long, value_name = "ARM")]
    only: Option<String>,
    /// The file changed since DIR was begun: make anew what that changes, and keep the rest
    #[arg(long)]
    changed: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Result of an experiment.
#[derive(Serialize)]
struct Outcome<'a> {
    title: &'a str,
    about: &'a str,
    version: &'static str,
    /// Of the work tree that the file lies in; none where it lies in no such tree.
    commit: Option<Commit>,
    file: String,
    file_sha256: String,
    evaluate: &'a file::Evaluate,
    intervals: &'static str,
    data: Vec<DataRecord>,
    arms: Vec<ArmRecord<'a>>,
    /// Trainings that are still to be made.
    missing: Vec<String>,
}

#[derive(Serialize)]
struct DataRecord {
    name: String,
    training_images: usize,
    training_images_sha256: String,
    scored_images: usize,
    scored_images_sha256: String,
    landmarks: usize,
    templates_from: String,
}

#[derive(Serialize)]
struct ArmRecord<'a> {
    name: &'a str,
    about: &'a str,
    results: Vec<OnData<'a>>,
}

/// What `experiment.json` says of intervals.
const INTERVALS: &str = "95 % bootstrap over images, the same for all arms, seeds and templates (percentiles of 2000 \
     resamples); they do not hold what another seed would change, see mre_mm_of_seeds";

/// The figures of an arm on a data set, and the places of both in the experiment.
struct Compared {
    data: usize,
    arm: usize,
    figures: ArmFigures,
}

/// Result of an arm on a data set.
#[derive(Serialize)]
struct OnData<'a> {
    data: &'a str,
    #[serde(flatten)]
    figures: &'a ArmFigures,
    runs: Vec<&'a Finished>,
}

/// A planned training.
#[derive(Serialize)]
struct Planned {
    data: String,
    arm: String,
    seed: u64,
    budget: infomark_train::Budget,
    policy: Option<String>,
    state: State,
    folder: String,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    if simulation::is_one(&options.file)? {
        return simulation::run(options, threads, report);
    }
    let (experiment, text) = Experiment::read(&options.file)?;
    // Now, as the work tree may go on while the arms train.
    let commit = Commit::of(&options.file);
    let chosen = chosen(&experiment, options.only.as_deref())?;
    let root = data_root(options);
    let bench = Bench::open(&experiment, &root, &options.out, threads)?;
    let places: Vec<Place> = experiment
        .data
        .iter()
        .enumerate()
        .flat_map(|(data, set)| {
            let seeds = set.seeds.as_ref().unwrap_or(&experiment.seeds);
            let arms = 0..experiment.arm.len();
            arms.flat_map(move |arm| seeds.iter().map(move |&seed| Place { data, arm, seed }))
        })
        .collect();
    if options.dry_run {
        return dry_run(&bench, &places, &chosen, report);
    }
    begin(options, text.as_bytes())?;
    let mut finished = Vec::new();
    let mut missing = Vec::new();
    let ours: Vec<&Place> = places.iter().filter(|place| chosen.contains(&place.arm)).collect();
    for place in &places {
        if chosen.contains(&place.arm) {
            let number = 1 + ours.iter().position(|other| *other == place).unwrap_or(0);
            report.text(&format!("[{number}/{}] {}", ours.len(), bench.name(place)))?;
            let done = bench.work(place).with_context(|| bench.name(place))?;
            report.text(&format!(
                "      {} steps, MRE {:.2} mm{}",
                done.steps,
                done.mre_mm,
                if done.reused { " (done before)" } else { "" }
            ))?;
            finished.push((*place, done));
        } else if let Some(done) = bench.done(place)? {
            finished.push((*place, done));
        } else {
            missing.push(bench.name(place));
        }
    }
    conclude(&bench, options, (text.as_bytes(), commit), &finished, missing, report)
}

/// Keeps the file with its results, and refuses a folder that holds those of another.
fn begin(options: &Options, file: &[u8]) -> Result<()> {
    output::make_folder(&options.out)?;
    let kept = options.out.join("experiment.toml");
    if kept.exists() {
        if files::bytes(&kept)? == file {
            return Ok(());
        }
        if !options.changed {
            bail!(
                "{}: this folder was begun with another version of {} (it is there); give another --out, or --changed to make anew what \
                 differs",
                shown(&kept),
                shown(&options.file)
            );
        }
    }
    output::write(&kept, file)
}

/// Tables, plots and JSON of what is finished.
fn conclude(
    bench: &Bench<'_>,
    options: &Options,
    (file, commit): (&[u8], Option<Commit>),
    finished: &[(Place, Finished)],
    missing: Vec<String>,
    report: &Report,
) -> Result<()> {
    let experiment = bench.experiment;
    let figures = compared(experiment, finished);
    let results = |arm: usize| {
        let own = figures.iter().filter(move |one| one.arm == arm);
        own.map(|one| OnData {
            data: &experiment.data[one.data].name,
            figures: &one.figures,
            runs: of_arm(finished, one.data, arm).map(|(_, done)| done).collect(),
        })
        .collect()
    };
    let arms = experiment.arm.iter().enumerate();
    let outcome = Outcome {
        title: &experiment.title,
        about: &experiment.about,
        version: env!("CARGO_PKG_VERSION"),
        commit,
        file: shown(&options.file),
        file_sha256: infomark_infer::sha256(file),
        evaluate: &experiment.evaluate,
        intervals: INTERVALS,
        data: bench.records(),
        arms: arms
            .map(|(arm, file)| ArmRecord { name: &file.name, about: &file.about, results: results(arm) })
            .collect(),
        missing,
    };
    let out = &options.out;
    let made_by = format!(
        "infomark {}{}, {}",
        outcome.version,
        outcome.commit.as_ref().map_or_else(String::new, |commit| format!(" at {}", commit.short())),
        output::file_name(&options.file)
    );
    output::write_json(&out.join("experiment.json"), &outcome)?;
    let markdown = table::markdown(experiment, &figures, &made_by, &outcome.missing);
    output::write(&out.join("table.md"), markdown.as_bytes())?;
    table::write_csv(&out.join("table.csv"), experiment, &figures, finished)?;
    let pictures = pictures::write(out, bench, &figures, finished, &made_by)?;
    report.text(&format!("\n{markdown}"))?;
    let files = ["experiment.json", "table.md", "table.csv"].map(|name| shown(&out.join(name)));
    let files: Vec<String> = files.into_iter().chain(pictures.iter().map(|path| shown(path))).collect();
    report.text(&files.join("\n"))?;
    report.json(&outcome)
}

/// The figures of every arm on every data set, as far as they are finished.
fn compared<'f>(experiment: &Experiment, finished: &'f [(Place, Finished)]) -> Vec<Compared> {
    let rules = &experiment.evaluate;
    let on_data = |data: usize| {
        let errors =
            |(place, done): &'f (Place, Finished)| SeedErrors { seed: place.seed, tables: &done.errors };
        let arms = (0..experiment.arm.len()).map(|arm| of_arm(finished, data, arm).map(errors).collect());
        let figures = compare_arms(&arms.collect::<Vec<_>>(), &rules.radii, rules.seed);
        let each = figures.into_iter().enumerate();
        each.filter_map(move |(arm, figures)| Some(Compared { data, arm, figures: figures? }))
    };
    (0..experiment.data.len()).flat_map(on_data).collect()
}

/// The finished trainings of an arm on a data set.
fn of_arm(
    finished: &[(Place, Finished)],
    data: usize,
    arm: usize,
) -> impl Iterator<Item = &(Place, Finished)> {
    finished.iter().filter(move |(place, _)| (place.data, place.arm) == (data, arm))
}

fn dry_run(bench: &Bench<'_>, places: &[Place], chosen: &[usize], report: &Report) -> Result<()> {
    let mut planned = Vec::new();
    for place in places.iter().filter(|place| chosen.contains(&place.arm)) {
        let arm = &bench.experiment.arm[place.arm];
        planned.push(Planned {
            data: bench.experiment.data[place.data].name.clone(),
            arm: arm.name.clone(),
            seed: place.seed,
            budget: bench.options(place)?.budget(),
            policy: arm.policy.as_ref().map(|source| policy_text(source, arm.tuned_with.as_deref())),
            state: bench.state(place)?,
            folder: shown(&bench.folder(place)),
        });
    }
    let mut text = format!("{}\n", bench.experiment.title);
    for run in &planned {
        let budget = match run.budget {
            infomark_train::Budget::Steps(steps) => format!("{steps} steps"),
            infomark_train::Budget::Minutes(minutes) => format!("{minutes} minutes"),
        };
        let policy = run.policy.as_ref().map_or_else(String::new, |policy| format!(", {policy}"));
        let state = match run.state {
            State::Finished => "finished: nothing to do",
            State::Trained => "trained: score",
            State::Interrupted => "interrupted: go on, score",
            State::New => "train, score",
        };
        text += &format!("  {} / {} / seed {}: {budget}{policy} - {state}\n", run.data, run.arm, run.seed);
    }
    let left = planned.iter().filter(|run| run.state != State::Finished).count();
    text += &format!("{} trainings, {left} of them to do", planned.len());
    report.text(&text)?;
    report.json(&planned)
}

fn policy_text(source: &PolicySource, with: Option<&str>) -> String {
    let with = with.unwrap_or_default();
    match source {
        PolicySource::Tuned => format!("intensity of each tier tuned with {with}"),
        PolicySource::TunedShared => format!("one intensity for all tiers tuned with {with}"),
    }
}

/// Places of the arms to train: all, or one and those that it is tuned with.
fn chosen(experiment: &Experiment, only: Option<&str>) -> Result<Vec<usize>> {
    let Some(only) = only else {
        return Ok((0..experiment.arm.len()).collect());
    };
    let Some(mut arm) = experiment.place_of(only) else {
        let names: Vec<&str> = experiment.arm.iter().map(|arm| arm.name.as_str()).collect();
        bail!("--only {only}: no such arm; there are {}", names.join(", "));
    };
    let mut chosen = vec![arm];
    // The file was checked: an arm is tuned with an earlier one.
    while let Some(with) = &experiment.arm[arm].tuned_with {
        arm = experiment.place_of(with).context("an arm is missing")?;
        chosen.push(arm);
    }
    chosen.sort_unstable();
    Ok(chosen)
}

fn data_root(options: &Options) -> PathBuf {
    let beside = || options.file.parent().map(Path::to_owned).unwrap_or_default();
    let named = std::env::var_os("INFOMARK_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
    options.data.clone().or(named).unwrap_or_else(beside)
}

/// The options of a training without its seed and policy: base, changed by the arm.
fn merged(base: &toml::Table, changes: &toml::Table) -> Result<TrainConfig> {
    let config: TrainConfig = changed(base, changes)?;
    config.check()?;
    Ok(config)
}

/// The same for a landmark network.
fn merged_network(base: &toml::Table, changes: &toml::Table) -> Result<LandmarkConfig> {
    let config: LandmarkConfig = changed(base, changes)?;
    config.check()?;
    Ok(config)
}

fn changed<T: serde::de::DeserializeOwned>(base: &toml::Table, changes: &toml::Table) -> Result<T> {
    let mut table = base.clone();
    table.extend(changes.clone());
    table.try_into().map_err(|error| {
        let words: Vec<String> = error.to_string().split_whitespace().map(str::to_owned).collect();
        anyhow::anyhow!(words.join(" "))
    })
}
