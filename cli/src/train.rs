//! `infomark train`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Result;
use infomark_train::{Budget, Paths, Progress as Step, Summary, TrainConfig, resume, train};
use serde::Serialize;

use crate::output::{Report, beside, shown};
use crate::progress::{Progress, duration};

/// Train an encoder on a folder of unlabelled radiographs of one kind.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  infomark train radiographs/ --out encoder.onnx
  infomark train radiographs/ --out encoder.onnx --minutes 10 --seed 1
  infomark train radiographs/ --out encoder.onnx --resume encoder.run")]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// File of the encoder
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Minutes to train
    #[arg(long, value_name = "M", default_value_t = 30.0, conflicts_with = "steps")]
    minutes: f64,
    /// Steps to train instead: the same encoder every time, to the bit
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
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
    loss: f32,
    images: usize,
    input: [usize; 2],
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let resumed = options.resume.clone();
    let paths = Paths {
        images: options.images.clone(),
        out: options.out.clone(),
        run: resumed.or_else(|| options.run.clone()).unwrap_or_else(|| beside(&options.out, "run")),
    };
    let summary = if options.resume.is_some() {
        with_progress(|told| resume(&paths, threads, told))?
    } else {
        let budget = options.steps.map_or(Budget::Minutes(options.minutes), Budget::Steps);
        let config = TrainConfig { budget, seed: options.seed, threads, ..TrainConfig::default() };
        with_progress(|told| train(&config, &paths, told))?
    };
    report.text(&format!(
        "{}: {} steps on {} images in {}, loss {:.2}\ncheckpoints and log: {}",
        shown(&paths.out),
        summary.steps,
        summary.images,
        duration(summary.seconds),
        summary.loss,
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
