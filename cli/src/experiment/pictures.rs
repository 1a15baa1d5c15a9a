//! Plots: errors, loss and detection rates of the arms.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_figures::{Chart, Colour, Dot, FAINT, Series, Style, line_colour};

use super::arm::Kind;
use super::bench::{Bench, Place};
use super::table::parts;
use super::work::Finished;
use super::{Compared, Row};
use crate::plot;
use crate::train::{read_log, smooth};

/// Steps that losses are averaged over.
const SMOOTH: usize = 25;

/// Writes the plots and gives their paths.
pub(super) fn write(
    out: &Path,
    bench: &Bench<'_>,
    figures: &[Compared],
    finished: &[(Place, Finished)],
    note: &str,
) -> Result<Vec<PathBuf>> {
    let each = |chart: &dyn Fn(&[Compared]) -> Chart| parts(figures).map(chart).collect::<Vec<_>>();
    let mut files = Vec::new();
    if figures.is_empty() {
        return Ok(files);
    }
    files.extend(plot::write(&out.join("mre"), &each(&|own| errors(bench, own)), note)?);
    files.extend(plot::write(&out.join("sdr"), &each(&|own| rates(bench, own)), note)?);
    let mut charts = Vec::new();
    for data in 0..bench.experiment.data.len() {
        charts.extend(losses(bench, finished, data)?);
    }
    if !charts.is_empty() {
        files.extend(plot::write(&out.join("loss"), &charts, note)?);
    }
    Ok(files)
}

/// Colour of a row: of an annotator, that of what stays in the background.
fn colour_of(one: &Compared) -> Colour {
    match one.row {
        Row::Arm(arm) => line_colour(arm),
        Row::Annotator(_) => FAINT,
    }
}

/// Errors of the rows of a part.
fn errors(bench: &Bench<'_>, figures: &[Compared]) -> Chart {
    let mut series = Vec::new();
    let mut rows = Vec::new();
    for compared in figures {
        let one = &compared.figures;
        let y = rows.len() as f64;
        let seeds = one.mre_mm_of_seeds.iter().map(|&x| Dot { x, y: y + 0.22, interval: None });
        if one.seeds.len() > 1 {
            series.push(Series {
                name: String::new(),
                colour: FAINT,
                style: Style::Dots,
                points: seeds.collect(),
            });
        }
        let point = Dot { x: one.mre_mm, y, interval: Some(one.mre_mm_interval) };
        series.push(Series {
            name: String::new(),
            colour: colour_of(compared),
            style: Style::Dots,
            points: vec![point],
        });
        rows.push(bench.row_name(compared).to_owned());
    }
    let several = figures.iter().any(|one| one.figures.seeds.len() > 1);
    Chart {
        title: format!("Mean radial error, {}", title(bench, figures)),
        x_label: format!(
            "MRE in mm, with 95 % intervals over images{}",
            if several { "; grey: each seed" } else { "" }
        ),
        height: 110 + 44 * rows.len() as u32,
        series,
        rows,
        ..Chart::default()
    }
}

/// Cumulative distribution of the errors of the rows of a part, annotators behind the arms.
fn rates(bench: &Bench<'_>, figures: &[Compared]) -> Chart {
    let series = |one: &Compared| {
        let points = one.figures.curve.iter().map(|(radius, share)| (*radius, 100.0 * share));
        let line = Series::line(bench.row_name(one), 0, points);
        let style = if matches!(one.row, Row::Annotator(_)) { Style::Line(4) } else { line.style };
        Series { colour: colour_of(one), style, ..line }
    };
    let (arms, annotators): (Vec<&Compared>, Vec<&Compared>) =
        figures.iter().partition(|one| matches!(one.row, Row::Arm(_)));
    let ends = figures.iter().filter_map(|one| one.figures.curve.last());
    let largest = ends.map(|end| end.0).fold(0.0, f64::max);
    let limit = if annotators.is_empty() { "" } else { "; grey: annotators, the limit" };
    Chart {
        title: format!("Cumulative error, {}", title(bench, figures)),
        x_label: format!("radius in mm{limit}"),
        y_label: "landmarks closer than it, in %".into(),
        series: annotators.into_iter().chain(arms).map(series).collect(),
        x_range: Some([0.0, largest]),
        y_range: Some([0.0, 100.0]),
        height: 420,
        ..Chart::default()
    }
}

fn title(bench: &Bench<'_>, figures: &[Compared]) -> String {
    figures.first().map(|one| bench.part_name(one)).unwrap_or_default()
}

/// Losses of the trainings that have one log; none where there are no such.
fn losses(bench: &Bench<'_>, finished: &[(Place, Finished)], data: usize) -> Result<Option<Chart>> {
    let mut series: Vec<Series> = Vec::new();
    for (place, _) in finished.iter().filter(|(place, _)| place.data == data) {
        if let Kind::Match(_) | Kind::SelfTrain(_) = bench.experiment.arm[place.arm].kind() {
            continue;
        }
        let log = read_log(&bench.run_folder(place))?;
        let name = &bench.experiment.arm[place.arm].name;
        // Seeds of an arm share its entry of the legend.
        let shown = series.iter().any(|other| other.name == *name);
        let points = smooth(&log, SMOOTH, |row| row.loss);
        series.push(Series::line(if shown { "" } else { name }, place.arm, points));
    }
    Ok((!series.is_empty()).then(|| Chart {
        title: format!("Loss, {}", bench.experiment.data[data].name),
        x_label: "step".into(),
        x_whole: true,
        y_label: format!("nats, running mean of up to {SMOOTH} steps"),
        series,
        height: 420,
        ..Chart::default()
    }))
}
