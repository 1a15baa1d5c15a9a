//! Charts of a result.

use std::collections::BTreeMap;

use infomark_core::Rng;
use infomark_eval::{median, quantile};

use super::{Kind, PointError, Results};
use crate::{Chart, Dot, FAINT, PictureError, Series, Style, draw_narrow_charts, line_colour};

/// Radii of the curve of detection rates, in mm.
const STEP_MM: f64 = 0.25;
const FARTHEST_MM: f64 = 10.0;
/// Resamples of the curve's band.
const RESAMPLES: usize = 500;
/// Random numbers of the band.
const STREAM: u64 = 7;
/// Points of the curve of abstention.
const SHARES: usize = 50;

/// A chart with what it says in words.
#[derive(serde::Serialize)]
pub(crate) struct Figure {
    pub(crate) svg: String,
    pub(crate) caption: String,
}

/// The charts that a result allows.
pub(crate) fn figures(results: &Results) -> Result<Vec<Figure>, PictureError> {
    let mut figures = Vec::new();
    let mut add = |chart: Chart, caption: String| -> Result<(), PictureError> {
        figures.push(Figure { svg: draw_narrow_charts(&[chart], "").to_svg()?, caption });
        Ok(())
    };
    match results.kind {
        Kind::Evaluation if !results.errors.is_empty() => {
            let (chart, caption) = detection(&results.errors);
            add(chart, caption)?;
            let (chart, caption) = by_landmark(results);
            add(chart, caption)?;
            let (chart, caption) = abstention(&results.errors);
            add(chart, caption)?;
            let (chart, caption) = against_score(&results.errors);
            add(chart, caption)?;
        }
        Kind::Match if !results.cases.is_empty() => {
            let (chart, caption) = scores(results);
            add(chart, caption)?;
        }
        _ => {}
    }
    Ok(figures)
}

/// Share of the errors below a radius, with a band by resampling images.
fn detection(errors: &[PointError]) -> (Chart, String) {
    let radii: Vec<f64> = (0..).map(|i| f64::from(i) * STEP_MM).take_while(|r| *r <= FARTHEST_MM).collect();
    // Of each image, the errors below each radius and the number of all.
    let mut images: BTreeMap<usize, (Vec<u32>, u32)> = BTreeMap::new();
    for error in errors {
        let (below, all) = images.entry(error.image).or_insert_with(|| (vec![0; radii.len()], 0));
        *all += 1;
        for (count, radius) in below.iter_mut().zip(&radii) {
            *count += u32::from(error.error_mm < *radius);
        }
    }
    let images: Vec<(Vec<u32>, u32)> = images.into_values().collect();
    let share = |drawn: &mut dyn Iterator<Item = &(Vec<u32>, u32)>| -> Vec<f64> {
        let (mut counts, mut total) = (vec![0_u32; radii.len()], 0);
        for (below, all) in drawn {
            total += all;
            for (sum, count) in counts.iter_mut().zip(below) {
                *sum += count;
            }
        }
        counts.iter().map(|count| 100.0 * f64::from(*count) / f64::from(total.max(1))).collect()
    };
    let curve = share(&mut images.iter());
    let mut rng = Rng::new(0, STREAM);
    let mut resample =
        |_| share(&mut (0..images.len()).filter_map(|_| images.get(rng.below(images.len() as u64) as usize)));
    let resampled: Vec<Vec<f64>> = (0..RESAMPLES).map(&mut resample).collect();
    let band = (0..radii.len()).map(|i| {
        let mut values: Vec<f64> = resampled.iter().filter_map(|curve| curve.get(i).copied()).collect();
        values.sort_unstable_by(f64::total_cmp);
        [quantile(&values, 0.025), quantile(&values, 0.975)]
    });
    let points: Vec<Dot> = radii
        .iter()
        .zip(&curve)
        .zip(band)
        .map(|((&x, &y), ends)| Dot { x, y, interval: Some(ends) })
        .collect();
    let at = |radius: f64| curve.get((radius / STEP_MM).round() as usize).copied().unwrap_or(0.0);
    let caption = format!(
        "Successful detection rate over all templates together: {:.1} % of the landmarks lie within 2 mm, \
         {:.1} % within 4 mm. The band holds the middle 95 % of {RESAMPLES} resamples of the images.",
        at(2.0),
        at(4.0)
    );
    let chart = Chart {
        title: "Landmarks found within a radius".into(),
        x_label: "radius in mm".into(),
        y_label: "share in %".into(),
        series: vec![Series { name: String::new(), colour: line_colour(0), style: Style::Band, points }],
        marks: vec![(2.0, "2 mm".into()), (4.0, "4 mm".into())],
        x_range: Some([0.0, FARTHEST_MM]),
        y_range: Some([0.0, 100.0]),
        height: 380,
        ..Chart::default()
    };
    (chart, caption)
}

/// How the errors of each landmark are spread.
fn by_landmark(results: &Results) -> (Chart, String) {
    let mut sorted: Vec<Vec<f64>> = vec![Vec::new(); results.landmarks.len()];
    for error in &results.errors {
        if let Some(errors) = sorted.get_mut(error.landmark) {
            errors.push(error.error_mm);
        }
    }
    sorted.iter_mut().for_each(|errors| errors.sort_unstable_by(f64::total_cmp));
    let (chart, worst) = rows(results, &sorted, "Error of each landmark", "error in mm");
    let caption = format!(
        "Error of each landmark: the dot is the median, the thick line holds the middle half of the errors, \
         the thin one 90 % of them. The largest median is that of {worst}."
    );
    (chart, caption)
}

/// How the scores of each landmark are spread.
fn scores(results: &Results) -> (Chart, String) {
    let of = |name: &String| {
        let points = results.cases.iter().flat_map(|case| &case.points).filter(|point| point.name == *name);
        let mut scores: Vec<f64> = points.filter_map(|point| point.score).collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores
    };
    let sorted: Vec<Vec<f64>> = results.landmarks.iter().map(of).collect();
    let (chart, _) = rows(results, &sorted, "Score of each landmark", "mean cosine, -1 to 1");
    let caption = "Score of each landmark over the images: the dot is the median, the thick line holds the middle half, the thin one 90 %. \
                   A score ranks places; it is no probability of being right.";
    (chart, caption.into())
}

fn rows(results: &Results, sorted: &[Vec<f64>], title: &str, x_label: &str) -> (Chart, String) {
    let dots = |ends: Option<[f64; 2]>| -> Vec<Dot> {
        let shown = sorted.iter().enumerate().filter(|(_, values)| !values.is_empty());
        let dot = |(row, values): (usize, &Vec<f64>)| Dot {
            x: quantile(values, 0.5),
            y: row as f64,
            interval: ends.map(|ends| ends.map(|share| quantile(values, share))),
        };
        shown.map(dot).collect()
    };
    let measured = results.landmarks.iter().zip(sorted).filter(|(_, values)| !values.is_empty());
    let worst = measured.max_by(|(_, a), (_, b)| quantile(a, 0.5).total_cmp(&quantile(b, 0.5)));
    let worst = worst.map(|(name, _)| name.clone()).unwrap_or_default();
    let series =
        |name: &str, colour, style, ends| Series { name: name.into(), colour, style, points: dots(ends) };
    let chart = Chart {
        title: title.into(),
        x_label: x_label.into(),
        series: vec![
            series("90 %", FAINT, Style::Span(2), Some([0.05, 0.95])),
            series("middle half", line_colour(0), Style::Span(6), Some([0.25, 0.75])),
            series("median", line_colour(1), Style::Dots, None),
        ],
        rows: results.landmarks.clone(),
        height: 110 + 24 * results.landmarks.len() as u32,
        ..Chart::default()
    };
    (chart, worst)
}

/// Mean error of what is left when the least certain landmarks are abstained from.
fn abstention(errors: &[PointError]) -> (Chart, String) {
    let mut order: Vec<&PointError> = errors.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let count = order.len();
    let curve = |order: &[f64]| -> Vec<(f64, f64)> {
        let kept = |i: usize| (i * count).div_ceil(SHARES).max(1);
        (1..=SHARES)
            .map(|i| {
                (
                    100.0 * kept(i) as f64 / count as f64,
                    infomark_core::mean(order.get(..kept(i)).unwrap_or_default()).unwrap_or(0.0),
                )
            })
            .collect()
    };
    let by_score: Vec<f64> = order.iter().map(|error| error.error_mm).collect();
    let mut best = by_score.clone();
    best.sort_unstable_by(f64::total_cmp);
    let (by_score, best) = (curve(&by_score), curve(&best));
    let mean = |share: usize| by_score.get(SHARES * share / 100 - 1).map_or(0.0, |(_, mean)| *mean);
    let caption = format!(
        "Mean error of the landmarks that are kept when those of the lowest score are abstained from: {:.2} mm \
         of all, {:.2} mm of the better half. The lower line is what a perfect order would give.",
        mean(100),
        mean(50)
    );
    let chart = Chart {
        title: "Error against coverage".into(),
        x_label: "landmarks kept, in %".into(),
        y_label: "mean error in mm".into(),
        series: vec![Series::line("by score", 0, by_score), Series::line("by the true error", 6, best)],
        x_range: Some([0.0, 100.0]),
        height: 340,
        ..Chart::default()
    };
    (chart, caption)
}

/// The errors of landmarks of about one score.
fn against_score(errors: &[PointError]) -> (Chart, String) {
    const GROUPS: usize = 20;
    let mut order: Vec<&PointError> = errors.iter().collect();
    order.sort_by(|a, b| a.score.total_cmp(&b.score));
    let groups = order.chunks(order.len().div_ceil(GROUPS).max(1));
    let points = groups.map(|group| {
        let mut sorted: Vec<f64> = group.iter().map(|error| error.error_mm).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Dot {
            x: median(group.iter().map(|error| error.score).collect()),
            y: quantile(&sorted, 0.5),
            interval: Some([quantile(&sorted, 0.25), quantile(&sorted, 0.75)]),
        }
    });
    let chart = Chart {
        title: "Error against score".into(),
        x_label: "score (mean cosine)".into(),
        y_label: "error in mm".into(),
        series: vec![Series {
            name: String::new(),
            colour: line_colour(0),
            style: Style::Dots,
            points: points.collect(),
        }],
        height: 340,
        ..Chart::default()
    };
    let caption = format!(
        "Error of the landmarks in {GROUPS} groups of rising score: median and middle half of each group. \
         Where the dots fall, the score tells good from bad."
    );
    (chart, caption)
}
