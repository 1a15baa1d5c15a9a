//! Rows of `landmarks.csv`.

use infomark_infer::LandmarkRow;

use crate::MatchedImage;

/// Its columns.
pub(crate) const COLUMNS: [&str; 13] = [
    "image",
    "landmark",
    "x",
    "y",
    "score",
    "x_mm",
    "y_mm",
    "margin",
    "cycle_error_px",
    "error_bound_px",
    "error_bound_mm",
    "abstain",
    "uncertainty",
];

/// The rows of an image, a landmark each.
pub(crate) fn rows(image: &MatchedImage) -> impl Iterator<Item = [String; 13]> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    image.landmarks.iter().map(move |LandmarkRow { landmark, x, y, x_mm, y_mm, score, trust }| {
        [
            image.image.clone(),
            landmark.clone(),
            x.to_string(),
            y.to_string(),
            score.to_string(),
            number(*x_mm),
            number(*y_mm),
            number(trust.as_ref().and_then(|trust| trust.margin)),
            number(trust.as_ref().and_then(|trust| trust.cycle_error_px)),
            number(trust.as_ref().and_then(|trust| trust.error_bound_px)),
            number(trust.as_ref().and_then(|trust| trust.error_bound_mm)),
            trust.as_ref().map(|trust| trust.abstain.to_string()).unwrap_or_default(),
            number(trust.as_ref().and_then(|trust| trust.uncertainty)),
        ]
    })
}
