//! The errors of an encoder that is still being trained, where labels are at hand.

use std::path::PathBuf;

use infomark_core::{Rng, radial_error_mm};
use infomark_infer::{
    DataSet, Encoder, Encoding, MatchOptions, Sample, Template, match_encoding, read_image,
};
use rayon::prelude::*;

use crate::{TrainError, stream};

/// Annotated images to score an encoder on at every checkpoint. The training does not learn from them.
#[derive(Clone, Debug)]
pub struct Scoring {
    /// Data folder: `images/`, `landmarks.csv`, `dataset.toml`.
    pub data: PathBuf,
    /// How many of its images are the template, one after the other; drawn at random, always the same ones.
    pub templates: usize,
}

/// The folder, opened.
pub(crate) struct Scorer {
    data: DataSet,
    chosen: Vec<usize>,
    folder: PathBuf,
}

impl Scorer {
    pub(crate) fn open(scoring: &Scoring) -> Result<Self, TrainError> {
        let folder = scoring.data.clone();
        let data = DataSet::open(&folder).map_err(refused(&folder))?;
        let all = data.images.len();
        if scoring.templates == 0 || all < 2 {
            let reason = "scoring needs at least 1 template and 2 images".to_owned();
            return Err(TrainError::Score { dir: folder, reason });
        }
        let mut rng = Rng::new(0, stream::SCORING);
        let mut order: Vec<usize> = (0..all).collect();
        for place in (1..all).rev() {
            order.swap(place, rng.below(place as u64 + 1) as usize);
        }
        order.truncate(scoring.templates);
        Ok(Self { data, chosen: order, folder })
    }

    /// Median over the templates of the mean radial error in mm; a template is not scored on itself.
    pub(crate) fn mre_mm(&self, encoder: &Encoder) -> Result<f64, TrainError> {
        let encode = |sample: &Sample| -> Result<Encoding, TrainError> {
            let image = read_image(&sample.path)?;
            encoder.encode(&image).map_err(refused(&self.folder))
        };
        let images = &self.data.images;
        let templates = self
            .chosen
            .par_iter()
            .map(|&image| {
                let landmarks = self.data.landmarks_of(&images[image]);
                Template::from_encoding(&encode(&images[image])?, &landmarks).map_err(refused(&self.folder))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let errors = images
            .par_iter()
            .enumerate()
            .map(|(image, sample)| {
                let encoding = encode(sample)?;
                let of = |(template, chosen): (&Template, &usize)| {
                    if *chosen == image {
                        return Ok(None);
                    }
                    let found = match_encoding(template, &encoding, MatchOptions::default())
                        .map_err(refused(&self.folder))?;
                    let pairs = found.iter().zip(&sample.landmarks);
                    let errors = pairs.map(|(f, truth)| radial_error_mm(f.at, *truth, self.data.spacing));
                    Ok(Some(errors.sum::<f64>() / found.len().max(1) as f64))
                };
                templates.iter().zip(&self.chosen).map(of).collect::<Result<Vec<Option<f64>>, TrainError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut means: Vec<f64> = (0..templates.len())
            .map(|template| {
                let own: Vec<f64> = errors.iter().filter_map(|row| row[template]).collect();
                own.iter().sum::<f64>() / own.len().max(1) as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let middle = means.len() / 2;
        Ok(if means.len() % 2 == 1 { means[middle] } else { 0.5 * (means[middle - 1] + means[middle]) })
    }
}

fn refused<E: std::fmt::Display>(folder: &std::path::Path) -> impl FnOnce(E) -> TrainError {
    move |error| TrainError::Score { dir: folder.to_owned(), reason: error.to_string() }
}
