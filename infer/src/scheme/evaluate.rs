//! Measurements of an image, with their error bounds.

use std::fmt;

use infomark_core::{
    Measured, Point, Spacing, angle_at, angle_between, distance_to_line, error_bound, horizontal_extent,
    length, midpoint, projected_length, vertical_extent,
};

use super::{Kind, Scheme};

/// Maximum sum of the error bounds of a line's ends, as a fraction of its length, for first-order propagation of its
/// direction: the exact bound of the direction is then at most 1.1 % larger.
const MAX_TURN: f64 = 0.25;
/// Maximum error bound of a denominator, as a fraction of its value, for first-order propagation of a ratio: the exact
/// bound is then at most a ninth larger.
const MAX_DENOMINATOR: f64 = 0.1;

/// Status of a landmark in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LandmarkStatus {
    /// It has a position.
    Placed {
        /// Position in pixels; the centre of the first pixel is `(0, 0)`.
        at: Point<f64>,
        /// Error bound in pixels, if known.
        error_bound_px: Option<f64>,
    },
    /// Absent from the image.
    Absent,
    /// Found, but abstained from.
    Abstained,
}

/// Measurement of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Name in the scheme.
    pub name: String,
    /// Its value, or why there is none.
    pub outcome: Result<MeasuredValue, NotMeasured>,
}

impl Measurement {
    /// Why there is no value, or no error bound although each landmark has one.
    pub fn reason(&self) -> Option<String> {
        match &self.outcome {
            Err(reason) => Some(reason.to_string()),
            // Manually placed landmarks have no bounds.
            Ok(MeasuredValue { error_bound: Ok(_) | Err(NoBound::Unbounded { .. }), .. }) => None,
            Ok(MeasuredValue { error_bound: Err(none), .. }) => Some(none.to_string()),
        }
    }
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredValue {
    /// The value, in the unit.
    pub value: f64,
    /// Unit of value and bound.
    pub unit: Unit,
    /// First-order error bound for landmarks within their own bounds; or why it is unknown.
    pub error_bound: Result<f64, NoBound>,
}

/// Unit of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Degrees of an angle.
    Degrees,
    /// Millimetres, if the pixel size is known.
    Millimetres,
    /// Pixels, otherwise.
    Pixels,
    /// Dimensionless ratio.
    Ratio,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unit::Degrees => "deg",
            Unit::Millimetres => "mm",
            Unit::Pixels => "px",
            Unit::Ratio => "ratio",
        })
    }
}

/// Why a measurement is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMeasured {
    /// A landmark has no position.
    #[error("{landmark} is missing")]
    Missing {
        /// The landmark.
        landmark: String,
    },
    /// A landmark is marked as absent.
    #[error("{landmark} is absent")]
    Absent {
        /// The landmark.
        landmark: String,
    },
    /// A landmark is abstained from.
    #[error("{landmark} is abstained from")]
    Abstained {
        /// The landmark.
        landmark: String,
    },
    /// A line of length 0, a denominator of 0, or a value that is not finite.
    #[error("not defined for these places")]
    Undefined,
    /// The points that define the direction the patient faces are vertically aligned.
    #[error("{first} and {second} are one above the other, so that the sign is not known")]
    Facing {
        /// The point on the left where signs are as seen.
        first: String,
        /// The other.
        second: String,
    },
}

/// Why a value has no error bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoBound {
    /// A landmark has no bound.
    #[error("no error bound of {landmark}")]
    Unbounded {
        /// The landmark.
        landmark: String,
    },
    /// The ends of a line are too uncertain for its direction.
    #[error("the error bounds of {first} and {second} are more than a quarter of their distance")]
    Direction {
        /// One end.
        first: String,
        /// The other.
        second: String,
    },
    /// A denominator is too uncertain.
    #[error("the error bound of {measurement} is more than a tenth of its value")]
    Denominator {
        /// The measurement.
        measurement: String,
    },
}

/// A point in the unit of the image.
#[derive(Clone, Debug)]
struct Located {
    at: Point<f64>,
    /// Weights of the landmarks whose mean it is.
    weights: Vec<(usize, f64)>,
}

/// A value with its gradient with respect to the landmarks.
#[derive(Clone)]
struct Quantity {
    value: f64,
    unit: Unit,
    gradient: Vec<Point<f64>>,
    too_wide: Option<NoBound>,
}

struct Evaluation<'a> {
    scheme: &'a Scheme,
    /// Landmarks, then constructs.
    points: Vec<Result<Located, NotMeasured>>,
    /// Error bounds of the landmarks in the unit of the points.
    bounds: Vec<Option<f64>>,
    /// 1 where the patient faces the direction of the sign convention, -1 where the opposite one.
    side: Result<f64, NotMeasured>,
    length_unit: Unit,
}

impl Scheme {
    /// Computes the measurements of an image in the order of the scheme; `status` returns the status of a landmark by name, `None` if missing.
    ///
    /// With a spacing, lengths are in millimetres and angles are those in the plane of the image, whatever the shape of its
    /// pixels. Without one, lengths are in pixels, which are assumed to be square.
    /// `docs/schemes.md` has the formulas, the signs and the propagation of error bounds.
    ///
    /// ```
    /// use infomark_core::{Point, Spacing};
    /// use infomark_infer::{LandmarkStatus, Scheme, Unit};
    ///
    /// let scheme = Scheme::parse(
    ///     r#"
    ///     title = "Two points"
    ///     anatomy = "none"
    ///     landmark = [{ name = "a" }, { name = "b" }]
    ///     measurement = [{ name = "a to b", length = ["a", "b"] }]
    ///     "#,
    ///     "two.toml",
    /// )?;
    /// let placed = |name: &str| {
    ///     let at = if name == "a" { Point::new(0.0, 0.0) } else { Point::new(6.0, 8.0) };
    ///     Some(LandmarkStatus::Placed { at, error_bound_px: Some(1.0) })
    /// };
    /// let measured = &scheme.measure(placed, Some(Spacing::new(0.5, 0.5)?))[0];
    /// let value = measured.outcome.as_ref().map_err(Clone::clone)?;
    /// assert_eq!((value.value, value.unit, &value.error_bound), (5.0, Unit::Millimetres, &Ok(1.0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measure(
        &self,
        status: impl Fn(&str) -> Option<LandmarkStatus>,
        spacing: Option<Spacing>,
    ) -> Vec<Measurement> {
        let evaluation = Evaluation::new(self, status, spacing);
        let mut done: Vec<Result<Quantity, NotMeasured>> = Vec::with_capacity(self.measurements.len());
        for definition in &self.measurements {
            let quantity = evaluation.quantity(&definition.kind, &done);
            done.push(quantity);
        }
        let named = self.measurements.iter().zip(done);
        named
            .map(|(definition, quantity)| Measurement {
                name: definition.name.clone(),
                outcome: quantity.map(|quantity| evaluation.value(quantity)),
            })
            .collect()
    }
}

impl<'a> Evaluation<'a> {
    fn new(
        scheme: &'a Scheme,
        status: impl Fn(&str) -> Option<LandmarkStatus>,
        spacing: Option<Spacing>,
    ) -> Evaluation<'a> {
        let mut bounds = Vec::with_capacity(scheme.landmarks.len());
        let mut points: Vec<Result<Located, NotMeasured>> = Vec::new();
        for (index, landmark) in scheme.landmarks.iter().enumerate() {
            let landmark = landmark.name.clone();
            let mut bound = None;
            points.push(match status(&landmark) {
                None => Err(NotMeasured::Missing { landmark }),
                Some(LandmarkStatus::Absent) => Err(NotMeasured::Absent { landmark }),
                Some(LandmarkStatus::Abstained) => Err(NotMeasured::Abstained { landmark }),
                Some(LandmarkStatus::Placed { at, error_bound_px }) => {
                    // A bound is a radius, independent of direction, as in `PixelSpacing::mean_mm`.
                    let scale = spacing.map_or(1.0, |spacing| (spacing.x * spacing.y).sqrt());
                    bound = error_bound_px
                        .map(|px| px * scale)
                        .filter(|bound| *bound >= 0.0 && bound.is_finite());
                    let at = spacing.map_or(at, |spacing| at.in_mm(spacing));
                    Ok(Located { at, weights: vec![(index, 1.0)] })
                }
            });
            bounds.push(bound);
        }
        for construct in &scheme.constructs {
            let middle = |a: &Located, b: &Located| {
                let mut weights: Vec<(usize, f64)> = Vec::new();
                for &(index, weight) in a.weights.iter().chain(&b.weights) {
                    match weights.iter_mut().find(|(known, _)| *known == index) {
                        Some((_, sum)) => *sum += 0.5 * weight,
                        None => weights.push((index, 0.5 * weight)),
                    }
                }
                Located { at: midpoint(a.at, b.at), weights }
            };
            let ends = construct.midpoint.map(|index| located(&points, index));
            points.push(match ends {
                [Ok(a), Ok(b)] => Ok(middle(a, b)),
                [Err(reason), _] | [_, Err(reason)] => Err(reason),
            });
        }
        let side = match scheme.facing {
            None => Ok(1.0),
            Some(of) => match of.map(|index| located(&points, index)) {
                [Ok(a), Ok(b)] if b.at.x > a.at.x => Ok(1.0),
                [Ok(a), Ok(b)] if b.at.x < a.at.x => Ok(-1.0),
                [Ok(_), Ok(_)] => {
                    let [first, second] = of.map(|index| scheme.point_name(index).to_owned());
                    Err(NotMeasured::Facing { first, second })
                }
                [Err(reason), _] | [_, Err(reason)] => Err(reason),
            },
        };
        let length_unit = if spacing.is_some() { Unit::Millimetres } else { Unit::Pixels };
        Evaluation { scheme, points, bounds, side, length_unit }
    }

    fn quantity(&self, kind: &Kind, done: &[Result<Quantity, NotMeasured>]) -> Result<Quantity, NotMeasured> {
        let lengths = self.length_unit;
        match *kind {
            Kind::Length(of) => {
                let [a, b] = self.at(of)?;
                self.of_points(of, length(a, b), lengths, 1.0, &[])
            }
            Kind::Horizontal(of) => {
                let [a, b] = self.at(of)?;
                self.of_points(of, horizontal_extent(a, b), lengths, 1.0, &[])
            }
            Kind::Vertical(of) => {
                let [a, b] = self.at(of)?;
                self.of_points(of, vertical_extent(a, b), lengths, 1.0, &[])
            }
            Kind::Angle(of) => {
                let ([a, vertex, b], [from, at, to]) = (self.at(of)?, of);
                let angle = angle_at(a, vertex, b);
                self.of_points(of, angle, Unit::Degrees, 1_f64.to_degrees(), &[[from, at], [at, to]])
            }
            Kind::AngleOfLines(of) => {
                let ([a, b, c, d], [i, j, k, l]) = (self.at(of)?, of);
                let scale = self.side.clone()?.to_degrees();
                self.of_points(of, angle_between(a, b, c, d), Unit::Degrees, scale, &[[i, j], [k, l]])
            }
            Kind::DistanceToLine(of) => {
                let ([point, a, b], [_, i, j]) = (self.at(of)?, of);
                self.of_points(of, distance_to_line(point, a, b), lengths, self.side.clone()?, &[[i, j]])
            }
            Kind::ProjectedLength(of) => {
                let ([p, q, a, b], [_, _, i, j]) = (self.at(of)?, of);
                self.of_points(of, projected_length(p, q, a, b), lengths, 1.0, &[[i, j]])
            }
            Kind::Sum(ref terms) => self.weighted(terms.iter().map(|&term| (term, 1.0)), done),
            Kind::Difference([a, b]) => self.weighted([(a, 1.0), (b, -1.0)].into_iter(), done),
            Kind::Ratio([over, under]) => {
                let (a, b) = (quantity(done, over)?, quantity(done, under)?);
                let value = a.value / b.value;
                let terms = [(over, 1.0 / b.value), (under, -value / b.value)];
                let ratio = self.weighted(terms.into_iter(), done)?;
                let wide = self.bound(b).is_ok_and(|bound| bound > MAX_DENOMINATOR * b.value.abs());
                let name = || {
                    self.scheme.measurements.get(under).map(|under| under.name.clone()).unwrap_or_default()
                };
                let denominator = wide.then(|| NoBound::Denominator { measurement: name() });
                let too_wide = ratio.too_wide.or(denominator);
                finite(Quantity { value, unit: Unit::Ratio, gradient: ratio.gradient, too_wide })
            }
        }
    }

    /// Positions of points.
    fn at<const N: usize>(&self, of: [usize; N]) -> Result<[Point<f64>; N], NotMeasured> {
        let mut at = [Point::default(); N];
        for (at, index) in at.iter_mut().zip(of) {
            *at = located(&self.points, index)?.at;
        }
        Ok(at)
    }

    /// The core's measurement of points, times a factor; `lines` are those whose direction it depends on.
    fn of_points<const N: usize>(
        &self,
        of: [usize; N],
        measured: Option<Measured<N>>,
        unit: Unit,
        scale: f64,
        lines: &[[usize; 2]],
    ) -> Result<Quantity, NotMeasured> {
        let measured = measured.ok_or(NotMeasured::Undefined)?;
        let mut gradient = vec![Point::default(); self.scheme.landmarks.len()];
        for (index, by) in of.into_iter().zip(measured.gradient) {
            for &(landmark, weight) in &located(&self.points, index)?.weights {
                if let Some(sum) = gradient.get_mut(landmark) {
                    *sum = Point::new(sum.x + scale * weight * by.x, sum.y + scale * weight * by.y);
                }
            }
        }
        let too_wide = lines.iter().find_map(|&line| self.too_wide(line));
        finite(Quantity { value: scale * measured.value, unit, gradient, too_wide })
    }

    /// Weighted sum of measurements.
    fn weighted(
        &self,
        terms: impl Iterator<Item = (usize, f64)>,
        done: &[Result<Quantity, NotMeasured>],
    ) -> Result<Quantity, NotMeasured> {
        let mut sum = Quantity {
            value: 0.0,
            unit: Unit::Ratio,
            gradient: vec![Point::default(); self.scheme.landmarks.len()],
            too_wide: None,
        };
        for (index, factor) in terms {
            let term = quantity(done, index)?;
            sum.value += factor * term.value;
            sum.unit = term.unit;
            for (sum, by) in sum.gradient.iter_mut().zip(&term.gradient) {
                *sum = Point::new(sum.x + factor * by.x, sum.y + factor * by.y);
            }
            sum.too_wide = sum.too_wide.or_else(|| term.too_wide.clone());
        }
        finite(sum)
    }

    /// Whether the ends of a line are too uncertain for first-order propagation of its direction.
    fn too_wide(&self, [first, second]: [usize; 2]) -> Option<NoBound> {
        let bound = |index: usize| {
            let weights = &located(&self.points, index).ok()?.weights;
            weights
                .iter()
                .map(|&(landmark, weight)| Some(weight * self.bounds.get(landmark).copied()??))
                .sum()
        };
        let together: f64 = Option::<f64>::zip(bound(first), bound(second)).map(|(a, b)| a + b)?;
        let [a, b] = self.at([first, second]).ok()?;
        (together > MAX_TURN * length(a, b)?.value).then(|| NoBound::Direction {
            first: self.scheme.point_name(first).to_owned(),
            second: self.scheme.point_name(second).to_owned(),
        })
    }

    fn bound(&self, quantity: &Quantity) -> Result<f64, NoBound> {
        if let Some(too_wide) = &quantity.too_wide {
            return Err(too_wide.clone());
        }
        let depends = |by: &Point<f64>| by.x != 0.0 || by.y != 0.0;
        let all = self.scheme.landmarks.iter().zip(&self.bounds).zip(&quantity.gradient);
        for ((landmark, bound), by) in all {
            if bound.is_none() && depends(by) {
                return Err(NoBound::Unbounded { landmark: landmark.name.clone() });
            }
        }
        let bounds: Vec<f64> = self.bounds.iter().map(|bound| bound.unwrap_or(0.0)).collect();
        Ok(error_bound(&quantity.gradient, &bounds))
    }

    fn value(&self, quantity: Quantity) -> MeasuredValue {
        let error_bound = self.bound(&quantity);
        MeasuredValue { value: quantity.value, unit: quantity.unit, error_bound }
    }
}

fn located(points: &[Result<Located, NotMeasured>], index: usize) -> Result<&Located, NotMeasured> {
    points.get(index).map_or(Err(NotMeasured::Undefined), |point| point.as_ref().map_err(Clone::clone))
}

fn quantity(done: &[Result<Quantity, NotMeasured>], index: usize) -> Result<&Quantity, NotMeasured> {
    done.get(index).map_or(Err(NotMeasured::Undefined), |quantity| quantity.as_ref().map_err(Clone::clone))
}

fn finite(quantity: Quantity) -> Result<Quantity, NotMeasured> {
    let finite = quantity.value.is_finite() && quantity.gradient.iter().all(|by| by.is_finite());
    if finite { Ok(quantity) } else { Err(NotMeasured::Undefined) }
}
