//! Folds of the cross-validation, and choice of the template images.

use infomark_train::AnnotatedSet;

/// Annotated images, each in one fold.
pub(crate) struct Folds<'a> {
    set: &'a AnnotatedSet,
    count: usize,
}

impl<'a> Folds<'a> {
    /// At most `count` folds, each of at least one image, assigned in turn in the set's order.
    pub(crate) fn new(set: &'a AnnotatedSet, count: usize) -> Self {
        Self { set, count: count.min(set.images.len()) }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The fold of an image.
    pub(crate) fn of(&self, image: usize) -> usize {
        image % self.count
    }

    /// Indices of the images of all other folds.
    pub(crate) fn training(&self, fold: usize) -> Vec<usize> {
        (0..self.set.images.len()).filter(|image| self.of(*image) != fold).collect()
    }

    /// Landmarks annotated in at least two folds, so that each network is trained on them.
    pub(crate) fn learnable(&self) -> Vec<usize> {
        let annotated = |landmark: usize| {
            let folds = self
                .set
                .images
                .iter()
                .enumerate()
                .filter(move |(_, (_, points))| points.get(landmark).is_some_and(Option::is_some));
            folds.map(|(image, _)| self.of(image)).collect::<std::collections::BTreeSet<_>>().len() >= 2
        };
        (0..self.set.landmarks.len()).filter(|landmark| annotated(*landmark)).collect()
    }
}

/// Subset of a set's images and landmarks.
pub(crate) fn part(set: &AnnotatedSet, images: &[usize], landmarks: &[usize]) -> AnnotatedSet {
    let names = landmarks.iter().filter_map(|&landmark| set.landmarks.get(landmark).cloned());
    let image = |&image: &usize| {
        let (path, points) = set.images.get(image)?;
        let points = landmarks.iter().map(|&landmark| points.get(landmark).copied().flatten());
        Some((path.clone(), points.collect()))
    };
    AnnotatedSet {
        landmarks: names.collect(),
        images: images.iter().filter_map(image).collect(),
        accepted: set.accepted.clone(),
    }
}

/// Indices of at most `most` images that together have all landmarks, the first ones preferred; more if needed.
pub(crate) fn template_images(set: &AnnotatedSet, most: usize) -> Vec<usize> {
    let has = |image: usize, landmark: usize| {
        set.images.get(image).and_then(|(_, points)| points.get(landmark)).is_some_and(Option::is_some)
    };
    let mut chosen: Vec<usize> = Vec::new();
    for landmark in 0..set.landmarks.len() {
        if !chosen.iter().any(|&image| has(image, landmark)) {
            chosen.extend((0..set.images.len()).find(|&image| has(image, landmark)));
        }
    }
    let annotated = |image: &usize| (0..set.landmarks.len()).any(|landmark| has(*image, landmark));
    for image in (0..set.images.len()).filter(annotated) {
        if chosen.len() < most && !chosen.contains(&image) {
            chosen.push(image);
        }
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use infomark_core::Point;

    use super::*;

    fn set(points: &[&[bool]]) -> AnnotatedSet {
        let image = |(index, row): (usize, &&[bool])| {
            let point = |there: &bool| there.then_some(Point::new(index as f64, 0.0));
            (format!("{index}.png").into(), row.iter().map(point).collect())
        };
        AnnotatedSet {
            landmarks: (0..points[0].len()).map(|landmark| landmark.to_string()).collect(),
            images: points.iter().enumerate().map(image).collect(),
            accepted: Default::default(),
        }
    }

    #[test]
    fn every_image_is_held_out_once() {
        let set = set(&[&[true] as &[bool]; 11]);
        let folds = Folds::new(&set, 4);
        for image in 0..11 {
            let unseen: Vec<usize> = (0..4).filter(|fold| !folds.training(*fold).contains(&image)).collect();
            assert_eq!(unseen, [folds.of(image)]);
        }
        assert!((0..4).all(|fold| !folds.training(fold).is_empty()));
    }

    #[test]
    fn a_landmark_of_one_fold_alone_is_not_learnt() {
        let set = set(&[&[true, true], &[true, false], &[true, false], &[true, false], &[true, true]]);
        assert_eq!(Folds::new(&set, 4).learnable(), [0]);
        assert_eq!(Folds::new(&set, 3).learnable(), [0, 1]);
    }

    #[test]
    fn templates_have_all_landmarks_between_them() {
        let set = set(&[&[true, false], &[true, false], &[false, false], &[true, true]]);
        assert_eq!(template_images(&set, 2), [0, 3]);
        assert_eq!(template_images(&set, 3), [0, 1, 3]);
        assert_eq!(template_images(&set, 9), [0, 1, 3]);
        assert_eq!(template_images(&set, 1), [0, 3]);
    }
}
