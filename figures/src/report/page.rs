//! The page itself.

use std::collections::BTreeSet;

use minijinja::{Environment, context};
use serde::Serialize;
use serde_json::Value;

use super::charts::figures;
use super::gallery::{Picture, data_address};
use super::{BASE_STYLE, Case, Kind, ReportError, Results};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A figure in a box.
#[derive(Serialize)]
struct Tile {
    value: String,
    label: String,
}

/// A line of a table of figures.
#[derive(Serialize)]
struct Line {
    name: String,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Table {
    title: String,
    head: Vec<String>,
    lines: Vec<Line>,
}

/// A picture that is shown as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Plate {
    source: String,
    caption: String,
}

impl Plate {
    /// A PNG file.
    pub fn png(bytes: &[u8], caption: impl Into<String>) -> Self {
        Self { source: data_address("image/png", bytes), caption: caption.into() }
    }
}

/// The whole page: one HTML file that loads nothing. `name` is that of the result, for one that does not name its
/// data.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn html(
    results: &Results,
    name: &str,
    pictures: &[Picture],
    plates: &[Plate],
) -> Result<String, ReportError> {
    let name = results.about["data"]["name"].as_str().unwrap_or(name);
    let (kind, heading) = match results.kind {
        Kind::Match => ("match", format!("Landmarks found: {name}")),
        Kind::Evaluation => ("evaluation", format!("Evaluation: {name}")),
        Kind::Training => ("training", format!("Training: {name}")),
    };
    let charts = figures(results)?;
    let mut facts = Vec::new();
    flatten("", &results.about, &mut facts);
    let mut environment = Environment::new();
    let left = results.cases.len().saturating_sub(pictures.len());
    let page = environment
        .add_template("page.html", TEMPLATE)
        .and_then(|()| environment.get_template("page.html"))
        .and_then(|template| {
            template.render(context! {
                kind, heading, pictures, charts, plates, facts, left,
                style => format!("{BASE_STYLE}{STYLE}"),
                script => SCRIPT,
                tiles => tiles(results),
                tables => tables(results),
                template => &results.template,
                failed => &results.failed,
                abstained => results.cases.iter().flat_map(|case| &case.points).any(|point| point.abstained),
                truth => results.kind == Kind::Evaluation,
                version => env!("CARGO_PKG_VERSION"),
            })
        });
    page.map_err(|error| ReportError::Page { reason: error.to_string() })
}

/// The main figures.
fn tiles(results: &Results) -> Vec<Tile> {
    let about = &results.about;
    let number = |value: &Value, digits: usize| value.as_f64().map(|number| format!("{number:.digits$}"));
    let percent = |value: &Value| value.as_f64().map(|share| format!("{:.1} %", 100.0 * share));
    let mut tiles = Vec::new();
    let mut tile = |value: Option<String>, label: String| {
        tiles.extend(value.map(|value| Tile { value, label }));
    };
    let interval = |value: &Value, text: &dyn Fn(&Value) -> Option<String>| {
        let (low, high) = (text(&value[0]), text(&value[1]));
        low.zip(high).map(|(low, high)| format!(" [{low}, {high}]")).unwrap_or_default()
    };
    match results.kind {
        Kind::Evaluation => {
            let mm = |value: &Value| number(value, 2);
            let ends = interval(&about["mre_mm_interval"], &mm);
            tile(
                number(&about["mre_mm"], 2),
                format!("mm mean radial error{ends}, {}", about["summary"].as_str().unwrap_or_default()),
            );
            for radius in ["2", "4"] {
                let ends = interval(&about["sdr_intervals"][radius], &percent);
                tile(percent(&about["sdr"][radius]), format!("within {radius} mm{ends}"));
            }
            tile(about["data"]["images"].as_u64().map(|count| count.to_string()), "images".into());
        }
        Kind::Match => {
            tile(Some(results.cases.len().to_string()), "images searched".into());
            tile(Some(results.landmarks.len().to_string()), "landmarks".into());
            let scores: Vec<f64> =
                results.cases.iter().flat_map(|case| &case.points).filter_map(|point| point.score).collect();
            tile(infomark_core::mean(&scores).map(|mean| format!("{mean:.3}")), "mean score".into());
            let unsure = results.cases.iter().flat_map(|case| &case.points).filter(|point| point.abstained);
            tile(Some(unsure.count().to_string()), "landmarks abstained from".into());
            tile(Some(results.failed.len().to_string()), "images failed".into());
        }
        Kind::Training => {
            tile(about["step"].as_u64().map(|step| step.to_string()), "steps".into());
            tile(about["seconds"].as_f64().map(|s| format!("{:.0}", s / 60.0)), "minutes".into());
            tile(about["config"]["seed"].as_u64().map(|seed| seed.to_string()), "seed".into());
        }
    }
    tiles
}

fn tables(results: &Results) -> Vec<Table> {
    let about = &results.about;
    let mm = |value: &Value| value.as_f64().map_or(String::new(), |mm| format!("{mm:.2}"));
    let percent =
        |value: &Value| value.as_f64().map_or(String::new(), |share| format!("{:.1}", 100.0 * share));
    let mut tables = Vec::new();
    for (key, name, title) in [
        ("landmarks", "landmark", "Figures of each landmark"),
        ("templates", "template", "Figures of each template"),
    ] {
        let listed = about[key].as_array().filter(|_| results.kind == Kind::Evaluation);
        let Some((first, listed)) = listed.and_then(|all| Some((all.first()?, all))) else { continue };
        let radii: Vec<String> =
            first["sdr"].as_object().map(|sdr| sdr.keys().cloned().collect()).unwrap_or_default();
        let head = [name.to_owned(), "mean in mm".into(), "median in mm".into()];
        let head =
            head.into_iter().chain(radii.iter().map(|radius| format!("below {radius} mm, %"))).collect();
        let lines = listed.iter().map(|entry| Line {
            name: entry[name].as_str().unwrap_or_default().to_owned(),
            cells: [mm(&entry["mre_mm"]), mm(&entry["median_mm"])]
                .into_iter()
                .chain(radii.iter().map(|radius| percent(&entry["sdr"][radius])))
                .collect(),
        });
        tables.push(Table { title: title.into(), head, lines: lines.collect() });
    }
    tables.extend(second_annotator(&about["second_annotator"]));
    tables.extend(measurements(results));
    tables
}

/// Agreement of the program and of a second annotator with the reference, two lines for each landmark; none without
/// one.
fn second_annotator(compared: &Value) -> Option<Table> {
    let readers = [("program", &compared["program"]), ("second annotator", &compared["second_annotator"])];
    let (unit, all) = (compared["program"]["unit"].as_str()?, &compared["program"]["all"]);
    let radii: Vec<&String> = all["within"].as_object()?.keys().collect();
    let number = |value: &Value| value.as_f64().map_or(String::new(), |number| format!("{number:.2}"));
    let percent =
        |value: &Value| value.as_f64().map_or(String::new(), |share| format!("{:.1}", 100.0 * share));
    let line = |(reader, of): (&str, &Value)| Line {
        name: format!("{}, {reader}", of["landmark"].as_str().unwrap_or_default()),
        cells: [of["pairs"].to_string()]
            .into_iter()
            .chain([&of["mean_radial_error"], &of["offset"][0], &of["offset"][1]].map(number))
            .chain(radii.iter().map(|radius| percent(&of["within"][radius.as_str()])))
            .collect(),
    };
    let places = 0..compared["program"]["landmarks"].as_array()?.len();
    let of_landmarks = places.flat_map(|place| readers.map(|(reader, of)| (reader, &of["landmarks"][place])));
    let head = ["landmark, reader".to_owned(), "points".into(), format!("mean in {unit}")];
    let head = head.into_iter().chain(["x", "y"].map(|axis| format!("offset {axis} in {unit}")));
    Some(Table {
        title: format!(
            "Agreement with the reference, on the points that {} has as well",
            compared["annotator"].as_str().unwrap_or("the second annotator")
        ),
        head: head.chain(radii.iter().map(|radius| format!("below {radius} {unit}, %"))).collect(),
        lines: of_landmarks.chain(readers.map(|(reader, of)| (reader, &of["all"]))).map(line).collect(),
    })
}

/// The measurements of a scheme that some image has a value of, a line for each image; none without a scheme.
fn measurements(results: &Results) -> Option<Table> {
    let first = results.cases.iter().find(|case| !case.measurements.is_empty())?;
    let mut columns: Vec<(&str, Option<&str>)> = Vec::new();
    for name in first.measurements.iter().map(|measured| measured.name.as_str()) {
        let all = results.cases.iter().flat_map(|case| &case.measurements);
        let values = all.filter(|measured| measured.name == name && measured.outcome.is_ok());
        let units: BTreeSet<_> = values.map(|measured| measured.unit.as_deref()).collect();
        if let Some(unit) = units.first() {
            // Told in each cell where images differ in it.
            columns.push((name, unit.filter(|_| units.len() == 1)));
        }
    }
    let head = columns.iter().map(|(name, unit)| match unit {
        Some(unit) => format!("{name}, {unit}"),
        None => (*name).to_owned(),
    });
    let cell = |case: &Case, name: &str, unit: Option<&str>| {
        let measured = case.measurements.iter().find(|measured| measured.name == name);
        measured.map(|measured| measured.text(unit.is_none())).unwrap_or_default()
    };
    let line = |case: &Case| Line {
        name: case.image.clone(),
        cells: columns.iter().map(|(name, unit)| cell(case, name, *unit)).collect(),
    };
    (!columns.is_empty()).then(|| Table {
        title: "Measurements, with their largest change while each landmark stays within its error bound; \
                ? where that is too large to be told"
            .into(),
        head: std::iter::once("image".to_owned()).chain(head).collect(),
        lines: results.cases.iter().map(line).collect(),
    })
}

/// What made the result, a line for each value; lists of figures are left to the tables.
fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    const MOST: usize = 24;
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if !(name.is_empty()
                    && ["landmarks", "templates", "failed", "files", "second_annotator"]
                        .contains(&key.as_str()))
                {
                    let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                    flatten(&name, value, lines);
                }
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            lines.push((name.to_owned(), format!("{} entries", values.len())));
        }
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().take(MOST).map(text).collect();
            let more = if values.len() > MOST { ", ..." } else { "" };
            lines.push((name.to_owned(), format!("{}{more}", texts.join(", "))));
        }
        other => lines.push((name.to_owned(), text(other))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}
