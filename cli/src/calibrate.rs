//! `infomark calibrate`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use infomark_core::radial_error_mm;
use infomark_eval::median;
use infomark_infer::{Confidence, DataSet, ErrorCalibration, Found, Matcher, Sample, read_image, rounded};
use infomark_results::TemplateRecord;
use rayon::prelude::*;
use serde::Serialize;

use crate::inputs::{self, hash};
use crate::matching::How;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};
use crate::progress::Progress;
use crate::templates::Given;

/// Calibrate error bounds for `match` on labelled images.
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
    /// Data folder of the labelled images
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    how: How,
    /// Calibration file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// Result of a calibration.
#[derive(Serialize)]
struct Calibrated {
    out: String,
    images: usize,
    coverage: f64,
    /// `None` with too few images for this coverage.
    median_error_bound_mm: Option<f64>,
}

/// Errors in pixels and their confidences, per landmark; `None` where the image has no point.
type Errors = Vec<Option<(f64, Confidence)>>;

/// Coverage in the report.
const COVERAGE: f64 = 0.9;

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    for given in options.given.files().chain([options.model.clone()]) {
        if output::identity(&options.out) == output::identity(&given) {
            bail!(
                "--out {}: it would overwrite what the result is made from; name another file",
                shown(&given)
            );
        }
    }
    let encoder = options.runtime.encoder(&options.model)?;
    let data = inputs::data_folder(&options.data)?;
    let pool = inputs::pool(threads)?;
    let (templates, sources) =
        pool.install(|| options.given.read(&encoder, None, infomark_models::named(&options.model)))?;
    let matcher = Matcher::new(encoder, templates)?.options(options.how.options())?;
    let places = places(&data, &matcher, options)?;
    let progress = Progress::new(data.images.len() as u64, "calibrating");
    let one = |sample: &Sample| {
        let measured = measure(&matcher, &sources, &data, &places, sample);
        progress.advance();
        measured
    };
    let measured: Vec<_> = pool.install(|| data.images.par_iter().map(one).collect::<Result<_>>())?;
    progress.finish();
    let (mut images, mut errors): (Vec<String>, Errors) = Default::default();
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
    let calibration = ErrorCalibration::new(matcher.calibration_key(), images, &errors)?;
    output::write_json(&options.out, &calibration)?;
    let unit = (data.spacing.x * data.spacing.y).sqrt();
    let median_bound_mm = calibration.bounds(COVERAGE).ok().map(|bounds| {
        let each = errors.iter().zip(bounds.iter().cycle());
        let known = each.filter_map(|(error, bound)| Some((error.as_ref()?, bound)));
        let bounds_mm = known.map(|((_, confidence), bound)| unit * bound.of(confidence)).collect();
        rounded(median(bounds_mm), 3)
    });
    report.text(&match median_bound_mm {
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
        median_error_bound_mm: median_bound_mm,
    })
}

/// Index of each of the templates' landmarks among those of the data; each has to have a point in some image.
fn places(data: &DataSet, matcher: &Matcher, options: &Options) -> Result<Vec<usize>> {
    let has =
        |place: usize| data.images.iter().any(|sample| matches!(sample.landmarks.get(place), Some(Some(_))));
    let place = |name: &str| match data.landmarks.iter().position(|other| other == name) {
        Some(place) if has(place) => Ok(place),
        Some(_) => bail!(
            "{}: landmark {name} of the template has no point in any image; label it, or leave it out of the template",
            shown(&options.data)
        ),
        None => bail!(
            "{}: landmark {name} of the template is missing here; label it, or leave it out of the template",
            shown(&options.data.join("dataset.toml"))
        ),
    };
    matcher.landmarks().into_iter().map(place).collect()
}

/// The errors of an image; `None` if it is the image of a template.
fn measure(
    matcher: &Matcher,
    sources: &[TemplateRecord],
    data: &DataSet,
    places: &[usize],
    sample: &Sample,
) -> Result<Option<Errors>> {
    let own = hash(&sample.path)?;
    // A template file identifies its image by name only.
    let is_own =
        |source: &TemplateRecord| source.sha256 == own || source.is_file() && source.image == sample.name;
    if sources.iter().any(is_own) {
        return Ok(None);
    }
    let found = matcher.find(&read_image(&sample.path)?)?;
    let unit = (data.spacing.x * data.spacing.y).sqrt();
    let error = |(found, &place): (&Found, &usize)| {
        let truth = (*sample.landmarks.get(place)?)?;
        Some((radial_error_mm(found.at, truth, data.spacing) / unit, found.confidence))
    };
    Ok(Some(found.iter().zip(places).map(error).collect()))
}
