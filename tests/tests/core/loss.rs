//! The contrastive loss against its definition and against differences.

use infomark_core::{
    FeatureError, FeatureMap, InfoNce, LossError, LossLevel, Negatives, Point, Positive, Rng, info_nce,
    info_nce_levels, info_nce_scratch_len,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

const TEMPERATURE: f64 = 0.4;

/// Two maps of features of length 1 and some positives.
#[derive(Clone, Debug)]
struct Problem {
    channels: usize,
    view: (Vec<f64>, usize, usize, usize),
    image: (Vec<f64>, usize, usize, usize),
    positives: Vec<Positive<f64>>,
    negatives: Negatives,
    exclusion_radius: usize,
}

impl Problem {
    fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 0);
        let mut size = |most| rng.below(most) as usize + 1;
        let channels = size(5);
        let (vw, vh, vs) = (size(6), size(6), size(9));
        // Wider than two sets of lanes now and then.
        let (iw, ih, is) = (size(21), size(9), size(9));
        let negatives = match size(3) {
            1 => Negatives::WholeMap,
            _ => Negatives::Window { radius: size(10) - 1 },
        };
        let exclusion_radius = size(4) - 1;
        let view = features(&mut rng, channels, vw * vh);
        let image = features(&mut rng, channels, iw * ih);
        let mut point = |w: usize, h: usize, s: usize| {
            // Some points lie outside.
            let mut at = |size: usize| rng.uniform_in(-0.2, 1.2) * (size * s) as f64;
            Point::new(at(w), at(h))
        };
        let positives =
            (0..3).map(|_| Positive { view: point(vw, vh, vs), image: point(iw, ih, is) }).collect();
        Self {
            channels,
            view: (view, vw, vh, vs),
            image: (image, iw, ih, is),
            positives,
            negatives,
            exclusion_radius,
        }
    }

    fn maps(&self) -> [FeatureMap<'_, f64>; 2] {
        [&self.view, &self.image]
            .map(|(data, w, h, s)| FeatureMap::new(data, self.channels, *w, *h, *s).expect("made to fit"))
    }

    fn naive(&self) -> f64 {
        let [view, image] = self.maps();
        let of =
            |&p| core_oracle::info_nce(view, image, p, self.negatives, self.exclusion_radius, TEMPERATURE);
        self.positives.iter().map(of).sum()
    }

    /// Loss and both gradients.
    fn fast(&self) -> (f64, Vec<f64>, Vec<f64>) {
        let [view, image] = self.maps();
        let (mut a, mut b) = (vec![0.0; view.data().len()], vec![0.0; image.data().len()]);
        let mut scratch = vec![f64::NAN; info_nce_scratch_len(image, self.negatives)];
        let loss = self.loss().backward(view, image, &self.positives, &mut a, &mut b, &mut scratch);
        let forward = self.loss().forward(view, image, &self.positives, &mut scratch);
        assert_eq!(forward, loss, "with and without a gradient");
        (loss.expect("good arguments"), a, b)
    }

    fn loss(&self) -> InfoNce<f64> {
        InfoNce {
            negatives: self.negatives,
            temperature: TEMPERATURE,
            exclusion_radius: self.exclusion_radius,
        }
    }
}

/// Channel-major features, each of length 1.
fn features(rng: &mut Rng, channels: usize, cells: usize) -> Vec<f64> {
    let mut data: Vec<f64> = (0..channels * cells).map(|_| rng.normal()).collect();
    for cell in 0..cells {
        let length = (0..channels).map(|c| data[c * cells + cell].powi(2)).sum::<f64>().sqrt();
        (0..channels).for_each(|c| data[c * cells + cell] /= length);
    }
    data
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_loss_equals_its_definition(seed: u64) {
        let problem = Problem::draw(seed);
        let (loss, naive) = (problem.fast().0, problem.naive());
        prop_assert!((loss - naive).abs() <= 3.0 * tolerance::LOSS_F64, "{loss} is not {naive}");
    }

    #[test]
    fn the_gradient_equals_differences_of_the_definition(seed: u64) {
        let problem = Problem::draw(seed);
        let (_, da, db) = problem.fast();
        let step = 1e-5;
        let naive = |change: &dyn Fn(&mut Problem, f64)| {
            let mut changed = [problem.clone(), problem.clone()];
            change(&mut changed[0], step);
            change(&mut changed[1], -step);
            (changed[0].naive() - changed[1].naive()) / (2.0 * step)
        };
        // A dozen elements of each; the seed says which.
        let mut rng = Rng::new(seed, 1);
        for _ in 0..12 {
            let i = rng.below(da.len() as u64) as usize;
            let slope = naive(&|p, d| p.view.0[i] += d);
            prop_assert!((da[i] - slope).abs() <= tolerance::GRADIENT, "view {i}: {} is not {slope}", da[i]);
            let i = rng.below(db.len() as u64) as usize;
            let slope = naive(&|p, d| p.image.0[i] += d);
            prop_assert!((db[i] - slope).abs() <= tolerance::GRADIENT, "image {i}: {} is not {slope}", db[i]);
        }
    }

    #[test]
    fn the_loss_is_at_least_0_and_at_most_what_opposite_features_give(seed: u64) {
        let problem = Problem::draw(seed);
        let cells = (problem.image.1 * problem.image.2) as f64;
        for positive in &problem.positives {
            let one = Problem { positives: vec![*positive], ..problem.clone() };
            let most = cells.ln() + 2.0 / TEMPERATURE;
            prop_assert!((-1e-12..=most).contains(&one.fast().0));
        }
    }

    #[test]
    fn positives_add_up_and_gradients_are_added(seed: u64) {
        let problem = Problem::draw(seed);
        let [view, image] = problem.maps();
        let (loss, da, db) = problem.fast();
        let (mut a, mut b) = (vec![1.0; da.len()], vec![2.0; db.len()]);
        let mut scratch = vec![0.0; info_nce_scratch_len(image, problem.negatives)];
        let mut sum = 0.0;
        for positive in &problem.positives {
            let loss = problem.loss().backward(view, image, &[*positive], &mut a, &mut b, &mut scratch);
            sum += loss.expect("good arguments");
        }
        prop_assert!((sum - loss).abs() < 1e-9);
        prop_assert!(a.iter().zip(&da).all(|(a, d)| (a - 1.0 - d).abs() < 1e-9));
        prop_assert!(b.iter().zip(&db).all(|(b, d)| (b - 2.0 - d).abs() < 1e-9));
    }

    #[test]
    fn levels_add_up_and_a_bad_one_leaves_all_gradients_alone(seed: u64) {
        let (mut fine, coarse) = (Problem::draw(seed), Problem::draw(seed.wrapping_add(1)));
        fine.positives.clone_from(&coarse.positives);
        let expected = [fine.fast(), coarse.fast()];
        let mut grads = expected.clone().map(|(_, a, b)| (vec![0.0; a.len()], vec![0.0; b.len()]));
        let mut scratch = vec![0.0; 21 * 9];
        for cut in [1, 0] {
            let [(a, b), (c, d)] = &mut grads;
            let ([view, image], [other_view, other_image]) = (fine.maps(), coarse.maps());
            let keep = d.len() - cut;
            let mut levels = [
                LossLevel { view, image, loss: fine.loss(), grad_view: a, grad_image: b },
                LossLevel {
                    view: other_view,
                    image: other_image,
                    loss: coarse.loss(),
                    grad_view: c,
                    grad_image: &mut d[..keep],
                },
            ];
            let total = info_nce_levels(&mut levels, &fine.positives, &mut scratch);
            if cut == 1 {
                let refused = matches!(total, Err(LossError::Gradient { map: "image", .. }));
                prop_assert!(refused, "{total:?}");
                prop_assert!(grads.iter().all(|(a, b)| a.iter().chain(b).all(|&g| g == 0.0)));
            } else {
                prop_assert_eq!(total, Ok(expected[0].0 + expected[1].0));
            }
        }
        for ((a, b), (_, da, db)) in grads.iter().zip(&expected) {
            prop_assert!(a == da && b == db);
        }
    }

    #[test]
    fn single_precision_follows_double(seed: u64) {
        let problem = Problem::draw(seed);
        let single = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let (a, b) = (single(&problem.view.0), single(&problem.image.0));
        let map = |data, (_, w, h, s): &(Vec<f64>, usize, usize, usize)| {
            FeatureMap::new(data, problem.channels, *w, *h, *s).expect("made to fit")
        };
        let (view, image) = (map(&a, &problem.view), map(&b, &problem.image));
        let positives: Vec<_> = problem
            .positives
            .iter()
            .map(|p| Positive { view: p.view.cast::<f32>(), image: p.image.cast::<f32>() })
            .collect();
        // A point within a rounding error of the edge of a cell may fall into its neighbour.
        let [dv, di] = problem.maps();
        prop_assume!(positives.iter().zip(&problem.positives).all(|(s, d)| {
            view.cell(s.view) == dv.cell(d.view) && image.cell(s.image) == di.cell(d.image)
        }));
        let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
        let mut scratch = vec![0.0; info_nce_scratch_len(image, problem.negatives)];
        let (negatives, exclusion_radius) = (problem.negatives, problem.exclusion_radius);
        let loss = InfoNce { negatives, temperature: TEMPERATURE as f32, exclusion_radius }
            .backward(view, image, &positives, &mut da, &mut db, &mut scratch)
            .expect("good arguments");
        prop_assert!((f64::from(loss) - problem.naive()).abs() <= 3.0 * tolerance::LOSS_F32);
    }
}

#[test]
fn a_window_without_neighbours_has_no_loss_and_no_gradient() {
    let mut problem = Problem::draw(3);
    problem.negatives = Negatives::Window { radius: 0 };
    let (loss, a, b) = problem.fast();
    assert_eq!(loss, 0.0);
    assert!(a.iter().chain(&b).all(|&g| g == 0.0));
}

#[test]
fn a_window_as_large_as_the_map_is_the_whole_map() {
    for radius in [30, usize::MAX] {
        let mut problem = Problem::draw(8);
        problem.negatives = Negatives::WholeMap;
        let whole = problem.fast();
        problem.negatives = Negatives::Window { radius };
        let window = problem.fast();
        assert!((whole.0 - window.0).abs() < 1e-12);
    }
}

#[test]
fn cells_near_the_truth_can_be_left_out() {
    let data = vec![1.0f64; 20];
    let map = FeatureMap::new(&data, 1, 5, 4, 8).expect("made to fit");
    // The cell of column 2 and row 2: of 20 cells, or of the 12 in reach, 8 surround it.
    let at = Point::new(16.0, 16.0);
    let positives = [Positive { view: at, image: at }];
    let mut scratch = vec![0.0; 20];
    let mut loss = |negatives, exclusion_radius| {
        let loss = InfoNce { negatives, temperature: 0.1, exclusion_radius };
        loss.forward(map, map, &positives, &mut scratch).expect("good")
    };
    assert!((loss(Negatives::WholeMap, 1) - 12f64.ln()).abs() < 1e-12);
    assert!((loss(Negatives::Window { radius: 2 }, 1) - 12f64.ln()).abs() < 1e-12);
    assert_eq!(loss(Negatives::Window { radius: 1 }, 1), 0.0);
    assert_eq!(loss(Negatives::WholeMap, usize::MAX), 0.0);
}

#[test]
fn equal_features_everywhere_lose_the_logarithm_of_the_number_of_cells() {
    let data = vec![1.0f64; 20];
    let map = FeatureMap::new(&data, 1, 5, 4, 8).expect("made to fit");
    let at = Point::new(16.0, 16.0);
    let (mut a, mut b, mut scratch) = (vec![0.0; 20], vec![0.0; 20], vec![0.0; 20]);
    let positives = [Positive { view: at, image: at }];
    let loss =
        info_nce(map, map, &positives, Negatives::WholeMap, 0.1, &mut a, &mut b, &mut scratch).expect("good");
    assert!((loss - 20f64.ln()).abs() < 1e-12);
    let loss =
        info_nce(map, map, &positives, Negatives::Window { radius: 1 }, 0.1, &mut a, &mut b, &mut scratch)
            .expect("good");
    assert!((loss - 9f64.ln()).abs() < 1e-12);
}

#[test]
fn a_tiny_temperature_does_not_overflow() {
    let data: Vec<f32> = vec![1.0, -1.0, 0.5, 0.0];
    let map = FeatureMap::new(&data, 1, 4, 1, 1).expect("made to fit");
    let (mut a, mut b, mut scratch) = (vec![0.0; 4], vec![0.0; 4], vec![0.0; 4]);
    let at = |x| Point::new(x, 0.0);
    let positives = [Positive { view: at(0.0), image: at(0.0) }, Positive { view: at(0.0), image: at(1.0) }];
    let loss = info_nce(map, map, &positives, Negatives::WholeMap, 1e-4, &mut a, &mut b, &mut scratch)
        .expect("good");
    assert!((loss - 2e4).abs() < 1.0, "{loss}");
    assert!(a.iter().chain(&b).all(|g| g.is_finite()));
}

#[test]
fn the_cell_of_a_centre_is_its_own() {
    let data = vec![0.0f64; 35];
    for stride in [1, 2, 3, 16, 32] {
        let map = FeatureMap::new(&data, 1, 7, 5, stride).expect("made to fit");
        for i in 0..35 {
            let cell = (i % 7, i / 7);
            assert_eq!(map.cell(map.centre(cell.0, cell.1)), cell);
        }
        // Pixels 0 to stride - 1 belong to the first cell, and so do all before them.
        let x = |x: f64| map.cell(Point::new(x, 0.0)).0;
        let s = stride as f64;
        assert_eq!((x(-0.5), x(s - 1.0), x(s), x(-9.0), x(1e9)), (0, 0, 1, 0, 6));
    }
    let map = FeatureMap::new(&data, 1, 7, 5, 2).expect("made to fit");
    assert_eq!(map.centre(0, 1), Point::new(0.5, 2.5));
}

#[test]
fn bad_arguments_are_errors() {
    let data = vec![0.5f64; 24];
    let map = FeatureMap::new(&data, 2, 4, 3, 2).expect("made to fit");
    let at = Point::new(1.0, 1.0);
    let good = [Positive { view: at, image: at }];
    let call = |view, positives: &[_], temperature, a: usize, b: usize, scratch: usize| {
        let (mut a, mut b, mut scratch) = (vec![7.0; a], vec![7.0; b], vec![0.0; scratch]);
        let whole = Negatives::WholeMap;
        let done = info_nce(view, map, positives, whole, temperature, &mut a, &mut b, &mut scratch);
        assert!(done.is_ok() || a.iter().chain(&b).all(|&g| g == 7.0), "gradients are untouched");
        done
    };
    assert!(call(map, &good, 0.1, 24, 24, 12).is_ok());
    assert_eq!(call(map, &[], 0.1, 24, 24, 12), Ok(0.0));
    let other = FeatureMap::new(&data, 3, 4, 2, 2).expect("made to fit");
    assert_eq!(call(other, &good, 0.1, 24, 24, 12), Err(LossError::Channels { view: 3, image: 2 }));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(call(map, &good, bad, 24, 24, 12), Err(LossError::Temperature { .. })));
        let positives = [good[0], Positive { view: at, image: Point::new(1.0, 1.0 / bad - 1.0 / bad) }];
        if bad == 0.0 {
            assert_eq!(call(map, &positives, 0.1, 24, 24, 12), Err(LossError::Positive { index: 1 }));
        }
    }
    assert!(matches!(call(map, &good, 0.1, 23, 24, 12), Err(LossError::Gradient { map: "view", .. })));
    assert!(matches!(call(map, &good, 0.1, 24, 25, 12), Err(LossError::Gradient { map: "image", .. })));
    assert_eq!(call(map, &good, 0.1, 24, 24, 11), Err(LossError::Scratch { len: 11, needed: 12 }));
    assert!(matches!(FeatureMap::new(&data, 2, 4, 4, 2), Err(FeatureError::Length { .. })));
    assert!(matches!(FeatureMap::new(&data, usize::MAX, 4, 4, 2), Err(FeatureError::Length { .. })));
    for (c, w, h, s) in [(0, 4, 3, 2), (2, 0, 3, 2), (2, 4, 0, 2), (2, 4, 3, 0)] {
        assert!(matches!(FeatureMap::new(&data, c, w, h, s), Err(FeatureError::Empty { .. })));
    }
}
