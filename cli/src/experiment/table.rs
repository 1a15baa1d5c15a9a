//! The figures as Markdown and CSV.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use infomark_eval::{ArmFigures, Radius};

use super::bench::Place;
use super::file::Experiment;
use super::work::Finished;
use super::{Compared, of_arm};
use crate::output;

/// A table for each data set.
pub(super) fn markdown(
    experiment: &Experiment,
    figures: &[Compared],
    made_by: &str,
    missing: &[String],
) -> String {
    let mut text = format!("# {}\n", experiment.title);
    if !experiment.about.trim().is_empty() {
        line(&mut text, format_args!("\n{}", experiment.about.trim()));
    }
    for (data, set) in experiment.data.iter().enumerate() {
        let own: Vec<&Compared> = figures.iter().filter(|one| one.data == data).collect();
        if own.is_empty() {
            continue;
        }
        line(&mut text, format_args!("\n## {}\n", set.name));
        let radii: String =
            experiment.evaluate.radii.iter().map(|radius| format!(" SDR {radius} mm % |")).collect();
        line(&mut text, format_args!("| arm | seeds | MRE mm | difference to the first |{radii}"));
        line(&mut text, format_args!("|{}", " --- |".repeat(4 + experiment.evaluate.radii.len())));
        for one in own {
            line(&mut text, format_args!("{}", row(&experiment.arm[one.arm].name, &one.figures)));
        }
    }
    let templates = experiment.evaluate.templates;
    let mean = match experiment.arm.iter().filter(|arm| arm.network.is_some()).count() {
        0 => format!("Mean over seeds of the median over {templates} random templates"),
        all if all == experiment.arm.len() => "Mean over seeds".to_owned(),
        _ => format!("Mean over seeds, for encoders of the median over {templates} random templates"),
    };
    line(&mut text, format_args!("\n{mean}; 95 % intervals by bootstrap over images. Made by {made_by}."));
    if !missing.is_empty() {
        line(&mut text, format_args!("Not trained yet: {}.", missing.join(", ")));
    }
    text
}

fn row(arm: &str, one: &ArmFigures) -> String {
    let [low, high] = one.mre_mm_interval;
    let seeds = match one.mre_mm_of_seeds.as_slice() {
        [_] => String::new(),
        several => {
            let each: Vec<String> = several.iter().map(|mre| format!("{mre:.2}")).collect();
            format!(" ({})", each.join(", "))
        }
    };
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
        "| {arm} | {} | **{:.2}** [{low:.2}, {high:.2}]{seeds} | {difference} |{rates}",
        one.seeds.len(),
        one.mre_mm,
    )
}

/// A row for each data set, arm and measure: what a spreadsheet wants.
pub(super) fn write_csv(
    path: &Path,
    experiment: &Experiment,
    figures: &[Compared],
    finished: &[(Place, Finished)],
) -> Result<()> {
    let mut rows = Vec::new();
    for Compared { data: set, arm: kind, figures: one } in figures {
        let (data, arm) = (&experiment.data[*set].name, &experiment.arm[*kind].name);
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
        for (seed, mre_mm) in one.seeds.iter().zip(&one.mre_mm_of_seeds) {
            add(seed.to_string(), "mre_mm".into(), *mre_mm, [f64::NAN; 2]);
        }
        for (place, done) in of_arm(finished, *set, *kind) {
            add(place.seed.to_string(), "steps".into(), done.steps as f64, [f64::NAN; 2]);
        }
    }
    output::write_csv(path, ["data", "arm", "seed", "measure", "value", "low", "high"], rows)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
