//! Pseudo-labels: landmarks from matching and networks, and the rejection of outliers.

use infomark_core::{AlignOptions, Alignment, Match, Point, Rng};
use serde::{Deserialize, Serialize};

use super::data::Label;

/// Reason for the rejection of a pseudo-label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doubt {
    /// Low score: its features are less similar than in most images.
    Score,
    /// Large cycle-consistency error when matched back to the template.
    MatchBack,
    /// Unusual position relative to the other landmarks of its image, compared with the template.
    Shape,
    /// Disagreement with the network trained on the previous round's labels.
    Disagreement,
}

impl Doubt {
    /// All reasons, in the order of checking.
    pub const ALL: [Doubt; 4] = [Doubt::Score, Doubt::MatchBack, Doubt::Shape, Doubt::Disagreement];
}

/// Pseudo-label: a landmark of an image as it was matched, and after a round. Distances are in pixels of the model input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pseudo {
    /// Matched position, in pixels of the image.
    pub(crate) matched: [f64; 2],
    /// Cosine of the features.
    pub(crate) score: f64,
    /// Cycle-consistency error; `back` in files.
    #[serde(rename = "back")]
    pub(crate) cycle_error: f64,
    /// Current position, in pixels of the image.
    pub(crate) at: [f64; 2],
    /// Weight in the loss; above 0 where it is learnt.
    pub(crate) weight: f32,
    /// Reason for its rejection, if any.
    pub(crate) doubt: Option<Doubt>,
}

impl Pseudo {
    /// The annotated landmark of a template.
    pub(crate) fn marked(at: Point<f64>) -> Self {
        let at = [at.x, at.y];
        Self { matched: at, score: 1.0, cycle_error: 0.0, at, weight: 1.0, doubt: None }
    }

    pub(crate) fn label(&self) -> Option<Label> {
        let [x, y] = self.at;
        self.doubt.is_none().then_some(Label { at: Point::new(x, y), weight: self.weight })
    }
}

/// Pseudo-labels of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PseudoImage {
    /// File name.
    pub(crate) image: String,
    /// Whether it is a template, whose landmarks are never rejected.
    pub(crate) is_template: bool,
    pub(crate) landmarks: Vec<Pseudo>,
}

/// Limits for rejection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum cycle-consistency error, in pixels of the model input.
    pub(crate) max_cycle_error: f64,
    /// Maximum ratio to the median of the landmark's distances.
    pub(crate) outlier: f64,
    /// Maximum distance between network and label, in pixels of the model input.
    pub(crate) max_disagreement: f64,
}

/// Minimum number of values that a median is taken for.
const FEWEST: usize = 4;
/// Minimum outlier distance, in pixels of the model input: the precision of matching.
const FINEST: f64 = 2.0;

/// The median; for an even number of values, the upper one.
pub(crate) fn upper_median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Rejects outliers among matches: `places` has each image's landmarks in the model input, `template` the template's.
pub(crate) fn doubt_matches(
    images: &mut [PseudoImage],
    places: &[Vec<Point<f64>>],
    template: &[Point<f64>],
    limits: Limits,
) {
    let residuals: Vec<Option<Vec<Point<f64>>>> =
        places.iter().map(|places| residuals(template, places)).collect();
    for landmark in 0..template.len() {
        let scores: Vec<f64> = learnt(images).map(|image| image.landmarks[landmark].score).collect();
        let usual = upper_median(scores.clone()).unwrap_or(0.0);
        let spread = upper_median(scores.iter().map(|score| (score - usual).abs()).collect()).unwrap_or(0.0);
        // Medians of both axes: the typical deviation from the template.
        let of = |axis: fn(&Point<f64>) -> f64| {
            upper_median(residuals.iter().flatten().map(|image| axis(&image[landmark])).collect())
        };
        let common = of(|p| p.x).zip(of(|p| p.y));
        let distance = |residual: &Point<f64>| {
            let (x, y) = common.unwrap_or_default();
            (residual.x - x).hypot(residual.y - y)
        };
        let distances: Vec<f64> =
            residuals.iter().flatten().map(|image| distance(&image[landmark])).collect();
        let enough = distances.len() >= FEWEST;
        let unusual = limits.outlier * upper_median(distances).unwrap_or(0.0).max(FINEST);
        for (image, residuals) in images.iter_mut().zip(&residuals).filter(|(image, _)| !image.is_template) {
            let pseudo = &mut image.landmarks[landmark];
            let off_shape = match residuals {
                Some(residuals) => enough && distance(&residuals[landmark]) > unusual,
                None => template.len() >= FEWEST,
            };
            pseudo.doubt =
                if scores.len() >= FEWEST && usual - pseudo.score > limits.outlier * spread.max(0.02) {
                    Some(Doubt::Score)
                } else if pseudo.cycle_error > limits.max_cycle_error {
                    Some(Doubt::MatchBack)
                } else if off_shape {
                    Some(Doubt::Shape)
                } else {
                    None
                };
            // Half the weight at half of the allowed cycle-consistency error.
            let off = 2.0 * pseudo.cycle_error / limits.max_cycle_error;
            pseudo.weight = (1.0 / (1.0 + off * off)) as f32;
        }
    }
}

/// Rejects labels that disagree with the network, and replaces the others by its points. `found` and `matched` are each image's landmarks in
/// the model input, `at` the network's in pixels of the image.
pub(crate) fn doubt_disagreement(
    images: &mut [PseudoImage],
    found: &[Vec<Point<f64>>],
    matched: &[Vec<Point<f64>>],
    at: &[Vec<(Point<f64>, f64)>],
    limits: Limits,
) {
    for (((image, found), matched), at) in images.iter_mut().zip(found).zip(matched).zip(at) {
        if image.is_template {
            continue;
        }
        for (((pseudo, found), matched), (at, probability)) in
            image.landmarks.iter_mut().zip(found).zip(matched).zip(at)
        {
            if (found.x - matched.x).hypot(found.y - matched.y) > limits.max_disagreement {
                pseudo.doubt = Some(Doubt::Disagreement);
                continue;
            }
            // A rejected label that agrees with a network trained without it is accepted again.
            pseudo.doubt = None;
            pseudo.at = [at.x, at.y];
            pseudo.weight = (*probability as f32).clamp(0.05, 1.0);
        }
    }
}

fn learnt(images: &[PseudoImage]) -> impl Iterator<Item = &PseudoImage> {
    images.iter().filter(|image| !image.is_template)
}

/// Residual of each landmark from the smooth map of the template fitted to most of an image's
/// landmarks. None with too few inliers.
fn residuals(template: &[Point<f64>], places: &[Point<f64>]) -> Option<Vec<Point<f64>>> {
    let matches: Vec<Match<f64>> =
        template.iter().zip(places).map(|(&from, &to)| Match { from, to }).collect();
    // People differ more than views of one image; the large sigma makes the map affine.
    let min_inliers = (matches.len() / 2).max(3);
    let options = AlignOptions {
        tolerance: 30.0,
        robust_scale: 15.0,
        sigma: 1e4,
        min_inliers,
        ..AlignOptions::default()
    };
    let alignment = Alignment::new(&matches, options, &mut Rng::new(0, 0)).ok()?;
    let residual = |Match { from, to }: &Match<f64>| {
        let expected = alignment.predict(*from).at;
        Point::new(to.x - expected.x, to.y - expected.y)
    };
    Some(matches.iter().map(residual).collect())
}

/// Numbers of a landmark's kept and rejected labels in a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LabelCount {
    /// Name of the landmark.
    pub landmark: String,
    /// Images with a kept label, besides the template.
    pub kept: usize,
    /// Images with a rejected label, by [`Doubt::ALL`].
    pub doubted: [usize; 4],
}

/// Counts of each landmark.
pub(crate) fn count(names: &[String], images: &[PseudoImage]) -> Vec<LabelCount> {
    let of = |(landmark, name): (usize, &String)| {
        let with = |doubt: Option<Doubt>| {
            learnt(images).filter(|image| image.landmarks[landmark].doubt == doubt).count()
        };
        LabelCount {
            landmark: name.clone(),
            kept: with(None),
            doubted: Doubt::ALL.map(|doubt| with(Some(doubt))),
        }
    };
    names.iter().enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_cycle_error: 10.0, outlier: 3.0, max_disagreement: 8.0 };

    /// Landmarks of the template, and of images that are shifted, stretched and slightly noisy.
    fn cohort(images: usize) -> (Vec<Point<f64>>, Vec<Vec<Point<f64>>>) {
        // On a grid, so that no three clusters let an affine map follow an outlier.
        let template: Vec<_> =
            (0..8).map(|i| Point::new(f64::from(i % 3) * 110.0, f64::from(i / 3) * 120.0)).collect();
        let mut rng = Rng::new(4, 0);
        let one = |_| {
            let (scale, x, y) =
                (rng.uniform_in(0.9, 1.1), rng.uniform_in(-9.0, 9.0), rng.uniform_in(-9.0, 9.0));
            let mut noise = || 2.0 * rng.normal::<f64>();
            template
                .iter()
                .map(|p| Point::new(scale * p.x + x + noise(), scale * p.y + y + noise()))
                .collect()
        };
        let places = (0..images).map(one).collect();
        (template, places)
    }

    fn matched(places: &[Vec<Point<f64>>]) -> Vec<PseudoImage> {
        let pseudo = |p: &Point<f64>| Pseudo { score: 0.8, cycle_error: 1.0, ..Pseudo::marked(*p) };
        let image = |(i, places): (usize, &Vec<Point<f64>>)| PseudoImage {
            image: format!("{i}.png"),
            is_template: i == 0,
            landmarks: places.iter().map(pseudo).collect(),
        };
        places.iter().enumerate().map(image).collect()
    }

    #[test]
    fn what_is_off_in_one_way_is_doubted_for_it_and_the_rest_is_not() {
        let (template, mut places) = cohort(30);
        places[3][2].x += 60.0;
        let mut images = matched(&places);
        images[5].landmarks[1].cycle_error = 25.0;
        images[7].landmarks[6].score = 0.2;
        // The template is never rejected.
        images[0].landmarks[0].cycle_error = 99.0;
        doubt_matches(&mut images, &places, &template, LIMITS);
        assert_eq!(images[3].landmarks[2].doubt, Some(Doubt::Shape));
        assert_eq!(images[5].landmarks[1].doubt, Some(Doubt::MatchBack));
        assert_eq!(images[7].landmarks[6].doubt, Some(Doubt::Score));
        let names: Vec<String> = (0..8).map(|i| format!("{i}")).collect();
        let counts = count(&names, &images);
        let kept: usize = counts.iter().map(|count| count.kept).sum();
        assert!(kept >= 8 * 29 - 3 - 8, "{kept} of 232 are kept");
        assert!(counts.iter().all(|count| count.kept + count.doubted.iter().sum::<usize>() == 29));
    }

    #[test]
    fn an_image_that_is_nothing_like_the_template_is_not_learnt() {
        let (template, mut places) = cohort(12);
        let mut rng = Rng::new(9, 0);
        places[4] =
            (0..8).map(|_| Point::new(rng.uniform_in(0.0, 900.0), rng.uniform_in(0.0, 900.0))).collect();
        let mut images = matched(&places);
        doubt_matches(&mut images, &places, &template, LIMITS);
        let doubted = images[4].landmarks.iter().filter(|pseudo| pseudo.doubt.is_some()).count();
        assert!(doubted >= 6, "{doubted} of 8 are doubted");
    }

    #[test]
    fn what_the_network_puts_elsewhere_is_doubted_and_what_agrees_again_is_believed() {
        let (_, places) = cohort(3);
        let mut images = matched(&places);
        images[1].landmarks[0].doubt = Some(Doubt::Score);
        let mut found = places.clone();
        found[1][1].x += 9.0;
        found[2][2].y += 7.0;
        let at: Vec<Vec<_>> = found.iter().map(|image| image.iter().map(|p| (*p, 0.7)).collect()).collect();
        doubt_disagreement(&mut images, &found, &places, &at, LIMITS);
        assert_eq!(images[1].landmarks[0].doubt, None);
        assert_eq!(images[1].landmarks[1].doubt, Some(Doubt::Disagreement));
        assert_eq!(images[2].landmarks[2].at, [found[2][2].x, found[2][2].y]);
        assert_eq!(images[2].landmarks[2].weight, 0.7);
        assert_eq!(images[0].landmarks[0].weight, 1.0, "the template stays as it was marked");
    }
}
