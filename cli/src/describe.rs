//! `infomark describe`.

use std::path::PathBuf;

use anyhow::Result;
use infomark_infer::{ForeignEncoder, InputScaling, InputSize, Origin};
use serde::Serialize;

use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};

/// Convert an ONNX file of another program, e.g. of PyTorch, to an encoder.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark describe resnet.onnx --input 384x480 --strides 4,8,16 --normalisation imagenet --out encoder.onnx
  infomark describe vit.onnx --input 384x480 --strides 16 --leading-tokens 1 --out encoder.onnx
  infomark match --model encoder.onnx --template 001.png --landmarks points.csv new/ --out found

The model reads one image, [1, 1 or 3, height, width], of the size that it was exported with or of any. Each output
is a feature map [1, C, height / stride, width / stride], or tokens [1, n, C] of the cells, row by row. FILE is the same
graph with nodes before it that make its input of one grey channel, and nodes after it that make feature maps of
length 1; it is run once before it is written."
)]
pub(crate) struct Options {
    /// The exported model (.onnx); external weights beside it are embedded
    model: PathBuf,
    /// Width and height of the model input in pixels, to which images are letterboxed
    #[arg(long, value_name = "WxH", value_parser = size)]
    input: InputSize,
    /// Stride of each output in input pixels
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', required = true)]
    strides: Vec<usize>,
    /// Number of input channels, 1 or 3, if the file leaves it open
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Outputs with the features, in the order of the strides; any value of the graph can be named
    /// [default: the outputs of the graph]
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    outputs: Vec<String>,
    /// Normalisation of grey values: unit-range (0 to 1), local-contrast (as in `infomark train`), or imagenet (as in
    /// torchvision's models)
    #[arg(long, value_name = "HOW", default_value = "unit-range")]
    normalisation: InputScaling,
    /// Number of tokens before those of the cells, which are dropped: class token, registers
    #[arg(long, value_name = "N", default_value_t = 0)]
    leading_tokens: usize,
    /// Temperature: divisor of the cosines in matching
    #[arg(long, value_name = "T", default_value_t = 0.1)]
    temperature: f32,
    /// Encoder file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// Parses a width and a height, e.g. `384x480`.
fn size(text: &str) -> Result<InputSize, String> {
    let sides = text.split_once(['x', 'X']);
    let sides = sides.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) = sides.ok_or("give width and height in pixels, e.g. 384x480")?;
    InputSize::new(width, height).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct Described {
    encoder: String,
    sha256: String,
    source_sha256: Option<String>,
    producer: Option<String>,
    input: [usize; 2],
    levels: Vec<Level>,
    runtime: &'static str,
}

#[derive(Serialize)]
struct Level {
    stride: usize,
    channels: usize,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    output::keep([&options.model], &options.out)?;
    output::check_place(&options.out)?;
    let foreign = ForeignEncoder::new(options.input, options.strides.clone())
        .with_channels(options.channels)
        .with_scaling(options.normalisation)
        .with_outputs(options.outputs.clone())
        .with_leading_tokens(options.leading_tokens)
        .with_temperature(options.temperature);
    let runtime = options.runtime.load()?;
    let described = match &runtime {
        None => foreign.describe(&options.model)?,
        Some(runtime) => foreign.describe_on(runtime, &options.model)?,
    };
    described.save(&options.out)?;
    let encoder = described.encoder();
    let description = encoder.description();
    let channels = description.channels.by_level(description.strides.len()).unwrap_or_default();
    let levels: Vec<Level> = (description.strides.iter().zip(channels))
        .map(|(&stride, channels)| Level { stride, channels })
        .collect();
    let (source_sha256, producer) = match &description.origin {
        Origin::Foreign { source_sha256, producer } => (Some(source_sha256.clone()), Some(producer.clone())),
        _ => (None, None),
    };
    let (width, height) = (description.input.width(), description.input.height());
    let lines = levels.iter().map(|level| {
        let (columns, rows) = (width / level.stride, height / level.stride);
        format!("stride {}: {} channels, {columns} x {rows} cells", level.stride, level.channels)
    });
    report.text(&format!(
        "{}: an encoder of {} ({})\ninput {width} x {height}\n{}",
        shown(&options.out),
        output::file_name(&options.model),
        producer.as_deref().filter(|producer| !producer.is_empty()).unwrap_or("no program stated"),
        lines.collect::<Vec<_>>().join("\n"),
    ))?;
    report.json(&Described {
        encoder: shown(&options.out),
        sha256: encoder.sha256().to_owned(),
        source_sha256,
        producer,
        input: [width, height],
        levels,
        runtime: encoder.runtime(),
    })
}
