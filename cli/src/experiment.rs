//! `infomark experiment`.

mod pictures;
mod terminal;

use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use infomark_experiment::{
    ArmRun, Bench, Commit, Definition, Event, Experiment, ExperimentError, LoopExperiment, Outcome,
    Provenance, State, begin,
};
use serde::Serialize;

use crate::output::{Report, one_line, shown};
use terminal::Terminal;

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
    /// Experiment file (TOML)
    file: PathBuf,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the data sets [default: $INFOMARK_DATA, else the folder of FILE]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Run only this arm, and those whose encoders it needs; may be repeated
    #[arg(long, value_name = "ARM")]
    only: Vec<String>,
    /// The file changed since DIR was started: rerun what is affected, and keep the rest
    #[arg(long)]
    changed: bool,
    /// Print what would be done, without doing it
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let definition = Definition::read(&options.file)?;
    // At the start, as the working tree may change during training.
    let commit = Commit::of(&options.file);
    let made_by = Provenance { file: &options.file, text: definition.text(), commit: commit.as_ref() };
    let command = Command { made_by, options, threads, terminal: Terminal::default(), report };
    let done = match &definition {
        Definition::Arms { experiment, .. } => command.arms(experiment),
        Definition::Loop { experiment, .. } => command.simulations(experiment),
    };
    command.terminal.finish();
    done.map_err(refusal)
}

struct Command<'a> {
    made_by: Provenance<'a>,
    options: &'a Options,
    threads: usize,
    terminal: Terminal,
    report: &'a Report,
}

impl Command<'_> {
    /// Keeps a copy of the experiment file with its results.
    fn begin(&self) -> Result<()> {
        Ok(begin(&self.options.out, &self.options.file, self.made_by.text, self.options.changed)?)
    }

    /// Runs the arms of an experiment, and compares them.
    fn arms(&self, experiment: &Experiment) -> Result<()> {
        let Self { made_by, options, terminal, report, .. } = self;
        let chosen = experiment.chosen(&options.only)?;
        let observer = |event: Event<'_>| terminal.show(event);
        let bench = Bench::open(experiment, &data_root(options), &options.out, self.threads, &observer)?;
        let runs = bench.runs();
        let is_chosen = |run: &ArmRun<'_>| chosen.contains(&run.arm_index());
        if options.dry_run {
            return dry_run(&bench, runs.iter().filter(|run| is_chosen(run)), experiment.title(), report);
        }
        self.begin()?;
        let (mut finished, mut missing) = (Vec::new(), Vec::new());
        let (mut number, all) = (0, runs.iter().filter(|run| is_chosen(run)).count());
        for run in &runs {
            if is_chosen(run) {
                number += 1;
                report.text(&format!("[{number}/{all}] {}", run.name()))?;
                let done = bench.work(run).with_context(|| run.name())?;
                terminal.finish();
                let steps =
                    if done.steps() > 0 { format!("{} steps, ", done.steps()) } else { String::new() };
                let reused = if done.reused { " (done before)" } else { "" };
                report.text(&format!("      {steps}MRE {:.2} mm{reused}", done.mre_mm))?;
                finished.push(done);
            } else if let Some(done) = bench.done(run)? {
                finished.push(done);
            } else {
                missing.push(run.name());
            }
        }
        terminal.drawn()?;
        let rows = bench.compare(&finished);
        let outcome = Outcome::new(&bench, made_by, &finished, &rows, missing);
        let markdown = outcome.markdown(&bench, &rows, made_by);
        let mut files = outcome.write(&options.out, &markdown, &rows, &finished)?;
        files.extend(pictures::write(&options.out, &bench, &rows, &finished, &made_by.note())?);
        tell(report, &markdown, &files, &outcome)
    }

    /// Simulates active learning.
    fn simulations(&self, experiment: &LoopExperiment) -> Result<()> {
        let Self { made_by, options, threads, terminal, report } = self;
        let (out, data) = (&options.out, data_root(options));
        let runs = experiment.runs(&options.only)?;
        if options.dry_run {
            let (mut left, mut lines) = (0, String::new());
            for run in &runs {
                let is_finished = run.is_finished(&data, out)?;
                left += usize::from(!is_finished);
                lines += &format!("  {}\n", run.plan(is_finished));
            }
            return report.text(&format!("{}\n{lines}{left} simulations to do", experiment.title()));
        }
        self.begin()?;
        let mut results = Vec::new();
        for run in &runs {
            report.text(&run.name())?;
            results.push(experiment.work(run, (&data, out), *threads, &|event| terminal.show(event))?);
            terminal.finish();
        }
        let outcome = experiment.outcome(made_by, *threads, results);
        let mut files = outcome.write(out)?;
        files.extend(pictures::write_rounds(out, &outcome)?);
        tell(report, &outcome.markdown(), &files, &outcome)
    }
}

/// Reports the tables, the files written, and the result as JSON.
fn tell(report: &Report, markdown: &str, files: &[PathBuf], outcome: &impl Serialize) -> Result<()> {
    let files: Vec<String> = files.iter().map(|path| shown(path)).collect();
    report.text(&format!("\n{}\n{}", markdown.trim_end(), files.join("\n")))?;
    report.json(outcome)
}

fn dry_run<'p>(
    bench: &Bench<'_>,
    runs: impl Iterator<Item = &'p ArmRun<'p>>,
    title: &str,
    report: &Report,
) -> Result<()> {
    let planned = runs.map(|run| bench.plan(run)).collect::<Result<Vec<_>, _>>()?;
    let lines: String = planned.iter().map(|run| format!("  {}\n", run.text())).collect();
    let left = planned.iter().filter(|run| run.state != State::Finished).count();
    let matches = planned.iter().filter(|run| run.budget.is_none()).count();
    let matching = if matches > 0 { format!(" and {matches} matchings") } else { String::new() };
    let trainings = planned.len() - matches;
    report.text(&format!("{title}\n{lines}{trainings} trainings{matching}, {left} of them to do"))?;
    report.json(&planned)
}

/// Adds the helpful command line options to an error.
fn refusal(error: Error) -> Error {
    let hint = match error.downcast_ref().map(ExperimentError::root) {
        Some(ExperimentError::NoSuchArm { .. }) => return anyhow!("--only {error}"),
        Some(ExperimentError::NoFolder { .. }) => Some("set INFOMARK_DATA or give --data"),
        Some(ExperimentError::OtherFile { .. }) => Some("give another --out, or --changed to keep the rest"),
        _ => None,
    };
    match hint {
        Some(hint) => anyhow!("{}; {hint}", one_line(&error)),
        None => error,
    }
}

fn data_root(options: &Options) -> PathBuf {
    let beside = || options.file.parent().map(Path::to_owned).unwrap_or_default();
    let named = std::env::var_os("INFOMARK_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
    options.data.clone().or(named).unwrap_or_else(beside)
}
