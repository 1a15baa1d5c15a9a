//! Plots of errors, losses and success detection rates of the arms.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_experiment::{Bench, Compared, Finished, LoopOutcome, Row};
use infomark_figures::{Chart, Colour, Dot, FAINT, Series, Style, line_colour};

use crate::plot;
use crate::train::{read_log, smooth};

/// Number of steps over which losses are averaged.
const SMOOTH: usize = 25;

/// Writes the plots; returns their paths.
pub(super) fn write(
    out: &Path,
    bench: &Bench<'_>,
    figures: &[Compared],
    finished: &[Finished<'_>],
    note: &str,
) -> Result<Vec<PathBuf>> {
    let each =
        |chart: &dyn Fn(&[Compared]) -> Chart| Compared::by_part(figures).map(chart).collect::<Vec<_>>();
    let mut files = Vec::new();
    if figures.is_empty() {
        return Ok(files);
    }
    files.extend(plot::write(&out.join("mre"), &each(&errors), note)?);
    files.extend(plot::write(&out.join("sdr"), &each(&rates), note)?);
    let mut charts = Vec::new();
    for (index, name) in bench.data_names().enumerate() {
        charts.extend(losses(bench, finished, (index, name))?);
    }
    if !charts.is_empty() {
        files.extend(plot::write(&out.join("loss"), &charts, note)?);
    }
    Ok(files)
}

/// Colour of a row; annotators are in the background.
fn colour_of(one: &Compared) -> Colour {
    match one.row {
        Row::Arm(arm) => line_colour(arm),
        Row::Annotator(_) => FAINT,
    }
}

/// Errors of the rows of a part.
fn errors(figures: &[Compared]) -> Chart {
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
        rows.push(compared.name.clone());
    }
    let several = figures.iter().any(|one| one.figures.seeds.len() > 1);
    Chart {
        title: format!("Mean radial error, {}", title(figures)),
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

/// Cumulative error distribution of the rows of a part, annotators in the background.
fn rates(figures: &[Compared]) -> Chart {
    let series = |one: &Compared| {
        let points = one.figures.curve.iter().map(|(radius, share)| (*radius, 100.0 * share));
        let line = Series::line(&one.name, 0, points);
        let style = if matches!(one.row, Row::Annotator(_)) { Style::Line(4) } else { line.style };
        Series { colour: colour_of(one), style, ..line }
    };
    let (arms, annotators): (Vec<&Compared>, Vec<&Compared>) =
        figures.iter().partition(|one| matches!(one.row, Row::Arm(_)));
    let ends = figures.iter().filter_map(|one| one.figures.curve.last());
    let largest = ends.map(|end| end.0).fold(0.0, f64::max);
    let limit = if annotators.is_empty() { "" } else { "; grey: annotators, the limit" };
    Chart {
        title: format!("Cumulative error, {}", title(figures)),
        x_label: format!("radius in mm{limit}"),
        y_label: "landmarks closer than it, in %".into(),
        series: annotators.into_iter().chain(arms).map(series).collect(),
        x_range: Some([0.0, largest]),
        y_range: Some([0.0, 100.0]),
        height: 420,
        ..Chart::default()
    }
}

fn title(figures: &[Compared]) -> String {
    figures.first().map(Compared::part_name).unwrap_or_default()
}

/// Losses of the trainings with a log; `None` if there are none.
fn losses(
    bench: &Bench<'_>,
    finished: &[Finished<'_>],
    (data_index, data): (usize, &str),
) -> Result<Option<Chart>> {
    let mut series: Vec<Series> = Vec::new();
    let of_data = finished.iter().map(|done| &done.run).filter(|run| run.data_index() == data_index);
    for run in of_data.filter(|run| run.has_log()) {
        let log = read_log(&bench.run_folder(run))?;
        let name = run.arm_name();
        // Seeds of an arm share a legend entry.
        let shown = series.iter().any(|other| other.name == *name);
        let points = smooth(&log, SMOOTH, |row| row.loss);
        series.push(Series::line(if shown { "" } else { name }, run.arm_index(), points));
    }
    Ok((!series.is_empty()).then(|| Chart {
        title: format!("Loss, {data}"),
        x_label: "step".into(),
        x_whole: true,
        y_label: format!("nats, running mean of up to {SMOOTH} steps"),
        series,
        height: 420,
        ..Chart::default()
    }))
}

/// Plots of active learning: error against annotated images, for each data set.
pub(super) fn write_rounds(out: &Path, outcome: &LoopOutcome<'_>) -> Result<Vec<PathBuf>> {
    let results = &outcome.results;
    let mut names: Vec<&str> = results.iter().map(|record| record.data).collect();
    names.dedup();
    let chart = |data: &&str| {
        let own = results.iter().filter(|record| record.data == *data).enumerate();
        let series = own.map(|(index, record)| {
            let points = record.simulation.rounds.iter();
            let points = points.map(|round| (round.images as f64, round.mre_mm));
            Series { style: Style::Dotted, ..Series::line(record.arm, index, points) }
        });
        Chart {
            title: format!("{data}: error on other images"),
            x_label: "annotated images".into(),
            y_label: "mean radial error, mm".into(),
            series: series.collect(),
            x_whole: true,
            height: 320,
            ..Chart::default()
        }
    };
    let charts: Vec<Chart> = names.iter().map(chart).collect();
    plot::write(&out.join("rounds"), &charts, concat!("infomark ", env!("CARGO_PKG_VERSION")))
}
