//! Inter-reader agreement: distance, systematic offset, and spread of each landmark.

use std::collections::BTreeMap;

use infomark_core::{Point, Spacing, mean, sdr};
use serde::Serialize;

use crate::figures::rounded_rates;
use crate::statistics::rounded;
use crate::{EvalError, Radius, Rates, check_radii, median};

/// Landmark placed by two readers in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderPair {
    /// The landmark.
    pub landmark: String,
    /// Point of the first reader, in pixels.
    pub a: Point<f64>,
    /// Point of the second reader, in pixels.
    pub b: Point<f64>,
    /// Pixel size of the image, if known.
    pub spacing: Option<Spacing>,
}

/// Agreement of two readers on a landmark, or on all.
///
/// Lengths are in [`Agreement::unit`]. Standard deviations are those of a sample (`n - 1`); `None` for a single pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReaderFigures {
    /// The landmark; `all` for all pairs together.
    pub landmark: String,
    /// Number of pairs: images in which both readers placed it.
    pub pairs: usize,
    /// Mean distance between the two readers' points.
    pub mean_radial_error: f64,
    /// Median distance.
    pub median: f64,
    /// Standard deviation of the distances.
    pub sd: Option<f64>,
    /// Systematic offset in x and y: mean of the second reader's point minus the first's.
    pub offset: [f64; 2],
    /// Standard deviation of the offset in x and y: the random part of the disagreement.
    pub offset_sd: [Option<f64>; 2],
    /// Fraction of the distances below each radius, 0 to 1.
    pub within: Rates,
}

/// Agreement of two readers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// `mm`, or `px` without any pixel size.
    pub unit: &'static str,
    /// Agreement per landmark, in order of first occurrence.
    pub landmarks: Vec<ReaderFigures>,
    /// All pairs together.
    pub all: ReaderFigures,
}

impl Agreement {
    /// Rounds to four decimals, as in result files.
    #[must_use]
    pub fn rounded(self) -> Self {
        let landmarks = self.landmarks.into_iter().map(ReaderFigures::rounded).collect();
        Self { landmarks, all: self.all.rounded(), ..self }
    }
}

impl ReaderFigures {
    fn rounded(self) -> Self {
        Self {
            mean_radial_error: rounded(self.mean_radial_error),
            median: rounded(self.median),
            sd: self.sd.map(rounded),
            offset: self.offset.map(rounded),
            offset_sd: self.offset_sd.map(|sd| sd.map(rounded)),
            within: rounded_rates(self.within),
            ..self
        }
    }
}

/// Compares two readers; radii are in the unit of the result.
///
/// # Errors
/// [`EvalError::NoPairs`] without pairs, [`EvalError::MixedUnits`] where only some of the pairs have a spacing, [`EvalError::Radius`].
///
/// ```
/// use infomark_core::{Point, Spacing};
/// use infomark_eval::{ReaderPair, reader_agreement};
///
/// let spacing = Some(Spacing::new(0.5, 0.5)?);
/// let pair = |x, y| ReaderPair { landmark: "sella".into(), a: Point::new(10.0, 10.0), b: Point::new(x, y), spacing };
/// let agreement = reader_agreement(&[pair(16.0, 10.0), pair(10.0, 18.0)], &[3.5])?;
/// let sella = &agreement.landmarks[0];
/// assert_eq!((agreement.unit, sella.mean_radial_error, sella.offset), ("mm", 3.5, [1.5, 2.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reader_agreement(pairs: &[ReaderPair], radii: &[f64]) -> Result<Agreement, EvalError> {
    check_radii(radii)?;
    let known = pairs.iter().filter(|pair| pair.spacing.is_some()).count();
    if pairs.is_empty() {
        return Err(EvalError::NoPairs);
    }
    if known > 0 && known < pairs.len() {
        return Err(EvalError::MixedUnits { known, pairs: pairs.len() });
    }
    let mut order: Vec<&str> = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for ReaderPair { landmark, a, b, spacing } in pairs {
        let (x, y) = spacing.map_or((1.0, 1.0), |spacing| (spacing.x, spacing.y));
        let differences = by_name.entry(landmark).or_default();
        if differences.is_empty() {
            order.push(landmark);
        }
        differences.push([(b.x - a.x) * x, (b.y - a.y) * y]);
    }
    let all: Vec<[f64; 2]> = order.iter().filter_map(|name| by_name.get(name)).flatten().copied().collect();
    let landmarks =
        order.iter().map(|name| figures(name, by_name.get(name).map_or(&[], Vec::as_slice), radii));
    let unit = if known > 0 { "mm" } else { "px" };
    Ok(Agreement { unit, landmarks: landmarks.collect(), all: figures("all", &all, radii) })
}

fn figures(landmark: &str, differences: &[[f64; 2]], radii: &[f64]) -> ReaderFigures {
    let distances: Vec<f64> = differences.iter().map(|[x, y]| x.hypot(*y)).collect();
    let axis = |axis: usize| differences.iter().map(|difference| difference[axis]).collect::<Vec<f64>>();
    let (x, y) = (axis(0), axis(1));
    let average = |values: &[f64]| mean(values).unwrap_or(f64::NAN);
    ReaderFigures {
        landmark: landmark.to_owned(),
        pairs: differences.len(),
        mean_radial_error: average(&distances),
        median: median(distances.clone()),
        sd: deviation(&distances),
        offset: [average(&x), average(&y)],
        offset_sd: [deviation(&x), deviation(&y)],
        within: radii.iter().filter_map(|&radius| Some((Radius(radius), sdr(&distances, radius)?))).collect(),
    }
}

/// Standard deviation of a sample; `None` for fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    let average = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - average) * (value - average)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}
