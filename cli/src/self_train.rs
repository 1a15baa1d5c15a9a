//! `infomark self-train`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use infomark_infer::{ImageContext, read_image, read_image_header, read_landmarks_of};
use infomark_train::{
    Doubt, LabelCount, SelfTrainConfig, SelfTrainPaths, TemplateImage, resume_self_train, self_train,
};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, Report, file_name, shown};
use crate::progress::duration;
use crate::train::{TrainingArgs, read_config, with_progress};
use crate::train_landmarks::TrainedNetwork;

/// Train a landmark network on unlabelled images, from one annotated image or a few.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    mut_arg("minutes", |arg| arg.help("Minutes to train in all [default: 60]")),
    after_help = "\
Examples:
  infomark self-train radiographs/ --model encoder.onnx --template 001.png --landmarks points.csv --out landmarks.onnx
  infomark self-train radiographs/ --model encoder.onnx --template 001.png --template 014.png --landmarks points.csv \\
    --out landmarks.onnx
  infomark self-train radiographs/ --model encoder.onnx --template 001.png --landmarks points.csv --out landmarks.onnx \\
    --resume landmarks.run

The landmarks are matched from the templates into every image. What scores low, does not match back, does not lie to
the others as usual, or is put elsewhere by a network that learnt from the rest, is not learnt; DIR/round-*/labels.json
says which. The network is used as `infomark match --landmark-model landmarks.onnx`."
)]
pub(crate) struct Options {
    /// Folder of the unlabelled images
    images: PathBuf,
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// An annotated image; repeat for further ones, all with the same landmarks
    #[arg(long, value_name = "IMAGE", required = true)]
    template: Vec<PathBuf>,
    /// Its landmarks, in a format of `infomark match`. For several images one file each, in their order, or one for all
    #[arg(long, value_name = "FILE", required = true)]
    landmarks: Vec<PathBuf>,
    /// File of the network to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of networks, each trained on the labels that the previous one agrees with [default: 2]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    rounds: Option<usize>,
    #[command(flatten)]
    training: TrainingArgs,
    /// Options by name, as TOML: the fields of `SelfTrainConfig` in the documentation of infomark-train, e.g. `max_disagreement = 8.0`,
    /// and those of `LandmarkConfig` under `[network]`; --minutes, --steps, --seed and --rounds override them
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
}

#[derive(Serialize)]
struct Trained {
    #[serde(flatten)]
    network: TrainedNetwork,
    images: usize,
    rounds: Vec<Vec<LabelCount>>,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let files = [&options.model].into_iter().chain(&options.template).chain(&options.landmarks);
    output::keep(files.chain(&options.config), &options.out)?;
    let paths = SelfTrainPaths {
        images: options.images.clone(),
        encoder: options.model.clone(),
        templates: annotated(options)?,
        out: options.out.clone(),
        run: options.training.folder(&options.out),
    };
    inputs::warn_of_skipped(&paths.images);
    let summary = if options.training.resumes() {
        with_progress(&paths.run, |told| resume_self_train(&paths, threads, told))?
    } else {
        let config = config(options, threads)?;
        with_progress(&paths.run, |told| self_train(&config, &paths, told))?
    };
    let mut text = String::new();
    for (round, labels) in summary.rounds.iter().enumerate() {
        text += &table(round, labels);
    }
    report.text(&format!(
        "{text}{}: {} landmarks, {} images, {} rounds in {}\nlabels, networks and logs: {}",
        shown(&paths.out),
        summary.network.landmarks.len(),
        summary.network.images,
        summary.rounds.len(),
        duration(summary.seconds),
        shown(&paths.run),
    ))?;
    for warning in warnings(&summary.rounds) {
        output::warn(warning);
    }
    report.json(&Trained {
        images: summary.network.images,
        network: TrainedNetwork::of(summary.network, &paths.out, &paths.run, summary.seconds),
        rounds: summary.rounds,
    })
}

/// The templates with their landmarks.
fn annotated(options: &Options) -> Result<Vec<TemplateImage>> {
    let (images, tables) = (options.template.len(), options.landmarks.len());
    if tables != 1 && tables != images {
        bail!(
            "--landmarks: {tables} files for {images} annotated images; give one for each image, in their order, or one for all"
        );
    }
    let one = |(path, table): (&PathBuf, &PathBuf)| {
        let image = read_image(path)?;
        let name = file_name(path);
        let placement = Some(read_image_header(path)?.placement);
        let subject = ImageContext { image: Some(&name), placement, ..ImageContext::default() };
        let table = read_landmarks_of(table, &subject)?;
        let landmarks = table.on_image(&name, image.width(), image.height())?.to_vec();
        Ok(TemplateImage { image: path.clone(), landmarks })
    };
    options.template.iter().zip(options.landmarks.iter().cycle()).map(one).collect()
}

/// The defaults, overridden by the file, then by the command line.
fn config(options: &Options, threads: usize) -> Result<SelfTrainConfig> {
    let mut config = read_config(options.config.as_deref(), SelfTrainConfig::check)?;
    config.network.threads = threads;
    config.rounds = options.rounds.unwrap_or(config.rounds);
    options.training.change(&mut config.network.seed, &mut config.network.schedule.budget);
    config.check()?;
    Ok(config)
}

/// Numbers of kept and rejected labels of each landmark before a round, as text.
fn table(round: usize, labels: &[LabelCount]) -> String {
    let width = labels.iter().map(|row| row.landmark.chars().count()).max().unwrap_or(0).max(9);
    let mut text = format!(
        "Labels of round {}\n  {:<width$}  {:>6}{:>8}{:>12}{:>8}{:>14}\n",
        round + 1,
        "landmark",
        "learnt",
        "score",
        "match-back",
        "shape",
        "disagreement",
    );
    debug_assert_eq!(Doubt::ALL.len(), 4);
    for LabelCount { landmark, kept, doubted: [score, back, shape, disagreement], .. } in labels {
        text += &format!("  {landmark:<width$}  {kept:>6}{score:>8}{back:>12}{shape:>8}{disagreement:>14}\n");
    }
    text + "\n"
}

/// Landmarks with contradictory labels in at least half of the images.
fn warnings(rounds: &[Vec<LabelCount>]) -> Vec<String> {
    let last = rounds.last().map(Vec::as_slice).unwrap_or_default();
    let doubtful = last.iter().filter(|row| row.kept <= row.doubted.iter().sum::<usize>());
    let of = |row: &LabelCount| {
        let all = row.kept + row.doubted.iter().sum::<usize>();
        format!(
            "{}: only {} of {all} labels are believed; look at the results of this landmark, or use another template",
            row.landmark, row.kept
        )
    };
    doubtful.map(of).collect()
}
