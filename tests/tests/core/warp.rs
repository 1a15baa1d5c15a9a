//! Warps.

use infomark_core::{AugmentError, Plane, PlaneMut, Point, Warp};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;
use std::f64::consts::{FRAC_PI_2, PI};

fn viewed(warp: &Warp<f64>, src: Plane<'_, f64>, border: f64) -> Vec<f64> {
    let mut out = vec![f64::NAN; warp.width() * warp.height()];
    let dst = PlaneMut::new(&mut out, warp.width(), warp.height()).expect("made to fit");
    warp.resample(src, dst, border).expect("good sizes");
    out
}

fn middle(width: usize, height: usize) -> Point<f64> {
    Point::new((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0)
}

fn images() -> impl Strategy<Value = (Vec<f64>, usize, usize)> {
    (1usize..12, 1usize..12)
        .prop_flat_map(|(w, h)| (prop::collection::vec(0.0f64..=1.0, w * h), Just(w), Just(h)))
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

proptest! {
    #[test]
    fn push_undoes_pull_inside_the_view_and_is_none_outside(
        cx in -50.0f64..300.0, cy in -50.0f64..300.0, angle in -7.0f64..7.0, scale in 0.05f64..20.0,
        w in 1usize..200, h in 1usize..200, u in -0.5f64..1.5, v in -0.5f64..1.5, flip: bool,
    ) {
        let scale = if flip { -scale } else { scale };
        let warp = Warp::new(Point::new(cx, cy), angle, scale, w, h).expect("finite");
        let view = Point::new(u * w as f64 - 0.5, v * h as f64 - 0.5);
        let inside = (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v);
        let near_the_edge = [u, v].iter().any(|t| t.abs() < 1e-6 || (t - 1.0).abs() < 1e-6);
        match warp.push(warp.pull(view)) {
            Some(p) => {
                prop_assert!(inside || near_the_edge);
                prop_assert!((p.x - view.x).hypot(p.y - view.y) < tolerance::POSITION * 100.0);
            }
            None => prop_assert!(!inside || near_the_edge),
        }
    }

    #[test]
    fn a_view_that_is_only_shifted_is_a_crop((pixels, width, height) in images(), a: usize, b: usize) {
        let (x, y) = (a % width, b % height);
        let (w, h) = (width - x, height - y);
        let m = middle(w, h);
        let warp = Warp::new(Point::new(x as f64 + m.x, y as f64 + m.y), 0.0, 1.0, w, h).expect("finite");
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let crop: Vec<f64> = src.crop(x, y, w, h).expect("inside").rows().flatten().copied().collect();
        prop_assert_eq!(viewed(&warp, src, 7.0), crop);
        prop_assert_eq!(warp.push(Point::new(x as f64, y as f64)), Some(Point::new(0.0, 0.0)));
    }

    #[test]
    fn half_a_turn_reverses_the_image((pixels, width, height) in images()) {
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let reversed: Vec<f64> = pixels.iter().rev().copied().collect();
        for (angle, scale) in [(PI, 1.0), (-PI, 1.0), (0.0, -1.0)] {
            let warp = Warp::new(middle(width, height), angle, scale, width, height).expect("finite");
            prop_assert!(close(&viewed(&warp, src, 7.0), &reversed));
        }
    }

    #[test]
    fn a_quarter_turn_moves_pixels_and_points_alike((pixels, width, height) in images()) {
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let warp = Warp::new(middle(width, height), FRAC_PI_2, 1.0, height, width).expect("finite");
        let view = viewed(&warp, src, 7.0);
        for y in 0..height {
            for x in 0..width {
                let at = warp.push(Point::new(x as f64, y as f64)).expect("all pixels are in the view");
                let (u, v) = (at.x.round() as usize, at.y.round() as usize);
                prop_assert!((view[v * height + u] - pixels[y * width + x]).abs() < 1e-12);
                // The view's x axis points down the source.
                prop_assert_eq!((u, v), (y, width - 1 - x));
            }
        }
    }

    #[test]
    fn resampling_equals_the_definition(
        (pixels, width, height) in images(), angle in -4.0f64..4.0, scale in 0.2f64..3.0, dx in -2.0f64..2.0,
    ) {
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let m = middle(width, height);
        let warp = Warp::new(Point::new(m.x + dx, m.y), angle, scale, 7, 5).expect("finite");
        for (i, value) in viewed(&warp, src, 7.0).into_iter().enumerate() {
            let at = warp.pull(Point::new((i % 7) as f64, (i / 7) as f64));
            let on = |v: f64, size: usize| v >= -0.5 && v < size as f64 - 0.5;
            let expected = if on(at.x, width) && on(at.y, height) {
                core_oracle::bilinear(src, at.x, at.y)
            } else {
                7.0
            };
            prop_assert!((value - expected).abs() < 1e-9, "{} is not {}", value, expected);
        }
    }

    #[test]
    fn resampling_has_the_bits_of_the_definition(
        (pixels, width, height) in images(), angle in -4.0f32..4.0, scale in 0.01f32..3.0, dx in -2.0f32..2.0,
    ) {
        let pixels: Vec<f32> = pixels.into_iter().map(|v| v as f32).collect();
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let centre = Point::new(width as f32 / 2.0 + dx, height as f32 / 2.0);
        let warp = Warp::new(centre, angle, scale, 9, 5).expect("finite");
        let mut out = [0.0; 45];
        warp.resample(src, PlaneMut::new(&mut out, 9, 5).expect("fits"), 7.0).expect("good sizes");
        for (i, value) in out.into_iter().enumerate() {
            let at = warp.pull(Point::new((i % 9) as f32, (i / 9) as f32));
            let on = |v: f32, size: usize| v >= -0.5 && v < (size - 1) as f32 + 0.5;
            if !(on(at.x, width) && on(at.y, height)) {
                prop_assert_eq!(value, 7.0);
                continue;
            }
            let place = |v: f32, size: usize| {
                let v = v.clamp(0.0, (size - 1) as f32);
                (v as usize, (v as usize + 1).min(size - 1), v - v.floor())
            };
            let mix = |a: f32, b: f32, part: f32| a + (b - a) * part;
            let (left, right, u) = place(at.x, width);
            let (top, bottom, v) = place(at.y, height);
            let row = |y: usize| mix(src.row(y)[left], src.row(y)[right], u);
            prop_assert_eq!(value.to_bits(), mix(row(top), row(bottom), v).to_bits());
        }
    }
}

#[test]
fn a_view_of_half_the_size_maps_centres_to_centres() {
    let warp = Warp::new(middle(8, 6), 0.0, 2.0, 4, 3).expect("finite");
    // The centre of the first pixel of the view is the corner between four pixels of the source.
    assert_eq!(warp.pull(Point::new(0.0, 0.0)), Point::new(0.5, 0.5));
    assert_eq!(Point::new(0.5, 0.5).resized(0.5, 0.5), Point::new(0.0, 0.0));
    let pixels: Vec<f64> = (0..48).map(|i| f64::from(i % 8)).collect();
    let view = viewed(&warp, Plane::new(&pixels, 8, 6).expect("made to fit"), 0.0);
    assert_eq!(view[..4], [0.5, 2.5, 4.5, 6.5]);
}

#[test]
fn a_view_of_twice_the_size_has_no_border_inside_the_image() {
    let warp = Warp::new(middle(3, 1), 0.0, 0.5, 6, 2).expect("finite");
    let view = viewed(&warp, Plane::new(&[0.0, 1.0, 2.0], 3, 1).expect("made to fit"), 9.0);
    assert_eq!(view[..6], [0.0, 0.25, 0.75, 1.25, 1.75, 2.0]);
    assert_eq!(view[..6], view[6..]);
}

#[test]
fn a_blob_is_found_where_push_says() {
    let (width, height, blob) = (64, 64, Point::new(23.3, 38.8));
    let bump = |x: f64, y: f64| (-((x - blob.x).powi(2) + (y - blob.y).powi(2)) / 18.0).exp();
    let pixels: Vec<f64> =
        (0..width * height).map(|i| bump((i % width) as f64, (i / width) as f64)).collect();
    let src = Plane::new(&pixels, width, height).expect("made to fit");
    for (angle, scale) in [(0.35, 1.0), (-0.3, 0.8), (0.0, 1.1), (1.9, 0.9)] {
        let warp = Warp::new(Point::new(26.0, 36.0), angle, scale, 48, 40).expect("finite");
        let expected = warp.push(blob).expect("inside");
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for (i, v) in viewed(&warp, src, 0.0).into_iter().enumerate() {
            sum += v;
            x += v * (i % 48) as f64;
            y += v * (i / 48) as f64;
        }
        let off = (x / sum - expected.x).hypot(y / sum - expected.y);
        assert!(off < 0.01, "{off} pixels off");
    }
}

#[test]
fn bad_warps_are_errors() {
    let pixels = [0.5; 6];
    let src = Plane::new(&pixels, 3, 2).expect("made to fit");
    let mut out = [0.0; 6];
    let centre = Point::new(1.0, 1.0);
    for (centre, angle, scale, w, h) in [
        (Point::new(f64::NAN, 1.0), 0.0, 1.0, 3, 2),
        (centre, f64::INFINITY, 1.0, 3, 2),
        (centre, 0.0, 0.0, 3, 2),
        (centre, 0.0, f64::NAN, 3, 2),
        (centre, 0.0, 1.0, 0, 2),
        (centre, 0.0, 1.0, 3, 0),
    ] {
        assert!(matches!(Warp::new(centre, angle, scale, w, h), Err(AugmentError::Warp { .. })));
    }
    let warp = Warp::new(centre, 0.0, 1.0, 3, 2).expect("finite");
    let dst = PlaneMut::new(&mut out, 2, 3).expect("made to fit");
    assert!(matches!(warp.resample(src, dst, 0.0), Err(AugmentError::Size { .. })));
    let dst = PlaneMut::new(&mut out, 3, 2).expect("made to fit");
    let empty = Plane::new(&[], 0, 4).expect("empty");
    assert_eq!(warp.resample(empty, dst, 0.0), Err(AugmentError::Empty));
    assert_eq!(warp.push(Point::new(f64::NAN, 0.0)), None);
}
