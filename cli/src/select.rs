//! `infomark select`: selection of the images to annotate.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use infomark_figures::{Legend, Raster, panel, sheet};
use infomark_infer::{Encoder, read_image, rounded, sha256_files};
use infomark_results::EncoderRecord;
use infomark_train::{AGAINST, ConfigError, Ranking, TrainError};
use serde::Serialize;

use crate::inputs;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};
use crate::progress::Progress;

/// Select images to annotate as templates, without any label.
#[derive(clap::Args)]
#[command(after_help = "\
Example: the three images of a folder to annotate
  infomark select radiographs/ --model encoder.onnx --count 3 --out chosen

Up to 200 key points of each image are looked for in a sample of the others. Its score is the share that is found where those
around it say, 0 to 1: how much of the others it explains. Several images are chosen so that each of the others is explained
well by at least one. DIR/select.json has all scores, DIR/select.png shows the best. No landmarks are read.")]
pub(crate) struct Options {
    /// Images to choose from, or folders of them
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Number of images to select
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: usize,
    /// Number of images that keypoints are matched in, drawn at random
    #[arg(long, value_name = "N", default_value_t = AGAINST)]
    against: usize,
    /// Seed of that sample
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Number of images on the contact sheet.
const ON_SHEET: usize = 8;
const COLUMNS: usize = 4;

const OBJECT: &str = "select.json";
const SHEET: &str = "select.png";

#[derive(Serialize)]
struct Selection {
    /// Names, best first.
    chosen: Vec<String>,
    version: &'static str,
    model: EncoderRecord,
    images_sha256: String,
    seed: u64,
    /// The images that keypoints were matched in.
    against: Vec<String>,
    /// By descending score.
    ranking: Vec<Ranked>,
}

#[derive(Serialize)]
struct Ranked {
    image: String,
    score: f64,
}

/// Ranks images on the current thread pool, with a progress bar.
pub(crate) fn rank(encoder: &Encoder, images: &[PathBuf], against: usize, seed: u64) -> Result<Ranking> {
    let progress = Progress::new((images.len() + against.min(images.len())) as u64, "choosing");
    let ranking = Ranking::of(encoder, images, against, seed, &|| {
        progress.advance();
        Ok(())
    });
    progress.finish();
    ranking.map_err(|error| match error {
        TrainError::Config(ConfigError::Against { .. }) => anyhow!("--{error}"),
        other => other.into(),
    })
}

/// Selects `count` of the images of `folder`, best first; an error if it has fewer.
pub(crate) fn choose_from(ranking: &Ranking, count: usize, folder: &Path) -> Result<Vec<usize>> {
    check_count("--templates", count, ranking.images(), &shown(folder))?;
    Ok(ranking.choose(count))
}

/// Checks a number of images to select: at least 1 and at most all.
pub(crate) fn check_count(option: &str, count: usize, all: usize, of: &str) -> Result<()> {
    if !(1..=all).contains(&count) {
        bail!("{option} {count}: {of} holds {all} images; ask for at least 1 and at most as many");
    }
    Ok(())
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let encoder = options.runtime.encoder(&options.model)?;
    let inputs = inputs::expand(&options.images)?;
    let folder = options.images.first().map(|path| shown(path)).unwrap_or_default();
    check_count("--count", options.count, inputs.len(), &folder)?;
    if inputs.len() < 3 {
        bail!("{folder}: {} images say nothing about which is typical; give at least 3", inputs.len());
    }
    if let Some(out) = &options.out {
        output::make_folder(out)?;
    }
    let paths: Vec<PathBuf> = inputs.iter().map(|input| input.path.clone()).collect();
    let ranking = inputs::pool(threads)?.install(|| rank(&encoder, &paths, options.against, options.seed))?;
    let (order, chosen) = (ranking.order(), ranking.choose(options.count));
    let label = |&index: &usize| inputs[index].label.clone();
    let selection = Selection {
        chosen: chosen.iter().map(label).collect(),
        version: env!("CARGO_PKG_VERSION"),
        model: EncoderRecord::of(&encoder, &options.model),
        images_sha256: sha256_files(&paths)?,
        seed: options.seed,
        against: ranking.against().iter().map(label).collect(),
        ranking: order
            .iter()
            .map(|index| Ranked { image: label(index), score: rounded(ranking.score(*index), 4) })
            .collect(),
    };
    if let Some(out) = &options.out {
        output::write_json(&out.join(OBJECT), &selection)?;
        let panels = order.iter().take(ON_SHEET).enumerate().map(|(rank, &index)| {
            let mark = if chosen.contains(&index) { ", chosen" } else { "" };
            let title = format!("{}. {}, {:.3}{mark}", rank + 1, inputs[index].label, ranking.score(index));
            Ok(panel(&Raster::from_image(&read_image(&paths[index])?), &title, &Legend::None))
        });
        let panels = panels.collect::<Result<Vec<_>>>()?;
        output::write(&out.join(SHEET), &sheet(panels, COLUMNS).to_png(1)?)?;
    }
    report.text(&text(&selection, options))?;
    report.json(&selection)
}

fn text(selection: &Selection, options: &Options) -> String {
    const ROWS: usize = 10;
    let rows: String = selection
        .ranking
        .iter()
        .take(ROWS)
        .map(|row| format!("  {:.3}  {}\n", row.score, row.image))
        .collect();
    let last = selection.ranking.last().map_or(0.0, |row| row.score);
    let mut text = format!(
        "Annotate: {}\n\nThe best of {} images by the share of their key points found in {} others (the last has {last:.3})\n{rows}",
        selection.chosen.join(", "),
        selection.ranking.len(),
        selection.against.len(),
    );
    if let Some(out) = &options.out {
        text += &format!("\nLook at   {}\n          {}", shown(&out.join(SHEET)), shown(&out.join(OBJECT)));
    }
    text
}
