//! Lengths, angles and distances between landmarks, with their gradients and first-order error bounds.
//!
//! All points of a measurement are in one unit: millimetres ([`Point::in_mm`]), or pixels if these are square. x goes right
//! and y down, so that a positive angle is clockwise on screen.

use crate::Point;

/// A measured value with its gradient with respect to each of its `N` points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured<const N: usize> {
    /// The value, in the unit of the points for lengths, in radians for angles.
    pub value: f64,
    /// Derivative of `value` with respect to x and y of each point, in the order of the arguments.
    pub gradient: [Point<f64>; N],
}

impl<const N: usize> Measured<N> {
    /// `None` where the value or a derivative is not finite.
    fn finite(value: f64, gradient: [Point<f64>; N]) -> Option<Self> {
        let finite = value.is_finite() && gradient.iter().all(|by| by.is_finite());
        finite.then_some(Self { value, gradient })
    }
}

/// Length of the segment from `a` to `b`.
///
/// The gradient at length 0, where it is undefined, is taken along x. `None` where a coordinate is not finite.
pub fn length(a: Point<f64>, b: Point<f64>) -> Option<Measured<2>> {
    let (u, length) = unit(a, b).unwrap_or((Point::new(1.0, 0.0), 0.0));
    if length == 0.0 && !(a.is_finite() && b.is_finite() && a == b) {
        return None;
    }
    Measured::finite(length, [scaled(u, -1.0), u])
}

/// Angle at `vertex` between the rays to `a` and to `b`, in `[0, pi]` radians.
///
/// `None` where `a` or `b` is the vertex, or a coordinate is not finite.
pub fn angle_at(a: Point<f64>, vertex: Point<f64>, b: Point<f64>) -> Option<Measured<3>> {
    let Measured { value, gradient: [_, by_a, _, by_b] } = angle_between(vertex, a, vertex, b)?;
    let sign = if value < 0.0 { -1.0 } else { 1.0 };
    let (by_a, by_b) = (scaled(by_a, sign), scaled(by_b, sign));
    let by_vertex = Point::new(-by_a.x - by_b.x, -by_a.y - by_b.y);
    Measured::finite(value.abs(), [by_a, by_vertex, by_b])
}

/// Signed angle from the direction `a` to `b` to the direction `c` to `d`, in `(-pi, pi]` radians; positive is clockwise
/// on screen.
///
/// `None` where `a` is `b` or `c` is `d`, or a coordinate is not finite.
///
/// ```
/// use infomark_core::{Point, angle_between};
///
/// let origin = Point::new(0.0, 0.0);
/// // From right to down: a quarter turn clockwise.
/// let angle = angle_between(origin, Point::new(2.0, 0.0), origin, Point::new(0.0, 5.0)).ok_or("a line of no length")?;
/// assert!((angle.value.to_degrees() - 90.0).abs() < 1e-12);
/// # Ok::<(), &str>(())
/// ```
pub fn angle_between(a: Point<f64>, b: Point<f64>, c: Point<f64>, d: Point<f64>) -> Option<Measured<4>> {
    let ((u, first), (v, second)) = (unit(a, b)?, unit(c, d)?);
    // Of unit vectors, so that no product overflows. Adding 0 turns -0 into 0, so that opposite directions
    // are pi apart, not -pi.
    let value = libm::atan2(u.x * v.y - u.y * v.x + 0.0, dot(u, v));
    // Moving an end of a line across it by `t` rotates the line by `t` over its length.
    let (by_b, by_d) = (scaled(across(u), -1.0 / first), scaled(across(v), 1.0 / second));
    Measured::finite(value, [scaled(by_b, -1.0), by_b, scaled(by_d, -1.0), by_d])
}

/// Signed distance of `point` to the line through `a` and `b`; positive to the right of the direction from `a` to `b`, on
/// screen.
///
/// `None` where `a` is `b`, or a coordinate is not finite.
pub fn distance_to_line(point: Point<f64>, a: Point<f64>, b: Point<f64>) -> Option<Measured<3>> {
    let (u, length) = unit(a, b)?;
    let (n, w) = (across(u), Point::new(point.x - a.x, point.y - a.y));
    // Foot of the perpendicular: 0 at `a`, 1 at `b`.
    let foot = dot(w, u) / length;
    Measured::finite(dot(w, n), [n, scaled(n, foot - 1.0), scaled(n, -foot)])
}

/// Signed length of the segment from `p` to `q` projected onto the direction from `a` to `b`.
///
/// `None` where `a` is `b`, or a coordinate is not finite.
pub fn projected_length(p: Point<f64>, q: Point<f64>, a: Point<f64>, b: Point<f64>) -> Option<Measured<4>> {
    let (u, length) = unit(a, b)?;
    let (n, w) = (across(u), Point::new(q.x - p.x, q.y - p.y));
    let by_b = scaled(n, dot(w, n) / length);
    Measured::finite(dot(w, u), [scaled(u, -1.0), u, scaled(by_b, -1.0), by_b])
}

/// Horizontal distance of `a` and `b`, `|b.x - a.x|`.
///
/// `None` where a coordinate is not finite.
pub fn horizontal_extent(a: Point<f64>, b: Point<f64>) -> Option<Measured<2>> {
    let way = if b.x < a.x { Point::new(-1.0, 0.0) } else { Point::new(1.0, 0.0) };
    Measured::finite((b.x - a.x).abs() + 0.0 * (b.y - a.y), [scaled(way, -1.0), way])
}

/// Vertical distance of `a` and `b`, `|b.y - a.y|`.
///
/// `None` where a coordinate is not finite.
pub fn vertical_extent(a: Point<f64>, b: Point<f64>) -> Option<Measured<2>> {
    let way = if b.y < a.y { Point::new(0.0, -1.0) } else { Point::new(0.0, 1.0) };
    Measured::finite((b.y - a.y).abs() + 0.0 * (b.x - a.x), [scaled(way, -1.0), way])
}

/// The midpoint of `a` and `b`; its error bound is the mean of theirs.
pub fn midpoint(a: Point<f64>, b: Point<f64>) -> Point<f64> {
    Point::new(0.5 * a.x + 0.5 * b.x, 0.5 * a.y + 0.5 * b.y)
}

/// First-order error bound of a value while each of its points stays within its own bound: the sum of
/// `|gradient| * bound`.
///
/// Point `i` may lie anywhere in a disc of radius `bounds[i]`, in the unit of the points; a linear function is
/// largest where each point lies on the edge of its disc, along its gradient. Missing bounds count as 0. This is the worst
/// case: it holds for any dependence between the errors.
///
/// ```
/// use infomark_core::{Point, error_bound, length};
///
/// let length = length(Point::new(0.0, 0.0), Point::new(30.0, 40.0)).ok_or("not finite")?;
/// assert_eq!(length.value, 50.0);
/// assert!((error_bound(&length.gradient, &[1.0, 2.0]) - 3.0).abs() < 1e-12);
/// # Ok::<(), &str>(())
/// ```
pub fn error_bound(gradient: &[Point<f64>], bounds: &[f64]) -> f64 {
    gradient.iter().zip(bounds).map(|(by, bound)| libm::hypot(by.x, by.y) * bound).sum()
}

/// The unit vector from `a` to `b`, and their distance; `None` where that is 0 or not finite.
fn unit(a: Point<f64>, b: Point<f64>) -> Option<(Point<f64>, f64)> {
    let (x, y) = (b.x - a.x, b.y - a.y);
    let length = libm::hypot(x, y);
    (length > 0.0 && length.is_finite()).then(|| (Point::new(x / length, y / length), length))
}

/// Rotates by a quarter turn clockwise, on screen.
fn across(u: Point<f64>) -> Point<f64> {
    Point::new(-u.y, u.x)
}

fn dot(a: Point<f64>, b: Point<f64>) -> f64 {
    a.x * b.x + a.y * b.y
}

fn scaled(a: Point<f64>, by: f64) -> Point<f64> {
    Point::new(a.x * by, a.y * by)
}
