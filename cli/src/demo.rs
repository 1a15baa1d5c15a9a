//! `infomark demo`.

mod data;
mod pictures;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use infomark_core::{mean, sdr};
use infomark_eval::{EvalError, Evaluation, Run, median};
use infomark_infer::{DataSet, Encoder, MatchOptions, rounded};
use infomark_train::{Budget, Paths, TrainConfig, train};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, Report, shown};
use crate::progress::{Progress, duration};
use crate::train::with_progress;
use data::{Phantoms, SPACING_MM, WIDTH};

/// Demonstrate infomark: make synthetic radiographs, train on them, find landmarks, and measure the errors.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example:
  infomark demo --out infomark-demo

It takes about two minutes on two cores. DIR gets the images, the encoder, an overlay for every
test image and contact-sheet.png; what an earlier demo left there is replaced."
)]
pub(crate) struct Options {
    /// Folder for all files
    #[arg(long, value_name = "DIR", default_value = "infomark-demo")]
    out: PathBuf,
    /// Seconds of training
    #[arg(long, value_name = "N", default_value_t = 100.0, conflicts_with = "steps")]
    seconds: f64,
    /// Steps of training instead: reproducible
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Number of training images; there are a quarter as many test images
    #[arg(long, value_name = "N", default_value_t = 80)]
    images: usize,
    /// Seed of the images and of the training
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

/// Names of the output files in the folder.
mod name {
    pub(super) const TRAIN: &str = "train";
    pub(super) const TEST: &str = "test";
    pub(super) const ENCODER: &str = "encoder.onnx";
    pub(super) const RUN: &str = "encoder.run";
    pub(super) const OVERLAYS: &str = "overlays";
    pub(super) const SHEET: &str = "contact-sheet.png";
    pub(super) const RESULT: &str = "demo.json";
    pub(super) const ALL: [&str; 7] = [TRAIN, TEST, ENCODER, RUN, OVERLAYS, SHEET, RESULT];
}

#[derive(Serialize)]
struct Demonstration {
    mre_px: f64,
    mre_percent_of_width: f64,
    median_px: f64,
    within_2_percent_of_width: f64,
    landmarks: Vec<LandmarkError>,
    training_images: usize,
    test_images: usize,
    steps: u64,
    training_seconds: f64,
    total_seconds: f64,
    folder: String,
    contact_sheet: String,
    overlays: String,
    encoder: String,
}

#[derive(Serialize)]
struct LandmarkError {
    landmark: String,
    mre_px: f64,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let begun = Instant::now();
    let out = &options.out;
    if options.steps.is_none() && !(options.seconds > 0.0 && options.seconds.is_finite()) {
        bail!("--seconds {}: training needs a number of seconds above 0", options.seconds);
    }
    let config = config(options, threads);
    config.check()?;
    clear(out)?;
    let pool = inputs::pool(threads)?;
    let phantoms = Phantoms { seed: options.seed, train: options.images, test: options.images.div_ceil(4) };
    let (template, test) = pool.install(|| phantoms.make(&out.join(name::TRAIN), &out.join(name::TEST)))?;
    let paths = Paths {
        images: out.join(name::TRAIN).join("images"),
        out: out.join(name::ENCODER),
        run: out.join(name::RUN),
        score: None,
    };
    let summary = with_progress(&paths.run, |told| train(&config, &paths, told))?;
    let encoder = Encoder::load(&paths.out)?;
    let run = &pool.install(|| score(&encoder, &test, &template))?;
    pool.install(|| pictures::draw(&test, run, &out.join(name::OVERLAYS), &out.join(name::SHEET)))?;
    let errors_px: Vec<f64> = errors_px(run).collect();
    let width = WIDTH as f64;
    let mre_px = mean(&errors_px).unwrap_or(f64::NAN);
    let demonstration = Demonstration {
        mre_px: rounded(mre_px, 3),
        mre_percent_of_width: rounded(100.0 * mre_px / width, 3),
        median_px: rounded(median(errors_px.clone()), 3),
        within_2_percent_of_width: rounded(sdr(&errors_px, 0.02 * width).unwrap_or(f64::NAN), 4),
        landmarks: by_landmark(&test, &errors_px),
        training_images: phantoms.train,
        test_images: phantoms.test,
        steps: summary.steps,
        training_seconds: rounded(summary.seconds, 1),
        total_seconds: rounded(begun.elapsed().as_secs_f64(), 1),
        folder: shown(out),
        contact_sheet: shown(&out.join(name::SHEET)),
        overlays: shown(&out.join(name::OVERLAYS)),
        encoder: shown(&paths.out),
    };
    output::write_json(&out.join(name::RESULT), &demonstration)?;
    report.text(&text(&demonstration))?;
    report.json(&demonstration)
}

/// Matches the template to the test images.
fn score(encoder: &Encoder, data: &DataSet, template_data: &DataSet) -> Result<Run> {
    let matching = MatchOptions::default();
    let evaluation = Evaluation { encoder, data, template_data, matching };
    let runs = with_bar(1 + data.images.len(), |advance| {
        Ok(evaluation.prepare(&[vec![0]], advance)?.score(advance)?)
    })?;
    runs.into_iter().next().context("no template was scored")
}

/// The defaults, scaled down for small images and a short time.
fn config(options: &Options, threads: usize) -> TrainConfig {
    TrainConfig::default().with(|o| {
        o.schedule.budget = options.steps.map_or(Budget::Minutes(options.seconds / 60.0), Budget::Steps);
        o.seed = options.seed;
        o.model.input_area = 192 * 256;
        o.sampling.view_size = 128;
        o.optimiser.ema_decay = 0.98;
        o.schedule.warm_up = 20;
        o.threads = threads;
    })
}

/// Removes the output of an earlier demo; rejects a folder with any other content.
fn clear(out: &Path) -> Result<()> {
    output::make_folder(out)?;
    let entries = fs::read_dir(out).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.with_context(|| format!("{}: can't be listed", shown(out)))?;
    if let Some(other) = entries.iter().find(|entry| !name::ALL.iter().any(|name| entry.file_name() == *name))
    {
        bail!(
            "{}: this folder holds other things, such as {}; give an empty or a new one with --out",
            shown(out),
            other.file_name().to_string_lossy()
        );
    }
    for entry in entries {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("{}: can't be removed", shown(&path)))?;
    }
    Ok(())
}

/// Errors in pixels, by image.
fn errors_px(run: &Run) -> impl Iterator<Item = f64> {
    let scores = run.images.iter().flat_map(|image| image.scores.iter().flatten());
    scores.map(|score| score.error_mm / SPACING_MM)
}

fn by_landmark(test: &DataSet, errors_px: &[f64]) -> Vec<LandmarkError> {
    let names = test.landmarks.iter().enumerate();
    names
        .map(|(index, name)| {
            let own: Vec<f64> = errors_px.iter().skip(index).step_by(test.landmarks.len()).copied().collect();
            LandmarkError { landmark: name.clone(), mre_px: rounded(mean(&own).unwrap_or(f64::NAN), 3) }
        })
        .collect()
}

fn text(demo: &Demonstration) -> String {
    let rows: String = demo
        .landmarks
        .iter()
        .map(|row| {
            let percent = 100.0 * row.mre_px / WIDTH as f64;
            format!("  {:<14} {:6.2} px  {percent:5.2} %\n", row.landmark, row.mre_px)
        })
        .collect();
    let folder = &demo.folder;
    format!(
        "Trained on {} made-up radiographs without landmarks: {} steps in {}.\n\
         Then looked for the {} landmarks of one annotated image in {} new ones.\n\n\
         Mean error, in pixels and in % of the image's width\n{rows}  {:<14} {:6.2} px  {:5.2} %   \
         (median {:.2} px; {:.0} % of the points within 2 %)\n\n\
         Look at   {}\n          {}\n\n\
         The same by hand:\n\
         \x20 infomark train {folder}/train/images --out encoder.onnx --minutes 5\n\
         \x20 infomark match --model {} --template {folder}/train/images/001.png \\\n\
         \x20   --landmarks {folder}/train/template.csv {folder}/test/images --out found",
        demo.training_images,
        demo.steps,
        duration(demo.training_seconds),
        demo.landmarks.len(),
        demo.test_images,
        "all",
        demo.mre_px,
        demo.mre_percent_of_width,
        demo.median_px,
        100.0 * demo.within_2_percent_of_width,
        demo.contact_sheet,
        demo.overlays,
        demo.encoder,
    )
}

/// Scores with a progress bar over a number of items, each of which calls `advance`.
fn with_bar<T>(
    pieces: usize,
    score: impl FnOnce(&(dyn Fn() -> Result<(), EvalError> + Sync)) -> Result<T>,
) -> Result<T> {
    let progress = Progress::new(pieces as u64, "scoring");
    let scored = score(&|| {
        progress.advance();
        Ok(())
    })?;
    progress.finish();
    Ok(scored)
}
