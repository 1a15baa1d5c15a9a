//! `errors.csv`: every landmark of every image, with its error.

use std::path::Path;

use anyhow::{Context, Result};
use infomark_eval::Run;
use infomark_infer::{Confidence, DataSet, rounded};
use serde::Deserialize;

use crate::output::{self, shown};

/// Its name.
pub(crate) const TABLE: &str = "errors.csv";

/// Writes the scores of an encoder.
pub(super) fn write(out: &Path, data: &DataSet, runs: &[Run]) -> Result<()> {
    let length = |px: Option<f64>| px.map(|px| rounded(px, 3).to_string()).unwrap_or_default();
    let confidence = |told: Confidence| {
        let margin = rounded(told.margin, 4).to_string();
        [margin, length(told.cycle_error), length(told.prior)]
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
    ];
    write_rows(out, head, rows)
}

/// Writes the scores of a landmark network, which tells no more of a place than its probability.
pub(super) fn write_of_network(out: &Path, data: &DataSet, run: &Run) -> Result<()> {
    let head = ["template", "image", "landmark", "x", "y", "true_x", "true_y", "error_mm", "probability"];
    write_rows(out, head, rows(data, run).map(|(row, _)| row))
}

fn write_rows<const COLUMNS: usize>(
    out: &Path,
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Result<()> {
    let path = out.join(TABLE);
    output::write_csv(&path, head, rows).with_context(|| format!("{}: can't write", shown(&path)))
}

/// A row for each landmark that has an error: what both tables have, and the confidence.
fn rows<'a>(
    data: &'a DataSet,
    run: &'a Run,
) -> impl Iterator<Item = ([String; 9], Option<Confidence>)> + use<'a> {
    run.images.iter().flat_map(move |scored| {
        let named = data.landmarks.iter().zip(&scored.scores);
        let known = named.filter_map(|(landmark, score)| Some((landmark, score.as_ref()?)));
        known.map(move |(landmark, score)| {
            let row = [
                run.name(),
                data.images[scored.image].name.clone(),
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
#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) template: String,
    pub(crate) image: String,
    pub(crate) landmark: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) true_x: f64,
    pub(crate) true_y: f64,
    pub(crate) error_mm: f64,
    /// Of a landmark network, its probability.
    #[serde(alias = "probability")]
    pub(crate) score: f64,
}

/// Reads the table that is in a folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<Row>> {
    let path = folder.join(TABLE);
    let context = || format!("{}: can't read this table; evaluate again with --out", shown(&path));
    let table = csv::Reader::from_path(&path).with_context(context)?;
    table.into_deserialize().collect::<Result<_, _>>().with_context(context)
}
