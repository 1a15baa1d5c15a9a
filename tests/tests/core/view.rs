//! Affine maps and views.

use infomark_core::{
    Affine, AugmentError, Border, IntensityJitter, Interpolation, Pixel, Plane, PlaneMut, Point, View, Warp,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;
use std::f64::consts::{FRAC_PI_2, PI};

const ALL: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];

fn viewed<P: Pixel>(
    view: &View<f64>,
    src: Plane<'_, P>,
    interpolation: Interpolation,
    border: Border<P>,
) -> Vec<P> {
    let mut out = vec![P::WHITE; view.width() * view.height()];
    let dst = PlaneMut::new(&mut out, view.width(), view.height()).expect("made to fit");
    view.resample(src, dst, interpolation, border).expect("good sizes");
    out
}

fn images() -> impl Strategy<Value = (Vec<f64>, usize, usize)> {
    (1usize..12, 1usize..12)
        .prop_flat_map(|(w, h)| (prop::collection::vec(0.0f64..=1.0, w * h), Just(w), Just(h)))
}

fn maps() -> impl Strategy<Value = Affine<f64>> {
    let scale = || prop_oneof![0.3f64..3.0, -3.0f64..-0.3];
    (-4.0f64..4.0, scale(), scale(), -0.5f64..0.5, -9.0f64..9.0, -9.0f64..9.0).prop_map(
        |(angle, sx, sy, shear, x, y)| {
            let steps = [Affine::rotation(angle), Affine::scaling(sx, sy), Affine::shear(shear, 0.0)];
            let start = Affine::translation(x, y).expect("finite");
            steps.into_iter().fold(start, |map, step| map.then(&step.expect("invertible")).expect("finite"))
        },
    )
}

fn borders() -> impl Strategy<Value = Border<f64>> {
    prop_oneof![Just(Border::Value(7.0)), Just(Border::Clamp), Just(Border::Mirror)]
}

fn apart(a: Point<f64>, b: Point<f64>) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

/// Whether rounding decides which pixel a place lies on.
fn on_an_edge(at: Point<f64>) -> bool {
    [at.x, at.y].iter().any(|v| ((v + 0.5) - (v + 0.5).round()).abs() < 1e-6)
}

fn place(i: usize, width: usize) -> Point<f64> {
    Point::new((i % width) as f64, (i / width) as f64)
}

proptest! {
    #[test]
    fn push_undoes_pull(map in maps(), x in -50.0f64..50.0, y in -50.0f64..50.0) {
        let at = Point::new(x, y);
        prop_assert!(apart(map.push(map.pull(at)), at) < tolerance::POSITION);
        prop_assert!(apart(map.inverse().pull(map.pull(at)), at) < tolerance::POSITION);
        let view = View::new(map, 30, 20).expect("near");
        let inside = (-0.5..29.5).contains(&x) && (-0.5..19.5).contains(&y);
        let found = view.push(view.pull(at));
        prop_assert!(found.is_some() == inside || on_an_edge(at));
        prop_assert!(found.is_none_or(|found| apart(found, at) < tolerance::POSITION));
    }

    #[test]
    fn a_composed_map_pulls_through_both(a in maps(), b in maps(), x in -50.0f64..50.0, y in -50.0f64..50.0) {
        let at = Point::new(x, y);
        let both = a.then(&b).expect("finite");
        prop_assert!(apart(both.pull(at), a.pull(b.pull(at))) < 100.0 * tolerance::POSITION);
        prop_assert!(apart(both.push(at), b.push(a.push(at))) < 100.0 * tolerance::POSITION);
    }

    #[test]
    fn a_map_around_a_place_leaves_it_alone(angle in -4.0f64..4.0, s in 0.2f64..4.0, x in -50.0f64..50.0) {
        let centre = Point::new(x, 3.0 - x);
        for map in [Affine::rotation(angle), Affine::scaling(s, 1.0 / s)] {
            let map = map.expect("invertible").around(centre).expect("finite");
            prop_assert!(apart(map.pull(centre), centre) < tolerance::POSITION);
        }
    }

    #[test]
    fn flips_undo_themselves_and_move_points_exactly((pixels, width, height) in images()) {
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        for map in [Affine::flip_horizontal(width), Affine::flip_vertical(height)] {
            let view = View::new(map, width, height).expect("near");
            for interpolation in ALL {
                let once = viewed(&view, src, interpolation, Border::Value(9.0));
                for (i, &value) in once.iter().enumerate() {
                    let at = view.pull(place(i, width));
                    prop_assert_eq!(view.push(at), Some(place(i, width)));
                    prop_assert_eq!(src.get(at.x as usize, at.y as usize), Some(value));
                }
                let once = Plane::new(&once, width, height).expect("made to fit");
                prop_assert_eq!(&viewed(&view, once, interpolation, Border::Clamp), &pixels);
            }
            prop_assert_eq!(map.then(&map).expect("finite"), Affine::identity());
        }
    }

    #[test]
    fn crops_copy_pixels_exactly((pixels, width, height) in images(), a: usize, b: usize) {
        let (x, y) = (a % width, b % height);
        let (w, h) = (width - x, height - y);
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let view = View::crop(x, y, w, h).expect("near");
        let part: Vec<f64> = src.crop(x, y, w, h).expect("inside").rows().flatten().copied().collect();
        let bytes: Vec<u8> = pixels.iter().map(|v| (v * 255.0) as u8).collect();
        let wide: Vec<u16> = pixels.iter().map(|v| (v * 65535.0) as u16).collect();
        for interpolation in ALL {
            prop_assert_eq!(&viewed(&view, src, interpolation, Border::Value(7.0)), &part);
            let src = Plane::new(&bytes, width, height).expect("made to fit");
            let expected: Vec<u8> = part.iter().map(|v| (v * 255.0) as u8).collect();
            prop_assert_eq!(viewed(&view, src, interpolation, Border::Mirror), expected);
            let src = Plane::new(&wide, width, height).expect("made to fit");
            let expected: Vec<u16> = part.iter().map(|v| (v * 65535.0) as u16).collect();
            prop_assert_eq!(viewed(&view, src, interpolation, Border::Clamp), expected);
        }
        prop_assert_eq!(view.push(Point::new(x as f64, y as f64)), Some(Point::new(0.0, 0.0)));
    }

    #[test]
    fn quarter_turns_permute_pixels((pixels, width, height) in images(), turns in 1u8..4) {
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let (w, h) = if turns == 2 { (width, height) } else { (height, width) };
        let middle = Point::new((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let turn = Affine::rotation(FRAC_PI_2 * f64::from(turns)).expect("finite");
        let view = View::around(middle, &turn, w, h).expect("near");
        for interpolation in ALL {
            let out = viewed(&view, src, interpolation, Border::Value(7.0));
            for (i, value) in out.iter().enumerate() {
                let at = view.pull(place(i, w));
                let pixel = src.get(at.x.round() as usize, at.y.round() as usize).expect("inside");
                prop_assert!((value - pixel).abs() < tolerance::VIEW_F64, "{} is not {}", value, pixel);
            }
        }
    }

    #[test]
    fn views_equal_the_definition((pixels, width, height) in images(), map in maps(), border in borders()) {
        let view = View::new(map, 9, 7).expect("near");
        let single: Vec<f32> = pixels.iter().map(|&v| v as f32).collect();
        let bytes: Vec<u8> = pixels.iter().map(|v| (v * 255.0) as u8).collect();
        let wide: Vec<u16> = pixels.iter().map(|v| (v * 65535.0) as u16).collect();
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let single = Plane::new(&single, width, height).expect("made to fit");
        let bytes = Plane::new(&bytes, width, height).expect("made to fit");
        let wide = Plane::new(&wide, width, height).expect("made to fit");
        fn with<P>(border: Border<f64>, value: P) -> Border<P> {
            match border {
                Border::Value(_) => Border::Value(value),
                Border::Clamp => Border::Clamp,
                Border::Mirror => Border::Mirror,
            }
        }
        for interpolation in ALL {
            let out = viewed(&view, src, interpolation, border);
            let out_single = viewed(&view, single, interpolation, with(border, 7.0));
            let out_bytes = viewed(&view, bytes, interpolation, with(border, 7));
            let out_wide = viewed(&view, wide, interpolation, with(border, 7));
            for i in 0..out.len() {
                let at = view.pull(place(i, 9));
                if on_an_edge(at) {
                    continue;
                }
                let naive = core_oracle::sample(src, at, interpolation, border);
                prop_assert!((out[i] - naive).abs() < tolerance::VIEW_F64, "{} is not {}", out[i], naive);
                let naive = core_oracle::sample(single, at, interpolation, with(border, 7.0));
                let off = (f64::from(out_single[i]) - naive).abs();
                prop_assert!(off < tolerance::VIEW_F32, "{} off", off);
                let naive = core_oracle::sample(bytes, at, interpolation, with(border, 7)).clamp(0.0, 255.0);
                let off = (f64::from(out_bytes[i]) - naive).abs();
                prop_assert!(off < tolerance::GREY_U8, "{} off", off);
                let naive = core_oracle::sample(wide, at, interpolation, with(border, 7)).clamp(0.0, 65535.0);
                let off = (f64::from(out_wide[i]) - naive).abs();
                prop_assert!(off < 0.5 + 65535.0 * tolerance::VIEW_F32, "{} off", off);
            }
        }
    }

    #[test]
    fn ramps_stay_ramps_and_agree_with_points(map in maps(), a in -3.0f64..3.0, b in -3.0f64..3.0) {
        const SIDE: usize = 24;
        let ramp = |p: Point<f64>| a * p.x + b * p.y + 5.0;
        let pixels: Vec<f64> = (0..SIDE * SIDE).map(|i| ramp(place(i, SIDE))).collect();
        let src = Plane::new(&pixels, SIDE, SIDE).expect("made to fit");
        let view = View::around(Point::new(11.0, 12.0), &map, 10, 8).expect("near");
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            for (i, value) in viewed(&view, src, interpolation, Border::Clamp).into_iter().enumerate() {
                let at = view.pull(place(i, 10));
                // All 16 neighbours exist.
                if [at.x, at.y].iter().all(|v| (1.0..SIDE as f64 - 2.0).contains(v)) {
                    prop_assert!((value - ramp(at)).abs() < 1e-6, "{} is not {}", value, ramp(at));
                }
            }
        }
    }

    #[test]
    fn bicubic_views_of_quadratic_images_are_exact(x in 2.0f64..20.0, a in -1.0f64..1.0, b in -1.0f64..1.0) {
        let curve = |x: f64| a * x * x + b * x + 1.0;
        let pixels: Vec<f64> = (0..24 * 5).map(|i| curve(f64::from(i % 24))).collect();
        let view = View::new(Affine::translation(x, 2.0).expect("finite"), 1, 1).expect("near");
        let src = Plane::new(&pixels, 24, 5).expect("made to fit");
        let value = viewed(&view, src, Interpolation::Bicubic, Border::Clamp)[0];
        prop_assert!((value - curve(x)).abs() < 1e-6, "{} is not {}", value, curve(x));
    }

    #[test]
    fn the_mask_says_which_places_lie_on_the_source(
        map in maps(), width in 1usize..12, height in 1usize..12,
    ) {
        let view = View::new(map, 9, 7).expect("near");
        let mut mask = [false; 63];
        view.mask(width, height, PlaneMut::new(&mut mask, 9, 7).expect("fits")).expect("good size");
        let white = vec![1.0; width * height];
        let src = Plane::new(&white, width, height).expect("made to fit");
        let shown = viewed(&view, src, Interpolation::Bilinear, Border::Value(0.0));
        for (i, &on) in mask.iter().enumerate() {
            let at = view.pull(place(i, 9));
            let covers = |v: f64, size: usize| v >= -0.5 && v < size as f64 - 0.5;
            prop_assert!(on == (covers(at.x, width) && covers(at.y, height)) || on_an_edge(at));
            prop_assert_eq!(on, shown[i] == 1.0);
        }
    }

    #[test]
    fn a_part_of_a_view_has_the_bits_of_the_whole(
        (pixels, width, height) in images(), angle in -4.0f64..4.0, border in borders(), y in 0usize..7,
    ) {
        // Maps of exact numbers, so that the shifted one is the same.
        let turn = Affine::new([[0.75, -0.5, angle.floor()], [0.5, 0.625, 1.5]]).expect("invertible");
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let shift = Affine::translation(2.0, y as f64).expect("finite");
        let (whole, part) = (View::new(turn, 9, 7), View::new(turn.then(&shift).expect("finite"), 6, 1));
        for interpolation in ALL {
            let whole = viewed(&whole.expect("near"), src, interpolation, border);
            let part = viewed(&part.expect("near"), src, interpolation, border);
            prop_assert_eq!(&whole[y * 9 + 2..][..6], &part);
        }
    }

    #[test]
    fn brightness_and_geometry_can_change_places(
        (pixels, width, height) in images(), map in maps(), b in 0.2f64..3.0,
    ) {
        // Without contrast, whose mean the choice of pixels changes.
        let tone = IntensityJitter { brightness: b, contrast: 1.0, gamma: 1.3 };
        let view = View::new(map, 9, 7).expect("near");
        let see = |pixels: &[f64]| {
            let src = Plane::new(pixels, width, height).expect("made to fit");
            viewed(&view, src, Interpolation::Nearest, Border::Mirror)
        };
        let mut after = see(&pixels);
        tone.apply_in_place(PlaneMut::new(&mut after, 9, 7).expect("fits")).expect("good factors");
        let mut first = pixels.clone();
        tone.apply_in_place(PlaneMut::new(&mut first, width, height).expect("fits")).expect("good factors");
        prop_assert_eq!(after, see(&first));
    }

    #[test]
    fn a_warp_is_a_view(
        (pixels, width, height) in images(), angle in -4.0f64..4.0, scale in 0.2f64..3.0, x in -2.0f64..9.0,
    ) {
        let warp = Warp::new(Point::new(x, 4.0), angle, scale, 7, 5).expect("finite");
        let view = warp.view().expect("near");
        let src = Plane::new(&pixels, width, height).expect("made to fit");
        let mut out = [0.0; 35];
        warp.resample(src, PlaneMut::new(&mut out, 7, 5).expect("fits"), 7.0).expect("good sizes");
        for (i, value) in viewed(&view, src, Interpolation::Bilinear, Border::Value(7.0)).iter().enumerate() {
            let at = warp.pull(place(i, 7));
            prop_assert!(apart(view.pull(place(i, 7)), at) < tolerance::POSITION);
            prop_assert!((value - out[i]).abs() < tolerance::VIEW_F64 || on_an_edge(at));
        }
    }
}

#[test]
fn mirrored_pixels_count_twice_at_the_border() {
    let pixels = [1u8, 2, 3];
    let src = Plane::new(&pixels, 3, 1).expect("made to fit");
    let view = View::new(Affine::translation(-4.0, 0.0).expect("finite"), 11, 1).expect("near");
    for interpolation in ALL {
        let mirrored = viewed(&view, src, interpolation, Border::Mirror);
        assert_eq!(mirrored, [3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1]);
        assert_eq!(viewed(&view, src, interpolation, Border::Clamp), [1, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3]);
        assert_eq!(viewed(&view, src, interpolation, Border::Value(9)), [9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 9]);
    }
}

#[test]
fn a_quarter_turn_by_a_rotation_shows_the_source_turned_left() {
    let turn = Affine::<f64>::rotation(FRAC_PI_2).expect("finite");
    // Right in the view is down in the source.
    assert!(apart(turn.pull(Point::new(1.0, 0.0)), Point::new(0.0, 1.0)) < 1e-15);
    let half = Affine::<f64>::rotation(PI).expect("finite");
    assert!(apart(half.pull(Point::new(1.0, 2.0)), Point::new(-1.0, -2.0)) < 1e-15);
    let shear = Affine::shear(0.5, 0.0).expect("invertible");
    assert_eq!(shear.pull(Point::new(0.0, 2.0)), Point::new(1.0, 2.0));
    assert_eq!(shear.matrix(), [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]]);
}

#[test]
fn far_views_show_the_border_and_nearer_ones_than_possible_are_refused() {
    let pixels = [5u8; 4];
    let src = Plane::new(&pixels, 2, 2).expect("made to fit");
    for (x, y) in [(5.0e8, 0.0), (-5.0e8, 5.0e8), (0.0, -5.0e8)] {
        let view = View::new(Affine::translation(x, y).expect("finite"), 3, 2).expect("possible");
        for interpolation in ALL {
            assert_eq!(viewed(&view, src, interpolation, Border::Value(1)), [1; 6]);
            assert_eq!(viewed(&view, src, interpolation, Border::Clamp), [5; 6]);
            assert_eq!(viewed(&view, src, interpolation, Border::Mirror), [5; 6]);
        }
    }
    let far = Affine::translation(6.0e8, 0.0).expect("finite");
    assert!(matches!(View::new(far, 1, 1), Err(AugmentError::Far { .. })));
    let wide = Affine::scaling(1.0e9, 1.0).expect("finite");
    assert!(matches!(View::new(wide, 2, 1), Err(AugmentError::Far { .. })));
    // The greatest step that is possible.
    let wide = Affine::new([[1.0e9, 0.0, -5.0e8], [0.0, 1.0, 0.0]]).expect("invertible");
    let view = View::new(wide, 2, 1).expect("possible");
    assert_eq!(viewed(&view, src, Interpolation::Bicubic, Border::Value(3)), [3, 3]);
}

#[test]
fn bad_maps_and_views_are_errors() {
    for matrix in [
        [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]],
        [[f64::NAN, 0.0, 0.0], [0.0, 1.0, 0.0]],
        [[1.0, 0.0, f64::INFINITY], [0.0, 1.0, 0.0]],
        [[1e-200, 0.0, 0.0], [0.0, 1e-200, 0.0]],
    ] {
        assert!(matches!(Affine::new(matrix), Err(AugmentError::Singular { .. })), "{matrix:?}");
    }
    assert!(Affine::rotation(f64::INFINITY).is_err());
    assert!(Affine::scaling(0.0, 1.0).is_err());
    assert!(Affine::shear(2.0, 0.5).is_err());
    assert!(Affine::translation(f64::NAN, 0.0).is_err());
    let tiny = Affine::scaling(1e-200, 1e-100).expect("invertible");
    assert!(tiny.then(&tiny).is_err());

    let identity = Affine::<f64>::identity();
    assert_eq!(View::new(identity, 0, 2), Err(AugmentError::Side { width: 0, height: 2 }));
    let view = View::new(identity, 3, 2).expect("near");
    let mut out = [0.0; 6];
    let src = Plane::new(&[0.5; 6], 3, 2).expect("made to fit");
    let dst = PlaneMut::new(&mut out, 2, 3).expect("made to fit");
    let done = view.resample(src, dst, Interpolation::Nearest, Border::Clamp);
    assert!(matches!(done, Err(AugmentError::Size { .. })));
    let dst = PlaneMut::new(&mut out, 3, 2).expect("made to fit");
    let empty = Plane::new(&[], 0, 4).expect("empty");
    let done = view.resample(empty, dst, Interpolation::Nearest, Border::Clamp);
    assert_eq!(done, Err(AugmentError::Empty));
    let mut mask = [true; 6];
    assert!(view.mask(3, 2, PlaneMut::new(&mut mask, 2, 3).expect("fits")).is_err());
    view.mask(0, 2, PlaneMut::new(&mut mask, 3, 2).expect("fits")).expect("good size");
    assert_eq!(mask, [false; 6]);
    assert_eq!(view.push(Point::new(f64::NAN, 0.0)), None);
}
