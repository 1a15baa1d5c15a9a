//! Scoring of an encoder on annotated images, with single templates or several together.

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

/// Measurement protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol<'a> {
    /// Radii of the detection rates, in mm above 0.
    pub radii_mm: &'a [f64],
    /// Seed of the intervals and of the calibration images.
    pub seed: u64,
    /// Number of calibration images from the templates' data set, which are neither templates nor scored;
    /// `None`: no error bounds.
    pub calibrate: Option<usize>,
}

/// Scores with their metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationResult {
    /// All scores, per set of templates; a set may have no image left to score.
    pub runs: Vec<Run>,
    /// Metrics of the sets with scores.
    pub figures: Vec<Figures>,
    /// Median of the metrics.
    pub summary: MedianFigures,
    /// How well the uncertainty ranks the errors.
    pub uncertainty: UncertaintyRanking,
    /// Error bounds compared with the measured errors; `None` without a calibration.
    pub error_bounds: Option<ErrorBounds>,
}

/// Evaluation of an encoder: data, templates and options.
#[derive(Clone, Copy, Debug)]
pub struct Evaluation<'a> {
    /// The encoder.
    pub encoder: &'a Encoder,
    /// The images to score.
    pub data: &'a DataSet,
    /// Data set of the templates; may be the same, and needs the same landmarks.
    pub template_data: &'a DataSet,
    /// Matching options.
    pub matching: MatchOptions,
}

/// A template ready for matching.
struct Prepared {
    template: Template,
    /// Index of the scored image that is the template itself.
    own: Option<usize>,
    /// Its encoding, if cached.
    encoding: Option<Encoding>,
}

/// Maximum number of cached template encodings; further ones are recomputed, so that memory does not
/// grow with the number of templates.
const KEPT: usize = 32;

/// Sets of templates ready for matching.
pub struct Ready<'a> {
    evaluation: Evaluation<'a>,
    sets: Vec<Vec<usize>>,
    /// Indices of the templates in their data set, ascending.
    chosen: Vec<usize>,
    /// Templates, in the order of `chosen`.
    templates: Vec<Prepared>,
}

impl<'a> Ready<'a> {
    /// The distinct templates, in the data set's order.
    pub fn templates(&self) -> Vec<Template> {
        self.templates.iter().map(|prepared| prepared.template.clone()).collect()
    }

    /// Replaces the [`templates`](Self::templates), e.g. by refined ones, in their order.
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

    /// Scores every image with every set, and computes metrics of the errors. `advance` is called once per image, also for
    /// calibration images.
    ///
    /// # Errors
    /// [`EvalError::Radius`], [`EvalError::Left`] when there are too few images for calibration, [`EvalError::NoImages`] when every image is
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

    /// Scores every image with every set. `advance` is called once per image.
    ///
    /// # Errors
    /// When an image cannot be read or matched, and those of `advance`.
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
    /// Encodes the templates of every set, given as indices in [`template_data`](Self::template_data); the images of a set are matched
    /// together. No image is scored with a set that contains it, be it the same file or a copy of it.
    ///
    /// It uses the threads of the current pool, on which the results do not depend. `advance` is called once per
    /// distinct template; its error aborts the work.
    ///
    /// # Errors
    /// When the data sets' landmarks differ, a landmark has no point in any image or in any template, a set has an invalid index,
    /// or an image cannot be read or be a template.
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

    /// Scores one image with every set of templates, except sets that contain it.
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

/// Isotropic millimetres per pixel: the side of a square of the pixel's area.
fn pixel_mm(data: &DataSet) -> f64 {
    (data.spacing.x * data.spacing.y).sqrt()
}
