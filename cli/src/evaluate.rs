//! `infomark evaluate`.

mod annotator;
pub(crate) mod confidence;
mod table;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail};
use infomark_eval::{Protocol, check_names, check_radii, random_sets};
use infomark_infer::{DataSet, Encoder};
use infomark_results::{EncoderJob, NetworkJob, ResultsError, ScoredNetwork, ScoringStep};
use infomark_train::{AGAINST, Ranking};

use crate::inputs;
use crate::matching::How;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};
use crate::progress::{Progress, lock};
use crate::refine::{Refine, RefineBar};
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
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE", required_unless_present = "landmark_model")]
    model: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Score a landmark network instead, without templates: a file of `infomark train-landmarks` or `infomark
    /// self-train`
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["model", "template_data", "which", "templates", "no_prior", "no_neighbours", "sub_pixel", "refine"]
    )]
    landmark_model: Option<PathBuf>,
    /// Data folder to score
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Data folder of the templates [default: the one to score]
    #[arg(long, value_name = "DIR")]
    template_data: Option<PathBuf>,
    /// Use this image as the template; several are matched together
    #[arg(long, value_name = "NAME", group = "which")]
    template: Vec<String>,
    /// Use N random images as templates, one at a time; with --templates, N sets [default: 10]
    #[arg(long, value_name = "N", group = "which")]
    random_templates: Option<usize>,
    /// Use every image as the template, one at a time
    #[arg(long, group = "which")]
    all_templates: bool,
    /// Match N templates together
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["template", "all_templates"])]
    templates: usize,
    /// Choice of the templates
    #[arg(long, value_enum, default_value_t, group = "which")]
    choose: Choose,
    /// Radii of the success detection rates, in mm
    #[arg(long, value_name = "MM,...", value_delimiter = ',', default_values_t = [2.0, 2.5, 3.0, 4.0])]
    radii: Vec<f64>,
    /// Seed of the random templates and of the bootstrap
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Calibrate error bounds on N random images of --template-data that are not templates (split conformal
    /// prediction), and measure their coverage [default: no bounds]
    #[arg(long, value_name = "N", requires = "template_data")]
    calibrate: Option<usize>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    refine: Refine,
    /// Landmark file of a second annotator of the images, or one per image: agreement with the reference, for the annotator and
    /// the program, on the points that both have
    #[arg(long, value_name = "FILE", num_args = 1..)]
    second_annotator: Vec<PathBuf>,
    /// Output folder: evaluation.json, errors.csv, confidence.png and .svg, and agreement.csv for a second annotator
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Selection of the templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
enum Choose {
    /// At random.
    #[default]
    Random,
    /// By `infomark select` on the folder of the templates.
    Select,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    // The message begins with the name of the option.
    check_radii(&options.radii).map_err(|error| anyhow!("--{error}"))?;
    let data = || inputs::data_folder(&options.data);
    let (radii, seed, out) = (options.radii.as_slice(), options.seed, options.out.as_deref());
    if let Some(model) = &options.landmark_model {
        options.runtime.check_for_network()?;
        let data = &data()?;
        let second = annotator::read(&options.second_annotator, data)?;
        let job = NetworkJob {
            net: &infomark_models::load_landmark_net(model)?,
            model,
            data: (&options.data, data),
            radii_mm: radii,
            seed,
            second_annotator: second.as_ref(),
        };
        let scored = with_bars(|told| job.run(threads, told))?;
        let ScoredNetwork { evaluation, figures, .. } = &scored;
        if let Some(out) = out {
            scored.write(out, data)?;
            annotator::write(out, evaluation.second_annotator.as_ref())?;
        }
        let second = evaluation.second_annotator.as_ref().map(annotator::text).unwrap_or_default();
        report.text(&(table::text(&evaluation.summary, figures) + &second))?;
        return report.json(evaluation);
    }
    if let Some(out) = out {
        output::make_folder(out)?;
    }
    let model = options.model.as_deref().context("--model: name an encoder")?;
    let encoder = &options.runtime.encoder(model)?;
    let data = &data()?;
    // Before any scoring.
    let second = annotator::read(&options.second_annotator, data)?;
    let other = options.template_data.as_deref().map(inputs::data_folder).transpose()?;
    let template_data = other.as_ref().unwrap_or(data);
    let template_folder = options.template_data.as_ref().unwrap_or(&options.data);
    check_names(data, template_data)?;
    let (sets, chosen_by) = options.sets(encoder, (template_folder, template_data), threads)?;
    let refinement = options.refine.images()?;
    let job = EncoderJob {
        encoder,
        model,
        data: (&options.data, data),
        template_data: (template_folder, template_data),
        sets: &sets,
        chosen_by,
        matching: options.how.options(),
        refinement: refinement.as_ref(),
        protocol: Protocol { radii_mm: radii, seed, calibrate: options.calibrate },
        second_annotator: second.as_ref(),
    };
    let scored = with_bars(|told| job.run(threads, told)).map_err(|error| options.refine.refusal(error))?;
    let evaluation = &scored.evaluation;
    if let Some(out) = out {
        scored.write(out, data)?;
        confidence::draw(out, evaluation)?;
        annotator::write(out, evaluation.second_annotator.as_ref())?;
    }
    let text = table::text(&evaluation.summary, &evaluation.templates);
    let second = evaluation.second_annotator.as_ref().map(annotator::text).unwrap_or_default();
    let confidence = confidence::text(&evaluation.uncertainty, evaluation.error_bounds.as_ref());
    report.text(&(text + &confidence + &second))?;
    report.json(evaluation)
}

impl Options {
    /// Indices of the templates in their data folder, by set, and how they were selected.
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

/// Scores with progress bars.
fn with_bars<T>(
    score: impl FnOnce(&(dyn Fn(ScoringStep) -> ControlFlow<()> + Sync)) -> Result<T, ResultsError>,
) -> Result<T, ResultsError> {
    let bars = Mutex::new(ScoringBars::default());
    let told = |step| {
        lock(&bars).show(step);
        ControlFlow::Continue(())
    };
    let scored = score(&told);
    lock(&bars).finish();
    scored
}

/// Progress bars of scoring.
#[derive(Default)]
pub(crate) struct ScoringBars {
    scoring: Option<Progress>,
    refining: RefineBar,
}

impl ScoringBars {
    /// Shows a step.
    pub(crate) fn show(&mut self, step: ScoringStep) {
        match step {
            ScoringStep::Scored { done, total } => {
                self.scoring.get_or_insert_with(|| Progress::new(0, "scoring")).at(done, total);
            }
            ScoringStep::Refining(step) => self.refining.show(step),
            _ => {}
        }
    }

    /// Removes the bars.
    pub(crate) fn finish(&mut self) {
        self.scoring.take().into_iter().for_each(Progress::finish);
        self.refining.finish();
    }
}
