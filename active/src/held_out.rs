//! Errors on held-out images, and the choice of members and bounds.

use std::path::PathBuf;

use infomark_core::conformal_bound;
use infomark_infer::{EnsembleBounds, Member};
use serde::{Deserialize, Serialize};

/// Minimum number of images for a landmark's own bound instead of the pooled one.
const OWN_BOUND: usize = 20;
/// Minimum number of points placed or moved by a person for bounds.
const FEWEST_PLACED: usize = 10;
/// Weight, in images, of the average over all landmarks in the errors by which a landmark's member is chosen.
const PRIOR_IMAGES: f64 = 6.0;

/// Factor of the templates' errors when a landmark's member is chosen: labels include accepted proposals, mostly by templates, which are
/// therefore closer to the labels than to what a person would have placed.
const TEMPLATE_FACTOR: f64 = 1.25;

/// Errors of one image that was not used by its networks or templates. All lengths are in pixels of the model input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutImage {
    /// Path of the image.
    pub path: PathBuf,
    /// Pixels of the image per pixel of the model input.
    pub unit: f64,
    /// Error of each member per landmark, in the order of [`Member::ALL`]; `None` where the landmark is not annotated.
    pub errors: Vec<Option<[f64; 3]>>,
    /// Distance between templates and network per landmark.
    pub disagreements: Vec<f64>,
    /// For each landmark whether its point was accepted as proposed; none of them in an empty list.
    pub accepted: Vec<bool>,
}

/// Errors of a cross-validation: every annotated image once, by networks and templates of other images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Names of the landmarks.
    pub landmarks: Vec<String>,
    /// The images, in the order of the annotated set.
    pub images: Vec<HeldOutImage>,
}

impl HeldOutImage {
    /// Error of a landmark by a member, as it would be [placed](Member::placing), in pixels of the model input.
    fn error(&self, landmark: usize, member: Member) -> Option<f64> {
        let member = member.placing(*self.disagreements.get(landmark)?);
        self.errors.get(landmark).copied().flatten()?.get(place(member)).copied()
    }
}

/// Index of a member in [`HeldOutImage::errors`].
fn place(member: Member) -> usize {
    Member::ALL.iter().position(|other| *other == member).unwrap_or_default()
}

impl HeldOut {
    /// Errors of a landmark by a member, in pixels of the model input.
    fn errors(&self, landmark: usize, member: Member) -> impl Iterator<Item = f64> {
        self.images.iter().filter_map(move |image| image.error(landmark, member))
    }

    /// Mean radial error over all landmarks and images in pixels of the images, where `member` returns the member of each landmark; `None`
    /// without any annotated landmark.
    pub fn mean_radial_error_px(&self, member: impl Fn(usize) -> Member) -> Option<f64> {
        let landmarks = self.landmarks.len();
        let each = self.images.iter().flat_map(|image| {
            let errors = (0..landmarks).filter_map(|landmark| image.error(landmark, member(landmark)));
            errors.map(|error| error * image.unit)
        });
        let all: Vec<f64> = each.collect();
        infomark_core::mean(&all)
    }

    /// Mean radial error of a landmark by a member, in pixels of the images.
    pub fn landmark_error_px(&self, landmark: usize, member: Member) -> Option<f64> {
        let errors = |image: &HeldOutImage| Some(image.error(landmark, member)? * image.unit);
        let all: Vec<f64> = self.images.iter().filter_map(errors).collect();
        infomark_core::mean(&all)
    }

    /// The member of each landmark with the least expected root-mean-square error.
    ///
    /// Errors of templates are multiplied by 1.25. Squares are used since labels include accepted proposals of an earlier detector: small
    /// errors favour that detector, large ones are real. A landmark's own error over a few images is uncertain: it is averaged with its
    /// mean over the members times the member's relative error over all landmarks, with the weight of six images.
    pub(crate) fn best_members(&self) -> Vec<Member> {
        let rms = |values: Vec<f64>| {
            let squares: Vec<f64> = values.iter().map(|value| value * value).collect();
            infomark_core::mean(&squares).unwrap_or(0.0).sqrt()
        };
        let overall = Member::ALL.map(|member| {
            rms((0..self.landmarks.len()).flat_map(|landmark| self.errors(landmark, member)).collect())
        });
        let average = overall.iter().sum::<f64>() / overall.len() as f64;
        let best = |landmark: usize| {
            let own = Member::ALL.map(|member| self.errors(landmark, member).collect::<Vec<_>>());
            let count = own[0].len() as f64;
            let own = own.map(rms);
            // A landmark without annotation gets the average.
            let level = if count > 0.0 { own.iter().sum::<f64>() / own.len() as f64 } else { average };
            let expected = |member: Member| {
                let relative = if average > 0.0 { overall[place(member)] / average } else { 1.0 };
                let error =
                    (count * own[place(member)] + PRIOR_IMAGES * level * relative) / (count + PRIOR_IMAGES);
                if member == Member::Templates { TEMPLATE_FACTOR * error } else { error }
            };
            let order = [Member::Fusion, Member::Network, Member::Templates];
            order.into_iter().min_by(|a, b| expected(*a).total_cmp(&expected(*b))).unwrap_or(Member::Fusion)
        };
        (0..self.landmarks.len()).map(best).collect()
    }

    /// Conformal bounds for the members that place the landmarks; `None` where the images are too few for the coverage, or fewer than ten points were placed
    /// or moved by a person.
    ///
    /// A landmark annotated in at least 20 images has its own factor; the others share the pooled one. Errors against points accepted as proposed are too
    /// small: each counts at least as much as the lower quartile of the errors against the other points.
    pub fn bounds(&self, members: &[Member], coverage: f64) -> Option<EnsembleBounds> {
        let score = |image: &HeldOutImage, landmark: usize| {
            let error = image.error(landmark, *members.get(landmark)?)?;
            Some(error / EnsembleBounds::scale(*image.disagreements.get(landmark)?))
        };
        let landmarks = self.landmarks.len();
        let is_accepted = |image: &HeldOutImage, landmark: usize| image.accepted.get(landmark) == Some(&true);
        let placed = self.images.iter().flat_map(|image| {
            (0..landmarks)
                .filter(|&landmark| !is_accepted(image, landmark))
                .filter_map(|landmark| score(image, landmark))
        });
        let mut placed: Vec<f64> = placed.collect();
        if placed.len() < FEWEST_PLACED {
            return None;
        }
        placed.sort_unstable_by(f64::total_cmp);
        let least = infomark_eval::quantile(&placed, 0.25);
        let score = |image: &HeldOutImage, landmark: usize| {
            let score = score(image, landmark)?;
            Some(if is_accepted(image, landmark) { score.max(least) } else { score })
        };
        let mut pooled = Vec::with_capacity(self.images.len() * landmarks);
        for image in &self.images {
            let known: Vec<f64> = (0..landmarks).filter_map(|landmark| score(image, landmark)).collect();
            // Missing points count as the largest error of their image, so that the bound remains valid.
            let Some(worst) = known.iter().copied().max_by(f64::total_cmp) else { continue };
            pooled.extend((0..landmarks).map(|landmark| score(image, landmark).unwrap_or(worst)));
        }
        let shared = conformal_bound(&mut pooled, landmarks, coverage).ok()?;
        let factor = |landmark: usize| {
            let mut own: Vec<f64> = self.images.iter().filter_map(|image| score(image, landmark)).collect();
            let own = if own.len() >= OWN_BOUND { conformal_bound(&mut own, 1, coverage).ok() } else { None };
            // A bound has to be above 0 even if all errors are 0.
            own.unwrap_or(shared).max(f64::MIN_POSITIVE)
        };
        Some(EnsembleBounds { coverage, factors: (0..landmarks).map(factor).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images with these errors of the members on every landmark.
    fn held_out(landmarks: usize, images: &[[f64; 3]]) -> HeldOut {
        let image = |errors: &[f64; 3]| HeldOutImage {
            path: "a.png".into(),
            unit: 2.0,
            errors: vec![Some(*errors); landmarks],
            disagreements: vec![0.0; landmarks],
            accepted: Vec::new(),
        };
        HeldOut {
            landmarks: (0..landmarks).map(|landmark| landmark.to_string()).collect(),
            images: images.iter().map(image).collect(),
        }
    }

    #[test]
    fn a_gross_error_of_the_network_leaves_the_landmark_to_the_others() {
        let mut all = held_out(3, &[[3.0, 1.0, 2.0]; 5]);
        assert_eq!(all.best_members(), [Member::Network; 3]);
        all.images[0].errors[1] = Some([3.0, 60.0, 2.0]);
        let members = all.best_members();
        assert_eq!(members[1], Member::Fusion, "{members:?}");
    }

    #[test]
    fn a_network_far_from_the_templates_gives_way_to_their_product() {
        let mut all = held_out(1, &[[50.0, 60.0, 2.0]; 4]);
        assert_eq!(all.mean_radial_error_px(|_| Member::Network), Some(120.0));
        all.images.iter_mut().for_each(|image| image.disagreements[0] = Member::FAR + 0.5);
        assert_eq!(all.mean_radial_error_px(|_| Member::Network), Some(4.0));
        assert_eq!(all.landmark_error_px(0, Member::Templates), Some(100.0));
        assert_eq!(all.best_members(), [Member::Fusion]);
    }

    #[test]
    fn a_landmark_without_annotation_is_left_to_what_is_best_for_the_others() {
        let mut all = held_out(2, &[[3.0, 1.0, 2.0]; 5]);
        all.images.iter_mut().for_each(|image| image.errors[1] = None);
        assert_eq!(all.best_members(), [Member::Network; 2]);
    }

    #[test]
    fn errors_are_in_pixels_of_the_image() {
        let all = held_out(2, &[[3.0, 1.0, 2.0]; 4]);
        assert_eq!(all.mean_radial_error_px(|_| Member::Templates), Some(6.0));
        assert_eq!(all.landmark_error_px(1, Member::Network), Some(2.0));
        assert_eq!(held_out(2, &[]).mean_radial_error_px(|_| Member::Fusion), None);
    }

    #[test]
    fn nine_images_bound_nine_tenths_and_eight_bound_nothing() {
        let images: Vec<[f64; 3]> = (1..=9).map(|error| [f64::from(error); 3]).collect();
        let members = [Member::Fusion; 2];
        let factors = held_out(2, &images).bounds(&members, 0.9).map(|bounds| bounds.factors);
        assert_eq!(factors, Some(vec![9.0 / EnsembleBounds::FLOOR; 2]));
        assert_eq!(held_out(2, &images[..8]).bounds(&members, 0.9), None);
    }

    #[test]
    fn what_was_accepted_as_proposed_narrows_no_bound() {
        let bounds = |errors: &[(f64, bool)]| {
            let images: Vec<[f64; 3]> = errors.iter().map(|(error, _)| [*error; 3]).collect();
            let mut all = held_out(2, &images);
            for (image, (_, accepted)) in all.images.iter_mut().zip(errors) {
                image.accepted = vec![*accepted; 2];
            }
            let bounds = all.bounds(&[Member::Fusion; 2], 0.9);
            bounds.map(|bounds| bounds.factors[0])
        };
        // Nothing is known where nothing was placed.
        assert_eq!(bounds(&[(0.1, true); 30]), None);
        assert_eq!(bounds(&[&[(5.0, false); 4] as &[_], &[(0.1, true); 30]].concat()), None);
        // Few were placed: the lower quartile of their errors, 2, 4, 6, 8 and 10, instead of the small ones.
        let placed: Vec<(f64, bool)> = (1..=5).map(|error| (2.0 * f64::from(error), false)).collect();
        let mixed = bounds(&[&placed[..], &[(0.1, true); 60]].concat());
        assert_eq!(mixed, Some(4.0 / EnsembleBounds::FLOOR));
        // Many were: as if the others were placed, too.
        let many: Vec<(f64, bool)> = (1..=15).map(|error| (f64::from(error), error <= 5)).collect();
        let plain: Vec<(f64, bool)> = many.iter().map(|(error, _)| (*error, false)).collect();
        assert_eq!(bounds(&many), bounds(&plain));
    }

    #[test]
    fn a_landmark_that_is_missing_counts_as_the_worst_of_its_image() {
        let images: Vec<[f64; 3]> = (1..=9).map(|error| [f64::from(error); 3]).collect();
        let mut all = held_out(2, &images);
        all.images[8].errors[0] = None;
        let factors = all.bounds(&[Member::Fusion; 2], 0.9).map(|bounds| bounds.factors);
        assert_eq!(factors, Some(vec![9.0 / EnsembleBounds::FLOOR; 2]));
    }
}
