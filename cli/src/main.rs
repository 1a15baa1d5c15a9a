//! The infomark command line: trains encoders on radiographs, finds landmarks, measures errors.

// Both panic on a closed pipe; `output` has replacements.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod agree;
mod backbone;
mod calibrate;
mod convert;
mod demo;
mod describe;
mod evaluate;
mod experiment;
mod files;
mod inputs;
mod interrupt;
mod landmark_files;
mod learning_loop;
mod map;
mod matching;
mod measure;
mod models;
mod output;
mod plot;
mod progress;
mod psi;
mod refine;
mod report;
mod review;
mod select;
mod self_train;
mod spacing;
mod templates;
mod train;
mod train_landmarks;
mod tune;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use infomark_infer::MemoryBudget;

use output::Report;

/// Find the same anatomical landmarks in every radiograph from one annotated template.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Example: see it work on made-up radiographs, in two minutes\n  infomark demo"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

/// Options of every command.
#[derive(Args, Clone, Copy)]
struct Global {
    /// Number of threads; 0 for all cores. Results do not depend on it
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Memory for reading and matching images, such as 512M or 4G; beyond it images wait [default: half of the machine's, at most 2G]
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory_size)]
    memory: Option<u64>,
    /// Print one JSON object on standard output instead of text
    #[arg(long, global = true)]
    json: bool,
}

/// Maximum number of threads: starting thousands takes longer than the work.
const MOST_THREADS: usize = 512;

#[derive(Subcommand)]
enum Command {
    Train(train::Options),
    TrainLandmarks(train_landmarks::Options),
    SelfTrain(self_train::Options),
    Tune(tune::Options),
    Select(select::Options),
    Template(templates::Options),
    Match(matching::Options),
    Merge(matching::merge::Options),
    Calibrate(calibrate::Options),
    Evaluate(evaluate::Options),
    Experiment(experiment::Options),
    Psi(psi::Options),
    Map(map::Options),
    Describe(describe::Options),
    Backbone(backbone::Options),
    Convert(convert::Options),
    Measure(measure::Options),
    Agree(agree::Options),
    Report(report::Options),
    Review(review::Options),
    Loop(learning_loop::Options),
    Demo(demo::Options),
}

fn main() -> ExitCode {
    infomark_infer::silence_contained_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let report = Report::new(cli.global.json);
    if let Some(bytes) = cli.global.memory {
        MemoryBudget::of_process().set_bytes(bytes);
    }
    let threads = cli.global.threads;
    if threads > MOST_THREADS {
        output::tell(format_args!(
            "error: --threads {threads}: at most {MOST_THREADS} are possible; 0 takes all cores"
        ));
        return ExitCode::from(2);
    }
    let done = match cli.command {
        Command::Train(options) => train::run(&options, threads, &report),
        Command::TrainLandmarks(options) => train_landmarks::run(&options, threads, &report),
        Command::SelfTrain(options) => self_train::run(&options, threads, &report),
        Command::Tune(options) => tune::run(&options, threads, &report),
        Command::Select(options) => select::run(&options, threads, &report),
        Command::Template(options) => templates::run(&options, threads, &report),
        Command::Match(options) => matching::run(&options, threads, &report),
        Command::Merge(options) => matching::merge::run(&options, threads, &report),
        Command::Calibrate(options) => calibrate::run(&options, threads, &report),
        Command::Evaluate(options) => evaluate::run(&options, threads, &report),
        Command::Experiment(options) => experiment::run(&options, threads, &report),
        Command::Psi(options) => psi::run(&options, threads, &report),
        Command::Map(options) => map::run(&options, &report),
        Command::Backbone(options) => backbone::run(&options, &report),
        Command::Describe(options) => describe::run(&options, &report),
        Command::Convert(options) => convert::run(&options, &report),
        Command::Measure(options) => measure::run(&options, &report),
        Command::Agree(options) => agree::run(&options, &report),
        Command::Report(options) => report::run(&options, threads, &report),
        Command::Review(options) => review::run(&options, threads, &report),
        Command::Loop(options) => learning_loop::run(&options, threads, &report),
        Command::Demo(options) => demo::run(&options, threads, &report),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Parses `--memory`: a whole number of bytes with K, M, G or T for powers of 1024.
fn memory_size(text: &str) -> Result<u64, String> {
    let wrong = || "give a whole number with K, M, G or T, at least 64M".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let power = match unit {
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << power));
    bytes.filter(|&bytes| bytes >= 64 << 20).ok_or_else(wrong)
}

/// Prints `--help` and `--version`, and errors of the arguments in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if asked {
        // A closed pipe is not an error.
        let _ = error.print();
        return ExitCode::from(error.exit_code() as u8);
    }
    let text = error.to_string();
    let reason = text.split("\n\nUsage:").next().unwrap_or(&text);
    let reason = reason.split("\n\nFor more information").next().unwrap_or(reason);
    let words: Vec<&str> = reason.split_whitespace().collect();
    output::tell(format_args!("{} (see --help)", words.join(" ")));
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::Context;
    use clap::CommandFactory;

    use super::*;

    /// The commands of a document's shell blocks, with continued lines joined and comments removed.
    fn commands(document: &str) -> Vec<String> {
        let mut commands = Vec::new();
        let (mut inside, mut open) = (false, String::new());
        for line in document.lines() {
            match line.trim_end() {
                "```sh" => inside = true,
                "```" => inside = false,
                line if inside => {
                    open += line.split("  #").next().unwrap_or(line);
                    match open.strip_suffix('\\') {
                        Some(begun) => open = begun.to_owned(),
                        None => commands.push(std::mem::take(&mut open)),
                    }
                }
                _ => {}
            }
        }
        commands
    }

    #[test]
    fn the_program_takes_every_command_that_the_documents_show() -> anyhow::Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut count = 0;
        for folder in ["", "docs", "models", "capi", "python"] {
            for entry in std::fs::read_dir(root.join(folder))? {
                let path = entry?.path();
                if path.extension().is_none_or(|ending| ending != "md") {
                    continue;
                }
                for command in commands(&std::fs::read_to_string(&path)?) {
                    let words: Vec<&str> = command.split_whitespace().collect();
                    if words.first() != Some(&"infomark") {
                        continue;
                    }
                    count += 1;
                    let taken = Cli::try_parse_from(&words).map(drop);
                    taken.with_context(|| format!("{}: {command}", path.display()))?;
                }
            }
        }
        assert!(count > 20, "{count} commands");
        Ok(())
    }

    #[test]
    fn every_command_has_an_example_that_the_program_takes_and_is_in_the_list_of_commands() {
        let mut cli = Cli::command();
        cli.build();
        let list = cli.render_long_help().to_string();
        let mut count = 0;
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            count += 1;
            assert!(!command.is_hide_set() && list.contains(&format!("\n  {name} ")), "{name} is not listed");
            assert!(command.get_about().is_some(), "{name} does not say what it does");
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines =
                text.lines().filter_map(|line| line.strip_prefix("  ")).collect::<Vec<_>>().join("\n");
            let examples = commands(&format!("```sh\n{lines}\n```"));
            let own = examples.iter().filter(|line| line.split(' ').nth(1) == Some(name)).count();
            assert!(own > 0, "{name} has no example of itself: {text}");
            for example in examples.iter().filter(|line| line.starts_with("infomark ")) {
                let taken = Cli::try_parse_from(example.split_whitespace());
                assert!(taken.is_ok(), "{name}: {example}: {:?}", taken.err().map(|e| e.to_string()));
            }
        }
        assert!(count >= 19, "{count} commands");
    }
}
