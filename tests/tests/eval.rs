//! Figures of errors, draws of templates, and arms of experiments.

#![allow(missing_docs, clippy::unwrap_used)] // Tests.

use std::error::Error;

use infomark_core::{Point, Spacing};
use infomark_eval::{
    ErrorTable, EvalError, Figures, ImageErrors, MAX_SETS, Radius, ReaderPair, SeedErrors, compare_arms,
    draw, figures, median, median_mre, quantile, random_sets, reader_agreement,
};

/// Errors of two landmarks, image by image.
fn table(template: &str, errors: &[[f64; 2]]) -> ErrorTable {
    let of_image = |(image, errors): (usize, &[f64; 2])| ImageErrors { image, errors_mm: errors.to_vec() };
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
    assert_eq!(errors.rounded().images[1].errors_mm, [1.0, 0.6667]);
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
    let figures = compare_arms(&arms, &[2.5], 1);
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
    assert_eq!(figures, compare_arms(&arms, &[2.5], 1), "the resamples follow the seed");
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
