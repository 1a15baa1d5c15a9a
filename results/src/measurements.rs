//! Measurements of a scheme as tables and JSON tell them.

use infomark_core::Spacing;
use infomark_infer::{LandmarkStatus, MeasuredValue, Scheme, Unit};
use serde::{Deserialize, Serialize};

use crate::ResultsError;
use crate::text::to_csv;

/// Name of the table beside landmarks.
pub const MEASUREMENTS_TABLE: &str = "measurements.csv";

/// A measurement of an image.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct MeasurementRow {
    /// What is measured.
    pub measurement: String,
    /// Its value, rounded; none where it can't be measured.
    pub value: Option<f64>,
    /// Unit of the value.
    pub unit: Option<String>,
    /// Bound of its error, in the same unit.
    pub bound: Option<f64>,
    /// Why there is no value, or no bound where the landmarks have bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl MeasurementRow {
    /// Value and bound as a person reads them, with the unit if that is wanted, or why there is no value.
    pub fn text(&self, with_unit: bool) -> String {
        let Some(value) = self.value else { return self.reason.clone().unwrap_or_default() };
        // A bound that is too large to be told must not look like none.
        let bound =
            self.bound.map(|bound| bound.to_string()).or_else(|| self.reason.as_ref().map(|_| "?".into()));
        let bound = bound.map(|bound| format!("\u{a0}\u{b1}\u{a0}{bound}")).unwrap_or_default();
        match &self.unit {
            Some(unit) if with_unit => format!("{value}{bound} {unit}"),
            _ => format!("{value}{bound}"),
        }
    }
}

/// The measurements of an image whose landmarks have a status, and whose pixels a size.
pub fn measurement_rows(
    scheme: &Scheme,
    status: impl Fn(&str) -> Option<LandmarkStatus>,
    spacing: Option<Spacing>,
) -> Vec<MeasurementRow> {
    let told = scheme.measure(status, spacing).into_iter().map(|measurement| {
        let reason = measurement.reason();
        let value = measurement.outcome.ok();
        let rounded = |number: f64, of: &MeasuredValue| shown(number, of.unit);
        MeasurementRow {
            measurement: measurement.name,
            value: value.as_ref().map(|of| rounded(of.value, of)),
            unit: value.as_ref().map(|of| of.unit.to_string()),
            bound: value.as_ref().and_then(|of| Some(rounded(*of.error_bound.as_ref().ok()?, of))),
            reason,
        }
    });
    told.collect()
}

/// A hundredth of a degree, millimetre or pixel, and a ten-thousandth of a ratio.
fn shown(value: f64, unit: Unit) -> f64 {
    infomark_infer::rounded(value, if unit == Unit::Ratio { 4 } else { 2 })
}

/// Columns of the table.
pub(crate) const COLUMNS: [&str; 6] = ["image", "measurement", "value", "unit", "bound", "reason"];

/// The rows of an image, a measurement each.
pub(crate) fn rows<'a>(
    image: &'a str,
    all: &'a [MeasurementRow],
) -> impl Iterator<Item = [String; 6]> + use<'a> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    all.iter().map(move |of| {
        let name = of.measurement.clone();
        [image.to_owned(), name, number(of.value), text(&of.unit), number(of.bound), text(&of.reason)]
    })
}

/// The table of some images, as CSV.
///
/// # Errors
/// [`ResultsError::Encode`].
pub fn measurements_csv<'a>(
    images: impl IntoIterator<Item = (&'a str, &'a [MeasurementRow])>,
) -> Result<Vec<u8>, ResultsError> {
    to_csv(COLUMNS, images.into_iter().flat_map(|(image, all)| rows(image, all)))
}
