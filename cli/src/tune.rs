//! `infomark tune`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_figures::{Chart, Dot, Series, Style, line_colour};
use infomark_train::{TuneConfig, Tuned, TunedTier, tune};

use crate::inputs::images_of;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, identity, shown};
use crate::plot;
use crate::progress::Progress;

/// Estimate the augmentation intensity of each tier from the images.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example: train a first encoder, tune with it, train again
  infomark train radiographs/ --out first.onnx --minutes 10
  infomark tune radiographs/ --model first.onnx --out policy.toml
  infomark train radiographs/ --out encoder.onnx --policy policy.toml

Pixels are sorted by the entropy of the patch around them into three tiers. For the key points of each,
the encoder finds the same place in other images; the mutual information of such patches is what two
people's anatomy has in common, and brightness and contrast may change until a patch shares just as
much with its original. `infomark train --estimate-intensity` does all of it in one training."
)]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// Encoder for matching patches, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// File of the policy (TOML), for `infomark train --policy`; the histograms have its name, ending in .png and .svg
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of the choice of images
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Quantile of the patches' strengths for the end of a range; larger ones allow stronger changes
    #[arg(long, value_name = "Q", default_value_t = 0.5)]
    quantile: f64,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    check_out(options)?;
    let encoder = options.runtime.encoder(&options.model)?;
    let config =
        TuneConfig { seed: options.seed, quantile: options.quantile, threads, ..TuneConfig::default() };
    let bar = Progress::new(0, "comparing");
    let tuned = tune(&options.images, &encoder, &config, &|done, total| bar.at(done, total))?;
    bar.finish();
    let pictures = write(&options.out, &tuned)?;
    let row = |name: &str, tier: &TunedTier| {
        let [b, c] = [tier.ranges.brightness, tier.ranges.contrast];
        let from = tier.taken_from.as_ref().map_or_else(
            || format!("{} key points share {:.3} nats", tier.key_points, tier.target_nats),
            |other| format!("as {other}: too few key points of its own"),
        );
        format!(
            "  {name:<7} brightness {:.3} to {:.3}   contrast {:.3} to {:.3}   ({from})\n",
            b[0], b[1], c[0], c[1]
        )
    };
    report.text(&format!(
        "{}{}{}{}: give it to infomark train --policy\n{}",
        row("low", &tuned.low),
        row("medium", &tuned.medium),
        row("high", &tuned.high),
        shown(&options.out),
        pictures.iter().map(|path| shown(path)).collect::<Vec<_>>().join("\n"),
    ))?;
    report.json(&tuned)
}

/// Rejects output paths that would overwrite inputs.
fn check_out(options: &Options) -> Result<()> {
    let out = &options.out;
    let ending = out.extension().map(|ending| ending.to_ascii_lowercase());
    if ending.is_some_and(|ending| ending == "png" || ending == "svg") {
        bail!("{}: the plots get this ending; give the policy another, such as .toml", shown(out));
    }
    let images = images_of(&options.images)?;
    let given: Vec<PathBuf> = images.iter().chain([&options.model]).map(|path| identity(path)).collect();
    for path in [out.clone(), out.with_extension("png"), out.with_extension("svg")] {
        if given.contains(&identity(&path)) {
            bail!("{}: the policy is made from this; give another --out", shown(&path));
        }
    }
    if output::folder_of(out).is_some_and(|folder| identity(folder) == identity(&options.images)) {
        bail!("{}: its plots would lie among the images; give --out another folder", shown(out));
    }
    output::check_place(out)?;
    Ok(())
}

/// Writes the policy and the histograms of mutual information; returns the paths of the latter.
pub(crate) fn write(path: &Path, tuned: &Tuned) -> Result<Vec<PathBuf>> {
    let text = toml::to_string(tuned).context("can't write TOML")?;
    output::write(path, text.as_bytes())?;
    let hash: String = tuned.encoder_sha256.chars().take(12).collect();
    let note = format!("infomark {}, encoder {hash}", tuned.version);
    plot::write(&path.with_extension(""), &charts(tuned), &note)
}

fn charts(tuned: &Tuned) -> Vec<Chart> {
    let tiers = [("low", &tuned.low), ("medium", &tuned.medium), ("high", &tuned.high)];
    let own: Vec<_> = tiers.into_iter().filter(|(_, tier)| tier.taken_from.is_none()).collect();
    let bins = own.iter().map(|(_, tier)| tier.shared.len()).max().unwrap_or(0);
    let last = own.len().saturating_sub(1);
    let charts = own.iter().enumerate().map(|(place, (name, tier))| {
        let all = tier.shared.iter().sum::<u32>().max(1);
        let bars: Vec<Dot> = tier
            .shared
            .iter()
            .enumerate()
            .map(|(bin, &count)| {
                let y = 100.0 * f64::from(count) / f64::from(all);
                Dot { x: (bin as f64 + 0.5) * BIN_NATS, y, interval: None }
            })
            .collect();
        let top = bars.iter().map(|bar| bar.y).fold(1.0, f64::max);
        Chart {
            title: format!(
                "Information shared between people, {name} entropy ({} key points)",
                tier.key_points
            ),
            x_label: if place == last {
                "mutual information of corresponding patches in nats".into()
            } else {
                String::new()
            },
            y_label: "% of pairs".into(),
            series: vec![Series {
                name: String::new(),
                colour: line_colour(place),
                style: Style::Bars(0.9 * BIN_NATS),
                points: bars,
            }],
            marks: vec![(tier.target_nats, format!("target {:.2}", tier.target_nats))],
            x_range: Some([0.0, bins as f64 * BIN_NATS]),
            y_range: Some([0.0, 1.08 * top]),
            height: 230,
            ..Chart::default()
        }
    });
    charts.collect()
}

/// Width of a bin of [`TunedTier::shared`], in nats.
const BIN_NATS: f64 = 0.05;
