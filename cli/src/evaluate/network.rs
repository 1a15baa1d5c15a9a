//! Scores of a landmark network, which needs no template.

use std::path::Path;

use anyhow::{Result, bail};
use infomark_infer::{DataSet, LandmarkNet, Sample, read_image};
use rayon::prelude::*;
use serde::Serialize;

use super::figures::{Figures, Summary};
use super::{Data, INTERVALS, Options, Run, ScoredImage, check_radii, score, table, write_errors};
use crate::inputs;
use crate::matching::NetworkModel;
use crate::output::{self, Report, file_name, shown};
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
    let data = DataSet::open(&options.data)?;
    let order = places(&net, &data, options)?;
    let progress = Progress::new(data.images.len() as u64, "scoring");
    let one = |(image, sample): (usize, &Sample)| -> Result<ScoredImage> {
        let found = net.find(&read_image(&sample.path)?)?;
        let mut placed = Vec::with_capacity(order.len());
        for &place in &order {
            placed.extend(found.get(place).cloned());
        }
        progress.advance();
        Ok(ScoredImage { image, scores: score(&data, sample, &placed) })
    };
    let images = inputs::pool(threads)?
        .install(|| data.images.par_iter().enumerate().map(one).collect::<Result<Vec<_>>>())?;
    progress.finish();
    let runs = [Run { templates: vec![file_name(path)], images }];
    let figures = Figures::of(&runs[0], &data.landmarks, &options.radii, options.seed)?;
    let mut summary =
        Summary::of(std::slice::from_ref(&figures), &runs, &data.landmarks, &options.radii, options.seed);
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
        write_errors(out, &data, &runs)?;
    }
    Ok((evaluation, figures))
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
