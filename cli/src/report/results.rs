//! Reading of the results of other commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_eval::median;
use infomark_figures::report::{Case, Kind, PointError, ReportedMeasurement, Results, Spot};
use infomark_infer::read_file;
use infomark_results::{ERRORS_TABLE as TABLE, ErrorRow as Row, MeasurementRow as Measured, read_errors};
use serde_json::Value;

use crate::files;
use crate::output::{file_name, shown};

/// Maximum length of a result file, in bytes: a million landmarks.
const MAX_BYTES: u64 = 1 << 28;

/// Reads the output folder of a command.
pub(super) fn read(folder: &Path, template: Option<&str>) -> Result<Results> {
    if !folder.is_dir() {
        bail!("{}: no such folder; give one that `match`, `evaluate` or `train` wrote", shown(folder));
    }
    let mut results = if folder.join("evaluation.json").is_file() {
        evaluation(folder, template)?
    } else if folder.join("landmarks.json").is_file() {
        matching(folder)?
    } else if folder.join("log.csv").is_file() {
        training(folder)?
    } else {
        bail!(
            "{}: holds no result: no landmarks.json of `match`, no evaluation.json of `evaluate --out`, no log.csv of `train`",
            shown(folder)
        );
    };
    if results.kind != Kind::Evaluation && template.is_some() {
        bail!("--template: only an evaluation has several templates to choose from");
    }
    results.sort_worst_first();
    Ok(results)
}

/// Folder of the images that an evaluation names.
pub(super) fn data_images(results: &Results) -> Option<PathBuf> {
    results.about["data"]["folder"].as_str().map(|folder| Path::new(folder).join("images"))
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read_file(path, MAX_BYTES)?).with_context(|| {
        format!("{}: this is no JSON as infomark writes it; make the result again", shown(path))
    })
}

/// A finite number for drawing.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.abs() < 1e7)
}

fn matching(folder: &Path) -> Result<Results> {
    let path = folder.join("landmarks.json");
    let mut about = json(&path)?;
    let wrong = |what: &str| format!("{}: {what}; make the result again", shown(&path));
    let images = match about.as_object_mut().and_then(|object| object.remove("images")) {
        Some(Value::Array(images)) => images,
        _ => bail!(wrong("it has no list of images")),
    };
    let mut landmarks = Vec::new();
    let mut cases = Vec::new();
    for image in &images {
        let name = image["image"].as_str().with_context(|| wrong("an image has no name"))?;
        let side = |key: &str| image[key].as_u64().and_then(|side| usize::try_from(side).ok());
        let listed = image["landmarks"].as_array().with_context(|| wrong("an image has no landmarks"))?;
        let mut points = Vec::with_capacity(listed.len());
        for point in listed {
            let name = point["landmark"].as_str();
            let at = number(&point["x"]).zip(number(&point["y"]));
            let (Some(name), Some(at)) = (name, at) else {
                bail!(wrong(&format!("a landmark of {name:?} has no name or no place")));
            };
            if !landmarks.iter().any(|known| known == name) {
                landmarks.push(name.to_owned());
            }
            points.push(Spot {
                name: name.to_owned(),
                at,
                truth: None,
                error_mm: None,
                score: number(&point["score"]),
                uncertainty: number(&point["uncertainty"]),
                error_bound_mm: number(&point["error_bound_mm"])
                    .or_else(|| number(&point["expected_error_mm"])),
                abstained: point["abstain"].as_bool().unwrap_or(false),
            });
        }
        let overlay = image["overlay"].as_str().and_then(|overlay| beside(folder, overlay));
        let measurements: Vec<Measured> = match image.get("measurements") {
            Some(listed) => serde_json::from_value(listed.clone())
                .with_context(|| wrong("its measurements are not as infomark writes them"))?,
            None => Vec::new(),
        };
        let measurements = measurements.into_iter().map(measurement).collect();
        let size = side("width").zip(side("height"));
        cases.push(Case { image: name.to_owned(), size, overlay, points, measurements });
    }
    let failed = about["failed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let failed = failed.iter().map(|failure| (text(&failure["image"]), text(&failure["error"]))).collect();
    Ok(Results { kind: Kind::Match, about, landmarks, cases, errors: Vec::new(), template: None, failed })
}

fn measurement(measured: Measured) -> ReportedMeasurement {
    let text = measured.text(false);
    let outcome = if measured.value.is_some() { Ok(text) } else { Err(text) };
    ReportedMeasurement { name: measured.measurement, outcome, unit: measured.unit }
}

/// A file named by a result, if it lies in the result's folder.
fn beside(folder: &Path, name: &str) -> Option<PathBuf> {
    files::within(folder, name).filter(|path| path.is_file())
}

fn evaluation(folder: &Path, template: Option<&str>) -> Result<Results> {
    let about = json(&folder.join("evaluation.json"))?;
    let (path, rows) = (folder.join(TABLE), read_errors(folder)?);
    let bad = rows.iter().find(|row| {
        [row.x, row.y, row.true_x, row.true_y, row.error_mm].iter().any(|v| !(v.is_finite() && v.abs() < 1e7))
    });
    if let Some(row) = bad {
        bail!("{}: {} of {} lies nowhere; evaluate again", shown(&path), row.landmark, row.image);
    }
    let mut landmarks: Vec<String> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        if !landmarks.contains(&row.landmark) {
            landmarks.push(row.landmark.clone());
        }
        let next = places.len();
        places.entry(&row.image).or_insert(next);
    }
    let errors = rows.iter().map(|row| PointError {
        landmark: landmarks.iter().position(|name| *name == row.landmark).unwrap_or(0),
        image: places.get(row.image.as_str()).copied().unwrap_or(0),
        error_mm: row.error_mm,
        score: row.score,
    });
    let errors: Vec<PointError> = errors.collect();
    let shown_template = chosen(&rows, template, &path)?;
    let mut cases: BTreeMap<&str, Case> = BTreeMap::new();
    for row in rows.iter().filter(|row| Some(&row.template) == shown_template.as_ref()) {
        let empty = || Case {
            image: row.image.clone(),
            size: None,
            overlay: None,
            points: Vec::new(),
            measurements: Vec::new(),
        };
        cases.entry(&row.image).or_insert_with(empty).points.push(Spot {
            name: row.landmark.clone(),
            at: (row.x, row.y),
            truth: Some((row.true_x, row.true_y)),
            error_mm: Some(row.error_mm),
            score: Some(row.score),
            uncertainty: None,
            error_bound_mm: None,
            abstained: false,
        });
    }
    let cases = cases.into_values().collect();
    let failed = Vec::new();
    Ok(Results { kind: Kind::Evaluation, about, landmarks, cases, errors, template: shown_template, failed })
}

/// The requested template, else that of median error.
fn chosen(rows: &[Row], wanted: Option<&str>, path: &Path) -> Result<Option<String>> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.template.as_str()).collect();
    if let Some(wanted) = wanted {
        if !names.contains(wanted) {
            let names: Vec<&str> = names.into_iter().collect();
            bail!("--template {wanted}: {} has only {}", shown(path), names.join(", "));
        }
        return Ok(Some(wanted.to_owned()));
    }
    let mean = |name: &str| {
        let errors: Vec<f64> =
            rows.iter().filter(|row| row.template == name).map(|row| row.error_mm).collect();
        infomark_core::mean(&errors).unwrap_or(f64::MAX)
    };
    let means: Vec<(f64, &str)> = names.into_iter().map(|name| (mean(name), name)).collect();
    let middle = median(means.iter().map(|(mean, _)| *mean).collect());
    let far = |(mean, _): &(f64, &str)| (mean - middle).abs();
    let nearest = means.iter().min_by(|a, b| far(a).total_cmp(&far(b)));
    Ok(nearest.map(|(_, name)| (*name).to_owned()))
}

fn training(folder: &Path) -> Result<Results> {
    let checkpoint = folder.join("checkpoint.json");
    let mut about = if checkpoint.is_file() { json(&checkpoint)? } else { Value::Object(Default::default()) };
    if let Some(object) = about.as_object_mut() {
        object.insert("folder".into(), file_name(folder).into());
    }
    Ok(Results {
        kind: Kind::Training,
        about,
        landmarks: Vec::new(),
        cases: Vec::new(),
        errors: Vec::new(),
        template: None,
        failed: Vec::new(),
    })
}
