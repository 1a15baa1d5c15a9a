//! Measurements of a scheme as tables and JSON tell them.

use std::path::PathBuf;

use anyhow::Result;
use infomark_core::Spacing;
use infomark_infer::{LandmarkStatus, MeasuredValue, Scheme, Unit};
use serde::{Deserialize, Serialize};

/// Name of the table beside landmarks.
pub(crate) const TABLE: &str = "measurements.csv";

/// Names, order and measurements of landmarks.
#[derive(clap::Args, Default)]
pub(crate) struct SchemeOption {
    /// Scheme of the landmarks, with their order and measurements: ceph, hand, chest, or a landmarks.toml (docs/schemes.md)
    #[arg(long, value_name = "SCHEME")]
    pub(crate) scheme: Option<PathBuf>,
}

impl SchemeOption {
    /// The scheme, if one is asked for.
    pub(crate) fn load(&self) -> Result<Option<Scheme>> {
        Ok(self.scheme.as_ref().map(Scheme::load).transpose()?)
    }
}

/// A measurement of an image.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Measured {
    pub(crate) measurement: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: Option<String>,
    pub(crate) bound: Option<f64>,
    /// Why there is no value, or no bound where the landmarks have bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Measured {
    /// Value and bound as a person reads them, with the unit if that is wanted, or why there is no value.
    pub(crate) fn text(&self, with_unit: bool) -> String {
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

/// The measurements of an image.
pub(crate) fn measured(
    scheme: &Scheme,
    status: impl Fn(&str) -> Option<LandmarkStatus>,
    spacing: Option<Spacing>,
) -> Vec<Measured> {
    let told = scheme.measure(status, spacing).into_iter().map(|measurement| {
        let reason = measurement.reason();
        let value = measurement.outcome.ok();
        let rounded = |number: f64, of: &MeasuredValue| shown(number, of.unit);
        Measured {
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
pub(crate) fn rows<'a>(image: &'a str, all: &'a [Measured]) -> impl Iterator<Item = [String; 6]> + use<'a> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    all.iter().map(move |of| {
        let name = of.measurement.clone();
        [image.to_owned(), name, number(of.value), text(&of.unit), number(of.bound), text(&of.reason)]
    })
}

/// The table of some images.
pub(crate) fn table<'a>(images: impl IntoIterator<Item = (&'a str, &'a [Measured])>) -> Result<Vec<u8>> {
    let rows = images.into_iter().flat_map(|(image, all)| rows(image, all));
    Ok(infomark_results::to_csv(COLUMNS, rows)?)
}
