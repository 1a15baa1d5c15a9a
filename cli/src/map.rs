//! `infomark map`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use infomark_core::{Thresholds, Tier, Weighting};
use infomark_figures::{InformationMaps, Legend, MapOptions, Raster, Scene, panel, sheet};
use infomark_infer::{Image, ReadLimits, read_image, rounded};
use serde::Serialize;

use crate::output::{self, Report, file_name, shown};
use crate::spacing::memory_for;

/// Draw an image's entropy, tiers and sampling weights.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark map radiograph.png --out maps
  infomark map radiograph.png --patch 32 --medium 3.5 --high 4.5 --out maps

DIR gets NAME.entropy.png, NAME.tiers.png, NAME.weights.png and all of them in NAME.maps.png."
)]
pub(crate) struct Options {
    /// The image
    image: PathBuf,
    /// Output folder
    #[arg(long, value_name = "DIR", default_value = "infomark-map")]
    out: PathBuf,
    /// Side of the patch around each pixel, in pixels
    #[arg(short = 'k', long = "patch", value_name = "K", default_value_t = 9)]
    patch: usize,
    /// Exponent of the entropy in the sampling weight
    #[arg(long, value_name = "A", default_value_t = 0.3)]
    alpha: f64,
    /// Entropy threshold: weight 1 for entropy >= D, 0 elsewhere
    #[arg(long, value_name = "D", conflicts_with = "alpha")]
    cut: Option<f64>,
    /// Minimum entropy of the medium tier, in nats [default: a third of the pixels is below]
    #[arg(long, value_name = "H", requires = "high")]
    medium: Option<f64>,
    /// Minimum entropy of the high tier [default: two thirds of the pixels are below]
    #[arg(long, value_name = "H", requires = "medium")]
    high: Option<f64>,
}

#[derive(Serialize)]
struct Maps {
    image: String,
    width: usize,
    height: usize,
    patch: usize,
    entropy_nats: Range,
    thresholds_nats: Levels,
    thresholds_from: &'static str,
    tier_shares: Shares,
    weighting: String,
    files: Vec<String>,
}

#[derive(Serialize)]
struct Range {
    least: f64,
    mean: f64,
    most: f64,
}

#[derive(Serialize)]
struct Levels {
    medium: f64,
    high: f64,
}

#[derive(Serialize)]
struct Shares {
    low: f64,
    medium: f64,
    high: f64,
}

/// Measured memory per pixel of an image and its maps, in bytes.
const BYTES_A_PIXEL: u64 = 36;

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let _share = memory_for(&options.image, &ReadLimits::default(), BYTES_A_PIXEL, 0)?;
    let image = read_image(&options.image)?;
    let name = shown(&options.image);
    let measured = measure(&image, options).with_context(|| name.clone())?;
    let (entropy, thresholds) = (measured.entropy(), measured.thresholds());
    let (least, most) =
        entropy.iter().fold((f64::MAX, f64::MIN), |(least, most), &h| (least.min(h), most.max(h)));
    let pixels = entropy.len() as f64;
    let share = |tier| measured.tiers().iter().filter(|&&other| other == tier).count() as f64 / pixels;
    let [low, medium, high] = Tier::ALL.map(share);
    let files = draw(&measured, &image, options)?;
    let maps = Maps {
        image: name,
        width: image.width(),
        height: image.height(),
        patch: options.patch,
        entropy_nats: Range {
            least: rounded(least, 4),
            mean: rounded(entropy.iter().sum::<f64>() / pixels, 4),
            most: rounded(most, 4),
        },
        thresholds_nats: Levels { medium: rounded(thresholds.medium, 4), high: rounded(thresholds.high, 4) },
        thresholds_from: if options.medium.is_some() { "options" } else { "thirds of the image's pixels" },
        tier_shares: Shares { low: rounded(low, 4), medium: rounded(medium, 4), high: rounded(high, 4) },
        weighting: measured.weighting(),
        files,
    };
    report.text(&text(&maps))?;
    report.json(&maps)
}

fn text(maps: &Maps) -> String {
    let Range { least, mean, most } = maps.entropy_nats;
    let Levels { medium, high } = maps.thresholds_nats;
    let shares = &maps.tier_shares;
    format!(
        "entropy of {k} x {k} patches: {least:.3} to {most:.3} nats, mean {mean:.3}\n\
         thresholds ({from}): medium from {medium:.3}, high from {high:.3} nats\n\
         tiers: low {:.1} %, medium {:.1} %, high {:.1} % of the pixels\n{}",
        100.0 * shares.low,
        100.0 * shares.medium,
        100.0 * shares.high,
        maps.files.join("\n"),
        k = maps.patch,
        from = maps.thresholds_from,
    )
}

/// The requested sampling weight.
fn weighting(options: &Options) -> Weighting<f64> {
    match options.cut {
        Some(threshold) => Weighting::Piecewise { threshold },
        None => Weighting::Exponential { alpha: options.alpha },
    }
}

fn measure(image: &Image, options: &Options) -> Result<InformationMaps> {
    let (width, height) = (image.width(), image.height());
    if options.patch > width.max(height) {
        bail!("--patch {} is larger than the image, {width} x {height}", options.patch);
    }
    let thresholds = options.medium.zip(options.high).map(|(medium, high)| Thresholds::new(medium, high));
    let (patch, weighting, thresholds) = (options.patch, weighting(options), thresholds.transpose()?);
    Ok(InformationMaps::measure(image, MapOptions { patch, weighting, thresholds })?)
}

/// Writes the pictures; returns their paths.
fn draw(maps: &InformationMaps, image: &Image, options: &Options) -> Result<Vec<String>> {
    let [entropy, tiers, weights] = maps.panels();
    let photograph = panel(&Raster::from_image(image), &file_name(&options.image), &Legend::None);
    output::make_folder(&options.out)?;
    let stem = options.image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut files = Vec::new();
    let mut write = |kind: &str, picture: &Scene| -> Result<()> {
        let path = options.out.join(format!("{stem}.{kind}.png"));
        output::write(&path, &picture.to_png(1)?)?;
        files.push(shown(&path));
        Ok(())
    };
    write("entropy", &entropy)?;
    write("tiers", &tiers)?;
    write("weights", &weights)?;
    write("maps", &sheet(vec![photograph, entropy, tiers, weights], 2))?;
    Ok(files)
}
