//! Mean radial errors, detection rates, and how sure they are.

use std::collections::BTreeMap;

use anyhow::Result;
use infomark_core::{Interval, Rng, Statistic, bootstrap_interval};
use serde::Serialize;

use super::Run;
use crate::output::rounded;

/// Resamples of an interval.
const RESAMPLES: usize = 2000;
const CONFIDENCE: f64 = 0.95;
/// Random numbers of the intervals.
const STREAM: u64 = 2;

/// Shares of errors below radii: the radius in mm as text, the share from 0 to 1.
pub(crate) type Rates = BTreeMap<Radius, f64>;

/// A radius in mm, in the order of size and written as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Radius(pub(crate) f64);

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

/// The figures of one template.
#[derive(Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) template: String,
    /// The images that were matched together, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) members: Vec<String>,
    pub(crate) images: usize,
    pub(crate) mre_mm: f64,
    pub(crate) mre_mm_interval: [f64; 2],
    pub(crate) median_mm: f64,
    pub(crate) sdr: Rates,
    pub(crate) sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    pub(crate) landmarks: Vec<LandmarkFigures>,
}

/// The figures of one landmark.
#[derive(Clone, Serialize)]
pub(crate) struct LandmarkFigures {
    pub(crate) landmark: String,
    pub(crate) mre_mm: f64,
    pub(crate) median_mm: f64,
    pub(crate) sdr: Rates,
}

/// What a model comes to: the median of the templates' figures.
#[derive(Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) mre_mm: f64,
    pub(crate) mre_mm_interval: [f64; 2],
    pub(crate) median_mm: f64,
    pub(crate) sdr: Rates,
    pub(crate) sdr_intervals: BTreeMap<Radius, [f64; 2]>,
    /// What the figures above are.
    pub(crate) summary: String,
    pub(crate) landmarks: Vec<LandmarkFigures>,
}

impl Figures {
    pub(crate) fn of(run: &Run, names: &[String], radii: &[f64], seed: u64) -> Result<Self> {
        let errors = errors(run);
        let interval = |statistic| -> Result<[f64; 2]> {
            let mut scratch = vec![0.0; RESAMPLES];
            let mut rng = Rng::new(seed, STREAM);
            let Interval { low, high } =
                bootstrap_interval(&errors, names.len(), statistic, CONFIDENCE, &mut rng, &mut scratch)?;
            Ok([rounded(low, 4), rounded(high, 4)])
        };
        let mut sdr_intervals = BTreeMap::new();
        for &radius_mm in radii {
            sdr_intervals.insert(Radius(radius_mm), interval(Statistic::Sdr { radius_mm })?);
        }
        let landmarks = names.iter().enumerate().map(|(index, name)| {
            let own: Vec<f64> = errors.iter().skip(index).step_by(names.len()).copied().collect();
            LandmarkFigures {
                landmark: name.clone(),
                mre_mm: figure(Statistic::Mean, &own),
                median_mm: rounded(median(own.clone()), 4),
                sdr: rates(&own, radii),
            }
        });
        Ok(Self {
            template: run.name(),
            members: if run.templates.len() > 1 { run.templates.clone() } else { Vec::new() },
            images: run.images.len(),
            mre_mm: figure(Statistic::Mean, &errors),
            mre_mm_interval: interval(Statistic::Mean)?,
            median_mm: rounded(median(errors.clone()), 4),
            sdr: rates(&errors, radii),
            sdr_intervals,
            landmarks: landmarks.collect(),
        })
    }
}

impl Summary {
    pub(crate) fn of(
        templates: &[Figures],
        runs: &[Run],
        names: &[String],
        radii: &[f64],
        seed: u64,
    ) -> Self {
        let over =
            |figure: &dyn Fn(&Figures) -> f64| rounded(median(templates.iter().map(figure).collect()), 4);
        let landmarks = names.iter().enumerate().map(|(index, name)| LandmarkFigures {
            landmark: name.clone(),
            mre_mm: over(&|figures| figures.landmarks[index].mre_mm),
            median_mm: over(&|figures| figures.landmarks[index].median_mm),
            sdr: each(radii, |radius| over(&|figures| figures.landmarks[index].sdr[&radius])),
        });
        let (mre_mm_interval, sdr_intervals) = match templates {
            [only] => (only.mre_mm_interval, only.sdr_intervals.clone()),
            _ => (
                spread(runs, Statistic::Mean, seed),
                each(radii, |Radius(radius_mm)| spread(runs, Statistic::Sdr { radius_mm }, seed)),
            ),
        };
        Self {
            mre_mm: over(&|figures| figures.mre_mm),
            mre_mm_interval,
            median_mm: over(&|figures| figures.median_mm),
            sdr: each(radii, |radius| over(&|figures| figures.sdr[&radius])),
            sdr_intervals,
            summary: match (templates, templates.first().map_or(0, |first| first.members.len())) {
                ([only], 0) => format!("template {}", only.template),
                ([only], _) => format!("templates {}", only.template),
                (_, 0) => format!("median over {} templates", templates.len()),
                (_, each) => format!("median over {} sets of {each} templates", templates.len()),
            },
            landmarks: landmarks.collect(),
        }
    }
}

/// The interval of the median over templates: images are drawn with replacement, the same for all templates.
fn spread(runs: &[Run], statistic: Statistic, seed: u64) -> [f64; 2] {
    let images = 1 + runs.iter().flat_map(|run| &run.images).map(|scored| scored.image).max().unwrap_or(0);
    // All images have the same landmarks: the mean over images of their statistics is the statistic.
    let tables: Vec<Vec<Option<f64>>> = runs
        .iter()
        .map(|run| {
            let mut table = vec![None; images];
            for scored in &run.images {
                let errors: Vec<f64> = scored.scores.iter().map(|score| score.error_mm).collect();
                table[scored.image] = statistic.of(&errors);
            }
            table
        })
        .collect();
    let mut rng = Rng::new(seed, STREAM);
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut drawn = vec![0; images];
    for _ in 0..RESAMPLES {
        for place in &mut drawn {
            *place = rng.below(images as u64) as usize;
        }
        let means = tables.iter().filter_map(|table| {
            // A template's own image is left out when it is drawn.
            let values: Vec<f64> = drawn.iter().filter_map(|&image| table[image]).collect();
            infomark_core::mean(&values)
        });
        let means: Vec<f64> = means.collect();
        if !means.is_empty() {
            medians.push(median(means));
        }
    }
    medians.sort_unstable_by(f64::total_cmp);
    let ends = [0.5 * (1.0 - CONFIDENCE), 0.5 * (1.0 + CONFIDENCE)];
    ends.map(|share| rounded(quantile(&medians, share), 4))
}

/// All errors of a template in mm, image by image.
fn errors(run: &Run) -> Vec<f64> {
    run.images.iter().flat_map(|scored| &scored.scores).map(|score| score.error_mm).collect()
}

fn figure(statistic: Statistic, errors: &[f64]) -> f64 {
    rounded(statistic.of(errors).unwrap_or(f64::NAN), 4)
}

fn rates(errors: &[f64], radii: &[f64]) -> Rates {
    each(radii, |Radius(radius_mm)| figure(Statistic::Sdr { radius_mm }, errors))
}

fn each<T>(radii: &[f64], value: impl Fn(Radius) -> T) -> BTreeMap<Radius, T> {
    radii.iter().map(|&radius| (Radius(radius), value(Radius(radius)))).collect()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// A quantile of sorted values, linear between neighbours.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
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
    fn figures_are_those_computed_by_hand() -> Result<()> {
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
    fn the_summary_is_the_median_over_templates() -> Result<()> {
        let names = ["a".to_owned(), "b".to_owned()];
        let runs = [
            run("t", &[[1.0, 1.0], [1.0, 1.0]]),
            run("u", &[[2.0, 2.0], [2.0, 2.0]]),
            run("v", &[[9.0, 9.0], [9.0, 9.0]]),
        ];
        let each = runs.iter().map(|run| Figures::of(run, &names, &[2.0], 0));
        let summary = Summary::of(&each.collect::<Result<Vec<_>>>()?, &runs, &names, &[2.0], 0);
        assert_eq!(summary.mre_mm, 2.0);
        assert_eq!(summary.mre_mm_interval, [2.0, 2.0]);
        assert_eq!(summary.sdr[&Radius(2.0)], 0.0);
        assert_eq!(summary.summary, "median over 3 templates");
        Ok(())
    }
}
