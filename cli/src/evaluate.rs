//! `infomark evaluate`.

mod confidence;
mod network;
mod table;

pub(crate) use network::evaluate_network;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_infer::{DataSet, Encoder, Looks, MatchOptions};
use infomark_train::evaluate::{
    Evaluation as Scoring, Figures, Run, Summary, check_names, leave, random_sets,
};
use infomark_train::{AGAINST, Ranking};
use serde::Serialize;

use crate::inputs;
use crate::matching::{How, Matching};
use crate::models::{Model, RuntimeOptions};
use crate::output::{self, Report, rounded, shown};
use crate::progress::Progress;
use crate::refine::{Refine, RefinedWith};
use crate::select;
use confidence::Trusted;

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

A data folder holds images/, landmarks.csv (image,landmark,x,y) and dataset.toml (name, spacing_mm = [x, y],
landmarks = [\"...\"]). Errors are in mm by its spacing. A template is never scored on its own image.
With --templates N, N images together are the template: ten random sets one after the other, or the set that `infomark
select` chooses, which looks at no landmarks. With --refine radiographs/ unlabelled images have a say in the templates'
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
    /// Folder for evaluation.json, errors.csv and confidence.png and .svg
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

impl Options {
    /// So many random templates, with a folder for the results.
    pub(crate) fn of_random(
        model: &Path,
        (data, template_data): (&Path, &Path),
        (templates, seed): (usize, u64),
        radii: Vec<f64>,
        out: &Path,
    ) -> Self {
        Self {
            model: Some(model.to_owned()),
            runtime: RuntimeOptions::default(),
            landmark_model: None,
            data: data.to_owned(),
            template_data: (data != template_data).then(|| template_data.to_owned()),
            template: Vec::new(),
            random_templates: Some(templates),
            all_templates: false,
            templates: 1,
            choose: Choose::Random,
            radii,
            seed,
            calibrate: None,
            how: How::default(),
            refine: Refine::default(),
            out: Some(out.to_owned()),
        }
    }

    /// The encoder, which clap has asked for.
    fn encoder(&self) -> Result<&Path> {
        self.model.as_deref().context("--model: name an encoder")
    }
}

/// The result, its main figure first.
#[derive(Serialize)]
pub(crate) struct Evaluation {
    #[serde(flatten)]
    summary: Summary,
    intervals: &'static str,
    data: Data,
    template_data: String,
    model: Model,
    matching: Matching,
    /// None where templates are what their images show.
    #[serde(skip_serializing_if = "Option::is_none")]
    refined: Option<RefinedWith>,
    expected_errors: Trusted,
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

impl Evaluation {
    pub(crate) fn mre_mm(&self) -> f64 {
        self.summary.mre_mm
    }
}

const INTERVALS: &str = "95 % bootstrap over images (percentiles of 2000 resamples)";

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    if let Some(path) = &options.landmark_model {
        options.runtime.check_for_network()?;
        return network::run(options, path, threads, report);
    }
    let evaluation = evaluate_folder(options, threads)?;
    let text = table::text(&evaluation.summary, &evaluation.templates);
    report.text(&(text + &confidence::text(&evaluation.expected_errors)))?;
    report.json(&evaluation)
}

/// Scores an encoder and writes the files that were asked for.
pub(crate) fn evaluate_folder(options: &Options, threads: usize) -> Result<Evaluation> {
    check_radii(&options.radii)?;
    if let Some(out) = &options.out {
        output::make_folder(out)?;
    }
    let encoder = options.runtime.encoder(options.encoder()?)?;
    let data = inputs::data_folder(&options.data)?;
    let other = options.template_data.as_deref().map(inputs::data_folder).transpose()?;
    let template_data = other.as_ref().unwrap_or(&data);
    let template_folder = options.template_data.as_ref().unwrap_or(&options.data);
    check_names(&data, template_data)?;
    let at_once = options.templates;
    select::check_count("--templates", at_once, template_data.images.len(), &shown(template_folder))?;
    let pool = inputs::pool(threads)?;
    let chosen = match options.choose {
        Choose::Random => sets(options, template_data, template_folder)?,
        Choose::Select => {
            let images: Vec<PathBuf> =
                template_data.images.iter().map(|sample| sample.path.clone()).collect();
            let rank = || select::rank(&encoder, &images, AGAINST, options.seed);
            let ranking: Ranking = pool.install(rank)?;
            vec![ranking.choose(at_once)]
        }
    };
    let how = Search {
        matching: options.how.options(),
        looks: options.how.looks(),
        refine: Cow::Borrowed(&options.refine),
    };
    let (runs, refined) = pool.install(|| score_all(&encoder, &data, template_data, &chosen, &how))?;
    if runs.iter().all(|run| run.images.is_empty()) {
        bail!(
            "{}: no image is left to score, as a template is not scored on itself; add images or give --template-data",
            shown(&options.data)
        );
    }
    let calibrating = match options.calibrate {
        None => None,
        Some(count) => {
            let left = leave(template_data, &data, &chosen.concat(), count, options.seed)
                .with_context(|| format!("--calibrate {count}"))?;
            Some(pool.install(|| score_all(&encoder, &left, template_data, &chosen, &how))?.0)
        }
    };
    let unit = |data: &DataSet| (data.spacing.x * data.spacing.y).sqrt();
    let calibrating = calibrating.as_deref().map(|runs| (runs, unit(template_data)));
    let expected = confidence::compare(&runs, calibrating, &data.landmarks, unit(&data))?;
    let evaluation = evaluate(options, &encoder, &data, template_folder, &runs, (expected, refined))?;
    if let Some(out) = &options.out {
        write(out, &evaluation, &data, &runs)?;
    }
    Ok(evaluation)
}

fn evaluate(
    options: &Options,
    encoder: &Encoder,
    data: &DataSet,
    template_folder: &Path,
    runs: &[Run],
    (expected_errors, refined): (Trusted, Option<RefinedWith>),
) -> Result<Evaluation> {
    let (names, radii) = (&data.landmarks, &options.radii);
    let scored = runs.iter().filter(|run| !run.images.is_empty());
    let figures = scored.map(|run| Ok((Figures::of(run, names, radii, options.seed)?, run)));
    let figures = figures.collect::<Result<Vec<_>>>()?;
    Ok(Evaluation {
        summary: Summary::of(&figures, names, radii, options.seed).rounded(),
        intervals: INTERVALS,
        data: Data::of(data, &options.data),
        template_data: shown(template_folder),
        model: Model::of(encoder, options.encoder()?),
        matching: options.how.matching(),
        refined,
        expected_errors,
        version: env!("CARGO_PKG_VERSION"),
        seed: options.seed,
        chosen_by: match options.choose {
            Choose::Select => "select",
            Choose::Random if !options.template.is_empty() => "name",
            Choose::Random if options.all_templates => "all",
            Choose::Random => "random",
        },
        templates: figures.into_iter().map(|(figures, _)| figures.rounded()).collect(),
    })
}

/// Places of the templates in their data folder, set by set, that were asked for by name or number.
fn sets(options: &Options, data: &DataSet, folder: &Path) -> Result<Vec<Vec<usize>>> {
    let all = data.images.len();
    if !options.template.is_empty() {
        return Ok(vec![
            options.template.iter().map(|name| named(data, folder, name)).collect::<Result<_>>()?,
        ]);
    }
    if options.all_templates {
        return Ok((0..all).map(|index| vec![index]).collect());
    }
    match options.random_templates {
        Some(0) => bail!("--random-templates 0: at least one template is needed"),
        Some(count) if count > all && options.templates == 1 => bail!(
            "--random-templates {count}: {} holds {all} images; ask for as many or use --all-templates",
            shown(folder)
        ),
        count => Ok(random_sets(count.unwrap_or(10), options.templates, all, options.seed)),
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

pub(crate) fn check_radii(radii: &[f64]) -> Result<()> {
    match radii.iter().find(|radius| !(radius.is_finite() && **radius > 0.0)) {
        Some(radius) => bail!("--radii {radius}: a radius has to be a number of mm above 0"),
        None => Ok(()),
    }
}

/// How templates are made and looked for.
#[derive(Default)]
pub(crate) struct Search<'a> {
    matching: MatchOptions,
    looks: Looks,
    refine: Cow<'a, Refine>,
}

/// Scores every image with every set of templates, with a bar; with what the templates were refined, if they were.
pub(crate) fn score_all(
    encoder: &Encoder,
    data: &DataSet,
    template_data: &DataSet,
    sets: &[Vec<usize>],
    search: &Search<'_>,
) -> Result<(Vec<Run>, Option<RefinedWith>)> {
    let templates: BTreeSet<usize> = sets.iter().flatten().copied().collect();
    let progress = Progress::new((templates.len() + data.images.len()) as u64, "scoring");
    let advance = || {
        progress.advance();
        Ok(())
    };
    let (matching, looks) = (search.matching, search.looks);
    let ready = Scoring { encoder, data, template_data, matching, looks }.prepare(sets, &advance)?;
    let (refined, with) = search.refine.apply(encoder, ready.templates())?;
    let runs = ready.with(refined).score(&advance)?;
    progress.finish();
    Ok((runs, with))
}

fn write(out: &Path, evaluation: &Evaluation, data: &DataSet, runs: &[Run]) -> Result<()> {
    output::make_folder(out)?;
    output::write_json(&out.join("evaluation.json"), evaluation)?;
    let note =
        format!("infomark {}, {}, {}", evaluation.version, evaluation.data.name, evaluation.summary.summary);
    confidence::draw(out, &evaluation.expected_errors, &note)?;
    let length = |px: Option<f64>| px.map(|px| rounded(px, 3).to_string()).unwrap_or_default();
    let rows = runs.iter().flat_map(|run| {
        run.images.iter().flat_map(move |scored| {
            let named = data.landmarks.iter().zip(&scored.scores);
            named.map(move |(landmark, score)| {
                [
                    run.name(),
                    data.images[scored.image].name.clone(),
                    landmark.clone(),
                    rounded(score.found.x, 3).to_string(),
                    rounded(score.found.y, 3).to_string(),
                    score.truth.x.to_string(),
                    score.truth.y.to_string(),
                    rounded(score.error_mm, 4).to_string(),
                    rounded(score.score, 4).to_string(),
                    rounded(score.confidence.margin, 4).to_string(),
                    length(score.confidence.back),
                    length(score.confidence.prior),
                    length(score.confidence.spread),
                ]
            })
        })
    });
    let head = [
        "template",
        "image",
        "landmark",
        "x",
        "y",
        "true_x",
        "true_y",
        "error_mm",
        "score",
        "margin",
        "back_px",
        "prior_px",
        "spread_px",
    ];

    let path = out.join("errors.csv");
    output::write_csv(&path, head, rows).with_context(|| format!("{}: can't write", shown(&path)))
}
