//! `infomark tune`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use infomark_infer::Encoder;
use infomark_train::{TuneConfig, TunedTier, tune};

use crate::output::{self, Report, shown};
use crate::progress::Progress;

/// Estimate from the images how strongly the views of each tier may differ.
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
much with its original."
)]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// Encoder that finds the same places, as `infomark train` writes it
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// File of the policy (TOML), for `infomark train --policy`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of the choice of images
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Quantile of the patches' strengths that a range ends at; larger ones allow stronger changes
    #[arg(long, value_name = "Q", default_value_t = 0.5)]
    quantile: f64,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let encoder = Encoder::load(&options.model)?;
    let config =
        TuneConfig { seed: options.seed, quantile: options.quantile, threads, ..TuneConfig::default() };
    let bar = Progress::new(0, "comparing");
    let tuned = tune(&options.images, &encoder, &config, &|done, total| bar.at(done, total))?;
    bar.finish();
    let text = toml::to_string(&tuned).context("can't write TOML")?;
    output::write(&options.out, text.as_bytes())?;
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
        "{}{}{}{}: give it to infomark train --policy",
        row("low", &tuned.low),
        row("medium", &tuned.medium),
        row("high", &tuned.high),
        shown(&options.out),
    ))?;
    report.json(&tuned)
}
