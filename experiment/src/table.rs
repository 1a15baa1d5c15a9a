//! The figures as Markdown and CSV.

use std::fmt::Write;

use infomark_eval::{LandmarkFigures, Radius};

use crate::arm::Kind;
use crate::compare::{Compared, Row, of_arm};
use crate::file::Experiment;
use crate::work::Finished;

/// A table for each part of a data set.
pub(crate) fn markdown(
    experiment: &Experiment,
    figures: &[Compared],
    made_by: &str,
    missing: &[String],
) -> String {
    let mut text = format!("# {}\n", experiment.title);
    if !experiment.about.trim().is_empty() {
        line(&mut text, format_args!("\n{}", experiment.about.trim()));
    }
    for own in Compared::by_part(figures) {
        let Some(first) = own.first() else { continue };
        line(&mut text, format_args!("\n## {} ({} images)\n", first.part_name(), first.images));
        let radii: String =
            experiment.evaluate.radii.iter().map(|radius| format!(" SDR {radius} mm % |")).collect();
        line(&mut text, format_args!("| arm | seeds | MRE mm | difference to the first |{radii}"));
        line(&mut text, format_args!("|{}", " --- |".repeat(4 + experiment.evaluate.radii.len())));
        for one in own {
            line(&mut text, format_args!("{}", row(&label(one), one)));
        }
        by_landmark(&mut text, own);
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

fn label(one: &Compared) -> String {
    match one.row {
        Row::Arm(_) => one.name.clone(),
        Row::Annotator(_) => format!("*annotator: {}*", one.name),
    }
}

/// The mean radial error of each landmark in each row.
fn by_landmark(text: &mut String, rows: &[Compared]) {
    let Some(first) = rows.first() else { return };
    let names: String = rows.iter().map(|one| format!(" {} |", label(one))).collect();
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

/// Columns of `table.csv`.
pub(crate) const COLUMNS: [&str; 7] = ["data", "arm", "seed", "measure", "value", "low", "high"];

/// A row for each part of a data set, arm and measure: what a spreadsheet wants.
pub(crate) fn rows(figures: &[Compared], finished: &[Finished<'_>]) -> Vec<[String; 7]> {
    let mut rows = Vec::new();
    for compared in figures {
        let (data, arm) = (compared.part_name(), &compared.name);
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
        for done in of_arm(finished, compared.data_index, place).filter(|done| done.steps() > 0) {
            add(done.run.seed.to_string(), "steps".into(), done.steps() as f64, [f64::NAN; 2]);
        }
    }
    rows
}

/// Columns of `landmarks.csv`.
pub(crate) const LANDMARK_COLUMNS: [&str; 5] = ["data", "arm", "landmark", "measure", "value"];

/// A row for each part of a data set, arm, landmark and measure.
pub(crate) fn landmark_rows(figures: &[Compared]) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for compared in figures {
        for LandmarkFigures { landmark, mre_mm, median_mm, sdr } in &compared.figures.landmarks {
            let rates = sdr.iter().map(|(Radius(radius), share)| (format!("sdr_{radius}_mm"), *share));
            let values = [("mre_mm".to_owned(), *mre_mm), ("median_mm".to_owned(), *median_mm)];
            for (measure, value) in values.into_iter().chain(rates).filter(|(_, value)| value.is_finite()) {
                let (data, arm) = (compared.part_name(), compared.name.clone());
                rows.push([data, arm, landmark.clone(), measure, value.to_string()]);
            }
        }
    }
    rows
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
