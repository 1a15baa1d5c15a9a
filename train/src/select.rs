//! Ranking of the images to annotate by how well their keypoints match a sample of the others.

use std::path::PathBuf;

use infomark_eval::draw;
use infomark_infer::{Candidate, Encoder, choose_templates, read_image};
use rayon::prelude::*;

use crate::{ConfigError, DataError, TrainError};

/// Default number of images that keypoints are matched in.
pub const AGAINST: usize = 24;
/// Stream of random numbers of the sample.
const STREAM: u64 = 3;

/// Inlier fractions of each image's keypoints in a sample of all images.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Indices of the sample, ascending.
    against: Vec<usize>,
    /// Inlier fraction of each image in each of the sample.
    inlier_fractions: Vec<Vec<f64>>,
}

impl Ranking {
    /// Ranks `images` by up to 200 keypoints of each, matched in a sample of `against` of them, at least two, drawn by `seed`. No
    /// landmarks are read. An image without keypoints scores 0.
    ///
    /// Each image is encoded once, those of the sample twice, on the threads of the current pool; only the keypoints are
    /// kept. `advance` is called once per image, and once more for each of the sample; its error aborts the ranking.
    ///
    /// # Errors
    /// [`ConfigError::Against`] when `against` is less than two, and when an image cannot be read or matched.
    pub fn of(
        encoder: &Encoder,
        images: &[PathBuf],
        against: usize,
        seed: u64,
        advance: &(dyn Fn() -> Result<(), TrainError> + Sync),
    ) -> Result<Self, TrainError> {
        if against < 2 {
            return Err(ConfigError::Against { against }.into());
        }
        let against = draw(against, images.len(), seed, STREAM);
        let encode = |path: &PathBuf| Ok::<_, TrainError>(encoder.encode(&read_image(path)?)?);
        let candidate = |path: &PathBuf| {
            let candidate = Candidate::new(&encode(path)?)
                .map_err(|error| TrainError::Data(DataError::Template(Box::new(error))))?;
            advance()?;
            Ok(candidate)
        };
        let candidates = images.par_iter().map(candidate).collect::<Result<Vec<_>, TrainError>>()?;
        let column = |&index: &usize| {
            let path = images.get(index).ok_or_else(|| TrainError::internal("no such image"))?;
            let encoding = encode(path)?;
            let one = |(own, candidate): (usize, &Candidate)| {
                if own == index { Ok(None) } else { candidate.inlier_fraction(&encoding).map(Some) }
            };
            let values = candidates.iter().enumerate().map(one).collect::<Result<Vec<_>, _>>();
            advance()?;
            values.map_err(|error| TrainError::Data(DataError::Match(Box::new(error))))
        };
        let columns = against.par_iter().map(column).collect::<Result<Vec<_>, TrainError>>()?;
        let row = |candidate: usize| {
            let values: Vec<Option<f64>> =
                columns.iter().map(|column| column.get(candidate).copied().flatten()).collect();
            let known: Vec<f64> = values.iter().flatten().copied().collect();
            // An image is not scored on itself; with its mean as value, being in the sample changes no score.
            let mean = infomark_core::mean(&known).unwrap_or(0.0);
            values.into_iter().map(|value| value.unwrap_or(mean)).collect()
        };
        Ok(Self { inlier_fractions: (0..images.len()).map(row).collect(), against })
    }

    /// Indices of the sample, ascending.
    pub fn against(&self) -> &[usize] {
        &self.against
    }

    /// Number of images ranked.
    pub fn images(&self) -> usize {
        self.inlier_fractions.len()
    }

    /// Inlier fraction of an image's keypoints, 0 to 1: the mean over the sample.
    pub fn score(&self, image: usize) -> f64 {
        self.inlier_fractions.get(image).and_then(|row| infomark_core::mean(row)).unwrap_or(0.0)
    }

    /// Selects `count` images, best first ([`choose_templates`]).
    pub fn choose(&self, count: usize) -> Vec<usize> {
        choose_templates(&self.inlier_fractions, count)
    }

    /// All images, highest score first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.inlier_fractions.len()).collect();
        order.sort_by(|&a, &b| self.score(b).total_cmp(&self.score(a)));
        order
    }
}
