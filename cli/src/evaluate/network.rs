//! Scores of a landmark network, which needs no template.

use std::path::Path;

use anyhow::{Context, Result, bail};
use infomark_core::radial_error_mm;
use infomark_infer::{Confidence, DataSet, LandmarkNet, Located, Sample, read_image};
use infomark_train::evaluate::{Figures, Run, Score, ScoredImage, Summary};
use rayon::prelude::*;
use serde::Serialize;

use super::{Data, INTERVALS, Options, check_radii, table};
use crate::inputs;
use crate::models::NetworkModel;
use crate::output::{self, Report, file_name, rounded, shown};
use crate::progress::Progress;

/// The result, its main figure first.
#[derive(Serialize)]
struct Evaluation {
    #[serde(flatten)]
    summary: Summary,
    intervals: &'static str,
    data: Data,
    landmark_model: NetworkModel,
    version: &'static str,
    seed: u64,
}

pub(super) fn run(options: &Options, path: &Path, threads: usize, report: &Report) -> Result<()> {
    let (evaluation, figures) = evaluate(options, path, threads)?;
    report.text(&table::text(&evaluation.summary, &[figures]))?;
    report.json(&evaluation)
}

/// Scores a network, writes the files that were asked for, and gives the mean radial error in mm.
pub(crate) fn evaluate_network(options: &Options, path: &Path, threads: usize) -> Result<f64> {
    Ok(evaluate(options, path, threads)?.0.summary.mre_mm)
}

/// Scores a network on every image.
fn evaluate(options: &Options, path: &Path, threads: usize) -> Result<(Evaluation, Figures)> {
    check_radii(&options.radii)?;
    let net = LandmarkNet::load(path)?;
    let data = inputs::data_folder(&options.data)?;
    let order = places(&net, &data, options)?;
    let progress = Progress::new(data.images.len() as u64, "scoring");
    let one = |(image, sample): (usize, &Sample)| -> Result<ScoredImage> {
        let found = net.find(&read_image(&sample.path)?)?;
        let mut scores = Vec::with_capacity(order.len());
        for (&place, &truth) in order.iter().zip(&sample.landmarks) {
            scores.extend(found.get(place).map(|Located { at, probability, .. }| Score {
                found: *at,
                truth,
                score: *probability,
                error_mm: radial_error_mm(*at, truth, data.spacing),
                confidence: UNKNOWN,
            }));
        }
        progress.advance();
        Ok(ScoredImage { image, scores })
    };
    let images = inputs::pool(threads)?
        .install(|| data.images.par_iter().enumerate().map(one).collect::<Result<Vec<_>>>())?;
    progress.finish();
    let run = Run { templates: vec![file_name(path)], images };
    let figures = Figures::of(&run, &data.landmarks, &options.radii, options.seed)?;
    let figures = [(figures, &run)];
    let mut summary = Summary::of(&figures, &data.landmarks, &options.radii, options.seed).rounded();
    let [(figures, _)] = figures;
    summary.summary = format!("landmark network {}", file_name(path));
    let evaluation = Evaluation {
        summary,
        intervals: INTERVALS,
        data: Data::of(&data, &options.data),
        landmark_model: NetworkModel::of(&net, path),
        version: env!("CARGO_PKG_VERSION"),
        seed: options.seed,
    };
    if let Some(out) = &options.out {
        output::make_folder(out)?;
        output::write_json(&out.join("evaluation.json"), &evaluation)?;
        write_errors(out, &data, &run)?;
    }
    Ok((evaluation, figures.rounded()))
}

/// Where the data's landmarks are among the network's.
fn places(net: &LandmarkNet, data: &DataSet, options: &Options) -> Result<Vec<usize>> {
    let known = &net.description().landmarks;
    let place = |name: &String| match known.iter().position(|landmark| landmark == name) {
        Some(place) => Ok(place),
        None => bail!(
            "{}: landmark {name} is not one that {} finds; it finds {}",
            shown(&options.data.join("dataset.toml")),
            net.name(),
            known.join(", ")
        ),
    };
    data.landmarks.iter().map(place).collect()
}

/// Networks tell no more of a place than its probability.
const UNKNOWN: Confidence = Confidence { margin: 0.0, back: None, prior: None, spread: None, scale: 1.0 };

fn write_errors(out: &Path, data: &DataSet, run: &Run) -> Result<()> {
    let rows = run.images.iter().flat_map(|scored| {
        let named = data.landmarks.iter().zip(&scored.scores);
        named.map(|(landmark, score)| {
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
            ]
        })
    });
    let head = ["template", "image", "landmark", "x", "y", "true_x", "true_y", "error_mm", "probability"];
    let path = out.join("errors.csv");
    output::write_csv(&path, head, rows).with_context(|| format!("{}: can't write", shown(&path)))
}
