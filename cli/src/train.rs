//! `infomark train`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use infomark_train::{Budget, Paths, Progress as Step, Summary, TrainConfig, resume, train};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::output::{Report, beside, shown};
use crate::progress::{Progress, duration};

/// Train an encoder on a folder of unlabelled radiographs of one kind.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark train radiographs/ --out encoder.onnx
  infomark train radiographs/ --out encoder.onnx --minutes 10 --seed 1
  infomark train radiographs/ --out encoder.onnx --resume encoder.run"
)]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// File of the encoder
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Minutes to train [default: 45]
    #[arg(long, value_name = "M", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Steps to train instead: the same encoder every time, to the bit
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Options of the training by name, as TOML: the fields of `TrainConfig` in the documentation of infomark-train,
    /// such as `elastic = 8.0`; --minutes, --steps and --seed go first
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// How strongly views may differ in each tier, as `infomark tune` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    policy: Option<PathBuf>,
    /// Folder of checkpoints and log [default: beside the encoder, ending in .run]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    run: Option<PathBuf>,
    /// Go on with the training in this folder, with the options it was started with
    #[arg(long, value_name = "DIR", conflicts_with_all = ["minutes", "steps", "seed"])]
    resume: Option<PathBuf>,
}

#[derive(Serialize)]
struct Trained {
    encoder: String,
    sha256: String,
    run: String,
    steps: u64,
    seconds: f64,
    loss: Option<f32>,
    images: usize,
    input: [usize; 2],
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    crate::keep_freed_memory();
    let resumed = options.resume.clone();
    let paths = Paths {
        images: options.images.clone(),
        out: options.out.clone(),
        run: resumed.or_else(|| options.run.clone()).unwrap_or_else(|| beside(&options.out, "run")),
    };
    let summary = if options.resume.is_some() {
        with_progress(|told| resume(&paths, threads, told))?
    } else {
        let config = config(options, threads)?;
        with_progress(|told| train(&config, &paths, told))?
    };
    report.text(&format!(
        "{}: {} steps on {} images in {}{}\ncheckpoints and log: {}",
        shown(&paths.out),
        summary.steps,
        summary.images,
        duration(summary.seconds),
        summary.loss.map_or_else(String::new, |loss| format!(", loss {loss:.2}")),
        shown(&paths.run),
    ))?;
    report.json(&Trained {
        encoder: shown(&paths.out),
        sha256: summary.sha256,
        run: shown(&paths.run),
        steps: summary.steps,
        seconds: summary.seconds,
        loss: summary.loss,
        images: summary.images,
        input: [summary.input.width(), summary.input.height()],
    })
}

/// The defaults, changed by the file, changed by the command line.
fn config(options: &Options, threads: usize) -> Result<TrainConfig> {
    let mut config: TrainConfig = options.config.as_deref().map(read_toml).transpose()?.unwrap_or_default();
    if let Some(path) = &options.policy {
        config.policy = Some(read_toml(path)?);
        config.check().with_context(|| shown(path))?;
    }
    config.threads = threads;
    config.seed = options.seed.unwrap_or(config.seed);
    config.budget = match (options.steps, options.minutes) {
        (Some(steps), _) => Budget::Steps(steps),
        (None, Some(minutes)) => Budget::Minutes(minutes),
        (None, None) => config.budget,
    };
    match &options.config {
        None => config.check()?,
        Some(path) => config.check().with_context(|| shown(path))?,
    }
    Ok(config)
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: can't be read", shown(path)))?;
    let text = toml::from_str(&text);
    text.map_err(|error| anyhow!("{}: {}", shown(path), error.to_string().trim_end().replace('\n', " ")))
}

/// Trains with a bar on the terminal.
pub(crate) fn with_progress<E: Into<anyhow::Error>>(
    work: impl FnOnce(&mut (dyn FnMut(Step) -> ControlFlow<()> + Send)) -> Result<Summary, E>,
) -> Result<Summary> {
    // One bar at a time: the second replaces the first.
    let mut bar: Option<(Stage, Progress)> = None;
    let summary = work(&mut |step| {
        match step {
            Step::Reading { done, total } => {
                in_stage(&mut bar, Stage::Reading, || Progress::new(0, "reading")).at(done, total);
            }
            Step::Step { step, fraction, loss, images_per_second, seconds_left, .. } => {
                let left = duration(seconds_left);
                let message =
                    format!("step {step}, loss {loss:.2}, {images_per_second:.1} images/s, {left} left");
                in_stage(&mut bar, Stage::Training, || Progress::of_share("training"))
                    .share(fraction, message);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    if let Some((_, bar)) = bar {
        bar.finish();
    }
    summary.map_err(Into::into)
}

#[derive(PartialEq)]
enum Stage {
    Reading,
    Training,
}

/// The bar of a stage; that of an earlier one is taken away.
fn in_stage(
    bar: &mut Option<(Stage, Progress)>,
    stage: Stage,
    start: impl FnOnce() -> Progress,
) -> &Progress {
    if let Some((_, old)) = bar.take_if(|(running, _)| *running != stage) {
        old.finish();
    }
    let (_, progress) = bar.get_or_insert_with(|| (stage, start()));
    progress
}
