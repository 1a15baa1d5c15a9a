//! Plots: errors, loss and detection rates of the arms.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::ArmFigures;

use super::Compared;
use super::bench::{Bench, Place};
use super::work::Finished;
use crate::plot::{self, Chart, Dot, Series, Style, colour};
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
    let sets = 0..bench.experiment.data.len();
    let with_figures: Vec<usize> = sets.filter(|data| figures.iter().any(|one| one.data == *data)).collect();
    let each =
        |chart: &dyn Fn(usize) -> Chart| with_figures.iter().map(|data| chart(*data)).collect::<Vec<_>>();
    let mut files = Vec::new();
    if with_figures.is_empty() {
        return Ok(files);
    }
    files.extend(plot::write(&out.join("mre"), &each(&|data| errors(bench, figures, data)), note)?);
    files.extend(plot::write(&out.join("sdr"), &each(&|data| rates(bench, figures, data)), note)?);
    let mut charts = Vec::new();
    for &data in &with_figures {
        charts.push(losses(bench, finished, data)?);
    }
    files.extend(plot::write(&out.join("loss"), &charts, note)?);
    Ok(files)
}

fn of_data(figures: &[Compared], data: usize) -> impl Iterator<Item = (usize, &ArmFigures)> {
    figures.iter().filter(move |one| one.data == data).map(|one| (one.arm, &one.figures))
}

fn errors(bench: &Bench<'_>, figures: &[Compared], data: usize) -> Chart {
    let mut series = Vec::new();
    let mut rows = Vec::new();
    for (arm, one) in of_data(figures, data) {
        let y = rows.len() as f64;
        let seeds = one.mre_mm_of_seeds.iter().map(|&x| Dot { x, y: y + 0.22, interval: None });
        if one.seeds.len() > 1 {
            series.push(Series {
                name: String::new(),
                colour: plot::FAINT,
                style: Style::Dots,
                points: seeds.collect(),
            });
        }
        let point = Dot { x: one.mre_mm, y, interval: Some(one.mre_mm_interval) };
        series.push(Series {
            name: String::new(),
            colour: colour(arm),
            style: Style::Dots,
            points: vec![point],
        });
        rows.push(bench.experiment.arm[arm].name.clone());
    }
    let several = of_data(figures, data).any(|(_, one)| one.seeds.len() > 1);
    Chart {
        title: format!("Mean radial error, {}", bench.experiment.data[data].name),
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

fn rates(bench: &Bench<'_>, figures: &[Compared], data: usize) -> Chart {
    let series = of_data(figures, data).map(|(arm, one)| {
        let points = one.curve.iter().map(|(radius, share)| (*radius, 100.0 * share));
        Series::line(&bench.experiment.arm[arm].name, arm, points)
    });
    let ends = of_data(figures, data).filter_map(|(_, one)| one.curve.last());
    let largest = ends.map(|end| end.0).fold(0.0, f64::max);
    Chart {
        title: format!("Successful detection rate, {}", bench.experiment.data[data].name),
        x_label: "radius in mm".into(),
        y_label: "landmarks closer than it, in %".into(),
        series: series.collect(),
        x_range: Some([0.0, largest]),
        y_range: Some([0.0, 100.0]),
        height: 420,
        ..Chart::default()
    }
}

fn losses(bench: &Bench<'_>, finished: &[(Place, Finished)], data: usize) -> Result<Chart> {
    let mut series: Vec<Series> = Vec::new();
    for (place, _) in finished.iter().filter(|(place, _)| place.data == data) {
        let log = read_log(&bench.run_folder(place))?;
        let name = &bench.experiment.arm[place.arm].name;
        // Seeds of an arm share its entry of the legend.
        let shown = series.iter().any(|other| other.name == *name);
        let points = smooth(&log, SMOOTH, |row| row.loss);
        series.push(Series::line(if shown { "" } else { name }, place.arm, points));
    }
    Ok(Chart {
        title: format!("Loss, {}", bench.experiment.data[data].name),
        x_label: "step".into(),
        x_whole: true,
        y_label: format!("nats, running mean of up to {SMOOTH} steps"),
        series,
        height: 420,
        ..Chart::default()
    })
}
