//! Scheme of a review: definitions of its landmarks, and measurements of an image with its current points.

use std::collections::HashMap;

use infomark_core::Point;
use infomark_infer::{LandmarkStatus, Scheme};
use infomark_results::{MeasurementRow, measurement_rows};
use serde::Deserialize;
use serde_json::{Value, json};

use super::images::Known;
use super::refusal::Refusal;
use super::state::{By, Presence, Record, Spot};
use super::{App, lock};

/// Position of a point on the page, saved or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Moved {
    landmark: String,
    at: Option<[f64; 2]>,
    #[serde(default)]
    presence: Presence,
}

/// The scheme as JSON for the page; null without one.
pub(super) fn about(app: &App) -> Value {
    let Some(scheme) = &app.scheme else { return Value::Null };
    let landmarks = scheme.landmarks().iter().map(|landmark| {
        let about = json!({
            "full_name": landmark.full_name, "abbreviation": landmark.abbreviation, "definition": landmark.definition,
            "source": landmark.source, "group": landmark.group, "is_drawn": landmark.drawn_at.is_some(),
        });
        (landmark.name.clone(), about)
    });
    let landmarks: serde_json::Map<String, Value> = landmarks.collect();
    let measurements = scheme.measurements().iter().map(|of| {
        json!({ "name": of.name, "full_name": of.full_name, "definition": of.definition, "source": of.source })
    });
    let measurements: Vec<Value> = measurements.collect();
    let about = scheme.about();
    json!({ "title": about.title, "source": about.source, "landmarks": landmarks, "measurements": measurements })
}

/// The measurements of an image with some points moved.
pub(super) fn measure(app: &App, known: &Known, moved: &[Moved]) -> Result<Vec<MeasurementRow>, Refusal> {
    let scheme =
        app.scheme.as_ref().ok_or_else(|| Refusal::bad("measurements need a scheme: start with --scheme"))?;
    let record = lock(&app.store).state().images.get(&known.name).cloned().unwrap_or_default();
    Ok(of_record(scheme, &record, moved, known))
}

/// The measurements of an image's points.
pub(super) fn of_record(
    scheme: &Scheme,
    record: &Record,
    moved: &[Moved],
    known: &Known,
) -> Vec<MeasurementRow> {
    let moved: HashMap<&str, &Moved> = moved.iter().map(|moved| (moved.landmark.as_str(), moved)).collect();
    let status = |name: &str| match (moved.get(name), record.points.get(name)) {
        (Some(moved), _) => of_place(moved.at, moved.presence, None),
        (None, Some(spot)) => of_spot(spot),
        (None, None) => None,
    };
    measurement_rows(scheme, status, known.known_spacing.as_ref().map(|spacing| spacing.mm))
}

/// A matched point has its bound; a manually placed one has none.
fn of_spot(spot: &Spot) -> Option<LandmarkStatus> {
    let found = spot.found.as_ref().filter(|_| spot.by == By::Match);
    if spot.at.is_some() && found.is_some_and(|found| found.sure.abstain) {
        return Some(LandmarkStatus::Abstained);
    }
    of_place(spot.at, spot.presence, found.and_then(|found| found.sure.error_bound_px))
}

fn of_place(at: Option<[f64; 2]>, presence: Presence, error_bound_px: Option<f64>) -> Option<LandmarkStatus> {
    match at {
        Some([x, y]) => Some(LandmarkStatus::Placed { at: Point::new(x, y), error_bound_px }),
        None => (presence == Presence::Absent).then_some(LandmarkStatus::Absent),
    }
}
