//! Figures of errors, draws of templates, and arms of experiments.

#![allow(missing_docs, clippy::unwrap_used)] // Tests.

use std::error::Error;

use infomark_core::{Point, Rng, Spacing, Statistic, bootstrap_interval, radial_error_mm};
use infomark_eval::{
    Annotator, ErrorTable, EvalError, Figures, ImageErrors, MAX_SETS, Radius, ReaderPair, Run, Score,
    ScoredImage, SeedErrors, compare_arms, compare_with_annotator, draw, figures, median, median_mre,
    quantile, random_sets, reader_agreement,
};

use infomark_infer::{DataSet, Landmark, Sample};

/// Errors of two landmarks, image by image.
fn table(template: &str, errors: &[[f64; 2]]) -> ErrorTable {
    let of_image = |(image, errors): (usize, &[f64; 2])| ImageErrors {
        image,
        errors_mm: errors.iter().map(|error| Some(*error)).collect(),
    };
    ErrorTable { templates: vec![template.into()], images: errors.iter().enumerate().map(of_image).collect() }
}

fn names() -> [String; 2] {
    ["a".to_owned(), "b".to_owned()]
}

/// Two trainings of an arm.
fn arm<'a>(first: &'a [ErrorTable], second: &'a [ErrorTable]) -> Vec<SeedErrors<'a>> {
    vec![SeedErrors { seed: 0, tables: first }, SeedErrors { seed: 1, tables: second }]
}

#[test]
fn figures_are_those_computed_by_hand() -> Result<(), EvalError> {
    let (_, figures) = figures(&[table("t", &[[1.0, 3.0], [2.0, 6.0]])], &names(), &[2.0, 4.0], 0)?;
    let figures = &figures[0];
    assert_eq!(figures.mre_mm, 3.0);
    assert_eq!(figures.median_mm, 2.5);
    assert_eq!(figures.sdr[&Radius(2.0)], 0.25);
    assert_eq!(figures.sdr[&Radius(4.0)], 0.75);
    assert_eq!(figures.landmarks[1].mre_mm, 4.5);
    assert_eq!(figures.mre_mm_interval, [2.0, 4.0]);
    Ok(())
}

#[test]
fn the_summary_is_the_median_over_templates() -> Result<(), EvalError> {
    let tables = [1.0, 2.0, 9.0].map(|error| table("t", &[[error; 2]; 2]));
    let (summary, _) = figures(&tables, &names(), &[2.0], 0)?;
    assert_eq!(summary.mre_mm, 2.0);
    assert_eq!(median_mre(&tables), 2.0);
    assert_eq!(summary.mre_mm_interval, [2.0, 2.0]);
    assert_eq!(summary.sdr[&Radius(2.0)], 0.0);
    assert_eq!(summary.summary, "median over 3 templates");
    Ok(())
}

#[test]
fn figures_are_rounded_where_they_are_written() -> Result<(), EvalError> {
    let errors = table("t", &[[1.0, 1.0], [1.0, 2.0 / 3.0]]);
    let (_, figures) = figures(std::slice::from_ref(&errors), &names(), &[2.0], 0)?;
    let rounded: Vec<Figures> = figures.into_iter().map(Figures::rounded).collect();
    assert_eq!(rounded[0].mre_mm, 0.9167);
    assert_eq!(errors.rounded().images[1].errors_mm, [Some(1.0), Some(0.6667)]);
    Ok(())
}

#[test]
fn tables_that_have_no_figures_are_refused() {
    let figures = |errors: &[[f64; 2]], radius: f64| figures(&[table("t", errors)], &names(), &[radius], 0);
    assert!(matches!(figures(&[[1.0; 2]], 0.0), Err(EvalError::Radius { radius_mm: 0.0 })));
    assert!(matches!(figures(&[[1.0; 2]], f64::NAN), Err(EvalError::Radius { .. })));
    assert!(matches!(figures(&[], 2.0), Err(EvalError::Score(_))));
    assert!(matches!(figures(&[[1.0, f64::NAN]], 2.0), Err(EvalError::Score(_))));
}

/// Errors of two landmarks, image by image, some missing.
fn partial(errors: &[[Option<f64>; 2]]) -> ErrorTable {
    let of_image =
        |(image, errors): (usize, &[Option<f64>; 2])| ImageErrors { image, errors_mm: errors.to_vec() };
    ErrorTable { templates: vec!["t".into()], images: errors.iter().enumerate().map(of_image).collect() }
}

#[test]
fn figures_are_of_the_points_that_are_there() -> Result<(), EvalError> {
    let table = partial(&[[Some(1.0), Some(3.0)], [None, Some(8.0)], [None, None]]);
    let (summary, each) = figures(std::slice::from_ref(&table), &names(), &[2.0], 0)?;
    assert_eq!((each[0].missing, summary.missing, each[0].images), (3, 3, 3));
    assert_eq!((each[0].mre_mm, each[0].median_mm, each[0].sdr[&Radius(2.0)]), (4.0, 3.0, 1.0 / 3.0));
    assert_eq!((each[0].landmarks[0].mre_mm, each[0].landmarks[1].mre_mm), (1.0, 5.5));
    // Every point counts alike, in resamples as well: those of the first image alone have 2, those of the second 8.
    assert_eq!(each[0].mre_mm_interval, [2.0, 8.0]);
    let [complete, table] = [partial(&[[Some(1.0), Some(3.0)]]), table];
    assert_eq!(figures(&[complete], &names(), &[2.0], 0)?.0.missing, 0);

    // A template without a landmark has no figures of it; the median is over those that have.
    let tables = [partial(&[[Some(1.0), None]]), partial(&[[Some(3.0), Some(5.0)]]), table];
    let (summary, each) = figures(&tables, &names(), &[2.0], 0)?;
    assert!(each[0].landmarks[1].mre_mm.is_nan());
    assert_eq!((summary.landmarks[0].mre_mm, summary.landmarks[1].mre_mm), (1.0, 5.25));
    assert!(matches!(
        figures(&[partial(&[[Some(1.0), None]])], &names(), &[2.0], 0),
        Err(EvalError::NoErrors { landmark }) if landmark == "b"
    ));
    assert!(matches!(figures(&[partial(&[[None, None]])], &names(), &[2.0], 0), Err(EvalError::Score(_))));
    Ok(())
}

#[test]
fn intervals_of_complete_tables_are_those_of_the_core() -> Result<(), Box<dyn Error>> {
    let mut rng = Rng::new(5, 0);
    let errors: Vec<[f64; 2]> = (0..23).map(|_| [0, 1].map(|_| rng.below(1000) as f64 / 97.0)).collect();
    let (_, each) = figures(&[table("t", &errors)], &names(), &[4.0], 7)?;
    for (statistic, own) in [
        (Statistic::MeanRadialError, each[0].mre_mm_interval),
        (Statistic::Sdr { radius_mm: 4.0 }, each[0].sdr_intervals[&Radius(4.0)]),
    ] {
        let mut rng = Rng::new(7, 2);
        let interval =
            bootstrap_interval(errors.as_flattened(), 2, statistic, 0.95, &mut rng, &mut [0.0; 2000])?;
        assert_eq!(own, [interval.low, interval.high], "bit for bit");
    }
    Ok(())
}

#[test]
fn quantiles_are_linear_between_neighbours() {
    assert_eq!(quantile(&[1.0, 3.0], 0.25), 1.5);
    assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
    assert!(median(Vec::new()).is_nan());
}

#[test]
fn drawn_templates_are_different_and_follow_the_seed() {
    let drawn = draw(10, 100, 0, 0);
    assert_eq!(drawn, draw(10, 100, 0, 0));
    assert_ne!(drawn, draw(10, 100, 1, 0));
    assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(draw(4, 4, 9, 0), [0, 1, 2, 3]);
    assert_eq!(draw(9, 4, 9, 0), [0, 1, 2, 3]);
}

#[test]
fn sets_of_one_are_different_images() -> Result<(), EvalError> {
    assert_eq!(random_sets(None, 1, 3, 0)?, [[0], [1], [2]]);
    assert_eq!(random_sets(None, 1, 30, 0)?.len(), 10);
    let sets = random_sets(Some(9), 2, 3, 0)?;
    assert!(sets.len() == 9 && sets.iter().all(|set| set.len() == 2 && set[0] < set[1]));
    assert!(matches!(random_sets(Some(4), 1, 3, 0), Err(EvalError::Count { count: 4, most: 3, images: 3 })));
    assert!(matches!(random_sets(Some(0), 2, 3, 0), Err(EvalError::Count { count: 0, .. })));
    assert!(matches!(random_sets(Some(MAX_SETS + 1), 2, 3, 0), Err(EvalError::Count { .. })));
    assert!(matches!(random_sets(None, 4, 3, 0), Err(EvalError::Together { together: 4, images: 3 })));
    assert!(matches!(random_sets(None, 1, 0, 0), Err(EvalError::Together { images: 0, .. })));
    Ok(())
}

#[test]
fn an_arm_has_the_mean_over_seeds_of_the_median_over_templates() {
    let first = [[[1.0, 3.0], [2.0, 6.0]], [[9.0; 2]; 2], [[0.0; 2]; 2]].map(|errors| table("t", &errors));
    let second = [table("t", &[[1.0; 2]; 2])];
    let arms = [arm(&first, &second), Vec::new(), arm(&second, &second)];
    let figures = compare_arms(&arms, &names(), &[2.5], 1);
    assert!(figures[1].is_none(), "an arm without errors");
    let [first, second] = [0, 2].map(|place: usize| figures[place].as_ref().unwrap());
    assert_eq!(first.mre_mm, 2.0);
    assert_eq!(first.mre_mm_of_seeds, [3.0, 1.0]);
    // The first seed's resamples have the mean error of the first image twice, of both, or of the second twice.
    assert_eq!(first.mre_mm_interval, [1.5, 2.5]);
    assert_eq!(first.sdr[&Radius(2.5)], 0.75);
    assert_eq!(first.difference_to_first_mm, None);
    assert_eq!(second.difference_to_first_mm, Some(-1.0));
    assert_eq!(second.difference_to_first_mm_interval, Some([-1.5, -0.5]), "on the same images");
    assert_eq!(
        (first.landmarks[0].mre_mm, first.landmarks[1].mre_mm),
        (1.25, 2.75),
        "medians 1.5 and 1, 4.5 and 1"
    );
    assert_eq!((first.curve.len(), first.curve[100], first.curve[25]), (101, (10.0, 1.0), (2.5, 0.75)));
    assert_eq!(figures, compare_arms(&arms, &names(), &[2.5], 1), "the resamples follow the seed");
}

fn pair(landmark: &str, a: (f64, f64), b: (f64, f64), spacing: Option<Spacing>) -> ReaderPair {
    let at = |(x, y)| Point::new(x, y);
    ReaderPair { landmark: landmark.into(), a: at(a), b: at(b), spacing }
}

#[test]
fn two_readers_differ_by_an_offset_and_a_spread() -> Result<(), Box<dyn Error>> {
    let spacing = Some(Spacing::new(0.5, 0.25)?);
    let pairs = [
        pair("a", (0.0, 0.0), (6.0, 16.0), spacing),
        pair("b", (5.0, 5.0), (5.0, 5.0), spacing),
        pair("a", (10.0, 10.0), (10.0, 2.0), spacing),
    ];
    let agreement = reader_agreement(&pairs, &[2.0, 5.0, 6.0])?;
    assert_eq!(agreement.unit, "mm");
    let [a, b] = agreement.landmarks.as_slice() else { return Err("two landmarks".into()) };
    // Differences (3, 4) and (0, -2): distances 5 and 2.
    assert_eq!((a.landmark.as_str(), a.pairs, a.mean_radial_error, a.median), ("a", 2, 3.5, 3.5));
    assert_eq!(a.offset, [1.5, 1.0]);
    let sd = |a: f64, b: f64| Some((a - b).abs() / 2.0_f64.sqrt());
    let close = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| (a - b).abs() < 1e-12);
    assert!(
        close(a.sd, sd(5.0, 2.0))
            && close(a.offset_sd[0], sd(3.0, 0.0))
            && close(a.offset_sd[1], sd(4.0, -2.0))
    );
    // Strictly below, as detection rates.
    assert_eq!(a.within.values().copied().collect::<Vec<_>>(), [0.0, 0.5, 1.0]);
    assert_eq!((b.pairs, b.mean_radial_error, b.sd, b.offset_sd), (1, 0.0, None, [None, None]));
    assert_eq!((agreement.all.pairs, agreement.all.mean_radial_error), (3, 7.0 / 3.0));
    let swapped: Vec<ReaderPair> =
        pairs.iter().map(|pair| ReaderPair { a: pair.b, b: pair.a, ..pair.clone() }).collect();
    let swapped = reader_agreement(&swapped, &[2.0])?;
    assert_eq!((swapped.landmarks[0].mean_radial_error, swapped.landmarks[0].offset), (3.5, [-1.5, -1.0]));
    Ok(())
}

#[test]
fn readers_without_common_points_or_of_mixed_units_are_refused() -> Result<(), Box<dyn Error>> {
    assert!(matches!(reader_agreement(&[], &[2.0]), Err(EvalError::NoPairs)));
    let known = pair("a", (0.0, 0.0), (3.0, 4.0), Some(Spacing::new(1.0, 1.0)?));
    let unknown = ReaderPair { spacing: None, ..known.clone() };
    assert_eq!(
        reader_agreement(std::slice::from_ref(&unknown), &[])
            .map(|of| (of.unit, of.all.mean_radial_error))?,
        ("px", 5.0)
    );
    let mixed = reader_agreement(&[known.clone(), unknown], &[2.0]);
    assert!(matches!(mixed, Err(EvalError::MixedUnits { known: 1, pairs: 2 })));
    assert!(matches!(reader_agreement(&[known], &[0.0]), Err(EvalError::Radius { .. })));
    Ok(())
}

#[test]
fn a_second_annotator_is_compared_on_the_points_that_both_have() -> Result<(), Box<dyn Error>> {
    let spacing = Spacing::new(0.5, 0.5)?;
    let sample = |name: &str, points: [Option<(f64, f64)>; 2]| Sample {
        name: name.into(),
        path: name.into(),
        width: 100,
        height: 100,
        landmarks: points.map(|at| at.map(|(x, y)| Point::new(x, y))).to_vec(),
    };
    let images = vec![
        sample("1.png", [Some((10.0, 10.0)), Some((20.0, 20.0))]),
        sample("2.png", [Some((30.0, 30.0)), None]),
    ];
    let data = DataSet::new("made", spacing, names().to_vec(), images)?;
    let marks = |x: f64, name: &str| Landmark::new(name, Point::new(x, 10.0));
    let of_first = [marks(14.0, "a"), marks(0.0, "other")];
    let of_second = [marks(0.0, "b")];
    let placed = |image: &str| match image {
        "1.png" => &of_first[..],
        "2.png" => &of_second[..],
        _ => &[],
    };
    let annotator = Annotator::new("junior", &data, placed)?;
    assert_eq!(annotator.errors(&data).images, [ImageErrors { image: 0, errors_mm: vec![Some(2.0), None] }]);
    let score = |found: (f64, f64), truth: (f64, f64)| {
        let (found, truth) = (Point::new(found.0, found.1), Point::new(truth.0, truth.1));
        let error_mm = radial_error_mm(found, truth, spacing);
        Some(Score { found, truth, score: 0.5, error_mm, confidence: None })
    };
    let run = |x: f64| Run {
        templates: vec!["t".into()],
        images: vec![
            ScoredImage {
                image: 0,
                scores: vec![score((x, 10.0), (10.0, 10.0)), score((20.0, 21.0), (20.0, 20.0))],
            },
            ScoredImage { image: 1, scores: vec![score((30.0, 30.0), (30.0, 30.0)), None] },
        ],
    };
    // Two sets of templates; of four points one is the annotator's as well.
    let compared = compare_with_annotator(&data, &[run(11.0), run(13.0)], &annotator, &[1.0])?;
    assert_eq!((compared.program.all.pairs, compared.program.all.mean_radial_error), (2, 1.0));
    assert_eq!(
        (compared.second_annotator.all.pairs, compared.second_annotator.all.mean_radial_error),
        (1, 2.0)
    );
    assert_eq!(compared.second_annotator.all.offset, [2.0, 0.0]);
    assert_eq!((compared.not_placed, compared.program.landmarks.len()), (2, 1));
    let nowhere = Annotator::new("none", &data, |image| if image == "2.png" { &of_second } else { &[] });
    assert!(matches!(nowhere, Err(EvalError::NoPairs)), "the reference lacks the only point");
    Ok(())
}
