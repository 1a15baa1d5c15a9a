//! What a page shows.

use std::path::PathBuf;

use serde_json::Value;

/// What a page shows.
#[derive(Clone, Debug)]
pub struct Results {
    /// What made it.
    pub kind: Kind,
    /// What the result says of itself, without the landmarks: the JSON object that `match` or `evaluate` writes, or a
    /// checkpoint's.
    pub about: Value,
    /// Names of the landmarks, in their order.
    pub landmarks: Vec<String>,
    /// Images, the worst first, as [`sort_worst_first`](Self::sort_worst_first) puts them.
    pub cases: Vec<Case>,
    /// All errors of all templates, where the truth is known.
    pub errors: Vec<PointError>,
    /// Template whose results [`cases`](Self::cases) are, where there are several.
    pub template: Option<String>,
    /// Images that could not be searched, and why.
    pub failed: Vec<(String, String)>,
}

/// What made a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Landmarks found in new images.
    Match,
    /// Landmarks found in annotated images.
    Evaluation,
    /// Training of an encoder.
    Training,
}

/// An image and what was found in it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the image.
    pub image: String,
    /// Width and height, where the result says it.
    pub size: Option<(usize, usize)>,
    /// Picture with the points in it, beside the result.
    pub overlay: Option<PathBuf>,
    /// Its landmarks.
    pub points: Vec<Spot>,
    /// By a scheme, where one was given.
    pub measurements: Vec<ReportedMeasurement>,
}

/// A landmark that was found.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Its name.
    pub name: String,
    /// Where it was found: x and y in pixels of the image.
    pub at: (f64, f64),
    /// Where it is, if that is known.
    pub truth: Option<(f64, f64)>,
    /// Distance of both in mm.
    pub error_mm: Option<f64>,
    /// Mean cosine, or of a landmark network the probability.
    pub score: Option<f64>,
    /// Relative size of the error, which orders landmarks and images.
    pub uncertainty: Option<f64>,
    /// Error bound in mm, where there is one.
    pub error_bound_mm: Option<f64>,
    /// Whether nobody should rely on it.
    pub abstained: bool,
}

/// A measurement of an image by a landmark scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedMeasurement {
    /// Its name.
    pub name: String,
    /// Value and error bound as text without the unit, or why there is no value.
    pub outcome: Result<String, String>,
    /// Unit of the value.
    pub unit: Option<String>,
}

/// One error of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointError {
    /// Place of its name among [`Results::landmarks`].
    pub landmark: usize,
    /// Place of the image among all, from 0.
    pub image: usize,
    /// Distance from the true place in mm.
    pub error_mm: f64,
    /// Score of the landmark.
    pub score: f64,
}

impl Case {
    /// Mean error in mm, where the truth is known.
    pub fn error_mm(&self) -> Option<f64> {
        let errors: Vec<f64> = self.points.iter().filter_map(|point| point.error_mm).collect();
        infomark_core::mean(&errors)
    }

    /// The larger, the worse: error, else error bound, else uncertainty, else lack of similarity.
    fn badness(&self) -> f64 {
        let mean = |value: &dyn Fn(&Spot) -> Option<f64>| {
            infomark_core::mean(&self.points.iter().filter_map(value).collect::<Vec<f64>>())
        };
        let error_bound = || mean(&|point| point.error_bound_mm);
        let uncertainty = || mean(&|point| point.uncertainty);
        let score = || mean(&|point| point.score).map(|score| -score);
        self.error_mm().or_else(error_bound).or_else(uncertainty).or_else(score).unwrap_or(f64::NEG_INFINITY)
    }
}

impl Results {
    /// Puts the images in the order of the page: the largest errors, else error bounds, else uncertainties, else
    /// the lowest scores first.
    pub fn sort_worst_first(&mut self) {
        self.cases.sort_by(|a, b| b.badness().total_cmp(&a.badness()).then_with(|| a.image.cmp(&b.image)));
    }
}

impl ReportedMeasurement {
    /// Value and error bound, with the unit if that is wanted, or why there is no value.
    pub(crate) fn text(&self, with_unit: bool) -> String {
        match (&self.outcome, &self.unit) {
            (Ok(value), Some(unit)) if with_unit => format!("{value} {unit}"),
            (Ok(text), _) | (Err(text), _) => text.clone(),
        }
    }
}
