//! Errors of an encoder on annotated images, with one template after the other or several together.

mod figures;
mod plan;

pub use figures::{Figures, LandmarkFigures, Radius, Rates, Summary, median, quantile};
pub use plan::{check_names, draw, in_order, leave, random_sets};

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{
    Confidence, DataSet, Encoder, Encoding, Found, Looks, MatchOptions, Sample, Template, match_templates,
    read_image,
};
use rayon::prelude::*;

use crate::TrainError;
use plan::Known;

/// One landmark found in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Where it was found, in pixels of the image.
    pub found: Point<f64>,
    /// Where it is.
    pub truth: Point<f64>,
    /// Mean cosine with the template there, -1 to 1; of landmark networks, the probability.
    pub score: f64,
    /// Distance of the two in mm.
    pub error_mm: f64,
    /// How sure that was.
    pub confidence: Confidence,
}

/// The scores of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredImage {
    /// Its place in the data folder.
    pub image: usize,
    /// Landmark by landmark, in the folder's order.
    pub scores: Vec<Score>,
}

/// All scores of one template, or of several together.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Names of the templates' images.
    pub templates: Vec<String>,
    /// The images that were scored: those that are none of the templates.
    pub images: Vec<ScoredImage>,
}

impl Run {
    /// The templates in one word.
    pub fn name(&self) -> String {
        self.templates.join(" + ")
    }
}

/// What is scored, and how.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The encoder.
    pub encoder: &'a Encoder,
    /// The images to score on.
    pub data: &'a DataSet,
    /// Where the templates are from; it may be the same folder, and has to name the same landmarks.
    pub template_data: &'a DataSet,
    /// How landmarks are looked for.
    pub matching: MatchOptions,
    /// In which ways templates and images are looked at.
    pub looks: Looks,
}

/// A template ready to match.
struct Prepared {
    template: Template,
    /// The image to score on that is the template itself.
    own: Option<usize>,
    /// Its features, if they are needed again.
    encoding: Option<Encoding>,
}

/// Encodings of templates that are kept for scoring; further ones are made again, so that memory does not
/// grow with the number of templates.
const KEPT: usize = 32;

/// Templates that are ready to be matched, set by set.
pub struct Ready<'a> {
    evaluation: Evaluation<'a>,
    sets: Vec<Vec<usize>>,
    /// Places of the templates in their folder, ascending.
    chosen: Vec<usize>,
    /// In the order of `chosen`.
    templates: Vec<Prepared>,
}

impl Ready<'_> {
    /// The templates, each once, in the folder's order.
    pub fn templates(&self) -> Vec<Template> {
        self.templates.iter().map(|prepared| prepared.template.clone()).collect()
    }

    /// The same with others in the place of [`templates`](Self::templates), such as refined ones, in their order.
    #[must_use]
    pub fn with(mut self, templates: Vec<Template>) -> Self {
        self.templates
            .iter_mut()
            .zip(templates)
            .for_each(|(prepared, template)| prepared.template = template);
        self
    }

    /// Scores every image with every set. `advance` is called once for each image.
    ///
    /// # Errors
    /// When an image can't be read or matched, and those of `advance`.
    pub fn score(
        &self,
        advance: &(dyn Fn() -> Result<(), TrainError> + Sync),
    ) -> Result<Vec<Run>, TrainError> {
        let Evaluation { data, template_data, .. } = self.evaluation;
        let member = |index: &usize| self.templates.get(self.chosen.binary_search(index).ok()?);
        let together: Vec<Vec<&Prepared>> =
            self.sets.iter().map(|set| set.iter().filter_map(member).collect()).collect();
        let score = |(image, sample): (usize, &Sample)| {
            let scores = self.evaluation.score((image, sample), &together)?;
            advance()?;
            Ok(scores)
        };
        let rows = data.images.par_iter().enumerate().map(score).collect::<Result<Vec<_>, TrainError>>()?;
        let name = |index: &usize| Some(template_data.images.get(*index)?.name.clone());
        let run =
            |set: &Vec<usize>| Run { templates: set.iter().filter_map(name).collect(), images: Vec::new() };
        let mut runs: Vec<_> = self.sets.iter().map(run).collect();
        for (image, row) in rows.into_iter().enumerate() {
            for (run, scores) in runs.iter_mut().zip(row) {
                run.images.extend(scores.map(|scores| ScoredImage { image, scores }));
            }
        }
        Ok(runs)
    }
}

impl<'a> Evaluation<'a> {
    /// Scores every image with every set of templates, which are places in [`template_data`](Self::template_data); the images of a
    /// set are matched together. No image is scored with a set that it is in, be it the same file or a copy of it.
    ///
    /// It works on the threads of the pool that it is called in; results do not depend on them. `advance` is called once for each
    /// different template and each image.
    ///
    /// # Errors
    /// When the folders' landmarks differ, a set names no image of the folder, or an image can't be read or matched.
    pub fn run(
        &self,
        sets: &[Vec<usize>],
        advance: &(dyn Fn() -> Result<(), TrainError> + Sync),
    ) -> Result<Vec<Run>, TrainError> {
        self.prepare(sets, advance)?.score(advance)
    }

    /// The first half of [`run`](Self::run): encodes the templates. `advance` is called once for each.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn prepare(
        &self,
        sets: &[Vec<usize>],
        advance: &(dyn Fn() -> Result<(), TrainError> + Sync),
    ) -> Result<Ready<'a>, TrainError> {
        check_names(self.data, self.template_data)?;
        let mut chosen: Vec<usize> = sets.concat();
        chosen.sort_unstable();
        chosen.dedup();
        let known = Known::of(self.data);
        let prepare = |(order, &index): (usize, &usize)| {
            let images = &self.template_data.images;
            let sample = images.get(index).ok_or_else(|| TrainError::Set {
                data: self.template_data.name.clone(),
                images: images.len(),
            })?;
            let prepared = self.prepare_one(sample, known.place_of(sample), order < KEPT)?;
            advance()?;
            Ok(prepared)
        };
        let templates = chosen.par_iter().enumerate().map(prepare).collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Ready { evaluation: *self, sets: sets.to_vec(), chosen, templates })
    }

    fn prepare_one(&self, sample: &Sample, own: Option<usize>, keep: bool) -> Result<Prepared, TrainError> {
        let landmarks = in_order(self.template_data, sample, &self.data.landmarks);
        let encoding = self.encode(sample)?;
        let template = Template::from_encoding(&encoding, &landmarks)
            .map_err(|error| TrainError::Template(Box::new(error)))?;
        Ok(Prepared { template, own, encoding: (own.is_some() && keep).then_some(encoding) })
    }

    /// One image with every set of templates; nothing for a set that the image itself is in.
    fn score(
        &self,
        (image, sample): (usize, &Sample),
        sets: &[Vec<&Prepared>],
    ) -> Result<Vec<Option<Vec<Score>>>, TrainError> {
        let is_own = |prepared: &&Prepared| prepared.own == Some(image);
        let kept = sets.iter().flatten().copied().filter(is_own).find_map(|own| own.encoding.as_ref());
        let made;
        let encoding = match kept {
            Some(encoding) => encoding,
            None => {
                made = self.encode(sample)?;
                &made
            }
        };
        let score_with = |set: &Vec<&Prepared>| {
            if set.iter().any(is_own) {
                return Ok(None);
            }
            let templates: Vec<&Template> = set.iter().map(|prepared| &prepared.template).collect();
            let found = match_templates(&templates, encoding, self.matching)
                .map_err(|error| TrainError::Match(Box::new(error)))?;
            Ok(Some(self.scores(sample, &found)))
        };
        sets.iter().map(score_with).collect()
    }

    fn scores(&self, sample: &Sample, found: &[Found]) -> Vec<Score> {
        let pairs = found.iter().zip(&sample.landmarks);
        pairs
            .map(|(found, &truth)| Score {
                found: found.at,
                truth,
                score: found.score,
                error_mm: radial_error_mm(found.at, truth, self.data.spacing),
                confidence: found.confidence,
            })
            .collect()
    }

    fn encode(&self, sample: &Sample) -> Result<Encoding, TrainError> {
        Ok(self.encoder.encode_with(&read_image(&sample.path)?, self.looks)?)
    }
}
