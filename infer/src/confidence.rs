//! Confidence measures of a matched landmark.

use infomark_core::{LocateError, Plane, Point, highest_beyond, peak};
use infomark_kernels::widest;

use crate::Encoding;
use crate::fit::cells;
use crate::score_map::{Registered, ScoreMap, counted};
use crate::search::ComparisonError;

/// A second peak is farther than this from the first, in pixels of the model input.
const APART: f32 = 20.0;
/// Errors are saturated at this distance, in pixels of the model input.
const FARTHEST: f64 = 60.0;

/// The logarithm of [`Confidence::uncertainty`] is linear in score and margin, with these weights: least
/// squares of the logarithm of errors plus one pixel on `ceph-train` and `chest-train` (`docs/results.md`).
const BASE: f64 = 3.8;
const OF_SCORE: f64 = -2.0;
const OF_MARGIN: f64 = -0.5;

/// Confidence measures of a matched landmark. Lengths are in pixels of the original image.
///
/// None of these needs a label, and none bounds the error. All grow with the error, except `margin`, which falls;
/// [`ErrorCalibration`](crate::ErrorCalibration) turns them into a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence {
    /// Score gap to the best peak elsewhere, ring and prior included; at least 0, in the units of [`Found::score`](crate::Found::score).
    pub margin: f64,
    /// Cycle-consistency error: distance from the landmark after matching back into the template, converted from the model input to
    /// pixels of this image. `None` for a template without its feature maps.
    pub cycle_error: Option<f64>,
    /// Distance to the prior, i.e. the landmark's position by robust alignment; `None` without the prior, or with too few inliers.
    pub prior: Option<f64>,
    /// Relative size of the error, from score and margin; above 0, independent of the image's size. For
    /// ranking landmarks and images for review; it is not a length and not a bound.
    pub uncertainty: f64,
    /// The uncertainty in pixels of the image instead of the model input: calibrated errors are multiples
    /// of it.
    pub scale: f64,
}

/// Confidence of a landmark at `found` in pixels of the image, with a score, from the templates that have it, each with its
/// position there. `map` is the score map.
pub(crate) fn of(
    having: &[(&Registered<'_>, usize)],
    encoding: &Encoding,
    map: &ScoreMap,
    (found, score): (Point<f64>, f64),
) -> Result<Confidence, ComparisonError> {
    let levels = encoding.levels();
    let finest = levels.first().ok_or(LocateError::NoLevels)?;
    let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
    let fit = encoding.fit();
    let at: Point<f32> = fit.push(found).cast();
    let distance = |a: Point<f32>, b: Point<f32>| f64::from((a.x - b.x).hypot(a.y - b.y)).min(FARTHEST);

    let shown = cells(fit.content(), stride);
    let all = Plane::new(&map.all, width, height)
        .and_then(|map| map.crop(shown.x, shown.y, shown.width, shown.height))?;
    let start = Point::new(at.x - (shown.x * stride) as f32, at.y - (shown.y * stride) as f32);
    let (first, second) = widest(
        #[inline(always)]
        || (peak(all, stride), highest_beyond(all, stride, start, APART)),
    );
    let first = first.ok_or(ComparisonError::NotANumber)?.value;
    let second = second.unwrap_or(first);
    let margin = f64::from((first - second) * encoding.temperature() / counted(levels.len())).max(0.0);

    let (mut cycle_error, mut prior) = (Mean::default(), Mean::default());
    for &(laid, index) in having {
        let place = *laid.template().places().get(index).ok_or(ComparisonError::NoLandmark)?;
        let expected = laid.alignment().map(|alignment| alignment.predict(place).at);
        prior.add(expected.map(|expected| distance(expected, at)));
        if let Some(map) = laid.template().back() {
            cycle_error
                .add(map.nearest(encoding, at, &mut laid.search())?.map(|nearest| distance(nearest, place)));
        }
    }
    // Pixels of the image per pixel of the model input.
    let unit = fit.unit();
    let uncertainty = (BASE + OF_SCORE * score + OF_MARGIN * margin).exp();
    Ok(Confidence {
        margin,
        cycle_error: cycle_error.get().map(|v| v * unit),
        prior: prior.get().map(|v| v * unit),
        uncertainty,
        scale: uncertainty * unit,
    })
}

/// A running mean.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}
