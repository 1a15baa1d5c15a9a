//! Elastic fields.

use infomark_core::{
    Affine, AugmentError, Border, Elastic, Interpolation, Plane, PlaneMut, Point, Rng, View,
    elastic_controls_len,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

const ALL: [Interpolation; 3] = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];

/// Size, spacing, share of the greatest amplitude and seed.
fn fields() -> impl Strategy<Value = (usize, usize, usize, f64, u64)> {
    (1usize..40, 1usize..40, 1usize..30, 0.0f64..=1.0, any::<u64>())
}

fn view(width: usize, height: usize) -> View<f64> {
    View::new(Affine::identity(), width, height).expect("near")
}

/// The steepest controls that are possible: neighbours at opposite ends of the range.
fn steepest(width: usize, height: usize, spacing: usize) -> Vec<Point<f64>> {
    let columns = width / spacing + 4;
    let most = 0.2 * spacing as f64;
    let sign = |odd: usize| if odd.is_multiple_of(2) { most } else { -most };
    (0..elastic_controls_len(width, height, spacing))
        .map(|i| Point::new(sign(i % columns + i / columns), sign(i % columns)))
        .collect()
}

fn zeros(width: usize, height: usize, spacing: usize) -> Vec<Point<f64>> {
    vec![Point::new(0.0, 0.0); elastic_controls_len(width, height, spacing)]
}

fn apart(a: Point<f64>, b: Point<f64>) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

fn slopes(at: Point<f64>, place: impl Fn(Point<f64>) -> Point<f64>) -> f64 {
    let h = 1e-5;
    let [right, left] = [h, -h].map(|h| place(Point::new(at.x + h, at.y)));
    let [down, up] = [h, -h].map(|h| place(Point::new(at.x, at.y + h)));
    ((right.x - left.x) * (down.y - up.y) - (down.x - up.x) * (right.y - left.y)) / (4.0 * h * h)
}

proptest! {
    #[test]
    fn displacements_are_those_of_the_spline(
        (w, h, spacing, share, seed) in fields(), u in -0.3f64..1.3, v in -0.3f64..1.3,
    ) {
        let mut controls = zeros(w, h, spacing);
        let amplitude = share * spacing as f64 / 5.0;
        let rng = &mut Rng::new(seed, 0);
        Elastic::draw(view(w, h), spacing, amplitude, rng, &mut controls).expect("smooth");
        let elastic = Elastic::new(view(w, h), spacing, &controls).expect("smooth");
        let at = Point::new(u * w as f64, v * h as f64);
        let naive = core_oracle::displacement(&controls, (w, h), spacing, at);
        prop_assert!(apart(elastic.displacement(at), naive) < tolerance::ELASTIC);
        prop_assert!(naive.x.abs() <= amplitude + 1e-12 && naive.y.abs() <= amplitude + 1e-12);
    }

    #[test]
    fn push_undoes_pull_and_is_none_outside(
        (w, h, spacing, share, seed) in fields(), angle in -4.0f64..4.0, u in -0.3f64..1.3, v in -0.3f64..1.3,
        worst: bool,
    ) {
        let scale = Affine::scaling(1.1, -0.8).expect("invertible");
        let turn = Affine::rotation(angle).expect("finite").then(&scale);
        let view = View::around(Point::new(20.0, 30.0), &turn.expect("finite"), w, h).expect("near");
        let mut controls = zeros(w, h, spacing);
        let steepest = steepest(w, h, spacing);
        let elastic = if worst {
            Elastic::new(view, spacing, &steepest)
        } else {
            Elastic::draw(view, spacing, share * spacing as f64 / 5.0, &mut Rng::new(seed, 0), &mut controls)
        };
        let elastic = elastic.expect("smooth");
        let at = Point::new(u * w as f64 - 0.5, v * h as f64 - 0.5);
        let inside = |v: f64, size: usize, by: f64| (-0.5 + by..size as f64 - 0.5 - by).contains(&v);
        match elastic.push(elastic.pull(at)) {
            Some(found) => {
                prop_assert!(apart(found, at) < 10.0 * tolerance::ELASTIC, "{:?} {:?}", found, at);
                prop_assert!(inside(at.x, w, -1e-6) && inside(at.y, h, -1e-6));
            }
            None => prop_assert!(!(inside(at.x, w, 1e-6) && inside(at.y, h, 1e-6))),
        }
    }

    #[test]
    fn the_jacobian_is_positive(
        (w, h, spacing, share, seed) in fields(), u in 0.0f64..1.0, v in 0.0f64..1.0,
    ) {
        let at = Point::new(u * w as f64, v * h as f64);
        let mut controls = zeros(w, h, spacing);
        let amplitude = share * spacing as f64 / 5.0;
        let rng = &mut Rng::new(seed, 0);
        let drawn = Elastic::draw(view(w, h), spacing, amplitude, rng, &mut controls).expect("smooth");
        let steepest = steepest(w, h, spacing);
        let worst = Elastic::new(view(w, h), spacing, &steepest).expect("smooth");
        for elastic in [drawn, worst] {
            // A slope of at most 0.8 in each of the two directions leaves at least this much.
            let slope = slopes(at, |p| elastic.pull(p));
            prop_assert!(slope > 0.03, "{}", slope);
        }
    }

    #[test]
    fn views_equal_the_definition(
        (w, h, spacing, share, seed) in fields(), angle in -4.0f64..4.0, kind in 0usize..3,
    ) {
        const SIDE: usize = 16;
        let mut rng = Rng::new(seed, 1);
        let pixels: Vec<f64> = (0..SIDE * SIDE).map(|_| rng.uniform()).collect();
        let bytes: Vec<u8> = pixels.iter().map(|v| (v * 255.0) as u8).collect();
        let src = Plane::new(&pixels, SIDE, SIDE).expect("fits");
        let turn = Affine::rotation(angle).expect("finite");
        let view = View::around(Point::new(8.0, 7.0), &turn, w, h).expect("near");
        let mut controls = zeros(w, h, spacing);
        let amplitude = share * spacing as f64 / 5.0;
        let elastic = Elastic::draw(view, spacing, amplitude, &mut rng, &mut controls).expect("smooth");
        let (mut out, mut mask, mut levels) = (vec![0.0; w * h], vec![false; w * h], vec![0u8; w * h]);
        let border = [Border::Value(7.0), Border::Clamp, Border::Mirror][kind];
        let byte_border = [Border::Value(7), Border::Clamp, Border::Mirror][kind];
        elastic.mask(SIDE, SIDE, PlaneMut::new(&mut mask, w, h).expect("fits")).expect("good size");
        for interpolation in ALL {
            elastic
                .resample(src, PlaneMut::new(&mut out, w, h).expect("fits"), interpolation, border)
                .expect("good sizes");
            let byte_src = Plane::new(&bytes, SIDE, SIDE).expect("fits");
            let byte_dst = PlaneMut::new(&mut levels, w, h).expect("fits");
            elastic.resample(byte_src, byte_dst, interpolation, byte_border).expect("good sizes");
            for i in 0..w * h {
                let at = elastic.pull(Point::new((i % w) as f64, (i / w) as f64));
                if [at.x, at.y].iter().any(|v| ((v + 0.5) - (v + 0.5).round()).abs() < 1e-6) {
                    continue;
                }
                let naive = core_oracle::sample(src, at, interpolation, border);
                prop_assert!((out[i] - naive).abs() < tolerance::VIEW_F64, "{} is not {}", out[i], naive);
                let naive = core_oracle::sample(byte_src, at, interpolation, byte_border).clamp(0.0, 255.0);
                prop_assert!((f64::from(levels[i]) - naive).abs() < tolerance::GREY_U8);
                let on = |v: f64| (-0.5..SIDE as f64 - 0.5).contains(&v);
                prop_assert_eq!(mask[i], on(at.x) && on(at.y));
            }
        }
    }

    #[test]
    fn no_displacement_leaves_the_view_as_it_is((w, h, spacing, _, seed) in fields()) {
        let mut rng = Rng::new(seed, 1);
        let pixels: Vec<u8> = (0..100).map(|_| rng.below(256) as u8).collect();
        let src = Plane::new(&pixels, 10, 10).expect("fits");
        let map = Affine::new([[0.75, -0.5, 3.0], [0.5, 0.625, 1.5]]).expect("invertible");
        let view = View::new(map, w, h).expect("near");
        let controls = zeros(w, h, spacing);
        let elastic = Elastic::new(view, spacing, &controls).expect("smooth");
        let (mut still, mut plain) = (vec![0; w * h], vec![0; w * h]);
        for interpolation in ALL {
            let dst = PlaneMut::new(&mut still, w, h).expect("fits");
            elastic.resample(src, dst, interpolation, Border::Mirror).expect("good sizes");
            let dst = PlaneMut::new(&mut plain, w, h).expect("fits");
            view.resample(src, dst, interpolation, Border::Mirror).expect("good sizes");
            prop_assert_eq!(&still, &plain);
        }
        prop_assert_eq!(elastic.view(), view);
    }

    #[test]
    fn single_precision_follows_double(
        (w, h, spacing, share, seed) in fields(), u in 0.0f32..1.0, v in 0.0f32..1.0,
    ) {
        let mut controls = vec![Point::new(0f32, 0.0); elastic_controls_len(w, h, spacing)];
        let view = View::new(Affine::<f32>::identity(), w, h).expect("near");
        let amplitude = share as f32 * spacing as f32 * 0.2;
        Elastic::draw(view, spacing, amplitude, &mut Rng::new(seed, 0), &mut controls).expect("smooth");
        let elastic = Elastic::new(view, spacing, &controls).expect("smooth");
        let at = Point::new(u * (w - 1) as f32, v * (h - 1) as f32);
        let double: Vec<Point<f64>> = controls.iter().map(|c| c.cast()).collect();
        let naive = core_oracle::displacement(&double, (w, h), spacing, at.cast());
        prop_assert!(apart(elastic.displacement(at).cast(), naive) < 1e-4);
        let found = elastic.push(elastic.pull(at)).expect("inside");
        prop_assert!(apart(found.cast(), at.cast()) < 1e-3);
    }
}

#[test]
fn a_blob_is_found_where_push_says() {
    const SIDE: usize = 64;
    let blob = Point::new(30.3, 35.8);
    let bump = |x: f64, y: f64| (-((x - blob.x).powi(2) + (y - blob.y).powi(2)) / 8.0).exp();
    let pixels: Vec<f64> = (0..SIDE * SIDE).map(|i| bump((i % SIDE) as f64, (i / SIDE) as f64)).collect();
    let src = Plane::new(&pixels, SIDE, SIDE).expect("fits");
    let turn = Affine::rotation(0.4).expect("finite");
    let view = View::around(Point::new(31.0, 33.0), &turn, SIDE, SIDE).expect("near");
    for seed in 0..8 {
        let mut controls = zeros(SIDE, SIDE, 24);
        let elastic = Elastic::draw(view, 24, 4.8, &mut Rng::new(seed, 0), &mut controls).expect("smooth");
        let expected = elastic.push(blob).expect("inside");
        let mut out = vec![0.0; SIDE * SIDE];
        let dst = PlaneMut::new(&mut out, SIDE, SIDE).expect("fits");
        elastic.resample(src, dst, Interpolation::Bicubic, Border::Value(0.0)).expect("good sizes");
        let brightest = (0..out.len()).max_by(|&a, &b| out[a].total_cmp(&out[b])).expect("not empty");
        let found = Point::new((brightest % SIDE) as f64, (brightest / SIDE) as f64);
        assert!(apart(found, expected) < 1.1, "{found:?} is not {expected:?}");
    }
}

#[test]
fn fields_that_could_fold_are_refused() {
    let mut controls = zeros(32, 32, 8);
    let rng = &mut Rng::new(1, 0);
    for amplitude in [1.61, -0.1, f64::NAN, f64::INFINITY] {
        let refused = Elastic::draw(view(32, 32), 8, amplitude, rng, &mut controls);
        assert!(matches!(refused, Err(AugmentError::Amplitude { .. })), "{amplitude}");
    }
    assert!(Elastic::draw(view(32, 32), 8, 1.6, rng, &mut controls).is_ok());
    let good = controls.clone();
    for bad in [Point::new(9.0, 0.0), Point::new(f64::NAN, 0.0), Point::new(0.0, f64::INFINITY)] {
        controls.copy_from_slice(&good);
        controls[20] = bad;
        let refused = Elastic::new(view(32, 32), 8, &controls);
        assert!(matches!(refused, Err(AugmentError::Steep { .. })), "{bad:?}");
    }
    // A displacement of all by the same moves the view.
    let far = vec![Point::new(100.0, -50.0); good.len()];
    let elastic = Elastic::new(view(32, 32), 8, &far).expect("smooth");
    assert!(apart(elastic.pull(Point::new(1.0, 2.0)), Point::new(101.0, -48.0)) < 1e-9);
    assert_eq!(elastic.push(Point::new(1.0, 2.0)), None);
    assert_eq!(elastic.push(Point::new(f64::NAN, 2.0)), None);
}

#[test]
fn bad_sizes_are_errors() {
    let controls = zeros(32, 32, 8);
    assert_eq!(controls.len(), 64);
    assert_eq!(elastic_controls_len(32, 32, 0), 0);
    for spacing in [0, 6] {
        let refused = Elastic::new(view(32, 32), spacing, &controls);
        assert!(matches!(refused, Err(AugmentError::Controls { .. })), "{spacing}");
    }
    let elastic = Elastic::new(view(32, 32), 8, &controls).expect("smooth");
    let (src, mut out) = ([1u8; 4], [0u8; 4]);
    let small = PlaneMut::new(&mut out, 2, 2).expect("fits");
    let src = Plane::new(&src, 2, 2).expect("fits");
    let done = elastic.resample(src, small, Interpolation::Bilinear, Border::Clamp);
    assert!(matches!(done, Err(AugmentError::Size { .. })));
    let empty = Plane::new(&[], 2, 0).expect("empty");
    let dst = PlaneMut::new(&mut out, 2, 2).expect("fits");
    let done = elastic.resample(empty, dst, Interpolation::Bilinear, Border::Clamp);
    assert_eq!(done, Err(AugmentError::Empty));
}
