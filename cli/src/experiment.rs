//! `infomark experiment`.

mod arm;
mod bench;
mod file;
mod origin;
mod part;
mod pictures;
mod recipe;
mod score;
mod set;
mod simulation;
mod table;
mod templates;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_eval::{ArmFigures, ErrorTable, SeedErrors, compare_arms};
use infomark_train::{LandmarkConfig, TrainConfig};
use serde::Serialize;

use crate::files;
use crate::output::{self, Report, shown};
use arm::PolicySource;
use bench::{Bench, Place};
use file::Experiment;
use origin::Commit;
use work::{Finished, State};

/// Train, match and score the arms of an experiment, and compare them.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark experiment experiments/ablation.toml --out ablation --dry-run
  infomark experiment experiments/ablation.toml --out ablation --data radiographs
  infomark experiment experiments/ablation.toml --out ablation --only uniform

FILE names data sets, options of a training, arms that change some of them, and seeds; the files in
experiments/ explain themselves. An arm trains an encoder or a landmark network, or matches templates by an encoder that
is there. DIR gets experiment.json, table.md, table.csv, landmarks.csv and plots (PNG and SVG), and below runs/ the encoder,
log and scores of every training. What is finished there is not done again; what was interrupted goes on. DIR keeps a copy of FILE; when FILE has changed, --changed is needed."
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
    /// Make no arm but this one, and those whose encoders it needs; may be given more than once
    #[arg(long, value_name = "ARM")]
    only: Vec<String>,
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
    /// Results of the annotators whose files are named.
    annotators: Vec<AnnotatorRecord<'a>>,
    /// Trainings and matches that are still to be made.
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
    /// Images of each part, where there are parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, usize>,
}

#[derive(Serialize)]
struct AnnotatorRecord<'a> {
    name: &'a str,
    results: Vec<OnData<'a>>,
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

/// The figures of a row on a part of a data set; places are those in the experiment.
struct Compared {
    data: usize,
    part: Option<String>,
    /// Images of the part.
    images: usize,
    row: Row,
    figures: ArmFigures,
}

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    /// The arm at this place.
    Arm(usize),
    /// The annotator at this place in its data set.
    Annotator(usize),
}

/// Result of a row on a data set.
#[derive(Serialize)]
struct OnData<'a> {
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    #[serde(flatten)]
    figures: &'a ArmFigures,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<&'a Finished>,
}

/// A planned training or matching.
#[derive(Serialize)]
struct Planned {
    data: String,
    arm: String,
    seed: u64,
    /// None of what trains nothing.
    budget: Option<infomark_train::Budget>,
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
    let chosen = chosen(&experiment, &options.only)?;
    let root = data_root(options);
    let bench = Bench::open(&experiment, &root, &options.out, threads)?;
    let places = bench.places();
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
            let steps = if done.steps > 0 { format!("{} steps, ", done.steps) } else { String::new() };
            report.text(&format!(
                "      {steps}MRE {:.2} mm{}",
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
    let figures = compared(bench, finished);
    let result = |one| on_data(experiment, finished, one);
    let results = |arm: usize| figures.iter().filter(|one| one.row == Row::Arm(arm)).map(result).collect();
    let annotated = figures.iter().filter(|one| matches!(one.row, Row::Annotator(_)));
    let annotators =
        annotated.map(|one| AnnotatorRecord { name: bench.row_name(one), results: vec![result(one)] });
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
        annotators: annotators.collect(),
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
    let markdown = table::markdown(bench, &figures, &made_by, &outcome.missing);
    output::write(&out.join("table.md"), markdown.as_bytes())?;
    table::write_csv(&out.join("table.csv"), bench, &figures, finished)?;
    table::write_landmarks(&out.join("landmarks.csv"), bench, &figures)?;
    let pictures = pictures::write(out, bench, &figures, finished, &made_by)?;
    report.text(&format!("\n{markdown}"))?;
    let files =
        ["experiment.json", "table.md", "table.csv", "landmarks.csv"].map(|name| shown(&out.join(name)));
    let files: Vec<String> = files.into_iter().chain(pictures.iter().map(|path| shown(path))).collect();
    report.text(&files.join("\n"))?;
    report.json(&outcome)
}

/// The figures of a row, with what they are of.
fn on_data<'a>(
    experiment: &'a Experiment,
    finished: &'a [(Place, Finished)],
    one: &'a Compared,
) -> OnData<'a> {
    let runs = match one.row {
        Row::Arm(arm) => of_arm(finished, one.data, arm).map(|(_, done)| done).collect(),
        Row::Annotator(_) => Vec::new(),
    };
    OnData { data: &experiment.data[one.data].name, part: one.part.as_deref(), figures: &one.figures, runs }
}

/// The figures of every arm and annotator on every part of every data set, as far as they are finished.
fn compared(bench: &Bench<'_>, finished: &[(Place, Finished)]) -> Vec<Compared> {
    let (experiment, rules) = (bench.experiment, &bench.experiment.evaluate);
    let mut all = Vec::new();
    for (data, set) in bench.sets.iter().enumerate() {
        for (part, images) in &set.parts {
            let of_part = |tables: &[ErrorTable]| -> Vec<ErrorTable> {
                let tables = tables.iter().map(|table| table.of_images(|image| images.contains(&image)));
                tables.filter(|table| !table.images.is_empty()).collect()
            };
            let mut rows: Vec<(Row, OfSeeds)> = Vec::new();
            for arm in 0..experiment.arm.len() {
                let seeds =
                    of_arm(finished, data, arm).map(|(place, done)| (place.seed, of_part(&done.errors)));
                rows.push((Row::Arm(arm), seeds.filter(|(_, tables)| !tables.is_empty()).collect()));
            }
            for (annotator, errors) in set.annotators.iter().enumerate() {
                let tables = of_part(std::slice::from_ref(errors));
                let seeds = if tables.is_empty() { Vec::new() } else { vec![(0, tables)] };
                rows.push((Row::Annotator(annotator), seeds));
            }
            let arms: Vec<Vec<SeedErrors<'_>>> = rows.iter().map(|(_, seeds)| errors_of(seeds)).collect();
            let figures = compare_arms(&arms, &set.landmarks, &rules.radii, rules.seed);
            for ((row, _), figures) in rows.iter().zip(figures) {
                let compared =
                    |figures| Compared { data, part: part.clone(), images: images.len(), row: *row, figures };
                all.extend(figures.map(compared));
            }
        }
    }
    all
}

/// The errors of a row, each with the seed of their training.
type OfSeeds = Vec<(u64, Vec<ErrorTable>)>;

fn errors_of(seeds: &[(u64, Vec<ErrorTable>)]) -> Vec<SeedErrors<'_>> {
    seeds.iter().map(|(seed, tables)| SeedErrors { seed: *seed, tables }).collect()
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
            budget: bench.budget(place)?,
            policy: arm.policy.as_ref().map(|source| policy_text(source, arm.tuned_with.as_deref())),
            state: bench.state(place)?,
            folder: shown(&bench.folder(place)),
        });
    }
    let mut text = format!("{}\n", bench.experiment.title);
    for run in &planned {
        let (budget, make) = match run.budget {
            Some(infomark_train::Budget::Steps(steps)) => (format!(": {steps} steps"), "train"),
            Some(infomark_train::Budget::Minutes(minutes)) => (format!(": {minutes} minutes"), "train"),
            None => (String::new(), "match"),
        };
        let policy = run.policy.as_ref().map_or_else(String::new, |policy| format!(", {policy}"));
        let state = match run.state {
            State::Finished => "finished: nothing to do".to_owned(),
            State::Trained => "trained: score".to_owned(),
            State::Interrupted => "interrupted: go on, score".to_owned(),
            State::New => format!("{make}, score"),
        };
        text += &format!("  {} / {} / seed {}{budget}{policy} - {state}\n", run.data, run.arm, run.seed);
    }
    let left = planned.iter().filter(|run| run.state != State::Finished).count();
    let matches = planned.iter().filter(|run| run.budget.is_none()).count();
    let matching = if matches > 0 { format!(" and {matches} matchings") } else { String::new() };
    text += &format!("{} trainings{matching}, {left} of them to do", planned.len() - matches);
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

/// Places of the arms to make: all, or some and those whose encoders they need.
fn chosen(experiment: &Experiment, only: &[String]) -> Result<Vec<usize>> {
    if only.is_empty() {
        return Ok((0..experiment.arm.len()).collect());
    }
    let mut chosen = BTreeSet::new();
    for name in only {
        let Some(mut arm) = experiment.place_of(name) else {
            let names: Vec<&str> = experiment.arm.iter().map(|arm| arm.name.as_str()).collect();
            bail!("--only {name}: no such arm; there are {}", names.join(", "));
        };
        chosen.insert(arm);
        // The file was checked: the encoder is an earlier arm's.
        while let Some(with) = experiment.arm[arm].teacher() {
            arm = experiment.place_of(with).context("an arm is missing")?;
            chosen.insert(arm);
        }
    }
    Ok(chosen.into_iter().collect())
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
