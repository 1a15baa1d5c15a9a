//! Lengths and angles of landmarks against school geometry, their gradients, and bounds against sampling.

use std::f64::consts::TAU;

use infomark_core::{
    Measured, Point, Rng, Spacing, angle_at, angle_between, distance_to_line, error_bound, horizontal_extent,
    length, midpoint, projected_length, vertical_extent,
};
use infomark_tests::core_oracle::{geometry, tolerance};
use proptest::prelude::*;

/// Every measurement as a function of four points: those that it takes are the first.
type Kind = fn(&[Point<f64>; 4]) -> Option<(f64, Vec<Point<f64>>)>;

fn parts<const N: usize>(measured: Option<Measured<N>>) -> Option<(f64, Vec<Point<f64>>)> {
    measured.map(|measured| (measured.value, measured.gradient.to_vec()))
}

const KINDS: [Kind; 7] = [
    |p| parts(length(p[0], p[1])),
    |p| parts(angle_at(p[0], p[1], p[2])),
    |p| parts(angle_between(p[0], p[1], p[2], p[3])),
    |p| parts(distance_to_line(p[0], p[1], p[2])),
    |p| parts(projected_length(p[0], p[1], p[2], p[3])),
    |p| parts(horizontal_extent(p[0], p[1])),
    |p| parts(vertical_extent(p[0], p[1])),
];

fn naive(kind: usize, p: &[Point<f64>; 4]) -> f64 {
    match kind {
        0 => geometry::length(p[0], p[1]),
        1 => geometry::angle_at(p[0], p[1], p[2]),
        2 => geometry::angle_between(p[0], p[1], p[2], p[3]),
        3 => geometry::distance_to_line(p[0], p[1], p[2]),
        4 => geometry::projected_length(p[0], p[1], p[2], p[3]),
        5 => (p[1].x - p[0].x).abs(),
        _ => (p[1].y - p[0].y).abs(),
    }
}

/// Difference of two values of a kind; angles are compared around the circle.
fn apart(kind: usize, a: f64, b: f64) -> f64 {
    let apart = (a - b).abs();
    if kind == 2 { apart.min(TAU - apart) } else { apart }
}

fn points() -> impl Strategy<Value = [Point<f64>; 4]> {
    let point = || (-1000.0..1000.0, -1000.0..1000.0).prop_map(|(x, y)| Point::new(x, y));
    let far = |p: &[Point<f64>; 4]| (0..4).all(|i| (0..i).all(|j| geometry::length(p[i], p[j]) > 40.0));
    [point(), point(), point(), point()].prop_filter("points are apart", far)
}

fn shifted(p: &[Point<f64>; 4], by: impl Fn(usize) -> Point<f64>) -> [Point<f64>; 4] {
    std::array::from_fn(|i| Point::new(p[i].x + by(i).x, p[i].y + by(i).y))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_kind_is_what_school_geometry_says(p in points()) {
        for (index, kind) in KINDS.iter().enumerate() {
            let (value, _) = kind(&p).expect("finite points that are apart");
            let naive = naive(index, &p);
            prop_assert!(apart(index, value, naive) < tolerance::MEASUREMENT, "kind {index}: {value} and {naive}");
        }
    }

    #[test]
    fn gradients_are_central_differences(p in points()) {
        let step = 1e-4;
        for (index, kind) in KINDS.iter().enumerate() {
            let (value, gradient) = kind(&p).expect("finite points that are apart");
            // The turn from 0 to pi and back has a corner at both ends.
            if index == 1 && !(0.01..TAU / 2.0 - 0.01).contains(&value) {
                continue;
            }
            for (moved, by) in gradient.iter().enumerate() {
                for (way, expected) in [(Point::new(step, 0.0), by.x), (Point::new(0.0, step), by.y)] {
                    let only = |sign: f64| {
                        move |i: usize| if i == moved { Point::new(sign * way.x, sign * way.y) } else { Point::default() }
                    };
                    let at = |sign| kind(&shifted(&p, only(sign))).expect("still apart").0;
                    let (high, low) = (at(1.0), at(-1.0));
                    let turned = if index == 2 && (high - low).abs() > 1.0 { (low - high).signum() * TAU } else { 0.0 };
                    let slope = (high - low + turned) / (2.0 * step);
                    prop_assert!((slope - expected).abs() < tolerance::GRADIENT, "kind {index}, point {moved}: {slope}, {expected}");
                }
            }
        }
    }

    #[test]
    fn points_within_their_bounds_change_a_value_by_no_more_than_its_bound_and_may_reach_it(
        p in points(), seed: u64, bounds in [0.0..1.0f64, 0.0..1.0, 0.0..1.0, 0.0..1.0],
    ) {
        let mut rng = Rng::new(seed, 0);
        for (index, kind) in KINDS.iter().enumerate() {
            let (value, gradient) = kind(&p).expect("finite points that are apart");
            let bound = error_bound(&gradient, &bounds);
            // Points are 40 apart or more and move by 1 at most: what the first order leaves out is below a tenth.
            let change = |q: [Point<f64>; 4]| apart(index, kind(&q).expect("still apart").0, value);
            let mut most = 0.0_f64;
            for _ in 0..50 {
                let discs: [Point<f64>; 4] = std::array::from_fn(|i| {
                    let (turn, radius) = (rng.uniform_in(0.0, TAU), bounds[i] * rng.uniform_in(0.0, 1.0f64).sqrt());
                    Point::new(radius * turn.cos(), radius * turn.sin())
                });
                most = most.max(change(shifted(&p, |i| discs[i])));
            }
            prop_assert!(most <= bound * 1.1 + second_order(index, &p), "kind {index}: {most} beyond {bound}");
            // Each point at the edge of its disc along its gradient, either way.
            let steepest = |sign: f64| {
                shifted(&p, |i| {
                    let by = gradient.get(i).copied().unwrap_or_default();
                    let scale = sign * bounds[i] / by.x.hypot(by.y).max(1e-300);
                    Point::new(by.x * scale, by.y * scale)
                })
            };
            let reached = change(steepest(1.0)).max(change(steepest(-1.0)));
            prop_assert!(reached >= bound * 0.9 - second_order(index, &p), "kind {index}: {reached} of {bound}");
        }
    }

    #[test]
    fn a_mirror_turns_the_sign_of_directed_values_alone(p in points()) {
        let mirrored = p.map(|p| Point::new(-p.x, p.y));
        for (index, kind) in KINDS.iter().enumerate() {
            let sign = if index == 2 || index == 3 { -1.0 } else { 1.0 };
            let (value, other) = (kind(&p).expect("apart").0, kind(&mirrored).expect("apart").0);
            prop_assert!(apart(index, sign * value, other) < tolerance::MEASUREMENT, "kind {index}");
        }
    }
}

/// Distances to a line and projections onto it change to second order by the product of a movement of the points and of the line's turn.
fn second_order(kind: usize, p: &[Point<f64>; 4]) -> f64 {
    let (a, b) = match kind {
        3 => (p[1], p[2]),
        4 => (p[2], p[3]),
        _ => return 0.0,
    };
    let turn = 2.0 / (geometry::length(a, b) - 2.0);
    let lever = geometry::length(p[0], p[1]) + geometry::length(p[0], a);
    2.0 * turn + lever * turn * turn
}

#[test]
fn values_by_hand() {
    let at = Point::new;
    let right = |measured: Option<Measured<4>>| measured.map(|angle| angle.value.to_degrees().round());
    assert_eq!(length(at(1.0, 2.0), at(4.0, 6.0)).map(|length| length.value), Some(5.0));
    // Up is against y.
    assert_eq!(right(angle_between(at(0.0, 0.0), at(1.0, 0.0), at(5.0, 5.0), at(5.0, 4.0))), Some(-90.0));
    assert_eq!(right(angle_between(at(0.0, 0.0), at(1.0, 0.0), at(5.0, 5.0), at(4.0, 5.0))), Some(180.0));
    // Who goes right has what is down at the right hand.
    assert_eq!(
        distance_to_line(at(9.0, 3.0), at(0.0, 0.0), at(1.0, 0.0)).map(|distance| distance.value),
        Some(3.0)
    );
    assert_eq!(
        projected_length(at(0.0, 7.0), at(-2.0, 1.0), at(0.0, 0.0), at(4.0, 0.0)).map(|l| l.value),
        Some(-2.0)
    );
    assert_eq!(midpoint(at(0.0, 2.0), at(4.0, 4.0)), at(2.0, 3.0));
    let spacing = Spacing::new(0.5, 0.25).expect("positive");
    assert_eq!(at(4.0, 8.0).in_mm(spacing), at(2.0, 2.0));
}

#[test]
fn what_is_not_defined_is_not_given() {
    let (a, b, nan) = (Point::new(1.0, 1.0), Point::new(2.0, 1.0), Point::new(f64::NAN, 0.0));
    let far = Point::new(f64::MAX, 0.0);
    assert_eq!(angle_at(a, a, b), None);
    assert_eq!(angle_at(b, a, a), None);
    assert_eq!(angle_between(a, b, b, b), None);
    assert_eq!(distance_to_line(b, a, a), None);
    assert_eq!(projected_length(a, b, a, a), None);
    for bad in [nan, Point::new(0.0, f64::INFINITY)] {
        assert_eq!(length(a, bad), None);
        assert_eq!(length(bad, bad), None);
        assert_eq!(angle_at(a, bad, b), None);
        assert_eq!(distance_to_line(bad, a, b), None);
        assert_eq!((horizontal_extent(a, bad), vertical_extent(a, bad)), (None, None));
    }
    assert_eq!(length(Point::new(f64::MIN, 0.0), far), None);
    // A length of 0 has the bound of both its ends.
    let zero = length(a, a).expect("a point is 0 from itself");
    assert_eq!((zero.value, error_bound(&zero.gradient, &[1.0, 2.0])), (0.0, 3.0));
}
