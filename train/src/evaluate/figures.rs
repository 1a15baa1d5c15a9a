//! Mean radial errors, detection rates, and how sure they are.

use std::collections::BTreeMap;

use infomark_core::{Interval, Rng, ScoreError, Statistic, bootstrap_interval};
use serde::Serialize;

use super::Run;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;
const CONFIDENCE: f64 = 0.95;
/// Random numbers of the intervals.
const STREAM: u64 = 2;

/// Shares of errors below radii, 0 to 1.
pub type Rates = BTreeMap<Radius, f64>;

/// A radius in mm, in the order of size; it is written as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radius(pub f64);

impl Eq for Radius {}

impl PartialOrd for Radius {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Radius {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Serialize for Radius {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The figures of one template, or of several that were matched together. Intervals are 95 % bootstrap over images: percentiles of
/// 2000 resamples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Names of the templates' images, joined.
    pub template: String,
    /// The images that were matched together, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Images that were scored.
    pub images: usize,
    /// Mean radial error.
    pub mre_mm: f64,
    /// Its interval.
    pub mre_mm_interval: [f64; 2],
    /// Median of the errors.
    pub median_mm: f64,
    /// Share of the errors below each radius.
    pub sdr: Rates,
    /// Their intervals.
    pub sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// Landmark by landmark.
    pub landmarks: Vec<LandmarkFigures>,
}

/// The figures of one landmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandmarkFigures {
    /// Its name.
    pub landmark: String,
    /// Mean radial error.
    pub mre_mm: f64,
    /// Median of the errors.
    pub median_mm: f64,
    /// Share of the errors below each radius.
    pub sdr: Rates,
}

/// What an encoder comes to: the median of the templates' figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Mean radial error.
    pub mre_mm: f64,
    /// Its interval: images are drawn with replacement, the same for all templates.
    pub mre_mm_interval: [f64; 2],
    /// Median of the errors.
    pub median_mm: f64,
    /// Share of the errors below each radius.
    pub sdr: Rates,
    /// Their intervals.
    pub sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// What the figures above are, in words.
    pub summary: String,
    /// Landmark by landmark.
    pub landmarks: Vec<LandmarkFigures>,
}

impl Figures {
    /// The figures of a run, whose images have the landmarks `names`; `seed` draws the intervals. Without images they are NaN.
    ///
    /// # Errors
    /// When there are no landmarks, or a radius is not a number above 0.
    pub fn of(run: &Run, names: &[String], radii_mm: &[f64], seed: u64) -> Result<Self, ScoreError> {
        let errors = errors(run);
        let interval = |statistic| -> Result<[f64; 2], ScoreError> {
            let mut scratch = vec![0.0; RESAMPLES];
            let mut rng = Rng::new(seed, STREAM);
            let Interval { low, high } =
                bootstrap_interval(&errors, names.len(), statistic, CONFIDENCE, &mut rng, &mut scratch)?;
            Ok([low, high])
        };
        let mut sdr_intervals = BTreeMap::new();
        for &radius_mm in radii_mm {
            sdr_intervals.insert(Radius(radius_mm), interval(Statistic::Sdr { radius_mm })?);
        }
        let landmarks = names.iter().enumerate().map(|(index, name)| {
            let own: Vec<f64> = errors.iter().skip(index).step_by(names.len()).copied().collect();
            LandmarkFigures {
                landmark: name.clone(),
                mre_mm: figure(Statistic::Mean, &own),
                median_mm: median(own.clone()),
                sdr: rates(&own, radii_mm),
            }
        });
        Ok(Self {
            template: run.name(),
            members: if run.templates.len() > 1 { run.templates.clone() } else { Vec::new() },
            images: run.images.len(),
            mre_mm: figure(Statistic::Mean, &errors),
            mre_mm_interval: interval(Statistic::Mean)?,
            median_mm: median(errors.clone()),
            sdr: rates(&errors, radii_mm),
            sdr_intervals,
            landmarks: landmarks.collect(),
        })
    }

    /// The same to four digits after the point, as results are written.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self {
            mre_mm: rounded(self.mre_mm),
            mre_mm_interval: self.mre_mm_interval.map(rounded),
            median_mm: rounded(self.median_mm),
            sdr: rounded_rates(self.sdr),
            sdr_intervals: rounded_ends(self.sdr_intervals),
            landmarks: self.landmarks.into_iter().map(LandmarkFigures::rounded).collect(),
            ..self
        }
    }
}

impl LandmarkFigures {
    fn rounded(self) -> Self {
        let Self { landmark, mre_mm, median_mm, sdr } = self;
        Self { landmark, mre_mm: rounded(mre_mm), median_mm: rounded(median_mm), sdr: rounded_rates(sdr) }
    }
}

impl Summary {
    /// The median over templates, each with its figures and its run.
    pub fn of(templates: &[(Figures, &Run)], names: &[String], radii_mm: &[f64], seed: u64) -> Self {
        let over =
            |figure: &dyn Fn(&Figures) -> f64| median(templates.iter().map(|(of, _)| figure(of)).collect());
        let rate = |rates: &Rates, radius: Radius| rates.get(&radius).copied().unwrap_or(f64::NAN);
        let of_landmark = |index: usize, figure: &dyn Fn(&LandmarkFigures) -> f64| {
            over(&|figures| figures.landmarks.get(index).map_or(f64::NAN, figure))
        };
        let landmarks = names.iter().enumerate().map(|(index, name)| LandmarkFigures {
            landmark: name.clone(),
            mre_mm: of_landmark(index, &|figures| figures.mre_mm),
            median_mm: of_landmark(index, &|figures| figures.median_mm),
            sdr: each(radii_mm, |radius| of_landmark(index, &|figures| rate(&figures.sdr, radius))),
        });
        let (mre_mm_interval, sdr_intervals) = match templates {
            [(only, _)] => (only.mre_mm_interval, only.sdr_intervals.clone()),
            _ => (
                spread(templates, Statistic::Mean, seed),
                each(radii_mm, |Radius(radius_mm)| spread(templates, Statistic::Sdr { radius_mm }, seed)),
            ),
        };
        Self {
            mre_mm: over(&|figures| figures.mre_mm),
            mre_mm_interval,
            median_mm: over(&|figures| figures.median_mm),
            sdr: each(radii_mm, |radius| over(&|figures| rate(&figures.sdr, radius))),
            sdr_intervals,
            summary: match (templates, templates.first().map_or(0, |(first, _)| first.members.len())) {
                ([(only, _)], 0) => format!("template {}", only.template),
                ([(only, _)], _) => format!("templates {}", only.template),
                (_, 0) => format!("median over {} templates", templates.len()),
                (_, each) => format!("median over {} sets of {each} templates", templates.len()),
            },
            landmarks: landmarks.collect(),
        }
    }

    /// The same to four digits after the point, as results are written.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self {
            mre_mm: rounded(self.mre_mm),
            mre_mm_interval: self.mre_mm_interval.map(rounded),
            median_mm: rounded(self.median_mm),
            sdr: rounded_rates(self.sdr),
            sdr_intervals: rounded_ends(self.sdr_intervals),
            landmarks: self.landmarks.into_iter().map(LandmarkFigures::rounded).collect(),
            ..self
        }
    }
}

/// The interval of the median over templates: images are drawn with replacement, the same for all templates.
fn spread(templates: &[(Figures, &Run)], statistic: Statistic, seed: u64) -> [f64; 2] {
    let runs = || templates.iter().map(|(_, run)| run);
    let images = 1 + runs().flat_map(|run| &run.images).map(|scored| scored.image).max().unwrap_or(0);
    // All images have the same landmarks: the mean over images of their statistics is the statistic.
    let table = |run: &&Run| -> Vec<Option<f64>> {
        let mut table = vec![None; images];
        for scored in &run.images {
            let errors: Vec<f64> = scored.scores.iter().map(|score| score.error_mm).collect();
            if let Some(place) = table.get_mut(scored.image) {
                *place = statistic.of(&errors);
            }
        }
        table
    };
    let tables: Vec<_> = runs().map(table).collect();
    let mut rng = Rng::new(seed, STREAM);
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut drawn = vec![0; images];
    for _ in 0..RESAMPLES {
        for place in &mut drawn {
            *place = rng.below(images as u64) as usize;
        }
        let means = tables.iter().filter_map(|table| {
            // A template's own image is left out when it is drawn.
            let values: Vec<f64> =
                drawn.iter().filter_map(|&image| table.get(image).copied().flatten()).collect();
            infomark_core::mean(&values)
        });
        let means: Vec<f64> = means.collect();
        if !means.is_empty() {
            medians.push(median(means));
        }
    }
    medians.sort_unstable_by(f64::total_cmp);
    [0.5 * (1.0 - CONFIDENCE), 0.5 * (1.0 + CONFIDENCE)].map(|share| quantile(&medians, share))
}

/// All errors of a template in mm, image by image.
fn errors(run: &Run) -> Vec<f64> {
    run.images.iter().flat_map(|scored| &scored.scores).map(|score| score.error_mm).collect()
}

fn figure(statistic: Statistic, errors: &[f64]) -> f64 {
    statistic.of(errors).unwrap_or(f64::NAN)
}

fn rates(errors: &[f64], radii_mm: &[f64]) -> Rates {
    each(radii_mm, |Radius(radius_mm)| figure(Statistic::Sdr { radius_mm }, errors))
}

fn each<T>(radii_mm: &[f64], value: impl Fn(Radius) -> T) -> BTreeMap<Radius, T> {
    radii_mm.iter().map(|&radius| (Radius(radius), value(Radius(radius)))).collect()
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn rounded_rates(rates: Rates) -> Rates {
    rates.into_iter().map(|(radius, share)| (radius, rounded(share))).collect()
}

fn rounded_ends(ends: BTreeMap<Radius, [f64; 2]>) -> BTreeMap<Radius, [f64; 2]> {
    ends.into_iter().map(|(radius, ends)| (radius, ends.map(rounded))).collect()
}

/// The median of values, the mean of the two in the middle of an even number; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// A quantile, 0 to 1, of ascending values, linear between neighbours; NaN of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = (place as usize).min(last);
    let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or(f64::NAN);
    at(below) + (place - below as f64) * (at(below + 1) - at(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Score, ScoredImage};
    use infomark_core::Point;
    use infomark_infer::Confidence;

    const SURE: Confidence = Confidence { margin: 1.0, back: None, prior: None, spread: None, scale: 1.0 };

    fn run(template: &str, errors: &[[f64; 2]]) -> Run {
        let scored = |(image, errors): (usize, &[f64; 2])| ScoredImage {
            image,
            scores: errors
                .map(|error_mm| Score {
                    found: Point::new(0.0, 0.0),
                    truth: Point::new(0.0, 0.0),
                    score: 1.0,
                    confidence: SURE,
                    error_mm,
                })
                .into(),
        };
        Run { templates: vec![template.into()], images: errors.iter().enumerate().map(scored).collect() }
    }

    #[test]
    fn figures_are_those_computed_by_hand() -> Result<(), ScoreError> {
        let names = ["a".to_owned(), "b".to_owned()];
        let run = run("t", &[[1.0, 3.0], [2.0, 6.0]]);
        let figures = Figures::of(&run, &names, &[2.0, 4.0], 0)?;
        assert_eq!(figures.mre_mm, 3.0);
        assert_eq!(figures.median_mm, 2.5);
        assert_eq!(figures.sdr[&Radius(2.0)], 0.25);
        assert_eq!(figures.sdr[&Radius(4.0)], 0.75);
        assert_eq!(figures.landmarks[1].mre_mm, 4.5);
        assert_eq!(figures.mre_mm_interval, [2.0, 4.0]);
        Ok(())
    }

    #[test]
    fn the_summary_is_the_median_over_templates() -> Result<(), ScoreError> {
        let names = ["a".to_owned(), "b".to_owned()];
        let runs = [
            run("t", &[[1.0, 1.0], [1.0, 1.0]]),
            run("u", &[[2.0, 2.0], [2.0, 2.0]]),
            run("v", &[[9.0, 9.0], [9.0, 9.0]]),
        ];
        let each = runs.iter().map(|run| Ok((Figures::of(run, &names, &[2.0], 0)?, run)));
        let summary = Summary::of(&each.collect::<Result<Vec<_>, ScoreError>>()?, &names, &[2.0], 0);
        assert_eq!(summary.mre_mm, 2.0);
        assert_eq!(summary.mre_mm_interval, [2.0, 2.0]);
        assert_eq!(summary.sdr[&Radius(2.0)], 0.0);
        assert_eq!(summary.summary, "median over 3 templates");
        Ok(())
    }

    #[test]
    fn figures_are_rounded_where_they_are_written() {
        let names = ["a".to_owned(), "b".to_owned()];
        let run = run("t", &[[1.0, 1.0], [1.0, 2.0 / 3.0]]);
        let figures = Figures::of(&run, &names, &[2.0], 0).map(Figures::rounded);
        assert_eq!(figures.map(|figures| figures.mre_mm), Ok(0.9167));
    }
}
