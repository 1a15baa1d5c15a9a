//! Landmark schemes, and measurements of points.

use std::collections::HashMap;
use std::path::PathBuf;

use infomark_core::Spacing;
use infomark_infer::{LandmarkStatus, Scheme as Inner};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;

use crate::error::{raise, refuse};
use crate::files::landmarks;

/// Landmarks in order, with measurements.
#[pyclass(frozen, module = "infomark._infomark")]
pub(crate) struct Scheme(Inner);

type Text = Option<String>;
/// Name, full name, abbreviation, definition, group.
type Landmark = (String, Text, Text, Text, Text);
/// Name, full name, definition, source.
type Definition = (String, Text, Text, Text);
/// Name, value, unit, bound, reason.
type Measured = (String, Option<f64>, Text, Option<f64>, Text);

#[pymethods]
impl Scheme {
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Self> {
        Inner::load(path).map(Self).map_err(raise)
    }

    #[staticmethod]
    fn parse(text: &str, name: &str) -> PyResult<Self> {
        Inner::parse(text, name).map(Self).map_err(raise)
    }

    /// Title, anatomy, source, licence.
    fn about(&self) -> (String, String, Text, Text) {
        let about = self.0.about().clone();
        (about.title, about.anatomy, about.source, about.licence)
    }

    fn landmarks(&self) -> Vec<Landmark> {
        let all = self.0.landmarks().iter().cloned();
        all.map(|of| (of.name, of.full_name, of.abbreviation, of.definition, of.group)).collect()
    }

    fn measurements(&self) -> Vec<Definition> {
        let all = self.0.measurements().iter().cloned();
        all.map(|of| (of.name, of.full_name, of.definition, of.source)).collect()
    }

    /// Picture of a landmark on the drawing, as SVG.
    fn picture(&self, landmark: &str) -> Option<String> {
        self.0.picture(self.0.position(landmark)?)
    }

    /// Measurements of points; each has a bound in pixels or none.
    fn measure(
        &self,
        names: Vec<String>,
        points: PyReadonlyArray2<'_, f64>,
        bounds: Vec<Option<f64>>,
        absent: Vec<String>,
        abstained: Vec<String>,
        spacing: Option<(f64, f64)>,
    ) -> PyResult<Vec<Measured>> {
        let placed = landmarks(names, &points)?;
        if bounds.len() != placed.len() {
            return Err(refuse(format!("{} bounds for {} points", bounds.len(), placed.len())));
        }
        let spacing = spacing.map(|(x, y)| Spacing::new(x, y)).transpose().map_err(raise)?;
        let mut all: HashMap<&str, LandmarkStatus> = HashMap::new();
        for (landmark, error_bound_px) in placed.iter().zip(bounds) {
            all.insert(&landmark.name, LandmarkStatus::Placed { at: landmark.at, error_bound_px });
        }
        all.extend(absent.iter().map(|name| (name.as_str(), LandmarkStatus::Absent)));
        all.extend(abstained.iter().map(|name| (name.as_str(), LandmarkStatus::Abstained)));
        let measured =
            self.0.measure(|name| all.get(name).copied(), spacing).into_iter().map(|measurement| {
                let reason = measurement.reason();
                let value = measurement.outcome.ok();
                let bound = value.as_ref().and_then(|of| of.error_bound.as_ref().ok().copied());
                let unit = value.as_ref().map(|of| of.unit.to_string());
                (measurement.name, value.map(|of| of.value), unit, bound, reason)
            });
        Ok(measured.collect())
    }
}
