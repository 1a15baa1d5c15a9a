//! Closed curves and tubes: the shapes that bones are made of.

use infomark_core::Point;

/// Straight pieces between two control points of a smooth curve.
const PIECES: usize = 6;

/// A closed curve, as a polygon fine enough to look smooth.
#[derive(Debug, Clone)]
pub(crate) struct Outline {
    corners: Vec<Point<f64>>,
    spans: Vec<Span>,
}

/// The polygon from one control point to the next, and a circle around it.
#[derive(Debug, Clone, Copy)]
struct Span {
    middle: Point<f64>,
    radius: f64,
    top: f64,
    bottom: f64,
}

impl Outline {
    /// The smooth closed curve through `control` (Catmull-Rom): it passes exactly through every
    /// control point.
    pub(crate) fn through(control: &[Point<f64>]) -> Self {
        let count = control.len();
        let at = |index: usize| control[index % count];
        let mut corners: Vec<_> = (0..count)
            .flat_map(|index| {
                let (before, from) = (at(index + count - 1), at(index));
                let (to, after) = (at(index + 1), at(index + 2));
                (0..PIECES).map(move |piece| spline(before, from, to, after, piece as f64 / PIECES as f64))
            })
            .collect();
        corners.push(at(0));
        let spans =
            (0..count).map(|index| Span::around(&corners[index * PIECES..=(index + 1) * PIECES])).collect();
        Self { corners, spans }
    }

    /// The corners of the polygon, the first one again at the end.
    pub(crate) fn corners(&self) -> &[Point<f64>] {
        &self.corners
    }

    /// The distance to the curve: positive inside, negative outside.
    pub(crate) fn depth(&self, at: Point<f64>) -> f64 {
        let mut nearest = f64::INFINITY;
        let mut reach = f64::INFINITY;
        let mut inside = false;
        for (index, span) in self.spans.iter().enumerate() {
            let (dx, dy) = (at.x - span.middle.x, at.y - span.middle.y);
            let bound = reach + span.radius;
            let near = dx * dx + dy * dy < bound * bound;
            let level = span.top <= at.y && at.y <= span.bottom;
            if !near && !level {
                continue;
            }
            let corners = &self.corners[index * PIECES..=(index + 1) * PIECES];
            for pair in corners.windows(2) {
                let (from, to) = (pair[0], pair[1]);
                if near {
                    nearest = nearest.min(segment(from, to, at).0);
                }
                if (from.y > at.y) != (to.y > at.y) {
                    let cut = from.x + (at.y - from.y) / (to.y - from.y) * (to.x - from.x);
                    inside ^= at.x < cut;
                }
            }
            reach = nearest.sqrt();
        }
        if inside { reach } else { -reach }
    }
}

impl Span {
    fn around(corners: &[Point<f64>]) -> Self {
        let fold = |start: f64, pick: fn(f64, f64) -> f64, of: fn(&Point<f64>) -> f64| {
            corners.iter().map(of).fold(start, pick)
        };
        let (left, right) =
            (fold(f64::INFINITY, f64::min, |at| at.x), fold(f64::NEG_INFINITY, f64::max, |at| at.x));
        let (top, bottom) =
            (fold(f64::INFINITY, f64::min, |at| at.y), fold(f64::NEG_INFINITY, f64::max, |at| at.y));
        let (dx, dy) = (0.5 * (right - left), 0.5 * (bottom - top));
        Self { middle: Point::new(left + dx, top + dy), radius: (dx * dx + dy * dy).sqrt(), top, bottom }
    }
}

/// A point of a tube's centre line and the radius there, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) at: Point<f64>,
    pub(crate) radius: f64,
}

/// A bent tube with round ends whose radius varies along its centre line.
#[derive(Debug, Clone)]
pub(crate) struct Tube {
    rings: Vec<Ring>,
}

impl Tube {
    /// The smooth tube through `rings`: its centre line passes exactly through each of them.
    pub(crate) fn through(rings: &[Ring]) -> Self {
        let last = rings.len() - 1;
        let at = |index: isize| rings[index.clamp(0, last as isize) as usize];
        let mut fine = Vec::with_capacity(last * PIECES + 1);
        for index in 0..last as isize {
            let (from, to) = (at(index), at(index + 1));
            fine.extend((0..PIECES).map(|piece| {
                let t = piece as f64 / PIECES as f64;
                Ring {
                    at: spline(at(index - 1).at, from.at, to.at, at(index + 2).at, t),
                    radius: from.radius + t * (to.radius - from.radius),
                }
            }));
        }
        fine.push(rings[last]);
        Self { rings: fine }
    }

    pub(crate) fn rings(&self) -> &[Ring] {
        &self.rings
    }

    /// The distance from the centre line and the radius at the nearest place of it, chosen so
    /// that the point is as deep inside as can be.
    pub(crate) fn offset(&self, at: Point<f64>) -> (f64, f64) {
        let mut best = (f64::INFINITY, 1.0);
        let mut most = f64::NEG_INFINITY;
        for pair in self.rings.windows(2) {
            let (squared, t) = segment(pair[0].at, pair[1].at, at);
            let radius = pair[0].radius + t * (pair[1].radius - pair[0].radius);
            let inside = radius - squared.sqrt();
            if inside > most {
                most = inside;
                best = (squared.sqrt(), radius);
            }
        }
        best
    }
}

/// The squared distance to a segment, and where along it (0 to 1) the nearest place is.
fn segment(from: Point<f64>, to: Point<f64>, at: Point<f64>) -> (f64, f64) {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let (px, py) = (at.x - from.x, at.y - from.y);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (px - t * dx, py - t * dy);
    (ex * ex + ey * ey, t)
}

fn spline(before: Point<f64>, from: Point<f64>, to: Point<f64>, after: Point<f64>, t: f64) -> Point<f64> {
    let blend = |a: f64, b: f64, c: f64, d: f64| {
        let (first, second, third) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * (b - c) + d - a);
        b + 0.5 * t * (first + t * (second + t * third))
    };
    Point { x: blend(before.x, from.x, to.x, after.x), y: blend(before.y, from.y, to.y, after.y) }
}
