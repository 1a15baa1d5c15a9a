//! `infomark evaluate`.

mod annotator;
mod confidence;
pub(crate) mod errors;
mod network;
mod table;

pub(crate) use network::NetworkJob;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use infomark_eval::{
    Annotator, AnnotatorComparison, ErrorBounds, EvalError, Evaluation as Scoring, Figures, Measured,
    Protocol, Run, Summary, check_names, check_radii, random_sets,
};
use infomark_figures::error_bound_charts;
use infomark_infer::{DataSet, Encoder};
use infomark_train::{AGAINST, Ranking};
use serde::Serialize;

use crate::inputs;
use crate::matching::{How, Matching};
use crate::models::{Model, RuntimeOptions};
use crate::output::{self, Report, shown};
use crate::plot;
use crate::progress::Progress;
use crate::refine::{Refine, RefinedWith};
use crate::select;

/// Score an encoder: match templates to annotated images, and measure the errors.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark evaluate --model encoder.onnx --data ceph-dev --template-data ceph-train
  infomark evaluate --model encoder.onnx --data ceph-dev --template 014.png --template-data ceph-train --json
  infomark evaluate --model encoder.onnx --data ceph-dev --all-templates --radii 2,4 --out scores
  infomark evaluate --landmark-model landmarks.onnx --data ceph-dev
  infomark evaluate --model encoder.onnx --data ceph-dev --template-data ceph-train --templates 3 --choose select
  infomark evaluate --landmark-model landmarks.onnx --data ceph-dev --second-annotator ceph-dev/landmarks-junior.csv

A data folder holds images/, landmarks.csv (image,landmark,x,y) and dataset.toml (name, spacing_mm = [x, y],
landmarks = [\"...\"]). Errors are in mm by its spacing. A template is never scored on its own image.
With --templates N, N images together are the template: ten random sets one after the other, or the set that `infomark
select` chooses, which uses no landmarks. With --refine radiographs/ matches in unlabelled images are averaged into the templates'
features first."
)]
pub(crate) struct Options {
    /// Encoder, as `infomark train` writes it
    #[arg(long, value_name = "FILE", required_unless_present = "landmark_model")]
    model: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Score a landmark network instead, which needs no template: a file of `infomark train-landmarks` or `infomark
    /// self-train`
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["model", "template_data", "which", "templates", "no_prior", "no_neighbours", "sub_pixel", "refine"]
    )]
    landmark_model: Option<PathBuf>,
    /// Data folder to score on
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Data folder of the templates [default: the one to score on]
    #[arg(long, value_name = "DIR")]
    template_data: Option<PathBuf>,
    /// Use this image as the template; given more than once, all of them together
    #[arg(long, value_name = "NAME", group = "which")]
    template: Vec<String>,
    /// Use so many images, drawn at random, as templates one after the other; of several templates each, so many sets [default: 10]
    #[arg(long, value_name = "N", group = "which")]
    random_templates: Option<usize>,
    /// Use every image as the template, one after the other
    #[arg(long, group = "which")]
    all_templates: bool,
    /// Match so many templates together
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["template", "all_templates"])]
    templates: usize,
    /// How the templates are chosen
    #[arg(long, value_enum, default_value_t, group = "which")]
    choose: Choose,
    /// Radii of the successful detection rates, in mm
    #[arg(long, value_name = "MM,...", value_delimiter = ',', default_values_t = [2.0, 2.5, 3.0, 4.0])]
    radii: Vec<f64>,
    /// Seed of the random templates and of the confidence intervals
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Expect errors by so many images of --template-data that are no templates, drawn at random (split conformal
    /// prediction) [default: by self-consistency]
    #[arg(long, value_name = "N", requires = "template_data")]
    calibrate: Option<usize>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    refine: Refine,
    /// Landmark file of a second annotator of the images, or one for each image: agreement with the reference, beside that of the
    /// program, on the points that both have
    #[arg(long, value_name = "FILE", num_args = 1..)]
    second_annotator: Vec<PathBuf>,
    /// Folder for evaluation.json, errors.csv, confidence.png and .svg, and agreement.csv of a second annotator
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Who chooses the templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
enum Choose {
    /// Chance.
    #[default]
    Random,
    /// What `infomark select` says of the folder of the templates.
    Select,
}

/// The result, its main figure first.
#[derive(Serialize)]
pub(crate) struct Evaluation {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    intervals: &'static str,
    data: Data,
    template_data: String,
    model: Model,
    matching: Matching,
    /// None where templates are what their images show.
    #[serde(skip_serializing_if = "Option::is_none")]
    refined: Option<RefinedWith>,
    error_bounds: ErrorBounds,
    /// None without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_annotator: Option<AnnotatorComparison>,
    version: &'static str,
    seed: u64,
    /// How they were chosen.
    chosen_by: &'static str,
    templates: Vec<Figures>,
}

#[derive(Serialize)]
struct Data {
    name: String,
    folder: String,
    images: usize,
    landmarks: usize,
    spacing_mm: [f64; 2],
    spacing_from: String,
}

impl Data {
    fn of(data: &DataSet, folder: &Path) -> Self {
        Self {
            name: data.name.clone(),
            folder: shown(folder),
            images: data.images.len(),
            landmarks: data.landmarks.len(),
            spacing_mm: [data.spacing.x, data.spacing.y],
            spacing_from: shown(&folder.join("dataset.toml")),
        }
    }
}

const INTERVALS: &str = "95 % bootstrap over images (percentiles of 2000 resamples)";

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    // The message begins with the name of the option.
    check_radii(&options.radii).map_err(|error| anyhow!("--{error}"))?;
    let data = || inputs::data_folder(&options.data);
    let (radii, seed, out) = (options.radii.as_slice(), options.seed, options.out.as_deref());
    if let Some(model) = &options.landmark_model {
        options.runtime.check_for_network()?;
        let data = &data()?;
        let second = annotator::read(&options.second_annotator, data)?;
        let second_annotator = second.as_ref();
        let job = NetworkJob { model, data: (&options.data, data), radii, seed, second_annotator, out };
        return job.run(threads)?.report(report);
    }
    if let Some(out) = out {
        output::make_folder(out)?;
    }
    let model = options.model.as_deref().context("--model: name an encoder")?;
    let encoder = &options.runtime.encoder(model)?;
    let data = &data()?;
    // Before anything is scored.
    let second = annotator::read(&options.second_annotator, data)?;
    let other = options.template_data.as_deref().map(inputs::data_folder).transpose()?;
    let template_data = other.as_ref().unwrap_or(data);
    let template_folder = options.template_data.as_ref().unwrap_or(&options.data);
    check_names(data, template_data)?;
    let (sets, chosen_by) = options.sets(encoder, (template_folder, template_data), threads)?;
    let job = Job {
        encoder,
        model,
        data: (&options.data, data),
        template_data: (template_folder, template_data),
        sets,
        chosen_by,
        how: &options.how,
        refine: &options.refine,
        protocol: Protocol { radii_mm: radii, seed, calibrate: options.calibrate },
        second_annotator: second.as_ref(),
        out,
    };
    let (evaluation, _) = job.run(threads)?;
    let text = table::text(&evaluation.summary, &evaluation.templates);
    let second = evaluation.second_annotator.as_ref().map(annotator::text).unwrap_or_default();
    report.text(&(text + &confidence::text(&evaluation.error_bounds) + &second))?;
    report.json(&evaluation)
}

impl Options {
    /// Places of the templates in their data folder, set by set, and how they were chosen.
    fn sets(
        &self,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
        threads: usize,
    ) -> Result<(Vec<Vec<usize>>, &'static str)> {
        let all = data.images.len();
        select::check_count("--templates", self.templates, all, &shown(folder))?;
        if self.choose == Choose::Select {
            let images: Vec<PathBuf> = data.images.iter().map(|sample| sample.path.clone()).collect();
            let rank = || select::rank(encoder, &images, AGAINST, self.seed);
            let ranking: Ranking = inputs::pool(threads)?.install(rank)?;
            return Ok((vec![ranking.choose(self.templates)], "select"));
        }
        if !self.template.is_empty() {
            let named = self.template.iter().map(|name| named(data, folder, name));
            return Ok((vec![named.collect::<Result<_>>()?], "name"));
        }
        if self.all_templates {
            return Ok(((0..all).map(|index| vec![index]).collect(), "all"));
        }
        let sets = random_sets(self.random_templates, self.templates, all, self.seed);
        let asked =
            self.random_templates.map_or(String::new(), |count| format!("--random-templates {count}: "));
        Ok((sets.with_context(|| format!("{asked}{}", shown(folder)))?, "random"))
    }
}

fn named(data: &DataSet, folder: &Path, name: &str) -> Result<usize> {
    match data.images.iter().position(|sample| sample.name == name) {
        Some(index) => Ok(index),
        None => {
            let (all, first) = (data.images.len(), data.images.first());
            let first = first.map_or("none", |sample| sample.name.as_str());
            bail!(
                "--template {name}: no such image in {}; it holds {all} images, the first is {first}",
                shown(folder)
            );
        }
    }
}

/// An encoder to score, with the paths that its results name.
pub(crate) struct Job<'a> {
    pub(crate) encoder: &'a Encoder,
    pub(crate) model: &'a Path,
    pub(crate) data: (&'a Path, &'a DataSet),
    pub(crate) template_data: (&'a Path, &'a DataSet),
    pub(crate) sets: Vec<Vec<usize>>,
    pub(crate) chosen_by: &'static str,
    pub(crate) how: &'a How,
    pub(crate) refine: &'a Refine,
    pub(crate) protocol: Protocol<'a>,
    /// A second annotator of the images, if there is one.
    pub(crate) second_annotator: Option<&'a Annotator>,
    /// Folder for evaluation.json, errors.csv and the plots.
    pub(crate) out: Option<&'a Path>,
}

impl Job<'_> {
    /// Scores the encoder, with a bar, and writes the files that were asked for.
    pub(crate) fn run(&self, threads: usize) -> Result<(Evaluation, Vec<Run>)> {
        let ((folder, data), (template_folder, template_data)) = (self.data, self.template_data);
        let (encoder, matching) = (self.encoder, self.how.options());
        let scoring = Scoring { encoder, data, template_data, matching };
        let templates: BTreeSet<&usize> = self.sets.iter().flatten().collect();
        let images = data.images.len().saturating_add(self.protocol.calibrate.unwrap_or(0));
        let pool = inputs::pool(threads)?;
        let (measured, refined) = with_bar(images.saturating_add(templates.len()), |advance| {
            pool.install(|| {
                let ready = scoring.prepare(&self.sets, advance)?;
                let (templates, refined) = self.refine.apply(encoder, ready.templates())?;
                Ok((ready.with(templates).measure(&self.protocol, advance)?, refined))
            })
        })?;
        let Measured { runs, figures, summary, error_bounds } = measured;
        let second_annotator =
            annotator::compare(self.second_annotator, data, &runs, self.protocol.radii_mm)?;
        let evaluation = Evaluation {
            summary: summary.rounded(),
            intervals: INTERVALS,
            data: Data::of(data, folder),
            template_data: shown(template_folder),
            model: Model::of(encoder, self.model),
            matching: self.how.matching(),
            refined,
            error_bounds,
            second_annotator,
            version: env!("CARGO_PKG_VERSION"),
            seed: self.protocol.seed,
            chosen_by: self.chosen_by,
            templates: figures.into_iter().map(Figures::rounded).collect(),
        };
        if let Some(out) = self.out {
            output::make_folder(out)?;
            output::write_json(&out.join("evaluation.json"), &evaluation)?;
            let (version, summary) = (evaluation.version, &evaluation.summary.summary);
            let note = format!("infomark {version}, {}, {summary}", data.name);
            plot::write(&out.join("confidence"), &error_bound_charts(&evaluation.error_bounds), &note)?;
            errors::write(out, data, &runs)?;
            if let Some(second) = &evaluation.second_annotator {
                annotator::write(out, second)?;
            }
        }
        Ok((evaluation, runs))
    }
}

/// Scores with a bar over so many pieces of work, each of which calls `advance`.
pub(crate) fn with_bar<T>(
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
