//! `infomark calibrate`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use infomark_core::radial_error_mm;
use infomark_infer::{
    Confidence, DataSet, Encoder, ErrorCalibration, PixelSpacing, Sample, Subject, Template, match_image,
    read_image, read_landmarks_of,
};
use rayon::prelude::*;
use serde::Serialize;

use crate::inputs;
use crate::matching::{How, hash, matching_text};
use crate::output::{self, Report, file_name, rounded, shown};
use crate::progress::Progress;
use crate::spacing;

/// Measure on labelled images how large the errors of a template are, so that `match` can say how large they will be.
#[derive(clap::Args)]
#[command(after_help = "\
Example: from 20 labelled images, so that nine in ten errors stay within what match expects
  infomark calibrate labelled/ --model encoder.onnx --template 001.png --landmarks points.csv --out calibration.json
  infomark match --calibration calibration.json --coverage 0.9 --abstain-above 4 --model encoder.onnx \\
    --template 001.png --landmarks points.csv new/ --out found

A data folder holds images/, landmarks.csv (image,landmark,x,y) and dataset.toml (name, spacing_mm = [x, y],
landmarks = [\"...\"]). Its images should be drawn as the new ones are, and must not be used for anything else: the
promise holds for images like them (split conformal prediction). 9 images are the fewest for a coverage of 0.9; from 20
on each landmark gets a bound of its own. The template's own image is left out.")]
pub(crate) struct Options {
    /// Data folder of labelled images
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Encoder, as `infomark train` writes it
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The annotated image
    #[arg(long, value_name = "IMAGE")]
    template: PathBuf,
    /// Its landmarks, as `infomark match` takes them
    #[arg(long, value_name = "FILE")]
    landmarks: PathBuf,
    #[command(flatten)]
    how: How,
    /// File for the result
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// What a calibration comes to.
#[derive(Serialize)]
struct Calibrated {
    out: String,
    images: usize,
    coverage: f64,
    /// None where the images are too few for this coverage.
    median_expected_error_mm: Option<f64>,
}

/// Share of errors that the report is about.
const COVERAGE: f64 = 0.9;

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    for given in [&options.landmarks, &options.template, &options.model] {
        if inputs::identity(&options.out) == inputs::identity(given) {
            bail!("--out {}: it would overwrite what the result is made from; name another file", shown(given));
        }
    }
    let encoder = Encoder::load(&options.model)?;
    let data = DataSet::open(&options.data)?;
    let image = spacing::read(&options.template, None)?;
    let name = file_name(&options.template);
    let subject = Subject {
        image: Some(&name),
        spacing: image.spacing().map(|spacing: &PixelSpacing| spacing.mm),
        ..Subject::default()
    };
    let table = read_landmarks_of(&options.landmarks, &subject)?;
    let template = Template::with_looks(
        &encoder,
        &image,
        table.on_image(&name, image.width(), image.height())?,
        options.how.looks(),
    )?;
    let places = places(&data, &template, options)?;
    let own = hash(&options.template)?;
    let progress = Progress::new(data.images.len() as u64, "calibrating");
    let one = |sample: &Sample| {
        let measured = measure(&encoder, &template, &data, &places, (sample, &own), options);
        progress.advance();
        measured
    };
    let measured: Vec<_> =
        inputs::pool(threads)?.install(|| data.images.par_iter().map(one).collect::<Result<_>>())?;
    progress.finish();
    let (mut images, mut errors) = (Vec::new(), Vec::new());
    for (sample, measured) in data.images.iter().zip(measured) {
        if let Some(measured) = measured {
            images.push(sample.name.clone());
            errors.extend(measured);
        }
    }
    if images.is_empty() {
        bail!("{}: no image is left but the template's own; add labelled images", shown(&options.data));
    }
    let count = images.len();
    let calibration = ErrorCalibration::new(
        (encoder.sha256(), &own),
        template.landmarks(),
        matching_text(&options.how),
        images,
        &errors,
    )?;
    output::write_json(&options.out, &calibration)?;
    let unit = (data.spacing.x * data.spacing.y).sqrt();
    let expected = calibration.bounds(COVERAGE).ok().map(|bounds| {
        let each = errors.iter().zip(bounds.iter().cycle());
        let expected = each.map(|((_, confidence), bound)| unit * bound.expected(confidence)).collect();
        rounded(crate::evaluate::median(expected), 3)
    });
    report.text(&match expected {
        Some(mm) => format!(
            "calibrated on {count} images: half of the points are expected to be within {mm:.2} mm, {:.0} % of the time; {}",
            100.0 * COVERAGE,
            shown(&options.out)
        ),
        None => format!(
            "calibrated on {count} images, too few for a coverage of {COVERAGE}; {}",
            shown(&options.out)
        ),
    })?;
    report.json(&Calibrated {
        out: shown(&options.out),
        images: count,
        coverage: COVERAGE,
        median_expected_error_mm: expected,
    })
}

/// Where each landmark of the template is among those of the data.
fn places(data: &DataSet, template: &Template, options: &Options) -> Result<Vec<usize>> {
    let place = |name: &String| match data.landmarks.iter().position(|other| other == name) {
        Some(place) => Ok(place),
        None => bail!(
            "{}: landmark {name} of the template is missing here; label it, or leave it out of {}",
            shown(&options.data.join("dataset.toml")),
            shown(&options.landmarks)
        ),
    };
    template.landmarks().iter().map(place).collect()
}

/// Errors in pixels and their confidences; nothing for the template's own image.
fn measure(
    encoder: &Encoder,
    template: &Template,
    data: &DataSet,
    places: &[usize],
    (sample, own): (&Sample, &str),
    options: &Options,
) -> Result<Option<Vec<(f64, Confidence)>>> {
    if hash(&sample.path)? == own {
        return Ok(None);
    }
    let found = match_image(encoder, template, &read_image(&sample.path)?, options.how.options())?;
    let unit = (data.spacing.x * data.spacing.y).sqrt();
    let error = |(found, &place): (&infomark_infer::Found, &usize)| {
        let truth = sample.landmarks[place];
        (radial_error_mm(found.at, truth, data.spacing) / unit, found.confidence)
    };
    Ok(Some(found.iter().zip(places).map(error).collect()))
}
