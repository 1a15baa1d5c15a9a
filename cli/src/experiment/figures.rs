//! What arms come to, over seeds, templates and images.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use infomark_core::Rng;
use infomark_train::evaluate::{Radius, median, quantile};
use serde::{Deserialize, Serialize};

use super::work::{Bench, Finished, Place};
use crate::output::{rounded, shown};

/// Resamples of an interval.
const RESAMPLES: usize = 2000;
/// Random numbers of the intervals.
const STREAM: u64 = 3;
/// What `experiment.json` says of them.
pub(super) const INTERVALS: &str = "95 % bootstrap over images, the same for all arms, seeds and templates (percentiles of 2000 \
     resamples); they do not hold what another seed would change, see mre_mm_of_seeds";

/// The figures of an arm on a data set.
#[derive(Serialize)]
pub(super) struct ArmFigures {
    /// Places of the data set and of the arm.
    #[serde(skip)]
    pub(super) place: (usize, usize),
    /// Mean over seeds of the median over templates of the mean radial error.
    pub(super) mre_mm: f64,
    pub(super) mre_mm_interval: [f64; 2],
    pub(super) seeds: Vec<u64>,
    pub(super) mre_mm_of_seeds: Vec<f64>,
    /// What it differs by from the first arm, with the interval of the difference on the same images.
    pub(super) difference_to_first_mm: Option<f64>,
    pub(super) difference_to_first_mm_interval: Option<[f64; 2]>,
    pub(super) sdr: BTreeMap<Radius, f64>,
    pub(super) sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// Radii in mm and the shares of errors below, for the plot.
    #[serde(skip)]
    pub(super) curve: Vec<(f64, f64)>,
}

/// Errors in mm: of each template, of each image (none for the template itself), of each landmark.
type Errors = Vec<Vec<Option<Vec<f64>>>>;

/// A statistic of one image with one template: of each template, of each image.
type Means = Vec<Vec<Option<f64>>>;

/// The figures of every arm on every data set, as far as they are finished.
pub(super) fn all(bench: &Bench<'_>, finished: &[(Place, Finished)]) -> Result<Vec<ArmFigures>> {
    let mut figures = Vec::new();
    for data in 0..bench.experiment.data.len() {
        let own: Vec<&(Place, Finished)> = finished.iter().filter(|(place, _)| place.data == data).collect();
        let errors = own.iter().map(|(_, done)| read(&Bench::errors(done))).collect::<Result<Vec<_>>>()?;
        let largest = largest_radius(&errors);
        let images = errors.iter().flatten().map(Vec::len).max().unwrap_or(0);
        let draws = draws(images, bench.experiment.evaluate.seed);
        let mut first: Option<Vec<f64>> = None;
        for arm in 0..bench.experiment.arm.len() {
            let runs: Vec<(u64, &Errors)> = own
                .iter()
                .zip(&errors)
                .filter(|((place, _), _)| place.arm == arm)
                .map(|((place, _), errors)| (place.seed, errors))
                .collect();
            if runs.is_empty() {
                continue;
            }
            let (one, resampled) = of_arm((data, arm), &runs, &draws, bench, largest, first.as_deref());
            if arm == 0 {
                first = Some(resampled);
            }
            figures.push(one);
        }
        with_difference(&mut figures, data);
    }
    Ok(figures)
}

/// Fills in what arms differ by from the first one.
fn with_difference(figures: &mut [ArmFigures], data: usize) {
    let first = figures.iter().find(|figures| figures.place == (data, 0)).map(|figures| figures.mre_mm);
    for one in figures.iter_mut().filter(|one| one.place.0 == data && one.place.1 != 0) {
        one.difference_to_first_mm = first.map(|first| rounded(one.mre_mm - first, 4));
    }
}

/// The figures of an arm, and its mean error in each resample.
fn of_arm(
    place: (usize, usize),
    runs: &[(u64, &Errors)],
    draws: &[Vec<usize>],
    bench: &Bench<'_>,
    largest: f64,
    first: Option<&[f64]>,
) -> (ArmFigures, Vec<f64>) {
    let means: Vec<Means> = runs.iter().map(|(_, errors)| per_image(errors, mean)).collect();
    let of_seeds: Vec<f64> = means.iter().map(|means| rounded(of_run(means, None), 4)).collect();
    let resampled: Vec<f64> = draws.iter().map(|drawn| over_seeds(&means, Some(drawn))).collect();
    let (mut sdr, mut sdr_intervals) = (BTreeMap::new(), BTreeMap::new());
    for &radius in &bench.experiment.evaluate.radii {
        let shares: Vec<Means> = runs.iter().map(|(_, errors)| per_image(errors, below(radius))).collect();
        sdr.insert(Radius(radius), rounded(over_seeds(&shares, None), 4));
        let resampled: Vec<f64> = draws.iter().map(|drawn| over_seeds(&shares, Some(drawn))).collect();
        sdr_intervals.insert(Radius(radius), interval(resampled));
    }
    let curve = (0..=80).map(|step| {
        let radius = largest * f64::from(step) / 80.0;
        let shares: Vec<Means> = runs.iter().map(|(_, errors)| per_image(errors, below(radius))).collect();
        (radius, over_seeds(&shares, None))
    });
    let differences = first.map(|first| resampled.iter().zip(first).map(|(own, first)| own - first));
    let figures = ArmFigures {
        place,
        mre_mm: rounded(over_seeds(&means, None), 4),
        mre_mm_interval: interval(resampled.clone()),
        seeds: runs.iter().map(|(seed, _)| *seed).collect(),
        mre_mm_of_seeds: of_seeds,
        difference_to_first_mm: None,
        difference_to_first_mm_interval: differences.map(|differences| interval(differences.collect())),
        sdr,
        sdr_intervals,
        curve: curve.collect(),
    };
    (figures, resampled)
}

fn mean(errors: &[f64]) -> f64 {
    infomark_core::mean(errors).unwrap_or(f64::NAN)
}

fn below(radius: f64) -> impl Fn(&[f64]) -> f64 {
    move |errors| infomark_core::sdr(errors, radius).unwrap_or(f64::NAN)
}

fn per_image(errors: &Errors, statistic: impl Fn(&[f64]) -> f64) -> Means {
    let of_image = |errors: &Option<Vec<f64>>| errors.as_deref().map(&statistic);
    errors.iter().map(|images| images.iter().map(of_image).collect()).collect()
}

fn over_seeds(runs: &[Means], drawn: Option<&[usize]>) -> f64 {
    runs.iter().map(|means| of_run(means, drawn)).sum::<f64>() / runs.len() as f64
}

/// The median over templates of the mean over images: all of them, or those drawn.
fn of_run(means: &Means, drawn: Option<&[usize]>) -> f64 {
    let of_template = |images: &Vec<Option<f64>>| {
        let values: Vec<f64> = match drawn {
            None => images.iter().flatten().copied().collect(),
            Some(drawn) => drawn.iter().filter_map(|&image| *images.get(image)?).collect(),
        };
        infomark_core::mean(&values)
    };
    median(means.iter().filter_map(of_template).collect())
}

/// The images of each resample.
fn draws(images: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = Rng::new(seed, STREAM);
    let mut draw = |_| (0..images).map(|_| rng.below(images as u64) as usize).collect();
    (0..RESAMPLES).map(&mut draw).collect()
}

fn interval(mut values: Vec<f64>) -> [f64; 2] {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    [0.025, 0.975].map(|share| rounded(quantile(&values, share), 4))
}

/// A radius that most errors are below, but no less than 10 mm.
fn largest_radius(errors: &[Errors]) -> f64 {
    let mut all: Vec<f64> = errors.iter().flatten().flatten().flatten().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let most = quantile(&all, 0.9);
    if most > 10.0 { (most / 5.0).ceil() * 5.0 } else { 10.0 }
}

/// The table that `infomark evaluate` writes.
fn read(path: &Path) -> Result<Errors> {
    #[derive(Deserialize)]
    struct Row {
        template: String,
        image: String,
        error_mm: f64,
    }
    let mut rows = Vec::new();
    let table = csv::Reader::from_path(path).with_context(|| format!("{}: can't be read", shown(path)))?;
    for row in table.into_deserialize::<Row>() {
        rows.push(row.with_context(|| format!("{}: can't be read", shown(path)))?);
    }
    let mut images: Vec<&str> = rows.iter().map(|row| row.image.as_str()).collect();
    images.sort_unstable();
    images.dedup();
    let mut templates: BTreeMap<&str, Vec<Option<Vec<f64>>>> = BTreeMap::new();
    for row in &rows {
        let own = templates.entry(&row.template).or_insert_with(|| vec![None; images.len()]);
        if let Ok(place) = images.binary_search(&row.image.as_str()) {
            own[place].get_or_insert_default().push(row.error_mm);
        }
    }
    Ok(templates.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One template, two images, two landmarks.
    fn errors(values: [[f64; 2]; 2]) -> Errors {
        vec![values.map(|errors| Some(errors.to_vec())).into()]
    }

    #[test]
    fn a_figure_is_the_mean_over_seeds_of_the_median_over_templates() {
        let mut first = errors([[1.0, 3.0], [2.0, 6.0]]);
        first.extend(errors([[9.0, 9.0], [9.0, 9.0]]));
        first.extend(errors([[0.0, 0.0], [0.0, 0.0]]));
        let runs = [per_image(&first, mean), per_image(&errors([[1.0, 1.0], [1.0, 1.0]]), mean)];
        assert_eq!(over_seeds(&runs, None), 2.0);
        assert_eq!(over_seeds(&runs, Some(&[0, 0])), 1.5);
        let shares = [per_image(&errors([[1.0, 3.0], [2.0, 6.0]]), below(2.5))];
        assert_eq!(over_seeds(&shares, None), 0.5);
    }

    #[test]
    fn resamples_follow_the_seed_and_hold_the_figure() {
        assert_eq!(draws(5, 1), draws(5, 1));
        assert_ne!(draws(5, 1), draws(5, 2));
        let runs = [per_image(&errors([[1.0, 3.0], [2.0, 6.0]]), mean)];
        let all = draws(2, 0).iter().map(|drawn| over_seeds(&runs, Some(drawn))).collect();
        assert_eq!(interval(all), [2.0, 4.0]);
    }
}
