//! Rows of tables.

use infomark_infer::{LandmarkRow, RecognitionRow, TrustRow};

/// The rows of an image in a table.
pub(crate) struct Rows {
    pub(crate) sha256: Option<String>,
    pub(crate) size: (usize, usize),
    pub(crate) spacing_mm: Option<(f64, f64)>,
    pub(crate) recognition: Option<RecognitionRow>,
    pub(crate) landmarks: Vec<LandmarkRow>,
}

/// Name, position, score and position in mm; margin, cycle-consistency error, error bound in pixels and mm, abstention,
/// uncertainty.
type Row = (
    (String, f64, f64, f64, Option<f64>, Option<f64>),
    Option<(Option<f64>, Option<f64>, Option<f64>, Option<f64>, bool, Option<f64>)>,
);
/// SHA-256, width and height, pixel size; recognised, orientation, reoriented, inlier_fraction; landmarks.
pub(crate) type ImageRows =
    ((Option<String>, (usize, usize), Option<(f64, f64)>), Option<(bool, String, bool, f64)>, Vec<Row>);

pub(crate) fn image_rows(rows: Rows) -> ImageRows {
    let Rows { sha256, size, spacing_mm, recognition, landmarks } = rows;
    let recognition =
        recognition.map(|row| (row.recognised, row.orientation, row.reoriented, row.inlier_fraction));
    let row = |row: LandmarkRow| {
        let place = (row.landmark, row.x, row.y, row.score, row.x_mm, row.y_mm);
        let trust = row.trust.map(|trust| {
            let TrustRow {
                margin, cycle_error_px, error_bound_px, error_bound_mm, abstain, uncertainty, ..
            } = trust;
            (margin, cycle_error_px, error_bound_px, error_bound_mm, abstain, uncertainty)
        });
        (place, trust)
    };
    ((sha256, size, spacing_mm), recognition, landmarks.into_iter().map(row).collect())
}
