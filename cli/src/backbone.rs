//! `infomark backbone`.

use std::path::PathBuf;

use anyhow::Result;
use infomark_infer::{Backbone, BackboneDescription, BackboneLevel, Encoder, write_file};
use serde::Serialize;

use crate::output::{self, Report, shown};

/// Join the features of a pretrained backbone to those of an encoder.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark backbone encoder.onnx --out joined.onnx
  infomark backbone encoder.onnx --weight 1 --out joined.onnx

`infomark train` does so when it exports an encoder, unless its configuration says `backbone_weight = 0`. Nothing is trained:
at each stride that the backbone has, cosines become (trained + W * backbone) / (1 + W). Templates of ENCODER are made anew
for FILE."
)]
pub(crate) struct Options {
    /// The encoder (.onnx), a file of `infomark train`
    encoder: PathBuf,
    /// Weight of the backbone's cosine, relative to 1 for the trained one
    #[arg(long, value_name = "W", default_value_t = infomark_train::ModelConfig::BACKBONE_WEIGHT)]
    weight: f32,
    /// The backbone: its file, an encoder that has one, or the name of a bundled encoder
    #[arg(long, value_name = "FILE", default_value = "ceph")]
    from: PathBuf,
    /// Encoder file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Joined<'a> {
    encoder: String,
    sha256: &'a str,
    backbone: &'a BackboneDescription,
    weight: f32,
    runtime: &'static str,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    output::keep([&options.encoder, &options.from], &options.out)?;
    output::check_place(&options.out)?;
    let [backbone, encoder] = [&options.from, &options.encoder].map(infomark_models::read_encoder);
    let backbone = Backbone::from_bytes(&backbone?, &shown(&options.from))?;
    let joined = backbone.join(&encoder?, &shown(&options.encoder), options.weight)?;
    let encoder = Encoder::from_bytes(&joined, shown(&options.out))?;
    write_file(&options.out, &joined)?;
    let BackboneDescription { name, source, licence, levels, .. } = backbone.description();
    let levels =
        levels.iter().map(|BackboneLevel { stride, channels }| format!("{channels} at stride {stride}"));
    report.text(&format!(
        "{}: {} with {name} at a weight of {}\nchannels of the backbone: {}\nweights: {source}; {licence}",
        shown(&options.out),
        output::file_name(&options.encoder),
        options.weight,
        levels.collect::<Vec<_>>().join(", "),
    ))?;
    report.json(&Joined {
        encoder: shown(&options.out),
        sha256: encoder.sha256(),
        backbone: backbone.description(),
        weight: options.weight,
        runtime: encoder.runtime(),
    })
}
