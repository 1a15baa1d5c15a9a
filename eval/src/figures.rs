//! Mean radial errors and detection rates, with confidence intervals.

use std::collections::BTreeMap;

use infomark_core::{Rng, ScoreError, Statistic};
use serde::Serialize;

use crate::statistics::{PerImage, draws, interval, joined, rounded, scored_images};
use crate::{ErrorTable, EvalError, median};

/// Stream of random numbers of the intervals.
const STREAM: u64 = 2;

/// Fractions of errors below radii, 0 to 1.
pub type Rates = BTreeMap<Radius, f64>;

/// Radius in mm, ordered by size; serialised as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radius(pub f64);

impl Eq for Radius {}

impl PartialOrd for Radius {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Radius {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Serialize for Radius {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Metrics of one template, or of several matched together. Intervals are 95 % bootstrap over images: percentiles of
/// 2000 resamples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Names of the templates' images, joined.
    pub template: String,
    /// Names of the images matched together, if several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Number of scored images.
    pub images: usize,
    /// Number of missing errors: landmarks not annotated in an image, or in no template. Omitted in files if 0.
    #[serde(skip_serializing_if = "is_none")]
    pub missing: usize,
    /// Mean radial error.
    pub mre_mm: f64,
    /// Confidence interval of the mean.
    pub mre_mm_interval: [f64; 2],
    /// Median of the errors.
    pub median_mm: f64,
    /// Fraction of the errors below each radius.
    pub sdr: Rates,
    /// Confidence intervals of these fractions.
    pub sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// Metrics per landmark.
    pub landmarks: Vec<LandmarkFigures>,
}

/// Metrics of one landmark; NaN without errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandmarkFigures {
    /// Name of the landmark.
    pub landmark: String,
    /// Mean radial error.
    pub mre_mm: f64,
    /// Median of the errors.
    pub median_mm: f64,
    /// Fraction of the errors below each radius.
    pub sdr: Rates,
}

/// Metrics of an encoder: the medians over its sets of templates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MedianFigures {
    /// Mean radial error.
    pub mre_mm: f64,
    /// Confidence interval of the mean: images are resampled, identically for all templates.
    pub mre_mm_interval: [f64; 2],
    /// Median of the errors.
    pub median_mm: f64,
    /// Fraction of the errors below each radius.
    pub sdr: Rates,
    /// Confidence intervals of these fractions.
    pub sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// Description of these metrics.
    pub summary: String,
    /// Largest number of missing errors of a set of templates. Omitted in files if 0.
    #[serde(skip_serializing_if = "is_none")]
    pub missing: usize,
    /// Metrics per landmark.
    pub landmarks: Vec<LandmarkFigures>,
}

/// The metrics of each set of templates, and their median. The images have the landmarks `names`; `seed` draws the intervals.
///
/// # Errors
/// [`EvalError::Radius`], [`EvalError::Score`] when a table has no error, an image has other landmarks, or an error is not finite, and
/// [`EvalError::NoErrors`] for the first landmark without an error in any table.
pub fn figures(
    tables: &[ErrorTable],
    names: &[String],
    radii_mm: &[f64],
    seed: u64,
) -> Result<(MedianFigures, Vec<Figures>), EvalError> {
    check_radii(radii_mm)?;
    tables.iter().try_for_each(|table| check(table, names))?;
    let without = |place: &usize| tables.iter().all(|table| table.of_landmark(*place).is_empty());
    if let Some(landmark) = (0..names.len()).find(without).and_then(|place| names.get(place)) {
        return Err(EvalError::NoErrors { landmark: landmark.clone() });
    }
    let each = tables.iter().map(|table| Figures::of(table, names, radii_mm, seed));
    let each: Vec<Figures> = each.collect();
    Ok((MedianFigures::of(&each, tables, names, radii_mm, seed), each))
}

/// Rejects a table without an error, with an image of other landmarks, or with an error that is not finite.
fn check(table: &ErrorTable, names: &[String]) -> Result<(), ScoreError> {
    let landmarks = names.len();
    let errors = table.all();
    let lengths = table.images.iter().map(|image| image.errors_mm.len());
    if let Some(len) =
        lengths.chain(errors.is_empty().then_some(0)).find(|len| *len != landmarks || *len == 0)
    {
        return Err(ScoreError::Shape { len, landmarks });
    }
    match errors.iter().position(|error| !error.is_finite()) {
        Some(index) => Err(ScoreError::NotFinite { index }),
        None => Ok(()),
    }
}

/// Rejects invalid radii.
///
/// # Errors
/// [`EvalError::Radius`] for the first that is not a finite number above 0.
pub fn check_radii(radii_mm: &[f64]) -> Result<(), EvalError> {
    match radii_mm.iter().find(|radius| !(radius.is_finite() && **radius > 0.0)) {
        Some(&radius_mm) => Err(EvalError::Radius { radius_mm }),
        None => Ok(()),
    }
}

impl Figures {
    fn of(table: &ErrorTable, names: &[String], radii_mm: &[f64], seed: u64) -> Self {
        let errors = table.all();
        let tables = std::slice::from_ref(table);
        let images = scored_images(tables);
        let draws = draws(images.len(), Rng::new(seed, STREAM));
        let interval = |statistic| {
            let values = PerImage::of(tables, &images, statistic);
            interval(draws.iter().map(|drawn| values.median(Some(drawn))).collect())
        };
        let landmarks = names.iter().enumerate().map(|(index, name)| {
            let own = table.of_landmark(index);
            LandmarkFigures {
                landmark: name.clone(),
                mre_mm: figure(Statistic::MeanRadialError, &own),
                median_mm: median(own.clone()),
                sdr: rates(&own, radii_mm),
            }
        });
        Self {
            template: joined(&table.templates),
            members: if table.templates.len() > 1 { table.templates.clone() } else { Vec::new() },
            images: table.images.len(),
            missing: table.missing(),
            mre_mm: figure(Statistic::MeanRadialError, &errors),
            mre_mm_interval: interval(Statistic::MeanRadialError),
            median_mm: median(errors.clone()),
            sdr: rates(&errors, radii_mm),
            sdr_intervals: each(radii_mm, |Radius(radius_mm)| interval(Statistic::Sdr { radius_mm })),
            landmarks: landmarks.collect(),
        }
    }
}

impl LandmarkFigures {
    fn rounded(self) -> Self {
        let Self { landmark, mre_mm, median_mm, sdr } = self;
        Self { landmark, mre_mm: rounded(mre_mm), median_mm: rounded(median_mm), sdr: rounded_rates(sdr) }
    }
}

impl MedianFigures {
    fn of(
        templates: &[Figures],
        tables: &[ErrorTable],
        names: &[String],
        radii_mm: &[f64],
        seed: u64,
    ) -> Self {
        // Templates without a landmark have no metrics of it.
        let over = |figure: &dyn Fn(&Figures) -> f64| {
            median(templates.iter().map(figure).filter(|figure| !figure.is_nan()).collect())
        };
        let rate = |rates: &Rates, radius: Radius| rates.get(&radius).copied().unwrap_or(f64::NAN);
        let of_landmark = |index: usize, figure: &dyn Fn(&LandmarkFigures) -> f64| {
            over(&|figures| figures.landmarks.get(index).map_or(f64::NAN, figure))
        };
        let landmarks = names.iter().enumerate().map(|(index, name)| LandmarkFigures {
            landmark: name.clone(),
            mre_mm: of_landmark(index, &|figures| figures.mre_mm),
            median_mm: of_landmark(index, &|figures| figures.median_mm),
            sdr: each(radii_mm, |radius| of_landmark(index, &|figures| rate(&figures.sdr, radius))),
        });
        let (mre_mm_interval, sdr_intervals) = match templates {
            [only] => (only.mre_mm_interval, only.sdr_intervals.clone()),
            _ => {
                // Images are resampled, identically for all templates.
                let scored = tables.iter().flat_map(|table| &table.images).map(|scored| scored.image);
                let images: Vec<usize> = (0..=scored.max().unwrap_or(0)).collect();
                let draws = draws(images.len(), Rng::new(seed, STREAM));
                let spread = |statistic| {
                    let values = PerImage::of(tables, &images, statistic);
                    interval(draws.iter().map(|drawn| values.median(Some(drawn))).collect())
                };
                let rate = |Radius(radius_mm)| spread(Statistic::Sdr { radius_mm });
                (spread(Statistic::MeanRadialError), each(radii_mm, rate))
            }
        };
        Self {
            mre_mm: over(&|figures| figures.mre_mm),
            mre_mm_interval,
            median_mm: over(&|figures| figures.median_mm),
            sdr: each(radii_mm, |radius| over(&|figures| rate(&figures.sdr, radius))),
            sdr_intervals,
            summary: match (templates, templates.first().map_or(0, |first| first.members.len())) {
                ([only], 0) => format!("template {}", only.template),
                ([only], _) => format!("templates {}", only.template),
                (_, 0) => format!("median over {} templates", templates.len()),
                (_, each) => format!("median over {} sets of {each} templates", templates.len()),
            },
            missing: templates.iter().map(|figures| figures.missing).max().unwrap_or(0),
            landmarks: landmarks.collect(),
        }
    }
}

macro_rules! rounded {
    ($($figures:ident),*) => {
        $(impl $figures {
            /// Rounds to four decimals, as in result files.
            #[must_use]
            pub fn rounded(self) -> Self {
                Self {
                    mre_mm: rounded(self.mre_mm),
                    mre_mm_interval: self.mre_mm_interval.map(rounded),
                    median_mm: rounded(self.median_mm),
                    sdr: rounded_rates(self.sdr),
                    sdr_intervals: rounded_ends(self.sdr_intervals),
                    landmarks: self.landmarks.into_iter().map(LandmarkFigures::rounded).collect(),
                    ..self
                }
            }
        })*
    };
}

rounded!(Figures, MedianFigures);

/// Whether a count is omitted in files.
pub(crate) fn is_none(count: &usize) -> bool {
    *count == 0
}

pub(crate) fn figure(statistic: Statistic, errors: &[f64]) -> f64 {
    statistic.of(errors).unwrap_or(f64::NAN)
}

fn rates(errors: &[f64], radii_mm: &[f64]) -> Rates {
    each(radii_mm, |Radius(radius_mm)| figure(Statistic::Sdr { radius_mm }, errors))
}

pub(crate) fn each<T>(radii_mm: &[f64], value: impl Fn(Radius) -> T) -> BTreeMap<Radius, T> {
    radii_mm.iter().map(|&radius| (Radius(radius), value(Radius(radius)))).collect()
}

pub(crate) fn rounded_rates(rates: Rates) -> Rates {
    rates.into_iter().map(|(radius, share)| (radius, rounded(share))).collect()
}

fn rounded_ends(ends: BTreeMap<Radius, [f64; 2]>) -> BTreeMap<Radius, [f64; 2]> {
    ends.into_iter().map(|(radius, ends)| (radius, ends.map(rounded))).collect()
}
