//! The scores of what an experiment trained or matches.

use std::fs;
use std::path::Path;

use infomark_eval::{ErrorTable, ImageErrors, Protocol, Run};
use infomark_infer::{DataSet, FileError, MatchOptions, list_images};
use infomark_results::{EncoderJob, ErrorRow, NetworkJob, Refinement, ScoringStep, read_errors, write_json};
use serde::{Deserialize, Serialize};

use crate::arm::Choice;
use crate::bench::{ArmRun, Bench, name};
use crate::recipe::Recipe;
use crate::work::{Trained, read_json};
use crate::{Event, ExperimentError};

/// What an evaluation was made of.
#[derive(Serialize, Deserialize, PartialEq)]
struct Evaluated {
    version: String,
    encoder_sha256: String,
    scored_sha256: String,
    templates_sha256: String,
    templates: usize,
    radii: Vec<f64>,
    seed: u64,
    /// Key of an arm that matches templates of its own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matching: Option<String>,
    /// What helps templates to find landmarks, where not all does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    without: Option<MatchOptions>,
}

impl Bench<'_> {
    /// The errors that were written.
    pub(crate) fn errors(&self, run: &ArmRun<'_>) -> Result<Vec<ErrorTable>, ExperimentError> {
        let scores = self.folder(run).join(name::SCORES);
        let rows = read_errors(&scores)?;
        // Rows of a set, and of an image, follow each other.
        let of_set = |rows: &[ErrorRow]| error_table(rows, run);
        let tables: Option<Vec<_>> = rows.chunk_by(|a, b| a.template == b.template).map(of_set).collect();
        tables.ok_or(ExperimentError::OtherScores { folder: scores })
    }

    /// Scores what was trained, or is matched: the main figure, and the errors as they are written.
    pub(crate) fn score(
        &self,
        run: &ArmRun<'_>,
        trained: &Trained,
    ) -> Result<(f64, Vec<ErrorTable>), ExperimentError> {
        let set = run.set;
        let rules = &self.experiment.evaluate;
        let scores = self.folder(run).join(name::SCORES);
        let made_of = scores.join(name::EVALUATED);
        if made_of.exists() {
            fs::remove_file(&made_of).map_err(FileError::system(&made_of, "can't be removed"))?;
        }
        let data = &set.open_dev(self.observer)?;
        let (mre_mm, runs) = match &trained.config {
            Recipe::Encoder(_) => {
                let how = (Choice::Random(rules.templates), None);
                self.score_matches(run, (&self.model(run), data), how, &scores)?
            }
            Recipe::Match { matching, .. } => {
                let model = self.encoder(run)?.ok_or(ExperimentError::Internal("an encoder is missing"))?;
                let refinement = match matching.refine {
                    true => Some(Refinement::new(list_images(&set.images)?)),
                    false => None,
                };
                let how = (matching.choice()?, refinement);
                self.score_matches(run, (&model, data), how, &scores)?
            }
            Recipe::Network { .. } | Recipe::SelfTrain { .. } => {
                let model = &self.model(run);
                let job = NetworkJob {
                    net: &infomark_models::load_landmark_net(model)?,
                    model,
                    data: (&set.dev, data),
                    radii_mm: &rules.radii,
                    seed: rules.seed,
                    second_annotator: None,
                };
                let observer = self.observer;
                let scored = job.run(self.threads, &|step: ScoringStep| observer(Event::Scoring(step)))?;
                scored.write(&scores, data)?;
                (scored.evaluation.summary.mre_mm, vec![scored.run])
            }
        };
        // Last, as it vouches for the rest.
        write_json(&made_of, &self.made_of(run, trained))?;
        Ok((mre_mm, runs.iter().map(|run| Run::errors(run).rounded()).collect()))
    }

    /// Scores templates that are matched by the encoder of a file.
    fn score_matches(
        &self,
        run: &ArmRun<'_>,
        (model, data): (&Path, &DataSet),
        (choice, refinement): (Choice<'_>, Option<Refinement>),
        out: &Path,
    ) -> Result<(f64, Vec<Run>), ExperimentError> {
        let (set, rules) = (run.set, &self.experiment.evaluate);
        let other = (set.templates != set.dev).then(|| set.open_templates(self.observer)).transpose()?;
        let template_data = (set.templates.as_path(), other.as_ref().unwrap_or(data));
        let encoder = infomark_models::load_encoder(model)?;
        let (sets, chosen_by) = self.sets(choice, &encoder, template_data)?;
        let job = EncoderJob {
            encoder: &encoder,
            model,
            data: (&set.dev, data),
            template_data,
            sets: &sets,
            chosen_by,
            matching: rules.matching(),
            refinement: refinement.as_ref(),
            protocol: Protocol { radii_mm: &rules.radii, seed: rules.seed, calibrate: None },
            second_annotator: None,
        };
        let observer = self.observer;
        let scored = job.run(self.threads, &|step: ScoringStep| observer(Event::Scoring(step)))?;
        scored.write(out, data)?;
        if observer(Event::Scored { folder: out, evaluation: &scored.evaluation }).is_break() {
            return Err(ExperimentError::Stopped);
        }
        Ok((scored.evaluation.summary.mre_mm, scored.runs))
    }

    fn made_of(&self, run: &ArmRun<'_>, trained: &Trained) -> Evaluated {
        let (set, rules) = (run.set, &self.experiment.evaluate);
        Evaluated {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder_sha256: trained.encoder_sha256.clone(),
            scored_sha256: set.dev_sha256.clone(),
            templates_sha256: set.templates_sha256.clone(),
            templates: rules.templates,
            radii: rules.radii.clone(),
            seed: rules.seed,
            matching: matches!(trained.config, Recipe::Match { .. }).then(|| trained.key.clone()),
            without: Some(rules.matching()).filter(|matching| {
                let matches = matches!(trained.config, Recipe::Encoder(_) | Recipe::Match { .. });
                matches && *matching != MatchOptions::default()
            }),
        }
    }

    /// The main figure, where this encoder was scored as the experiment says.
    pub(crate) fn scored(&self, run: &ArmRun<'_>, trained: &Trained) -> Result<Option<f64>, ExperimentError> {
        #[derive(Deserialize)]
        struct Figure {
            mre_mm: f64,
        }
        let scores = self.folder(run).join(name::SCORES);
        let made_of: Option<Evaluated> = read_json(&scores.join(name::EVALUATED))?;
        if made_of != Some(self.made_of(run, trained)) {
            return Ok(None);
        }
        let figure: Option<Figure> = read_json(&scores.join("evaluation.json"))?;
        Ok(figure.map(|figure| figure.mre_mm))
    }
}

/// The errors of a set of templates; none where a row is of another image than those that are scored.
fn error_table(rows: &[ErrorRow], run: &ArmRun<'_>) -> Option<ErrorTable> {
    let of_image = |rows: &[ErrorRow]| {
        let name = &rows.first()?.image;
        let image = run.set.scored.iter().position(|scored| scored == name)?;
        // A landmark without a point has no row.
        let error = |name: &String| rows.iter().find(|row| row.landmark == *name).map(|row| row.error_mm);
        Some(ImageErrors { image, errors_mm: run.set.landmarks.iter().map(error).collect() })
    };
    let images = rows.chunk_by(|a, b| a.image == b.image).map(of_image).collect::<Option<_>>()?;
    Some(ErrorTable { templates: vec![rows.first()?.template.clone()], images })
}
