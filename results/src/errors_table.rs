//! `errors.csv`: every landmark of every image, with its error.

use std::path::Path;

use infomark_eval::Run;
use infomark_infer::{Confidence, DataSet, rounded};
use serde::Deserialize;

use crate::{ResultsError, write_csv};

/// Name of the table.
pub const ERRORS_TABLE: &str = "errors.csv";

/// Writes the scores of an encoder into a folder.
///
/// # Errors
/// [`ResultsError::File`].
pub(crate) fn write_errors(out: &Path, data: &DataSet, runs: &[Run]) -> Result<(), ResultsError> {
    let length = |px: Option<f64>| px.map(|px| rounded(px, 3).to_string()).unwrap_or_default();
    let confidence = |told: Confidence| {
        let margin = rounded(told.margin, 4).to_string();
        [margin, length(told.cycle_error), length(told.prior), rounded(told.uncertainty, 2).to_string()]
    };
    let rows = runs.iter().flat_map(|run| rows(data, run)).map(|(row, told)| {
        let mut cells = row.into_iter().chain(told.map(confidence).unwrap_or_default());
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    });
    let head = [
        "template",
        "image",
        "landmark",
        "x",
        "y",
        "true_x",
        "true_y",
        "error_mm",
        "score",
        "margin",
        "cycle_error_px",
        "prior_px",
        "uncertainty",
    ];
    write_csv(&out.join(ERRORS_TABLE), head, rows)
}

/// Writes the scores of a landmark network, which tells no more of a place than its probability, into a folder.
///
/// # Errors
/// [`ResultsError::File`].
pub(crate) fn write_network_errors(out: &Path, data: &DataSet, run: &Run) -> Result<(), ResultsError> {
    let head = ["template", "image", "landmark", "x", "y", "true_x", "true_y", "error_mm", "probability"];
    write_csv(&out.join(ERRORS_TABLE), head, rows(data, run).map(|(row, _)| row))
}

/// A row for each landmark that has an error: what both tables have, and the confidence.
fn rows<'a>(
    data: &'a DataSet,
    run: &'a Run,
) -> impl Iterator<Item = ([String; 9], Option<Confidence>)> + use<'a> {
    run.images.iter().flat_map(move |scored| {
        let image = data.images.get(scored.image).map_or("", |sample| sample.name.as_str());
        let named = data.landmarks.iter().zip(&scored.scores);
        let known = named.filter_map(|(landmark, score)| Some((landmark, score.as_ref()?)));
        known.map(move |(landmark, score)| {
            let row = [
                run.name(),
                image.to_owned(),
                landmark.clone(),
                rounded(score.found.x, 3).to_string(),
                rounded(score.found.y, 3).to_string(),
                score.truth.x.to_string(),
                score.truth.y.to_string(),
                rounded(score.error_mm, 4).to_string(),
                rounded(score.score, 4).to_string(),
            ];
            (row, score.confidence)
        })
    })
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ErrorRow {
    /// Names of the templates, or of the network's file.
    pub template: String,
    /// Name of the image.
    pub image: String,
    /// Name of the landmark.
    pub landmark: String,
    /// Column where it was found, in pixels.
    pub x: f64,
    /// Row, likewise.
    pub y: f64,
    /// Column of the annotated point.
    pub true_x: f64,
    /// Row, likewise.
    pub true_y: f64,
    /// Distance of both in mm.
    pub error_mm: f64,
    /// Score of the match; of a landmark network, its probability.
    #[serde(alias = "probability")]
    pub score: f64,
}

/// Reads the table that is in a folder.
///
/// # Errors
/// [`ResultsError::Table`].
pub fn read_errors(folder: &Path) -> Result<Vec<ErrorRow>, ResultsError> {
    let path = folder.join(ERRORS_TABLE);
    let read = || csv::Reader::from_path(&path)?.into_deserialize().collect::<Result<_, csv::Error>>();
    read().map_err(|error| ResultsError::Table { path: path.clone(), reason: error.to_string() })
}
