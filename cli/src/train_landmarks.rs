//! `infomark train-landmarks`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_train::{LandmarkConfig, LandmarkPaths, LandmarkSummary, resume_landmarks, train_landmarks};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, Report, shown};
use crate::progress::duration;
use crate::train::{TrainingArgs, read_config, with_progress};

/// Train a landmark network on annotated images.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    mut_arg("minutes", |arg| arg.help("Minutes to train [default: 30]")),
    after_help = "\
Examples:
  infomark train-landmarks ceph-train --from encoder.onnx --out landmarks.onnx
  infomark train-landmarks ceph-train --images 10 --minutes 15 --out from-scratch.onnx
  infomark train-landmarks ceph-train --out landmarks.onnx --resume landmarks.run

A data folder holds images/, landmarks.csv (image,landmark,x,y) and dataset.toml (name, spacing_mm = [x, y],
landmarks = [\"...\"])."
)]
pub(crate) struct Options {
    /// Data folder of the annotated images
    data: PathBuf,
    /// File of the network to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Encoder to start from, a file of `infomark train`, or `ceph`, `chest` or `hand` [default: random weights]
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Learn from N of the images, drawn at random [default: all]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    images: Option<usize>,
    #[command(flatten)]
    training: TrainingArgs,
    /// Training options by name, as TOML: the fields of `LandmarkConfig` in the documentation of infomark-train, e.g. `elastic = 12.0`;
    /// --minutes, --steps and --seed override them
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
}

#[derive(Serialize)]
struct Trained {
    #[serde(flatten)]
    network: TrainedNetwork,
    loss: Option<f32>,
    images: usize,
    input: [usize; 2],
}

/// Result of training a landmark network, with or without labels.
#[derive(Serialize)]
pub(crate) struct TrainedNetwork {
    network: String,
    sha256: String,
    run: String,
    encoder_sha256: Option<String>,
    landmarks: Vec<String>,
    steps: u64,
    seconds: f64,
}

impl TrainedNetwork {
    /// The network in the file `out`, with its run in the folder `run`, trained for `seconds`.
    pub(crate) fn of(summary: LandmarkSummary, out: &Path, run: &Path, seconds: f64) -> Self {
        let LandmarkSummary { sha256, encoder_sha256, landmarks, steps, .. } = summary;
        Self { network: shown(out), sha256, run: shown(run), encoder_sha256, landmarks, steps, seconds }
    }
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let files = ["landmarks.csv", "dataset.toml"].map(|name| options.data.join(name));
    output::keep(files.iter().chain(&options.from).chain(&options.config), &options.out)?;
    // Opened for its warnings.
    inputs::data_folder(&options.data)?;
    let paths = LandmarkPaths {
        data: options.data.clone(),
        images: options.images,
        encoder: options.from.clone(),
        out: options.out.clone(),
        run: options.training.folder(&options.out),
    };
    let summary = if options.training.resumes() {
        with_progress(&paths.run, |told| resume_landmarks(&paths, threads, told))?
    } else {
        let config = config(options, threads)?;
        with_progress(&paths.run, |told| train_landmarks(&config, &paths, told))?
    };
    report.text(&format!(
        "{}: {} landmarks, {} steps on {} images in {}{}\ncheckpoints and log: {}",
        shown(&paths.out),
        summary.landmarks.len(),
        summary.steps,
        summary.images,
        duration(summary.seconds),
        summary.loss.map_or_else(String::new, |loss| format!(", loss {loss:.2}")),
        shown(&paths.run),
    ))?;
    let seconds = summary.seconds;
    report.json(&Trained {
        loss: summary.loss,
        images: summary.images,
        input: [summary.input.width(), summary.input.height()],
        network: TrainedNetwork::of(summary, &paths.out, &paths.run, seconds),
    })
}

/// The defaults, overridden by the file, then by the command line.
fn config(options: &Options, threads: usize) -> Result<LandmarkConfig> {
    let mut config = read_config(options.config.as_deref(), LandmarkConfig::check)?;
    config.threads = threads;
    options.training.change(&mut config.seed, &mut config.schedule.budget);
    config.check()?;
    Ok(config)
}
