//! `infomark psi`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infomark_figures::{Chart, Dot, Series, Style, line_colour};
use infomark_infer::Encoder;
use infomark_train::{Psi, PsiBin, PsiConfig, TrainConfig, psi};
use serde::Serialize;

use crate::inputs::read_toml;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};
use crate::plot;
use crate::progress::Progress;

/// Measure the stability of an encoder's features under augmentation, against entropy, and derive the tiers.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example:
  infomark psi radiographs/ --model encoder.onnx --out psi

For pixels drawn uniformly from the images, PSI is the mean cosine of a pixel's feature and that of the same
pixel in a view. Where it is high, low, and high again as entropy grows, the two edges of the dip are
thresholds between low, medium and high tier; without a dip, take quantiles. DIR gets psi.json,
psi.csv, psi.png and psi.svg."
)]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Augmentation of the views: options of the training by name, as TOML, as for `infomark train --config`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of views to compare with their images
    #[arg(long, value_name = "N", default_value_t = 120)]
    views: usize,
    /// Seed of the views
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct Drawn<'a> {
    #[serde(flatten)]
    psi: &'a Psi,
    files: Vec<String>,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let encoder = options.runtime.encoder(&options.model)?;
    let defaults = PsiConfig::default();
    let training: TrainConfig = match &options.config {
        Some(path) => read_toml(path)?,
        None => defaults.training.clone(),
    };
    let training = training.with(|o| {
        o.seed = options.seed;
        o.sampling.pixels = defaults.training.sampling.pixels;
    });
    training.check().with_context(|| options.config.as_deref().map_or_else(String::new, shown))?;
    let config = PsiConfig { views: options.views, training, threads, ..defaults };
    output::make_folder(&options.out)?;
    let (psi, files) = draw(&options.images, &encoder, &config, &options.out)?;
    let drawn = Drawn { psi: &psi, files };
    report.text(&text(&drawn))?;
    report.json(&drawn)
}

/// Measures the curve; writes `psi.csv`, `psi.png`, `psi.svg` and `psi.json` in a folder and returns their paths.
pub(crate) fn draw(
    images: &Path,
    encoder: &Encoder,
    config: &PsiConfig,
    out: &Path,
) -> Result<(Psi, Vec<String>)> {
    let bar = Progress::new(0, "comparing");
    let measured = psi(images, encoder, config, &|done, total| bar.at(done, total))?;
    bar.finish();
    write_table(&out.join("psi.csv"), &measured)?;
    let hash: String = measured.encoder_sha256.chars().take(12).collect();
    let note = format!("infomark {}, encoder {hash}, {} images", measured.version, measured.images);
    let pictures = plot::write(&out.join("psi"), &charts(&measured), &note)?;
    let mut files = vec![shown(&out.join("psi.json")), shown(&out.join("psi.csv"))];
    files.extend(pictures.iter().map(|path| shown(path)));
    output::write_json(&out.join("psi.json"), &Drawn { psi: &measured, files: files.clone() })?;
    Ok((measured, files))
}

fn text(drawn: &Drawn<'_>) -> String {
    let psi = drawn.psi;
    let [medium, high] = psi.quantile_thresholds;
    let [of_medium, of_high] = psi.config.training.sampling.tier_quantiles;
    let cut = match (&psi.dip, &psi.no_dip) {
        (Some(dip), _) => format!(
            "dip: medium from {:.3}, high from {:.3} nats; PSI {:.3}, {:.3}, {:.3} in the low, medium and high tier\n\
             it lies {:.3} below the nearer side (standard error {:.3})",
            dip.thresholds[0],
            dip.thresholds[1],
            dip.levels[0],
            dip.levels[1],
            dip.levels[2],
            dip.depth,
            dip.error
        ),
        (None, Some(reason)) => format!("no dip: {reason}"),
        (None, None) => "no dip".to_owned(),
    };
    let pixels: u64 = psi.bins.iter().map(|bin| bin.pixels).sum();
    format!(
        "PSI {:.3} over {pixels} pixels of {} views\n{cut}\n\
         quantiles: medium from {medium:.3}, high from {high:.3} nats ({:.0} and {:.0} % of the pixels are below)\n{}",
        psi.psi,
        psi.config.views,
        100.0 * of_medium,
        100.0 * of_high,
        drawn.files.join("\n")
    )
}

fn write_table(path: &Path, psi: &Psi) -> Result<()> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    let mut head: Vec<String> =
        ["entropy_low", "entropy_high", "pixels", "psi", "standard_error"].map(str::to_owned).into();
    head.extend(psi.strides.iter().map(|stride| format!("stride_{stride}")));
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(&head)?;
    for bin in &psi.bins {
        let mut row = vec![
            format!("{:.6}", bin.low),
            format!("{:.6}", bin.high),
            bin.pixels.to_string(),
            number(bin.psi),
            number(bin.error),
        ];
        row.extend(bin.strides.iter().map(|mean| number(*mean)));
        table.write_record(&row)?;
    }
    output::write(path, &table.into_inner()?)
}

fn charts(psi: &Psi) -> [Chart; 2] {
    /// Minimum number of pixels of a bin that is drawn.
    const LEAST: u64 = 30;
    let or_gap = |bin: &PsiBin, value: Option<f64>| value.filter(|_| bin.pixels >= LEAST).unwrap_or(f64::NAN);
    let middle = |low: f64, high: f64| 0.5 * (low + high);
    let mut series: Vec<Series> = psi
        .strides
        .iter()
        .enumerate()
        .map(|(level, stride)| {
            let value = |bin: &PsiBin| or_gap(bin, bin.strides.get(level).copied().flatten());
            let points = psi.bins.iter().map(|bin| (middle(bin.low, bin.high), value(bin)));
            let line = Series::line(&format!("stride {stride}"), level + 1, points);
            Series { style: Style::Line(1), ..line }
        })
        .collect();
    let points = psi.bins.iter().map(|bin| {
        let (y, error) = (or_gap(bin, bin.psi), bin.error.unwrap_or(f64::NAN));
        Dot { x: middle(bin.low, bin.high), y, interval: Some([y - 2.0 * error, y + 2.0 * error]) }
    });
    series.push(Series {
        name: "all strides".into(),
        colour: line_colour(0),
        style: Style::Dotted,
        points: points.collect(),
    });
    // From the first drawn bin to the last.
    let drawn = || psi.bins.iter().filter(|bin| bin.pixels >= LEAST);
    let ends = [drawn().next().map_or(0.0, |bin| bin.low), drawn().next_back().map_or(1.0, |bin| bin.high)];
    let marks = match &psi.dip {
        Some(dip) => vec![
            (dip.thresholds[0], format!("medium from {:.2}", dip.thresholds[0])),
            (dip.thresholds[1], format!("high from {:.2}", dip.thresholds[1])),
        ],
        None => Vec::new(),
    };
    let k = psi.config.training.sampling.patch;
    let curve = Chart {
        title: match &psi.dip {
            Some(_) => "Positive similarity (PSI) by entropy; dashed: where it cuts the tiers".into(),
            None => "Positive similarity (PSI) by entropy; it has no dip that cuts tiers".into(),
        },
        y_label: "mean cosine of positives".into(),
        series,
        marks: marks.clone(),
        x_range: Some(ends),
        height: 430,
        ..Chart::default()
    };
    let all: u64 = psi.bins.iter().map(|bin| bin.pixels).sum();
    let bars = drawn().map(|bin| Dot {
        x: middle(bin.low, bin.high),
        y: 100.0 * bin.pixels as f64 / all.max(1) as f64,
        interval: None,
    });
    let width = psi.bins.first().map_or(1.0, |bin| 0.9 * (bin.high - bin.low));
    let bars: Vec<Dot> = bars.collect();
    let top = bars.iter().map(|bar| bar.y).fold(1.0, f64::max);
    let share = Chart {
        x_label: format!("entropy of the {k} x {k} patch in nats"),
        y_label: "% of pixels".into(),
        series: vec![Series {
            name: String::new(),
            colour: line_colour(6),
            style: Style::Bars(width),
            points: bars,
        }],
        marks: marks.into_iter().map(|(at, _)| (at, String::new())).collect(),
        x_range: Some(ends),
        y_range: Some([0.0, 1.08 * top]),
        height: 210,
        ..Chart::default()
    };
    [curve, share]
}
