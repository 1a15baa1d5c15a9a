//! `infomark map`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use infomark_core::{
    Plane, PlaneMut, Thresholds, Tier, Weighting, entropy_map, entropy_scratch_len, tier_map, weight_map,
};
use infomark_infer::{Image, read_image, rounded};
use serde::Serialize;

use crate::draw::{Canvas, Colour, Legend, Scale, panel, sheet};
use crate::output::{self, Report, file_name, shown};
use crate::spacing::memory_for;

/// Draw where an image carries information: its entropy, tiers and sampling weights.
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
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "infomark-map")]
    out: PathBuf,
    /// Side of the patch around each pixel, in pixels
    #[arg(short = 'k', long = "patch", value_name = "K", default_value_t = 9)]
    patch: usize,
    /// Exponent of the entropy in the sampling weight
    #[arg(long, value_name = "A", default_value_t = 0.3)]
    alpha: f64,
    /// Weigh by entropy >= D instead: 1 there, 0 elsewhere
    #[arg(long, value_name = "D", conflicts_with = "alpha")]
    cut: Option<f64>,
    /// Least entropy of the medium tier, in nats [default: a third of the pixels is below]
    #[arg(long, value_name = "H", requires = "high")]
    medium: Option<f64>,
    /// Least entropy of the high tier [default: two thirds of the pixels are below]
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

const QUANTILES: (f64, f64) = (1.0 / 3.0, 2.0 / 3.0);

/// Memory for a pixel of an image and its maps, as measured.
const BYTES_A_PIXEL: u64 = 36;

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let _share = memory_for(&options.image, BYTES_A_PIXEL)?;
    let image = read_image(&options.image)?;
    let name = shown(&options.image);
    let field = Field::measure(&image, options).with_context(|| name.clone())?;
    let (least, most) =
        field.entropy.iter().fold((f64::MAX, f64::MIN), |(least, most), &h| (least.min(h), most.max(h)));
    let pixels = field.entropy.len() as f64;
    let share = |tier| field.tiers.iter().filter(|&&other| other == tier).count() as f64 / pixels;
    let [low, medium, high] = Tier::ALL.map(share);
    let files = field.draw(&image, options)?;
    let maps = Maps {
        image: name,
        width: image.width(),
        height: image.height(),
        patch: options.patch,
        entropy_nats: Range {
            least: rounded(least, 4),
            mean: rounded(field.entropy.iter().sum::<f64>() / pixels, 4),
            most: rounded(most, 4),
        },
        thresholds_nats: Levels {
            medium: rounded(field.thresholds.medium, 4),
            high: rounded(field.thresholds.high, 4),
        },
        thresholds_from: if options.medium.is_some() { "options" } else { "thirds of the image's pixels" },
        tier_shares: Shares { low: rounded(low, 4), medium: rounded(medium, 4), high: rounded(high, 4) },
        weighting: formula(options),
        files,
    };
    report.text(&text(&maps))?;
    report.json(&maps)
}

/// Longest side, in pixels, of an image whose maps go into a page: about what an encoder sees.
const SHEET_SIDE: u32 = 480;

/// An image and its maps as one PNG picture, small enough for a page.
pub(crate) fn sheet_of(path: &Path) -> Result<Vec<u8>> {
    let image = read_image(path)?;
    let context = || shown(path);
    let (width, height) = (u32::try_from(image.width())?, u32::try_from(image.height())?);
    let pixels =
        ImageBuffer::<Luma<f32>, &[f32]>::from_raw(width, height, image.pixels()).with_context(context)?;
    let scale = (f64::from(SHEET_SIDE) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = imageops::resize(&pixels, side(width), side(height), FilterType::Triangle);
    let (width, height) = (small.width() as usize, small.height() as usize);
    let image = Image::new(image.name(), width, height, small.into_raw()).with_context(context)?;
    let (out, patch) = (PathBuf::new(), 9.min(width.max(height)));
    let options =
        Options { image: path.to_owned(), out, patch, alpha: 0.3, cut: None, medium: None, high: None };
    let field = Field::measure(&image, &options).with_context(context)?;
    let photograph = panel(&Canvas::from_image(&image), &file_name(path), &Legend::None);
    let [entropy, tiers, weights] = field.panels(&image, &options);
    sheet(&[photograph, entropy, tiers, weights], 2).to_png()
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

fn formula(options: &Options) -> String {
    match options.cut {
        Some(cut) => format!("entropy >= {cut}"),
        None => format!("entropy ^ {}", options.alpha),
    }
}

/// The maps of an image, row by row.
struct Field {
    entropy: Vec<f64>,
    tiers: Vec<Tier>,
    thresholds: Thresholds<f64>,
    weights: Vec<f64>,
}

impl Field {
    fn measure(image: &Image, options: &Options) -> Result<Self> {
        let (width, height) = (image.width(), image.height());
        if options.patch > width.max(height) {
            bail!("--patch {} is larger than the image, {width} x {height}", options.patch);
        }
        let levels = image.to_levels();
        let mut entropy = vec![0.0; width * height];
        let mut counts = vec![0; entropy_scratch_len(options.patch, width, height)];
        let out = PlaneMut::new(&mut entropy, width, height)?;
        entropy_map(Plane::new(&levels, width, height)?, options.patch, out, &mut counts)?;
        let plane = Plane::new(&entropy, width, height)?;
        let thresholds = match (options.medium, options.high) {
            (Some(medium), Some(high)) => Thresholds::new(medium, high)?,
            _ => {
                let mut sorted = vec![0.0; width * height];
                Thresholds::from_quantiles(plane, QUANTILES.0, QUANTILES.1, &mut sorted)?
            }
        };
        let mut tiers = vec![Tier::Low; width * height];
        tier_map(plane, thresholds, PlaneMut::new(&mut tiers, width, height)?)?;
        let weighting = match options.cut {
            Some(threshold) => Weighting::Piecewise { threshold },
            None => Weighting::Exponential { alpha: options.alpha },
        };
        let mut weights = vec![0.0; width * height];
        weight_map(plane, weighting, PlaneMut::new(&mut weights, width, height)?)?;
        Ok(Self { entropy, tiers, thresholds, weights })
    }

    /// The maps as pictures: entropy, tiers, weights.
    fn panels(&self, image: &Image, options: &Options) -> [Canvas; 3] {
        let (width, height) = (image.width(), image.height());
        let coloured = |values: &[f64], scale: Scale| {
            let map = Canvas::from_fn(width, height, |x, y| scale.colour(values[y * width + x]));
            (map, scale)
        };
        let top = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let k = options.patch;
        let (map, scale) = coloured(&self.entropy, Scale::viridis(0.0, top(&self.entropy)));
        let title = format!("Entropy of {k} x {k} patches");
        let entropy = panel(&map, &title, &Legend::Bar { scale, unit: "nats" });
        let map = Canvas::from_fn(width, height, |x, y| tier_colour(self.tiers[y * width + x]));
        let tiers = panel(&map, "Tiers of information", &Legend::Classes(self.classes()));
        let (map, scale) = coloured(&self.weights, Scale::magma(0.0, top(&self.weights)));
        let title = format!("Sampling weight: {}", formula(options));
        let weights = panel(&map, &title, &Legend::Bar { scale, unit: "weight" });
        [entropy, tiers, weights]
    }

    /// Writes the pictures; their paths.
    fn draw(&self, image: &Image, options: &Options) -> Result<Vec<String>> {
        let [entropy, tiers, weights] = self.panels(image, options);
        let name = file_name(&options.image);
        let photograph = panel(&Canvas::from_image(image), &name, &Legend::None);
        output::make_folder(&options.out)?;
        let stem = options.image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Vec::new();
        let mut write = |kind: &str, picture: &Canvas| -> Result<()> {
            let path = options.out.join(format!("{stem}.{kind}.png"));
            output::write(&path, &picture.to_png()?)?;
            files.push(shown(&path));
            Ok(())
        };
        write("entropy", &entropy)?;
        write("tiers", &tiers)?;
        write("weights", &weights)?;
        write("maps", &sheet(&[photograph, entropy, tiers, weights], 2))?;
        Ok(files)
    }

    fn classes(&self) -> Vec<(Colour, String)> {
        let Thresholds { medium, high } = self.thresholds;
        let label = |tier| match tier {
            Tier::Low => format!("low: < {medium:.2}"),
            Tier::Medium => format!("medium: {medium:.2} to {high:.2}"),
            Tier::High => format!("high: >= {high:.2} nats"),
        };
        Tier::ALL.map(|tier| (tier_colour(tier), label(tier))).into()
    }
}

/// Colours that stay apart for colour-blind readers.
fn tier_colour(tier: Tier) -> Colour {
    match tier {
        Tier::Low => [0, 63, 92],
        Tier::Medium => [0, 158, 115],
        Tier::High => [240, 228, 66],
    }
}
