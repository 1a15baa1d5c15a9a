//! The figures as Markdown and CSV.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use infomark_eval::{LandmarkFigures, Radius};

use super::arm::Kind;
use super::bench::{Bench, Place};
use super::file::Experiment;
use super::work::Finished;
use super::{Compared, Row, of_arm};
use crate::output;

/// The rows of each part of a data set, part by part.
pub(super) fn parts(figures: &[Compared]) -> impl Iterator<Item = &[Compared]> {
    figures.chunk_by(|a, b| (a.data, &a.part) == (b.data, &b.part))
}

/// A table for each part of a data set.
pub(super) fn markdown(bench: &Bench<'_>, figures: &[Compared], made_by: &str, missing: &[String]) -> String {
    let experiment = bench.experiment;
    let mut text = format!("# {}\n", experiment.title);
    if !experiment.about.trim().is_empty() {
        line(&mut text, format_args!("\n{}", experiment.about.trim()));
    }
    for own in parts(figures) {
        let Some(first) = own.first() else { continue };
        line(&mut text, format_args!("\n## {} ({} images)\n", bench.part_name(first), first.images));
        let radii: String =
            experiment.evaluate.radii.iter().map(|radius| format!(" SDR {radius} mm % |")).collect();
        line(&mut text, format_args!("| arm | seeds | MRE mm | difference to the first |{radii}"));
        line(&mut text, format_args!("|{}", " --- |".repeat(4 + experiment.evaluate.radii.len())));
        for one in own {
            line(&mut text, format_args!("{}", row(&label(bench, one), one)));
        }
        by_landmark(&mut text, bench, own);
    }
    line(&mut text, format_args!("\n{}. Made by {made_by}.", explained(experiment)));
    if figures.iter().any(|one| matches!(one.row, Row::Annotator(_))) {
        line(
            &mut text,
            format_args!("Annotators: their own points against the reference, which may hold them."),
        );
    }
    if !missing.is_empty() {
        line(&mut text, format_args!("Not made yet: {}.", missing.join(", ")));
    }
    text
}

/// What the figures are, in words.
fn explained(experiment: &Experiment) -> String {
    let templates = experiment.evaluate.templates;
    let encoders = experiment.arm.iter().filter(|arm| matches!(arm.kind(), Kind::Encoder)).count();
    let mean = if encoders == 0 {
        "Mean over seeds, for random templates of the median over them".to_owned()
    } else if encoders == experiment.arm.len() {
        format!("Mean over seeds of the median over {templates} random templates")
    } else {
        format!("Mean over seeds, for encoders of the median over {templates} random templates")
    };
    format!("{mean}; 95 % intervals by bootstrap over images")
}

fn label(bench: &Bench<'_>, one: &Compared) -> String {
    match one.row {
        Row::Arm(_) => bench.row_name(one).to_owned(),
        Row::Annotator(_) => format!("*annotator: {}*", bench.row_name(one)),
    }
}

/// The mean radial error of each landmark in each row.
fn by_landmark(text: &mut String, bench: &Bench<'_>, rows: &[Compared]) {
    let Some(first) = rows.first() else { return };
    let names: String = rows.iter().map(|one| format!(" {} |", label(bench, one))).collect();
    line(text, format_args!("\n| MRE mm |{names}"));
    line(text, format_args!("|{}", " --- |".repeat(1 + rows.len())));
    for (place, LandmarkFigures { landmark, .. }) in first.figures.landmarks.iter().enumerate() {
        let cell = |one: &Compared| match one.figures.landmarks.get(place) {
            Some(own) if own.mre_mm.is_finite() => format!(" {:.2} |", own.mre_mm),
            _ => " |".to_owned(),
        };
        line(text, format_args!("| {landmark} |{}", rows.iter().map(cell).collect::<String>()));
    }
}

fn row(label: &str, Compared { row, figures: one, .. }: &Compared) -> String {
    let [low, high] = one.mre_mm_interval;
    let seeds = match one.mre_mm_of_seeds.as_slice() {
        [_] => String::new(),
        several => {
            let each: Vec<String> = several.iter().map(|mre| format!("{mre:.2}")).collect();
            format!(" ({})", each.join(", "))
        }
    };
    // Annotators have no seed.
    let number = if matches!(row, Row::Arm(_)) { one.seeds.len().to_string() } else { String::new() };
    let difference = match (one.difference_to_first_mm, one.difference_to_first_mm_interval) {
        (Some(difference), Some([low, high])) => format!("{difference:+.2} [{low:+.2}, {high:+.2}]"),
        _ => String::new(),
    };
    let rates: String = one
        .sdr
        .iter()
        .map(|(radius, share)| {
            let [low, high] = one.sdr_intervals.get(radius).copied().unwrap_or([f64::NAN; 2]);
            format!(" {:.1} [{:.1}, {:.1}] |", 100.0 * share, 100.0 * low, 100.0 * high)
        })
        .collect();
    format!(
        "| {label} | {number} | **{:.2}** [{low:.2}, {high:.2}]{seeds} | {difference} |{rates}",
        one.mre_mm,
    )
}

/// A row for each part of a data set, arm and measure: what a spreadsheet wants.
pub(super) fn write_csv(
    path: &Path,
    bench: &Bench<'_>,
    figures: &[Compared],
    finished: &[(Place, Finished)],
) -> Result<()> {
    let mut rows = Vec::new();
    for compared in figures {
        let (data, arm) = (bench.part_name(compared), bench.row_name(compared).to_owned());
        let one = &compared.figures;
        let mut add = |seed: String, measure: String, value: f64, [low, high]: [f64; 2]| {
            let number = |v: f64| if v.is_finite() { v.to_string() } else { String::new() };
            rows.push([data.clone(), arm.clone(), seed, measure, number(value), number(low), number(high)]);
        };
        add("all".into(), "mre_mm".into(), one.mre_mm, one.mre_mm_interval);
        for (Radius(radius), share) in &one.sdr {
            let interval = one.sdr_intervals.get(&Radius(*radius)).copied().unwrap_or([f64::NAN; 2]);
            add("all".into(), format!("sdr_{radius}_mm"), *share, interval);
        }
        if let (Some(value), Some(interval)) =
            (one.difference_to_first_mm, one.difference_to_first_mm_interval)
        {
            add("all".into(), "difference_to_first_mm".into(), value, interval);
        }
        if one.missing > 0 {
            add("all".into(), "missing".into(), one.missing as f64, [f64::NAN; 2]);
        }
        let Row::Arm(place) = compared.row else { continue };
        for (seed, mre_mm) in one.seeds.iter().zip(&one.mre_mm_of_seeds) {
            add(seed.to_string(), "mre_mm".into(), *mre_mm, [f64::NAN; 2]);
        }
        for (place, done) in of_arm(finished, compared.data, place).filter(|(_, done)| done.steps > 0) {
            add(place.seed.to_string(), "steps".into(), done.steps as f64, [f64::NAN; 2]);
        }
    }
    output::write_csv(path, ["data", "arm", "seed", "measure", "value", "low", "high"], rows)
}

/// A row for each part of a data set, arm, landmark and measure.
pub(super) fn write_landmarks(path: &Path, bench: &Bench<'_>, figures: &[Compared]) -> Result<()> {
    let mut rows = Vec::new();
    for compared in figures {
        for LandmarkFigures { landmark, mre_mm, median_mm, sdr } in &compared.figures.landmarks {
            let rates = sdr.iter().map(|(Radius(radius), share)| (format!("sdr_{radius}_mm"), *share));
            let values = [("mre_mm".to_owned(), *mre_mm), ("median_mm".to_owned(), *median_mm)];
            for (measure, value) in values.into_iter().chain(rates).filter(|(_, value)| value.is_finite()) {
                let (data, arm) = (bench.part_name(compared), bench.row_name(compared).to_owned());
                rows.push([data, arm, landmark.clone(), measure, value.to_string()]);
            }
        }
    }
    output::write_csv(path, ["data", "arm", "landmark", "measure", "value"], rows)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
