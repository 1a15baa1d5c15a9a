//! Aligning images by matches of which many are wrong.

use infomark_core::{AlignError, AlignOptions, Alignment, Match, Point, Rng};
use proptest::prelude::*;

fn point(x: f64, y: f64) -> Point<f64> {
    Point { x, y }
}

/// Places spread over 400 x 400 pixels.
fn places(count: usize, seed: u64) -> Vec<Point<f64>> {
    let mut rng = Rng::new(seed, 0);
    (0..count).map(|_| point(rng.uniform_in(0.0, 400.0), rng.uniform_in(0.0, 400.0))).collect()
}

fn distance(a: Point<f64>, b: Point<f64>) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

proptest! {
    /// Up to half of the matches may be anywhere: the map that the others agree on is found, and exactly.
    #[test]
    fn an_affine_map_is_found_among_wrong_matches(
        angle in -0.4f64..0.4,
        scale in 0.8f64..1.25,
        (dx, dy) in (-80.0f64..80.0, -80.0f64..80.0),
        wrong in 0usize..60,
        seed in any::<u64>(),
    ) {
        let (sin, cos) = (angle.sin() * scale, angle.cos() * scale);
        let truth = |p: Point<f64>| point(cos * p.x - sin * p.y + dx, sin * p.x + cos * p.y + dy);
        let noise = places(120, seed ^ 1);
        let matches: Vec<Match<f64>> = places(120, seed)
            .into_iter()
            .enumerate()
            .map(|(i, from)| Match { from, to: if i < wrong { noise[i] } else { truth(from) } })
            .collect();
        // Closer than wrong matches come to the truth by chance more than now and then.
        let rule = AlignOptions { tolerance: 4.0, robust_scale: 0.5, ..AlignOptions::default() };
        let alignment = Alignment::new(&matches, rule, &mut Rng::new(seed, 1))?;
        prop_assert!(alignment.inliers() >= 120 - wrong);
        for at in places(10, seed ^ 2) {
            let found = alignment.predict(at);
            prop_assert!(distance(found.at, truth(at)) < 0.1, "{:?} is not {:?}", found, truth(at));
            prop_assert!(found.spread < 0.2 && found.support > 0.0, "{found:?}");
        }
    }

    /// What moves smoothly is followed where an affine map alone is off by several pixels.
    #[test]
    fn smooth_deformations_are_followed(seed in any::<u64>(), amplitude in 4.0f64..12.0) {
        let truth = |p: Point<f64>| point(
            p.x + amplitude * (p.y / 70.0).sin(),
            p.y + amplitude * (p.x / 80.0).cos(),
        );
        let matches: Vec<Match<f64>> =
            places(300, seed).into_iter().map(|from| Match { from, to: truth(from) }).collect();
        let rule = AlignOptions { tolerance: 25.0, sigma: 30.0, ..AlignOptions::default() };
        let alignment = Alignment::new(&matches, rule, &mut Rng::new(seed, 1))?;
        let inside: Vec<_> = places(60, seed ^ 2)
            .into_iter()
            .filter(|p| [p.x, p.y].iter().all(|v| (60.0..340.0).contains(v)))
            .collect();
        let affine = alignment.affine()?;
        let worst = |f: &dyn Fn(Point<f64>) -> Point<f64>| {
            inside.iter().map(|&p| distance(f(p), truth(p))).fold(0.0, f64::max)
        };
        let (local, global) = (worst(&|p| alignment.predict(p).at), worst(&|p| affine.pull(p)));
        prop_assert!(local < 0.35 * amplitude && local < 0.5 * global, "{local} against {global}");
    }

    /// Any finite or infinite numbers give a result or an error; the same ones give the same.
    #[test]
    fn anything_is_answered(
        numbers in prop::collection::vec(prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(0.0), Just(f64::MAX), -1e3f64..1e3
        ], 0..80),
        seed in any::<u64>(),
    ) {
        let matches: Vec<Match<f64>> = numbers
            .chunks_exact(4)
            .map(|n| Match { from: point(n[0], n[1]), to: point(n[2], n[3]) })
            .collect();
        let rule = AlignOptions { min_inliers: 0, max_iterations: 40, ..AlignOptions::default() };
        let align = || Alignment::new(&matches, rule, &mut Rng::new(seed, 0));
        let Ok(alignment) = align() else { return Ok(()) };
        prop_assert!(alignment.inliers() >= 3);
        let found = alignment.predict(point(1.0, 2.0));
        prop_assert_eq!(format!("{found:?}"), format!("{:?}", align()?.predict(point(1.0, 2.0))));
    }
}

#[test]
fn single_precision_gives_nearly_the_same() -> Result<(), AlignError> {
    let truth = |p: Point<f64>| point(0.9 * p.x + 0.1 * p.y + 7.0, -0.1 * p.x + 1.1 * p.y - 3.0);
    let matches: Vec<Match<f64>> =
        places(50, 3).into_iter().map(|from| Match { from, to: truth(from) }).collect();
    let single: Vec<Match<f32>> =
        matches.iter().map(|m| Match { from: m.from.cast(), to: m.to.cast() }).collect();
    let double =
        Alignment::new(&matches, AlignOptions::default(), &mut Rng::new(1, 0))?.predict(point(200.0, 90.0));
    let single = Alignment::new(&single, AlignOptions::default(), &mut Rng::new(1, 0))?
        .predict(Point { x: 200.0, y: 90.0 });
    assert!(distance(double.at, single.at.cast()) < 1e-3);
    assert!(distance(double.at, truth(point(200.0, 90.0))) < 1e-6);
    Ok(())
}

#[test]
fn what_cannot_be_aligned_is_refused() {
    let line: Vec<Match<f64>> =
        (0..20).map(|i| Match { from: point(f64::from(i), 0.0), to: point(f64::from(i), 0.0) }).collect();
    let align = |matches: &[Match<f64>], rule| {
        Alignment::new(matches, rule, &mut Rng::new(0, 0)).map(|a| a.inliers())
    };
    let none = |matches| Err(AlignError::NoConsensus { inliers: 0, matches, needed: 8 });
    assert_eq!(align(&line, AlignOptions::default()), none(20));
    assert_eq!(align(&[], AlignOptions::default()), none(0));
    let nan = [Match { from: point(f64::NAN, 0.0), to: point(0.0, 0.0) }];
    assert_eq!(align(&nan, AlignOptions::default()), Err(AlignError::NotFinite { index: 0 }));
    let default = AlignOptions::<f64>::default;
    for (rule, wrong, given) in [
        (AlignOptions { tolerance: 0.0, ..default() }, "tolerance", 0.0),
        (AlignOptions { sigma: f64::NAN, ..default() }, "sigma", f64::NAN),
        (AlignOptions { max_area_ratio: 0.5, ..default() }, "max_area_ratio", 0.5),
        (AlignOptions { max_iterations: 0, ..default() }, "max_iterations", 0.0),
    ] {
        match align(&line, rule) {
            Err(AlignError::Option { option, value, .. }) => {
                assert_eq!((option, value.to_bits()), (wrong, given.to_bits()));
            }
            other => panic!("{wrong}: {other:?}"),
        }
    }
}
