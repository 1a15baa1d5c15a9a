//! Errors of an encoder on annotated images, with one template after the other or several together.

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{
    DataSet, Encoder, Encoding, Found, MatchOptions, Sample, Template, match_templates, read_image,
};
use rayon::prelude::*;

use crate::sets::{Known, in_order, leave};
use crate::{
    ErrorBounds, ErrorTable, EvalError, Figures, MedianFigures, Run, Score, ScoredImage, UncertaintyRanking,
    check_annotated, check_names, check_radii, check_templates, figures,
};

/// What is measured on the images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol<'a> {
    /// Radii of the detection rates, in mm above 0.
    pub radii_mm: &'a [f64],
    /// Seed of the intervals, and of the images to calibrate on.
    pub seed: u64,
    /// So many images of the templates' data set, which are neither templates nor scored, calibrate the error bounds;
    /// none: errors have no bounds.
    pub calibrate: Option<usize>,
}

/// Scores with their figures.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationResult {
    /// All scores, set by set; a set may have no image left to score.
    pub runs: Vec<Run>,
    /// Figures of the sets that have.
    pub figures: Vec<Figures>,
    /// Their median.
    pub summary: MedianFigures,
    /// How well the uncertainty orders the errors.
    pub uncertainty: UncertaintyRanking,
    /// Error bounds against those measured; none without a calibration.
    pub error_bounds: Option<ErrorBounds>,
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

impl<'a> Ready<'a> {
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

    /// The same templates for the images of another data set with the same landmarks.
    fn on<'b>(&self, data: &'b DataSet) -> Ready<'b>
    where
        Self: 'b,
    {
        let evaluation: Evaluation<'b> = Evaluation { data, ..self.evaluation };
        let known = Known::of(data);
        let own = |index: &usize| known.place_of(evaluation.template_data.images.get(*index)?);
        let prepared = |(index, prepared): (&usize, &Prepared)| Prepared {
            template: prepared.template.clone(),
            own: own(index),
            encoding: None,
        };
        Ready {
            evaluation,
            sets: self.sets.clone(),
            chosen: self.chosen.clone(),
            templates: self.chosen.iter().zip(&self.templates).map(prepared).collect(),
        }
    }

    /// Scores every image with every set, and makes figures of the errors. `advance` is called once for each image, and for each that the
    /// error bounds are calibrated on.
    ///
    /// # Errors
    /// [`EvalError::Radius`], [`EvalError::Left`] when there are too few images to calibrate on, [`EvalError::NoImages`] when every image is
    /// a template of every set, those of [`score`](Self::score), and when an error is not finite.
    pub fn measure(
        &self,
        protocol: &Protocol<'_>,
        advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
    ) -> Result<EvaluationResult, EvalError> {
        let Protocol { radii_mm, seed, calibrate } = *protocol;
        let Evaluation { data, template_data, .. } = self.evaluation;
        check_radii(radii_mm)?;
        let left =
            calibrate.map(|count| leave(template_data, data, &self.chosen, count, seed)).transpose()?;
        let runs = self.score(advance)?;
        let scored = runs.iter().filter(|run| !run.images.is_empty());
        let tables: Vec<ErrorTable> = scored.map(Run::errors).collect();
        if tables.is_empty() {
            return Err(EvalError::NoImages { data: data.name.clone() });
        }
        let calibrating = left.map(|left| self.on(&left).score(advance)).transpose()?;
        let bounds = |calibrating: &[Run]| {
            let calibrating = (calibrating, pixel_mm(template_data));
            ErrorBounds::of((&runs, pixel_mm(data)), calibrating, &data.landmarks)
        };
        let error_bounds = calibrating.as_deref().map(bounds).transpose()?;
        let uncertainty = UncertaintyRanking::of(&runs);
        let (summary, figures) = figures(&tables, &data.landmarks, radii_mm, seed)?;
        Ok(EvaluationResult { runs, figures, summary, uncertainty, error_bounds })
    }

    /// Scores every image with every set. `advance` is called once for each image.
    ///
    /// # Errors
    /// When an image can't be read or matched, and those of `advance`.
    pub fn score(&self, advance: &(dyn Fn() -> Result<(), EvalError> + Sync)) -> Result<Vec<Run>, EvalError> {
        let Evaluation { data, template_data, .. } = self.evaluation;
        let member = |index: &usize| self.templates.get(self.chosen.binary_search(index).ok()?);
        let together: Vec<Vec<&Prepared>> =
            self.sets.iter().map(|set| set.iter().filter_map(member).collect()).collect();
        let score = |(image, sample): (usize, &Sample)| {
            let scores = self.evaluation.score((image, sample), &together)?;
            advance()?;
            Ok(scores)
        };
        let rows = data.images.par_iter().enumerate().map(score).collect::<Result<Vec<_>, EvalError>>()?;
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
    /// Encodes the templates of every set, which are places in [`template_data`](Self::template_data); the images of a set are matched
    /// together. No image is scored with a set that it is in, be it the same file or a copy of it.
    ///
    /// It works on the threads of the pool that it is called in; results do not depend on them. `advance` is called once for each
    /// different template; the work ends when that is an error.
    ///
    /// # Errors
    /// When the data sets' landmarks differ, a landmark has no point in any image or in any template, a set names no image of the folder,
    /// or an image can't be read or can't be a template.
    pub fn prepare(
        &self,
        sets: &[Vec<usize>],
        advance: &(dyn Fn() -> Result<(), EvalError> + Sync),
    ) -> Result<Ready<'a>, EvalError> {
        check_names(self.data, self.template_data)?;
        check_annotated(self.data)?;
        let mut chosen: Vec<usize> = sets.concat();
        chosen.sort_unstable();
        chosen.dedup();
        check_templates(self.data, self.template_data, &chosen)?;
        let known = Known::of(self.data);
        let prepare = |(order, &index): (usize, &usize)| {
            let images = &self.template_data.images;
            let sample = images.get(index).ok_or_else(|| EvalError::Set {
                data: self.template_data.name.clone(),
                images: images.len(),
            })?;
            let prepared = self.prepare_one(sample, known.place_of(sample), order < KEPT)?;
            advance()?;
            Ok(prepared)
        };
        let templates = chosen.par_iter().enumerate().map(prepare).collect::<Result<Vec<_>, EvalError>>()?;
        Ok(Ready { evaluation: *self, sets: sets.to_vec(), chosen, templates })
    }

    fn prepare_one(&self, sample: &Sample, own: Option<usize>, keep: bool) -> Result<Prepared, EvalError> {
        let landmarks = in_order(self.template_data, sample, &self.data.landmarks);
        let encoding = self.encode(sample)?;
        let template = Template::from_encoding(&encoding, &landmarks)
            .map_err(|error| EvalError::Template(Box::new(error)))?;
        Ok(Prepared { template, own, encoding: (own.is_some() && keep).then_some(encoding) })
    }

    /// One image with every set of templates; nothing for a set that the image itself is in.
    fn score(
        &self,
        (image, sample): (usize, &Sample),
        sets: &[Vec<&Prepared>],
    ) -> Result<Vec<Option<Vec<Option<Score>>>>, EvalError> {
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
                .map_err(|error| EvalError::Match(Box::new(error)))?;
            Ok(Some(self.scores(sample, &found)))
        };
        sets.iter().map(score_with).collect()
    }

    fn scores(&self, sample: &Sample, found: &[Found]) -> Vec<Option<Score>> {
        let named = self.data.landmarks.iter().zip(&sample.landmarks);
        let score = |(name, truth): (&String, &Option<Point<f64>>)| {
            let truth = (*truth)?;
            let found = found.iter().find(|found| found.name == *name)?;
            Some(Score {
                found: found.at,
                truth,
                score: found.score,
                error_mm: radial_error_mm(found.at, truth, self.data.spacing),
                confidence: Some(found.confidence),
            })
        };
        named.map(score).collect()
    }

    fn encode(&self, sample: &Sample) -> Result<Encoding, EvalError> {
        Ok(self.encoder.encode(&read_image(&sample.path)?)?)
    }
}

/// Millimetres of a pixel: the side of a square of its area.
fn pixel_mm(data: &DataSet) -> f64 {
    (data.spacing.x * data.spacing.y).sqrt()
}
