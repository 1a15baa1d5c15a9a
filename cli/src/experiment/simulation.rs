//! Experiments of active learning: known landmarks take the place of the annotator.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use infomark_active::{LearnOptions, LearnProgress, Protocol, Round, Simulation, Strategy, simulate};
use infomark_figures::{Chart, Series, Style};
use infomark_infer::{Member, rounded};
use serde::{Deserialize, Serialize};

use super::origin::Commit;
use super::{Options, begin, data_root};
use crate::files;
use crate::inputs;
use crate::output::{self, Report, shown};
use crate::plot;
use crate::progress::Progress;

/// A file with the key `loop`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
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
    /// Data folder to score on.
    dev: PathBuf,
    /// Encoder: a file in the folder of the data sets, or the name of one that comes with the program.
    encoder: PathBuf,
    /// Error in mm up to which the annotator accepts a point.
    tolerance_mm: f64,
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

/// `experiment.json`.
#[derive(Serialize)]
struct Outcome<'a> {
    title: &'a str,
    about: &'a str,
    version: &'static str,
    commit: Option<Commit>,
    file: String,
    file_sha256: String,
    learn: LearnOptions,
    results: Vec<Finished<'a>>,
}

#[derive(Serialize)]
struct Finished<'a> {
    data: &'a str,
    arm: &'a str,
    about: &'a str,
    tolerance_mm: f64,
    #[serde(flatten)]
    simulation: Simulation,
}

/// Whether a file is an experiment of active learning.
pub(super) fn is_one(file: &Path) -> Result<bool> {
    // What is wrong with the file, its own reader says.
    let table = files::text(file)?.parse::<toml::Table>();
    Ok(table.is_ok_and(|table| table.contains_key("loop")))
}

/// Runs all arms on all data sets; what is finished is read from the folder of the results.
pub(super) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let text = files::text(&options.file)?;
    let experiment: Experiment = toml::from_str(&text).map_err(|error| {
        anyhow!("{}: {}", shown(&options.file), error.to_string().trim_end().replace('\n', " "))
    })?;
    if experiment.data.is_empty() || experiment.arm.is_empty() {
        bail!("{}: give at least one [[data]] and one [[arm]]", shown(&options.file));
    }
    let is_arm = |only: &&String| experiment.arm.iter().any(|arm| arm.name == **only);
    if let Some(only) = options.only.iter().find(|only| !is_arm(only)) {
        let names: Vec<&str> = experiment.arm.iter().map(|arm| arm.name.as_str()).collect();
        bail!("--only {only}: no such arm; there are {}", names.join(", "));
    }
    let commit = Commit::of(&options.file);
    let learn = LearnOptions {
        steps: experiment.active.steps,
        folds: experiment.active.folds.unwrap_or(LearnOptions::default().folds),
        seed: experiment.active.seed,
        threads,
        ..LearnOptions::default()
    };
    let chosen = |arm: &&Arm| options.only.is_empty() || options.only.contains(&arm.name);
    let root = data_root(options);
    if options.dry_run {
        let rounds: Vec<String> = experiment.active.rounds.iter().map(ToString::to_string).collect();
        let mut left = 0;
        let mut lines = String::new();
        for data in &experiment.data {
            for arm in experiment.arm.iter().filter(chosen) {
                let is_done = kept(&options.out, data, arm).is_file() && !options.changed;
                left += usize::from(!is_done);
                let state = if is_done { "finished: nothing to do" } else { "learn, score" };
                let (data, arm) = (&data.name, &arm.name);
                lines +=
                    &format!("  {data} / {arm}: after {} annotated images - {state}\n", rounds.join(", "));
            }
        }
        return report.text(&format!("{}\n{lines}{left} simulations to do", experiment.title));
    }
    begin(options, text.as_bytes())?;
    let mut results = Vec::new();
    for data in &experiment.data {
        for arm in experiment.arm.iter().filter(chosen) {
            let name = format!("{}/{}", data.name, arm.name);
            report.text(&name)?;
            let simulation =
                one(&experiment, (data, arm), &root, options, &learn).with_context(|| name.clone())?;
            results.push(Finished {
                data: &data.name,
                arm: &arm.name,
                about: &arm.about,
                tolerance_mm: data.tolerance_mm,
                simulation,
            });
        }
    }
    let outcome = Outcome {
        title: &experiment.title,
        about: &experiment.about,
        version: env!("CARGO_PKG_VERSION"),
        commit,
        file: shown(&options.file),
        file_sha256: infomark_infer::sha256(text.as_bytes()),
        learn,
        results,
    };
    conclude(&outcome, &options.out, report)
}

/// Where the rounds of an arm on a data set are kept.
fn kept(out: &Path, data: &Data, arm: &Arm) -> PathBuf {
    out.join("runs").join(&data.name).join(&arm.name).join("simulation.json")
}

/// One arm on one data set, or what is left of it.
fn one(
    experiment: &Experiment,
    (data, arm): (&Data, &Arm),
    root: &Path,
    options: &Options,
    learn: &LearnOptions,
) -> Result<Simulation> {
    let kept = kept(&options.out, data, arm);
    let folder = kept.parent().map(Path::to_owned).unwrap_or_default();
    output::make_folder(&folder)?;
    if let Some(bytes) = files::bytes_if_there(&kept)?.filter(|_| !options.changed) {
        return serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: damaged; remove it", shown(&kept)));
    }
    let encoder = match infomark_models::named(&data.encoder) {
        Some(_) => data.encoder.clone(),
        None => root.join(&data.encoder),
    };
    let protocol = Protocol {
        encoder,
        pool: inputs::data_folder(&root.join(&data.train))?,
        dev: inputs::data_folder(&root.join(&data.dev))?,
        rounds: experiment.active.rounds.clone(),
        tolerance_mm: data.tolerance_mm,
        strategy: arm.strategy,
        learn: learn.clone(),
        work: folder.join("learned"),
    };
    let rounds = protocol.rounds.clone();
    let bar = Progress::of_share("learning");
    let simulation = simulate(&protocol, &mut |round, told| {
        let images = rounds.get(round).copied().unwrap_or_default();
        let fraction = told.map_or(1.0, LearnProgress::fraction);
        bar.share((round as f64 + fraction) / rounds.len() as f64, format!("{images} annotated images"));
        ControlFlow::Continue(())
    });
    bar.finish();
    let simulation = simulation?;
    output::write_json(&kept, &simulation)?;
    Ok(simulation)
}

/// Tables, plots and JSON.
fn conclude(outcome: &Outcome<'_>, out: &Path, report: &Report) -> Result<()> {
    output::write_json(&out.join("experiment.json"), outcome)?;
    let table = markdown(outcome);
    output::write(&out.join("table.md"), table.as_bytes())?;
    let number = |value: f64| format!("{value:.4}");
    let optional = |value: Option<f64>| value.map(number).unwrap_or_default();
    let rows = outcome.results.iter().flat_map(|finished| {
        finished.simulation.rounds.iter().map(move |round| {
            let member = |member: Member| {
                let place = Member::ALL.iter().position(|other| *other == member);
                optional(place.and_then(|place| round.members_mm.get(place)).copied())
            };
            [
                finished.data.to_owned(),
                finished.arm.to_owned(),
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
        })
    });
    let head = [
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
    output::write_csv(&out.join("table.csv"), head, rows)?;
    let note = format!("infomark {}", outcome.version);
    plot::write(&out.join("rounds"), &charts(outcome), &note)?;
    report.text(&format!("\n{table}"))?;
    let files = ["experiment.json", "table.md", "table.csv", "rounds.png", "rounds.svg"];
    report.text(&files.map(|name| shown(&out.join(name))).join("\n"))?;
    report.json(outcome)
}

/// Error over annotated images for each data set.
fn charts(outcome: &Outcome<'_>) -> Vec<Chart> {
    let mut names: Vec<&str> = outcome.results.iter().map(|finished| finished.data).collect();
    names.dedup();
    let chart = |data: &&str| {
        let own = outcome.results.iter().filter(|finished| finished.data == *data).enumerate();
        let series = own.map(|(index, finished)| {
            let points = finished.simulation.rounds.iter();
            let points = points.map(|round| (round.images as f64, round.mre_mm));
            Series { style: Style::Dotted, ..Series::line(finished.arm, index, points) }
        });
        Chart {
            title: format!("{data}: error on other images"),
            x_label: "annotated images".into(),
            y_label: "mean radial error, mm".into(),
            series: series.collect(),
            x_whole: true,
            height: 320,
            ..Chart::default()
        }
    };
    names.iter().map(chart).collect()
}

fn markdown(outcome: &Outcome<'_>) -> String {
    let mut text = String::new();
    for finished in &outcome.results {
        let Simulation { rounds, points } = &finished.simulation;
        text += &format!(
            "**{}, {}** (points up to {} mm off are accepted; {points} points in all)\n\n\
             | images | corrections | still to correct | MRE mm | median mm | within tolerance | templates | network | fusion | held out | bound holds | median bound |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            finished.data, finished.arm, finished.tolerance_mm
        );
        for round in rounds {
            text += &row(round, *points);
        }
        text += "\n";
    }
    text
}

fn row(round: &Round, points: usize) -> String {
    let mm = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
    let member = |place: usize| mm(round.members_mm.get(place).copied());
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
        member(0),
        member(1),
        member(2),
        mm(round.held_out_mm),
        round.bounds.map_or_else(|| "-".to_owned(), |bounds| percent(bounds.0)),
        mm(round.bounds.map(|bounds| bounds.1)),
    )
}
