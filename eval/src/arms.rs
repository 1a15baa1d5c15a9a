//! Comparison of an experiment's arms: means over seeds of medians over templates, on common bootstrap resamples.

use std::collections::BTreeMap;

use infomark_core::{Rng, Statistic};
use serde::Serialize;

use crate::figures::{each, figure, is_none};
use crate::statistics::{PerImage, draws, interval, rounded, scored_images};
use crate::{ErrorTable, LandmarkFigures, Radius, median};

/// Stream of random numbers of the intervals.
const STREAM: u64 = 3;
/// Largest radius of a cumulative curve in mm, and its number of steps.
const CURVE_MM: f64 = 10.0;
const CURVE_STEPS: u32 = 100;

/// Errors of one training run of an arm.
#[derive(Clone, Copy, Debug)]
pub struct SeedErrors<'a> {
    /// Seed of the training.
    pub seed: u64,
    /// Errors of each set of templates; for a network, one table.
    pub tables: &'a [ErrorTable],
}

/// Metrics of an arm on a data set, rounded to four decimals. Intervals are 95 % bootstrap over images, with the same resamples
/// for all arms, seeds and templates; they do not include the variation between seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmFigures {
    /// Mean over seeds of the median over templates of the mean radial error.
    pub mre_mm: f64,
    /// Confidence interval of the mean.
    pub mre_mm_interval: [f64; 2],
    /// Seeds of the trainings.
    pub seeds: Vec<u64>,
    /// Median over templates of the mean radial error, per seed.
    pub mre_mm_of_seeds: Vec<f64>,
    /// Difference to the first arm; `None` for that arm itself, or if it has no errors yet.
    pub difference_to_first_mm: Option<f64>,
    /// Confidence interval of the difference, paired by resample.
    pub difference_to_first_mm_interval: Option<[f64; 2]>,
    /// Fraction of the errors below each radius.
    pub sdr: BTreeMap<Radius, f64>,
    /// Confidence intervals of these fractions.
    pub sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// Largest number of missing errors of a set of templates. Omitted in files if 0.
    #[serde(skip_serializing_if = "is_none")]
    pub missing: usize,
    /// Metrics per landmark, means over seeds of medians over templates; NaN without errors.
    pub landmarks: Vec<LandmarkFigures>,
    /// Cumulative distribution of the errors: radii in mm, from 0 to 10, and the fractions of errors below them.
    #[serde(skip)]
    pub curve: Vec<(f64, f64)>,
}

/// The metrics of every arm on one data set with the landmarks `names`; differences are to the first arm; `None` for an arm
/// without errors. `seed` draws the resamples.
pub fn compare_arms(
    arms: &[Vec<SeedErrors<'_>>],
    names: &[String],
    radii_mm: &[f64],
    seed: u64,
) -> Vec<Option<ArmFigures>> {
    let tables = || arms.iter().flatten().flat_map(|one| one.tables);
    let images = scored_images(tables());
    let comparison =
        Comparison { draws: draws(images.len(), Rng::new(seed, STREAM)), images, names, radii_mm };
    let mut first = None;
    let mut figures = Vec::with_capacity(arms.len());
    for (place, arm) in arms.iter().enumerate() {
        if arm.is_empty() {
            figures.push(None);
            continue;
        }
        let (one, resampled) = comparison.of_arm(arm, first.as_ref());
        if place == 0 {
            first = Some((one.mre_mm, resampled));
        }
        figures.push(Some(one));
    }
    figures
}

/// Data common to all arms.
struct Comparison<'a> {
    /// Indices of the images in the data set, ascending.
    images: Vec<usize>,
    /// Indices in `images`, resample by resample.
    draws: Vec<Vec<usize>>,
    names: &'a [String],
    radii_mm: &'a [f64],
}

impl Comparison<'_> {
    /// The metrics of an arm, and its mean error in each resample; `first` has those of the first arm.
    fn of_arm(&self, arm: &[SeedErrors<'_>], first: Option<&(f64, Vec<f64>)>) -> (ArmFigures, Vec<f64>) {
        let errors = self.over_seeds(arm, Statistic::MeanRadialError);
        let mre_mm = rounded(mean(&errors, None));
        let resampled = self.resampled(&errors);
        let (mut sdr, mut sdr_intervals) = (BTreeMap::new(), BTreeMap::new());
        for &radius_mm in self.radii_mm {
            let shares = self.over_seeds(arm, Statistic::Sdr { radius_mm });
            sdr.insert(Radius(radius_mm), rounded(mean(&shares, None)));
            sdr_intervals.insert(Radius(radius_mm), ends(self.resampled(&shares)));
        }
        let curve = (0..=CURVE_STEPS).map(|step| {
            let radius_mm = CURVE_MM * f64::from(step) / f64::from(CURVE_STEPS);
            (radius_mm, mean(&self.over_seeds(arm, Statistic::Sdr { radius_mm }), None))
        });
        let differences =
            |first: &Vec<f64>| ends(resampled.iter().zip(first).map(|(own, first)| own - first).collect());
        let figures = ArmFigures {
            mre_mm,
            mre_mm_interval: ends(resampled.clone()),
            seeds: arm.iter().map(|one| one.seed).collect(),
            mre_mm_of_seeds: errors.iter().map(|one| rounded(one.median(None))).collect(),
            difference_to_first_mm: first.map(|(first, _)| rounded(mre_mm - first)),
            difference_to_first_mm_interval: first.map(|(_, first)| differences(first)),
            sdr,
            sdr_intervals,
            missing: arm.iter().flat_map(|one| one.tables).map(ErrorTable::missing).max().unwrap_or(0),
            landmarks: self.landmarks(arm),
            curve: curve.collect(),
        };
        (figures, resampled)
    }

    fn landmarks(&self, arm: &[SeedErrors<'_>]) -> Vec<LandmarkFigures> {
        let of_landmark = |(place, name): (usize, &String)| {
            let over = |value: &dyn Fn(&[f64]) -> f64| {
                let of_seed = |one: &SeedErrors<'_>| {
                    let own = one.tables.iter().map(|table| table.of_landmark(place));
                    median(own.filter(|errors| !errors.is_empty()).map(|errors| value(&errors)).collect())
                };
                rounded(arm.iter().map(of_seed).sum::<f64>() / arm.len() as f64)
            };
            let rate = |Radius(radius_mm)| over(&|errors| figure(Statistic::Sdr { radius_mm }, errors));
            LandmarkFigures {
                landmark: name.clone(),
                mre_mm: over(&|errors| figure(Statistic::MeanRadialError, errors)),
                median_mm: over(&|errors| median(errors.to_vec())),
                sdr: each(self.radii_mm, rate),
            }
        };
        self.names.iter().enumerate().map(of_landmark).collect()
    }

    fn over_seeds(&self, arm: &[SeedErrors<'_>], statistic: Statistic) -> Vec<PerImage> {
        arm.iter().map(|one| PerImage::of(one.tables, &self.images, statistic)).collect()
    }

    fn resampled(&self, seeds: &[PerImage]) -> Vec<f64> {
        self.draws.iter().map(|drawn| mean(seeds, Some(drawn))).collect()
    }
}

/// The mean over seeds, for all images or for a resample.
fn mean(seeds: &[PerImage], drawn: Option<&[usize]>) -> f64 {
    seeds.iter().map(|one| one.median(drawn)).sum::<f64>() / seeds.len() as f64
}

fn ends(values: Vec<f64>) -> [f64; 2] {
    interval(values).map(rounded)
}
